//! E-mail by SendGrid's v3 API: <https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send>.
//!
//! There is no idempotency key. Each message carries the effect's key as a custom argument; where the account may read its
//! e-mail activity, a message in doubt is looked up by it.

use lettre::message::Mailbox;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::settings::SendgridSettings;
use crate::{
    domain::secret::Secret,
    integrations::{
        client::{self, HttpClient, Reply, SendError},
        port::EffectOutcome,
    },
    workflows::{Effect, Failure, FailureKind, effect::EmailMessage},
};

/// Name of the custom argument.
pub(super) const KEY_ARGUMENT: &str = "patchcord_effect";

/// Sends by SendGrid.
pub(super) struct Sendgrid {
    http: HttpClient,
    base: Url,
    key: Secret,
}

/// `sendgrid.api_base` is no address.
#[derive(Debug, thiserror::Error)]
#[error("sendgrid.api_base: expected an address like `https://api.sendgrid.com`")]
pub struct BaseError;

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    errors: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    message: String,
    field: Option<String>,
}

#[derive(Deserialize)]
struct Activity {
    #[serde(default)]
    messages: Vec<Seen>,
}

#[derive(Deserialize)]
struct Seen {
    msg_id: String,
}

impl Sendgrid {
    pub(super) fn new(http: HttpClient, settings: &SendgridSettings) -> Result<Self, BaseError> {
        let base = format!("{}/", settings.api_base.trim_end_matches('/'));
        let base = Url::parse(&base).map_err(|_not_an_address| BaseError)?;
        Ok(Self {
            http,
            base,
            key: settings.api_key.clone(),
        })
    }

    pub(super) async fn send(&self, effect: &Effect, email: &EmailMessage, from: &Mailbox) -> EffectOutcome {
        let request = match self.request(Method::POST, "v3/mail/send") {
            Ok(request) => request.json(&body(effect, email, from)),
            Err(outcome) => return outcome,
        };
        match client::send(request).await {
            Ok(reply) => Self::outcome(effect, &reply),
            Err(SendError::Lost(error)) => EffectOutcome::Unknown {
                message: SendError::Lost(error).to_string(),
            },
            Err(error) => EffectOutcome::temporary("unreached", error.to_string()),
        }
    }

    /// The id of the message with the effect's key among the account's activity. `None`: not there, or not to be read.
    pub(super) async fn find(&self, effect: &Effect) -> Option<String> {
        let query = format!("(unique_args['{KEY_ARGUMENT}']=\"{}\")", effect.key);
        let request = self.request(Method::GET, "v3/messages").ok()?;
        let request = request.query(&[("limit", "1"), ("query", &query)]);
        let reply = client::send(request).await.ok()?;
        if reply.status != 200 {
            tracing::debug!(status = reply.status, "SendGrid's e-mail activity cannot be read");
            return None;
        }
        let activity: Activity = serde_json::from_slice(&reply.body).ok()?;
        activity.messages.into_iter().next().map(|seen| seen.msg_id)
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, EffectOutcome> {
        let url = self
            .base
            .join(path)
            .map_err(|error| EffectOutcome::permanent("bad_url", error.to_string()))?;
        Ok(self.http.configured(method, url).bearer_auth(self.key.expose()))
    }

    fn outcome(effect: &Effect, reply: &Reply) -> EffectOutcome {
        let status = reply.status;
        match status {
            200..=299 => {
                let id = reply.headers.get("x-message-id").and_then(|id| id.to_str().ok());
                let id = id.map_or_else(|| effect.message_id().to_string(), str::to_owned);
                EffectOutcome::Confirmed {
                    output: json!({"message_id": effect.message_id(), "status": "sent", "provider": "sendgrid",
                        "sendgrid_id": id}),
                    provider_id: Some(id),
                }
            }
            300..=499 => EffectOutcome::Rejected(Failure {
                kind: if matches!(status, 408 | 429) {
                    FailureKind::Temporary
                } else {
                    FailureKind::Permanent
                },
                code: format!("http_{status}"),
                message: format!("SendGrid: {}", words(reply)),
                retry_after: reply.retry_after(),
            }),
            _ => EffectOutcome::Unknown {
                message: format!("SendGrid answered with status {status}"),
            },
        }
    }
}

/// What the API is given.
fn body(effect: &Effect, email: &EmailMessage, from: &Mailbox) -> Value {
    let list = |addresses: &[String]| -> Vec<Value> {
        addresses
            .iter()
            .map(|address| json!({"email": address}))
            .collect()
    };
    let mut receivers = json!({"to": list(&email.to), "custom_args": {KEY_ARGUMENT: effect.key}});
    if !email.cc.is_empty() {
        receivers["cc"] = json!(list(&email.cc));
    }
    let mut sender = json!({"email": from.email.to_string()});
    if let Some(name) = &from.name {
        sender["name"] = json!(name);
    }
    let mut content = vec![json!({"type": "text/plain", "value": email.text})];
    if let Some(html) = &email.html {
        content.push(json!({"type": "text/html", "value": html}));
    }
    let mut body = json!({"personalizations": [receivers], "from": sender, "subject": email.subject, "content": content});
    if let Some(reply_to) = &email.reply_to {
        body["reply_to"] = json!({"email": reply_to});
    }
    body
}

fn words(reply: &Reply) -> String {
    let refusal: Option<Refusal> = serde_json::from_slice(&reply.body).ok();
    let problem = refusal.and_then(|refusal| refusal.errors.into_iter().next());
    match problem {
        Some(Problem {
            message,
            field: Some(field),
        }) => format!("{message} ({field})"),
        Some(Problem { message, field: None }) => message,
        None => format!("status {}", reply.status),
    }
}
