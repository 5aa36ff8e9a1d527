//! What every answer says beside its body: what browsers may do with it, who asked, how much is left, and how it is packed.

use futures_util::future::join_all;
use reqwest::{Method, Response, StatusCode, header};
use serde_json::json;

use crate::support::{
    api::http,
    eventually::eventually,
    server::{Options, Server},
};

async fn got(server: &Server, path: &str) -> Response {
    let request = http()
        .get(server.at(path))
        .bearer_auth(&server.ready().access_token)
        .header(header::ORIGIN, "https://elsewhere.example");
    request.send().await.expect("an answer")
}

fn said<'a>(answer: &'a Response, name: &str) -> &'a str {
    let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_can_be_framed_guessed_at_or_read_by_another_site() {
    let server = Server::start(Options::serve()).await;
    for path in [
        "/",
        "/docs/",
        "/openapi.json",
        "/livez",
        "/api/leads",
        "/api/nowhere",
        "/nowhere",
    ] {
        let answer = got(&server, path).await;
        assert_eq!(said(&answer, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(said(&answer, "x-frame-options"), "DENY", "{path}");
        assert_eq!(said(&answer, "referrer-policy"), "no-referrer", "{path}");
        let policy = said(&answer, "content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!said(&answer, "x-request-id").is_empty(), "{path}");
        for absent in [
            "access-control-allow-origin",
            "strict-transport-security",
            "ratelimit",
        ] {
            assert_eq!(said(&answer, absent), "", "{path}: {absent}");
        }
    }
    let asked_first = http()
        .request(Method::OPTIONS, server.at("/api/leads"))
        .header(header::ORIGIN, "https://elsewhere.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .send()
        .await
        .expect("an answer");
    assert_eq!(said(&asked_first, "access-control-allow-origin"), "");
    assert!(!asked_first.status().is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_behind_https_keeps_browsers_to_it_and_one_with_a_limit_says_what_is_left() {
    let options = Options::serve()
        .with("PATCHCORD_SERVER__PUBLIC_URL", "https://patchcord.example")
        .with("PATCHCORD_SERVER__REQUESTS_PER_S", "1");
    let server = Server::start(options).await;
    let answers = join_all((0..20).map(|_| got(&server, "/api/leads"))).await;
    for answer in &answers {
        assert_eq!(said(answer, "strict-transport-security"), "max-age=31536000");
        assert_eq!(said(answer, "ratelimit-policy"), "\"default\";q=1;w=1");
        assert_eq!(said(answer, "ratelimit"), "\"default\";r=0;t=1");
    }
    let refused = answers
        .iter()
        .find(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS)
        .expect("twenty in a second are too many");
    assert_eq!(said(refused, "retry-after"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_found_in_the_log_by_its_id_and_a_long_answer_is_packed() {
    let server = Server::start(Options::serve()).await;
    let hook = server.post("/api/webhooks", &json!({"name": "shop"})).await;
    let path = format!("/api/webhooks/{}/source", hook["id"].as_str().expect("an id"));
    let set = http()
        .put(server.at(&path))
        .bearer_auth(&server.ready().access_token)
        .header("x-request-id", "found-again-17")
        .json(&json!({"source": "form"}))
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        (set.status(), said(&set, "x-request-id")),
        (StatusCode::OK, "found-again-17")
    );
    let line = eventually("the line in the log", async || {
        let log = server.log();
        let mut lines = log.lines();
        let line = lines.find(|line| line.contains("source of an incoming webhook set"));
        line.map(str::to_owned)
    })
    .await;
    assert!(line.contains("found-again-17"), "{line}");

    let packed = http()
        .get(server.at("/openapi.json"))
        .header(header::ACCEPT_ENCODING, "gzip")
        .send()
        .await
        .expect("an answer");
    assert_eq!(said(&packed, "content-encoding"), "gzip");
}
