//! Requests to addresses that users give: webhooks, and Zapier's hooks.
//!
//! Every attempt carries the same `Idempotency-Key` and is signed, so the receiver can drop a repeat and trust the sender. What
//! is in doubt is simply sent again by the run.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use reqwest::{
    Method, RequestBuilder,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use tokio::sync::watch;
use url::Url;

use super::{
    client::{self, HttpClient, Reply, SendError},
    port::{EffectOutcome, EffectPort},
    webhook_signature::SigningSecrets,
};
use crate::{
    clock,
    domain::{signing::SigningKeys, time::Timestamp},
    store::{AccountStore, accounts::Account},
    workflows::{Effect, Failure, FailureKind, Finding, Request, effect::HttpMethod},
};

/// Headers that say how the connection works; HTTP itself writes them.
const RESERVED_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Sends users' webhooks.
pub struct Webhooks {
    pub http: HttpClient,
    /// Which secrets an account signs with.
    pub accounts: Arc<dyn AccountStore>,
    /// Secrets that accounts sign with are derived from these.
    pub signing_keys: watch::Receiver<SigningKeys>,
}

#[async_trait]
impl EffectPort for Webhooks {
    async fn execute(&self, effect: &Effect) -> EffectOutcome {
        let none = BTreeMap::new();
        let (method, url, headers, body) = match &effect.request {
            Request::WebhookRequest {
                method,
                url,
                headers,
                body,
            } => (*method, url, headers, body),
            Request::ZapierHook { url, body } => (HttpMethod::Post, url, &none, body),
            _ => return EffectOutcome::permanent("no_webhook", "only webhooks are sent here"),
        };
        let Ok(url) = Url::parse(url) else {
            return EffectOutcome::permanent("bad_url", format!("`{url}` is not an address"));
        };
        let headers = match headers_of(headers) {
            Ok(headers) => headers,
            Err(name) => {
                return EffectOutcome::permanent("bad_header", format!("the header `{name}` cannot be set"));
            }
        };
        let request = match self.http.given(verb(method), url) {
            Ok(request) => request.headers(headers),
            Err(refused) => return EffectOutcome::permanent("private_address", refused.to_string()),
        };
        let payload = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let account = match self.accounts.account(effect.account_id).await {
            Ok(account) => account,
            Err(error) => return EffectOutcome::store_failed(&error),
        };
        let signed = self.signed(request, effect, &account, payload, clock::now());
        match client::send_traced(signed).await {
            Ok(reply) => outcome(&reply),
            Err(error) => failure(&error),
        }
    }

    async fn settle(&self, _effect: &Effect) -> Finding {
        // Only the receiver knows, and the same key again does no harm: the core repeats webhooks and never asks.
        Finding::CannotTell {
            reason: "a webhook's receiver cannot be asked".to_owned(),
        }
    }
}

impl Webhooks {
    fn signed(
        &self,
        request: RequestBuilder,
        effect: &Effect,
        account: &Account,
        payload: Vec<u8>,
        now: Timestamp,
    ) -> RequestBuilder {
        let id = effect.message_id().to_string();
        let secrets = SigningSecrets::of(&self.signing_keys.borrow(), account, now);
        let signature = secrets.sign(&id, now, &payload);
        let mut request = request
            .header("idempotency-key", &effect.key)
            .header("webhook-id", id)
            .header("webhook-timestamp", now.as_unix_millis() / 1_000)
            .header("webhook-signature", signature);
        if !payload.is_empty() {
            request = request
                .header(reqwest::header::CONTENT_TYPE, "application/json")
                .body(payload);
        }
        request
    }
}

/// Returns the user's headers, or the name of the first that cannot be set.
fn headers_of(given: &BTreeMap<String, String>) -> Result<HeaderMap, &str> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let parsed = name
            .parse::<HeaderName>()
            .ok()
            .zip(HeaderValue::from_str(value).ok());
        match parsed {
            Some((known, _)) if RESERVED_HEADERS.contains(&known.as_str()) => return Err(name),
            Some((known, value)) => drop(headers.insert(known, value)),
            None => return Err(name),
        }
    }
    Ok(headers)
}

fn verb(method: HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Delete => Method::DELETE,
    }
}

fn outcome(reply: &Reply) -> EffectOutcome {
    let status = reply.status;
    match status {
        200..=299 => EffectOutcome::Confirmed {
            provider_id: None,
            output: json!({"status": status, "body": body_of(reply)}),
        },
        // The receiver broke off in the middle of something.
        500..=599 => EffectOutcome::Unknown {
            message: format!("status {status}"),
        },
        _ => {
            let is_temporary = matches!(status, 408 | 425 | 429);
            EffectOutcome::Rejected(Failure {
                kind: if is_temporary {
                    FailureKind::Temporary
                } else {
                    FailureKind::Permanent
                },
                code: format!("http_{status}"),
                message: match reply.headers.get(reqwest::header::LOCATION) {
                    Some(place) if status == 301 => {
                        let place = String::from_utf8_lossy(place.as_bytes());
                        format!("the address has moved to {place}: write that one into the step")
                    }
                    _ => format!("the receiver answered with status {status}"),
                },
                retry_after: reply.retry_after(),
            })
        }
    }
}

/// JSON as such, anything else as text.
fn body_of(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body)
        .unwrap_or_else(|_not_json| Value::String(String::from_utf8_lossy(&reply.body).into_owned()))
}

fn failure(error: &SendError) -> EffectOutcome {
    match error {
        SendError::Refused(refused) => EffectOutcome::permanent("private_address", refused.to_string()),
        SendError::Invalid(_) => EffectOutcome::permanent("bad_request", error.to_string()),
        SendError::Unreached(_) => EffectOutcome::temporary("unreached", error.to_string()),
        SendError::Lost(_) => EffectOutcome::Unknown {
            message: error.to_string(),
        },
    }
}
