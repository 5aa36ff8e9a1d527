//! Slack: posts messages, and finds them again by the key in their metadata.
//!
//! Web API: <https://api.slack.com/methods/chat.postMessage>. Slack answers most refusals with status 200 and `"ok": false`.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{
    SlackSettings,
    client::{self, HttpClient, SendError},
    look_ups::{LOOK_UPS, search},
    port::{EffectOutcome, EffectPort},
};
use crate::{
    domain::{secret::Secret, time::Timestamp},
    workflows::{Effect, Failure, FailureKind, Finding, Request},
};

/// The kind of metadata our messages carry.
const METADATA: &str = "patchcord_effect";
/// Messages of one page of a look-up: a page of them fits into what is read of an answer.
const HISTORY_PER_PAGE: u32 = 50;
/// Pages a look-up reads, newest first; a channel that was busier since cannot be searched whole.
const HISTORY_PAGES_MAX: usize = 20;
/// Pages of 200 channels that are searched for a name.
const CHANNEL_PAGES_MAX: usize = 10;
/// Slack's clock and ours may differ by this much.
const SKEW_MS: u64 = 60_000;

/// Posts to Slack.
pub struct Slack {
    http: HttpClient,
    base: Url,
    token: Secret,
    look_ups: [Duration; 3],
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
    event_payload: Value,
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
            look_ups: LOOK_UPS,
        })
    }

    /// The same with other times of looking up.
    #[must_use]
    pub const fn with_look_ups(mut self, look_ups: [Duration; 3]) -> Self {
        self.look_ups = look_ups;
        self
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
        let limit = HISTORY_PER_PAGE.to_string();
        let mut cursor = String::new();
        for _ in 0..HISTORY_PAGES_MAX {
            let query = [
                ("channel", id.as_str()),
                ("oldest", &oldest),
                ("limit", &limit),
                ("include_all_metadata", "true"),
                ("cursor", &cursor),
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
            if let Some(posted) = found {
                return Ok(Some((id, posted.ts)));
            }
            cursor = answer.response_metadata.next_cursor;
            if cursor.is_empty() {
                return Ok(None);
            }
        }
        Err(EffectOutcome::Unknown {
            message: "too much was said in the channel since: its history could not be read whole".to_owned(),
        })
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
                let ts = answer.ts.unwrap_or_default();
                EffectOutcome::Confirmed {
                    provider_id: Some(name_of(&channel, &ts)),
                    output: output_of(&channel, &ts),
                }
            }
            Err(outcome) => outcome,
        }
    }

    async fn settle(&self, effect: &Effect) -> Finding {
        let Request::SlackMessage { channel, .. } = &effect.request else {
            return Finding::Absent;
        };
        // A message whose answer was lost may show late.
        search(self.look_ups, || async {
            match self.find(channel, &effect.key, effect.planned_at).await {
                Ok(Some((channel, ts))) => Ok(Some(Finding::Present {
                    provider_id: Some(name_of(&channel, &ts)),
                    output: output_of(&channel, &ts),
                })),
                Ok(None) => Ok(None),
                Err(EffectOutcome::Rejected(failure)) => Err(failure.message),
                Err(EffectOutcome::Unknown { message }) => Err(message),
                Err(EffectOutcome::Confirmed { .. }) => Err("Slack's history could not be read".to_owned()),
            }
        })
        .await
    }
}

fn name_of(channel: &str, ts: &str) -> String {
    format!("{channel}/{ts}")
}

fn output_of(channel: &str, ts: &str) -> Value {
    json!({"channel": channel, "ts": ts})
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
