//! Slack: posts messages, and finds them again by the key in their metadata.
//!
//! Web API: <https://api.slack.com/methods/chat.postMessage>. Slack answers most refusals with status 200 and `"ok": false`.

use async_trait::async_trait;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{
    SlackSettings,
    client::{self, HttpClient, SendError},
    port::{EffectOutcome, EffectPort},
};
use crate::{
    domain::{secret::Secret, time::Timestamp},
    workflows::{Effect, Failure, FailureKind, Finding, Request},
};

/// The kind of metadata our messages carry.
const METADATA: &str = "patchcord_effect";
/// Messages a look-up reads, newest first; Slack allows up to 999 a page.
const HISTORY_MAX: u32 = 200;
/// Pages of 200 channels that are searched for a name.
const CHANNEL_PAGES_MAX: usize = 10;
/// Slack's clock and ours may differ by this much.
const SKEW_MS: u64 = 60_000;

/// Posts to Slack.
pub struct Slack {
    http: HttpClient,
    base: Url,
    token: Secret,
}

/// `slack.api_base` is no address.
#[derive(Debug, thiserror::Error)]
#[error("slack.api_base: expected an address like `https://slack.com/api`")]
pub struct BaseError;

/// Whatever Slack answers, as far as we read it.
#[derive(Debug, Default, Deserialize)]
struct Answer {
    ok: bool,
    error: Option<String>,
    channel: Option<String>,
    ts: Option<String>,
    #[serde(default)]
    messages: Vec<Posted>,
    #[serde(default)]
    channels: Vec<Channel>,
    #[serde(default)]
    response_metadata: NextPage,
}

#[derive(Debug, Deserialize)]
struct Posted {
    ts: String,
    metadata: Option<Metadata>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    event_type: String,
    event_payload: serde_json::Value,
}

#[derive(Debug, Deserialize)]
struct Channel {
    id: String,
    name: String,
}

#[derive(Debug, Default, Deserialize)]
struct NextPage {
    #[serde(default)]
    next_cursor: String,
}

impl Slack {
    /// # Errors
    /// [`BaseError`] when `settings.api_base` is no address.
    pub fn new(http: HttpClient, settings: &SlackSettings) -> Result<Self, BaseError> {
        let base = format!("{}/", settings.api_base.trim_end_matches('/'));
        let base = Url::parse(&base).map_err(|_not_an_address| BaseError)?;
        Ok(Self {
            http,
            base,
            token: settings.bot_token.clone(),
        })
    }

    fn request(&self, verb: Method, method: &str) -> Result<RequestBuilder, EffectOutcome> {
        let url = self
            .base
            .join(method)
            .map_err(|error| EffectOutcome::permanent("bad_url", error.to_string()))?;
        Ok(self.http.configured(verb, url).bearer_auth(self.token.expose()))
    }

    /// Sends a request; an `Err` is what it means for the effect.
    async fn ask(&self, request: RequestBuilder) -> Result<Answer, EffectOutcome> {
        let reply = client::send(request).await.map_err(|error| match error {
            SendError::Lost(_) => EffectOutcome::Unknown {
                message: error.to_string(),
            },
            SendError::Refused(_) | SendError::Invalid(_) | SendError::Unreached(_) => {
                EffectOutcome::temporary("unreached", error.to_string())
            }
        })?;
        match reply.status {
            200..=299 => {
                let answer: Answer =
                    serde_json::from_slice(&reply.body).map_err(|error| EffectOutcome::Unknown {
                        message: format!("Slack's answer cannot be read: {error}"),
                    })?;
                if answer.ok {
                    Ok(answer)
                } else {
                    Err(refusal(answer.error.unwrap_or_default()))
                }
            }
            429 => Err(EffectOutcome::Rejected(Failure {
                kind: FailureKind::Temporary,
                code: "ratelimited".to_owned(),
                message: "Slack takes no more messages for the moment".to_owned(),
                retry_after: reply.retry_after(),
            })),
            300..=499 => Err(EffectOutcome::permanent(
                &format!("http_{}", reply.status),
                format!("Slack answered with status {}", reply.status),
            )),
            status => Err(EffectOutcome::Unknown {
                message: format!("Slack answered with status {status}"),
            }),
        }
    }

    async fn post(&self, channel: &str, text: &str, key: &str) -> Result<Answer, EffectOutcome> {
        let message = json!({
            "channel": channel,
            "text": text,
            "metadata": {"event_type": METADATA, "event_payload": {"key": key}},
        });
        self.ask(self.request(Method::POST, "chat.postMessage")?.json(&message))
            .await
    }

