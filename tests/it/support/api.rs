//! The REST API as a signed-in client sees it.

use std::sync::OnceLock;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use super::server::Server;

/// One client for all tests: connections are pooled, the TLS provider is set once.
pub fn http() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        patchcord::integrations::client::install_tls();
        // A pooled connection belongs to the runtime of the test that opened it, and dies with that test.
        Client::builder()
            .pool_max_idle_per_host(0)
            .no_proxy()
            .build()
            .expect("the client can be built")
    })
}

/// An answer: its status and its body, `null` when there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

/// Sends one request with any token, or none.
///
/// # Panics
/// When the server does not answer or the body is not JSON.
pub async fn ask(server: &Server, method: Method, path: &str, token: &str, body: Option<Value>) -> Answer {
    let mut request = http().request(method, server.at(path));
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.expect("the server answers");
    let status = response.status();
    let text = response.text().await.expect("the body can be read");
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path} answered {status} and no JSON: {text}"))
    };
    Answer { status, body }
}

impl Server {
    /// Sends one request with the owner's access token.
    ///
    /// # Panics
    /// When the server does not answer or the body is not JSON.
    pub async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let token = &self.ready().access_token;
        ask(self, method, path, token, body.cloned()).await
    }

    /// Reads `path` and expects 200.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.request(Method::GET, path, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        answer.body
    }

    /// Sends `body` to `path` and expects a 2xx.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.request(Method::POST, path, Some(body)).await;
        assert!(
            answer.status.is_success(),
            "{path}: {} {}",
            answer.status,
            answer.body
        );
        answer.body
    }

    /// The items of a list.
    pub async fn items(&self, path: &str) -> Vec<Value> {
        let page = self.get(path).await;
        page["items"]
            .as_array()
            .cloned()
            .unwrap_or_else(|| panic!("{path} has no items: {page}"))
    }

    /// What the server answers at each of these paths, as it is sent.
    pub async fn answers(&self, paths: Vec<String>) -> Vec<(String, String)> {
        let mut answers = Vec::new();
        for path in paths {
            let request = http().get(self.at(&path)).bearer_auth(&self.ready().access_token);
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            answers.push((path, answer.text().await.expect("a body")));
        }
        answers
    }
}
