//! Knocks at a server's doors as Twilio does: signed, with the address that the outside sees.

use std::time::Duration;

use reqwest::Client;
use url::Url;
use uuid::Uuid;

use super::outcome::SimulateError;
use crate::{
    clock,
    domain::secret::Secret,
    http::twilio::signature::{self, Payload, SIGNATURE_HEADER},
};

/// Twilio gives up on a webhook after this long.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);
/// Same on every delivery of one callback.
const IDEMPOTENCY_HEADER: &str = "I-Twilio-Idempotency-Token";
/// Characters of an error's body that are worth showing.
const BODY_CHARS_MAX: usize = 300;

/// The Twilio account that calls belong to.
#[derive(Debug, Clone)]
pub struct Account {
    pub sid: String,
    pub token: Secret,
}

/// A running server, as Twilio reaches it.
#[derive(Debug, Clone)]
pub struct Doors {
    client: Client,
    /// Where the server listens, without a trailing slash.
    server: String,
    /// Where it believes that the outside reaches it.
    public: String,
    account: Account,
}

/// Parameters of a webhook.
pub type Form = Vec<(String, String)>;

impl Doors {
    /// Prepares to knock; nothing is sent yet.
    ///
    /// # Errors
    /// [`SimulateError::Address`] when an address is not `http://host:port`.
    pub fn new(server: &str, public: Option<&str>, account: Account) -> Result<Self, SimulateError> {
        let server = base(server)?;
        let public = public
            .filter(|url| !url.is_empty())
            .map_or_else(|| Ok(server.clone()), base)?;
        // Debug builds of a fresh process have no TLS provider yet; a second installation is refused and harmless.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder()
            .no_proxy()
            .timeout(ANSWER_DEADLINE)
            .build()
            .map_err(|source| SimulateError::Unreachable {
                url: server.clone(),
                source,
            })?;
        Ok(Self {
            client,
            server,
            public,
            account,
        })
    }

    /// The account that signs.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The client for requests that are not Twilio's.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// `path` on the server.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.server)
    }

    /// `path` on the server, for a WebSocket.
    #[must_use]
    pub fn ws_at(&self, path: &str) -> String {
        self.at(path).replacen("http", "ws", 1)
    }

    /// Sends a signed form to `target`, a path or an address that the server gave, and returns the body.
    ///
    /// # Errors
    /// [`SimulateError`] when the server does not answer, or not with success.
    pub async fn post(&self, target: &str, form: &[(String, String)]) -> Result<String, SimulateError> {
        let path = self.path_of(target)?;
        let public = if target.starts_with('/') {
            format!("{}{path}", self.public)
        } else {
            target.to_owned()
        };
        let signed = signature::sign(&self.account.token, &public, Payload::Form(form));
        let url = self.at(&path);
        let response = self
            .client
            .post(&url)
            .header(SIGNATURE_HEADER, signed)
            .header(IDEMPOTENCY_HEADER, Uuid::now_v7().to_string())
            .form(form)
            .send()
            .await
            .map_err(|source| SimulateError::Unreachable { url, source })?;
        let status = response.status();
        let body = response.text().await.unwrap_or_default();
        if status.is_success() {
            return Ok(body);
        }
        if status.as_u16() == 403 {
            return Err(SimulateError::Refused { path });
        }
        let body = body.chars().take(BODY_CHARS_MAX).collect();
        Err(SimulateError::Answered {
            path,
            status: status.as_u16(),
            body,
        })
    }

    /// Returns the signature of a WebSocket upgrade to `url`, as it stands in the TwiML.
    #[must_use]
    pub fn sign_upgrade(&self, url: &str) -> String {
        signature::sign(&self.account.token, url, Payload::Nothing)
    }

    /// Path and query of an address that the server gave.
    ///
    /// # Errors
    /// [`SimulateError::Address`] when it is none.
    pub fn path_of(&self, target: &str) -> Result<String, SimulateError> {
        if target.starts_with('/') {
            return Ok(target.to_owned());
        }
        let url = Url::parse(target).map_err(|_| SimulateError::Address {
            url: target.to_owned(),
        })?;
        Ok(url[url::Position::BeforePath..url::Position::AfterQuery].to_owned())
    }
}

fn base(url: &str) -> Result<String, SimulateError> {
    let trimmed = url.trim_end_matches('/');
    let is_http = Url::parse(trimmed).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if is_http {
        Ok(trimmed.to_owned())
    } else {
        Err(SimulateError::Address { url: url.to_owned() })
    }
}

/// The present moment as Twilio writes it in callbacks: RFC 2822 in UTC.
#[must_use]
pub fn callback_time() -> String {
    let millis = i64::try_from(clock::now().as_unix_millis()).unwrap_or(i64::MAX);
    let moment = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    jiff::fmt::rfc2822::to_string(&moment.to_zoned(jiff::tz::TimeZone::UTC)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(server: &str) -> Result<Doors, SimulateError> {
        Doors::new(
            server,
            Some("https://calls.example"),
            Account {
                sid: "AC1".into(),
                token: Secret::from("t".to_owned()),
            },
        )
    }

    #[test]
    fn keeps_path_and_query_of_a_given_address() {
        let doors = doors("http://127.0.0.1:8080/").expect("this is an address");
        let path = doors
            .path_of("https://calls.example/twilio/dial?run=1#rc=5")
            .expect("this is an address");
        assert_eq!(doors.at(&path), "http://127.0.0.1:8080/twilio/dial?run=1");
        assert_eq!(doors.ws_at("/x"), "ws://127.0.0.1:8080/x");
    }

    #[test]
    fn refuses_what_is_no_address() {
        assert!(matches!(
            doors("localhost:8080"),
            Err(SimulateError::Address { .. })
        ));
        assert!(matches!(doors("ftp://h"), Err(SimulateError::Address { .. })));
    }

    #[tokio::test]
    async fn says_that_nobody_answers() {
        // Port 9 of loopback: discard, which nothing here serves.
        let refused = doors("http://127.0.0.1:9")
            .expect("this is an address")
            .post("/twilio/voice", &[])
            .await;
        assert!(
            matches!(refused, Err(SimulateError::Unreachable { .. })),
            "{refused:?}"
        );
    }
}