    /// The time stamp of the message with `key` in a channel, among those since `from`.
    async fn find(
        &self,
        channel: &str,
        key: &str,
        from: Timestamp,
    ) -> Result<Option<(String, String)>, EffectOutcome> {
        let id = match channel.strip_prefix('#') {
            Some(name) => self.channel_id(name).await?,
            None => Some(channel.to_owned()),
        };
        let Some(id) = id else {
            return Err(EffectOutcome::permanent(
                "channel_not_found",
                "no such channel is visible",
            ));
        };
        let from_ms = from.as_unix_millis().saturating_sub(SKEW_MS);
        let oldest = format!("{}.{:03}000", from_ms / 1_000, from_ms % 1_000);
        let limit = HISTORY_MAX.to_string();
        let query = [
            ("channel", id.as_str()),
            ("oldest", &oldest),
            ("limit", &limit),
            ("include_all_metadata", "true"),
        ];
        let answer = self
            .ask(self.request(Method::GET, "conversations.history")?.query(&query))
            .await?;
        let found = answer.messages.into_iter().find(|posted| {
            posted.metadata.as_ref().is_some_and(|metadata| {
                metadata.event_type == METADATA
                    && metadata.event_payload.get("key").is_some_and(|kept| kept == key)
            })
        });
        Ok(found.map(|posted| (id, posted.ts)))
    }

    async fn channel_id(&self, name: &str) -> Result<Option<String>, EffectOutcome> {
        let mut cursor = String::new();
        for _ in 0..CHANNEL_PAGES_MAX {
            let query = [
                ("limit", "200"),
                ("exclude_archived", "true"),
                ("types", "public_channel,private_channel"),
                ("cursor", &cursor),
            ];
            let answer = self
                .ask(self.request(Method::GET, "conversations.list")?.query(&query))
                .await?;
            if let Some(channel) = answer.channels.into_iter().find(|channel| channel.name == name) {
                return Ok(Some(channel.id));
            }
            cursor = answer.response_metadata.next_cursor;
            if cursor.is_empty() {
                break;
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl EffectPort for Slack {
    async fn execute(&self, effect: &Effect) -> EffectOutcome {
        let Request::SlackMessage { channel, text } = &effect.request else {
            return EffectOutcome::permanent("no_slack_message", "only Slack messages are sent here");
        };
        if self.token.is_empty() {
            return EffectOutcome::permanent("not_configured", "slack.bot_token is not set");
        }
        match self.post(channel, text, &effect.key).await {
            Ok(answer) => {
                let channel = answer.channel.unwrap_or_else(|| channel.clone());
                posted(&channel, &answer.ts.unwrap_or_default())
            }
            Err(outcome) => outcome,
        }
    }

    async fn settle(&self, effect: &Effect) -> Finding {
        let Request::SlackMessage { channel, .. } = &effect.request else {
            return Finding::Absent;
        };
        match self.find(channel, &effect.key, effect.planned_at).await {
            Ok(Some((channel, ts))) => match posted(&channel, &ts) {
                EffectOutcome::Confirmed { provider_id, output } => Finding::Present { provider_id, output },
                EffectOutcome::Rejected(_) | EffectOutcome::Unknown { .. } => Finding::Absent,
            },
            Ok(None) => Finding::Absent,
            Err(EffectOutcome::Rejected(failure)) => Finding::CannotTell {
                reason: failure.message,
            },
            Err(EffectOutcome::Unknown { message }) => Finding::CannotTell { reason: message },
            Err(EffectOutcome::Confirmed { .. }) => Finding::CannotTell {
                reason: "Slack's history could not be read".to_owned(),
            },
        }
    }
}

fn posted(channel: &str, ts: &str) -> EffectOutcome {
    EffectOutcome::Confirmed {
        provider_id: Some(format!("{channel}/{ts}")),
        output: json!({"channel": channel, "ts": ts}),
    }
}

/// What Slack's word for a refusal means.
fn refusal(word: String) -> EffectOutcome {
    match word.as_str() {
        "ratelimited" | "rate_limited" | "service_unavailable" | "team_added_to_org" => {
            EffectOutcome::temporary(&word, format!("Slack: {word}"))
        }
        // "It is possible some aspect of the operation succeeded", says Slack of these.
        "fatal_error" | "internal_error" | "request_timeout" => EffectOutcome::Unknown {
            message: format!("Slack: {word}"),
        },
        _ => EffectOutcome::permanent(&word, format!("Slack: {word}")),
    }
}
