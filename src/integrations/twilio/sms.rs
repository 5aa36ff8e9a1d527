//! Text messages by Twilio.
//!
//! The message is in the store before Twilio hears of it, under an id that comes from the effect's key; the address for its
//! callbacks carries a signed token of that id. So a callback proves that it left even when the answer was lost. Without a
//! callback, what is in doubt is looked up in Twilio's list: by sender, receiver, time and text.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    ErrorClass, TwilioSettings, callback_token,
    rest::{NewMessage, RestError, SentMessage, TwilioRest},
    words::message_status,
};
use crate::{
    clock,
    domain::{
        consent::ConsentChange,
        message::{Message, MessageStatus},
        secret::Secret,
        time::{Timestamp, millis_of},
    },
    integrations::{
        outbox::message_of,
        port::{EffectOutcome, EffectPort},
    },
    store::{Recorded, Store, StoreError, StoreResult},
    workflows::{Effect, Failure, Finding},
};

/// How long Twilio may hold a message it cannot deliver: a text that comes hours late does harm. Its own default is 10 h.
const VALIDITY: Duration = Duration::from_secs(4 * 3_600);
/// When Twilio's list is read for a message in doubt, after the look-up began: it shows new messages late.
pub const LOOK_UPS: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_secs(60),
];
/// Twilio's clock counts whole seconds, and may differ from ours by this much.
const SKEW: Duration = Duration::from_secs(30);

/// Sends text messages.
pub struct TwilioSms {
    rest: TwilioRest,
    store: Store,
    settings: TwilioSettings,
    public_url: String,
    master_key: Secret,
    look_ups: [Duration; 3],
}

impl TwilioSms {
    /// `public_url` is where Twilio reaches this server, `master_key` signs the callbacks' tokens.
    #[must_use]
    pub fn new(
        rest: TwilioRest,
        store: Store,
        settings: TwilioSettings,
        public_url: String,
        master_key: Secret,
    ) -> Self {
        Self {
            rest,
            store,
            settings,
            public_url,
            master_key,
            look_ups: LOOK_UPS,
        }
    }

    /// The same with other times of looking up.
    #[must_use]
    pub const fn with_look_ups(mut self, look_ups: [Duration; 3]) -> Self {
        self.look_ups = look_ups;
        self
    }

    /// Writes the message down. `Some` when it is known already that it left.
    async fn note(&self, message: Message) -> StoreResult<Option<Message>> {
        let (account, id) = (message.account_id, message.id);
        if self.store.messages.record(message).await? == Recorded::Fresh {
            return Ok(None);
        }
        let known = self.store.messages.get(account, id).await?;
        Ok(Some(known).filter(|known| known.provider_id.is_some()))
    }

    async fn send(&self, message: &Message, validity: Duration) -> EffectOutcome {
        let callback = callback_token::address(&self.public_url, &self.master_key, message.id);
        let request = NewMessage {
            to: &message.to,
            from: &message.from,
            body: &message.body,
            status_callback: &callback,
            validity,
        };
        match self.rest.create_message(&request).await {
            Ok(sent) => {
                self.progress(
                    message,
                    message_status(&sent.status),
                    Some(sent.sid.clone()),
                    None,
                )
                .await;
                EffectOutcome::Confirmed {
                    provider_id: Some(sent.sid.clone()),
                    output: output(message, &sent),
                }
            }
            Err(error) => {
                if error.class() == ErrorClass::OptedOut {
                    self.silence(message).await;
                }
                self.failed(message, &error).await
            }
        }
    }

    /// Twilio knows of a STOP that we did not hear: the person is written to no more.
    async fn silence(&self, message: &Message) {
        let Some(lead_id) = message.lead_id else { return };
        let change = ConsentChange::stop();
        let silenced = self
            .store
            .leads
            .change_consent(message.account_id, lead_id, change, clock::now());
        if let Err(error) = silenced.await {
            tracing::warn!(lead_id = %lead_id, error = %error, "lead could not be marked as opted out");
        }
    }

    async fn failed(&self, message: &Message, error: &RestError) -> EffectOutcome {
        let class = error.class();
        match error {
            RestError::Unreached(_) => EffectOutcome::temporary("unreached", error.to_string()),
            RestError::Unknown(_) => EffectOutcome::Unknown {
                message: error.to_string(),
            },
            RestError::Refused {
                status,
                code,
                message: words,
                retry_after,
            } => {
                let code = code.map_or_else(|| format!("http_{status}"), |code| code.to_string());
                let failure = Failure {
                    kind: class.kind(),
                    message: format!("{} ({code}: {words})", class.words()),
                    code,
                    retry_after: *retry_after,
                };
                if class.kind() == crate::workflows::FailureKind::Permanent {
                    let shown = format!("{} {words}", failure.code);
                    self.progress(message, MessageStatus::Failed, None, Some(shown))
                        .await;
                }
                EffectOutcome::Rejected(failure)
            }
        }
    }

    /// Notes what became of a message. The effect's own row says the same, so a store that fails here loses nothing for good.
    async fn progress(
        &self,
        message: &Message,
        status: MessageStatus,
        sid: Option<String>,
        error: Option<String>,
    ) {
        let noted = self
            .store
            .messages
            .progress(message.id, status, sid, error, clock::now())
            .await;
        if let Err(error) = noted {
            tracing::warn!(message_id = %message.id, error = %error, "message could not be moved on");
        }
    }

    /// Looks once. `None`: nothing to be seen so far.
    async fn look(&self, effect: &Effect, message: &Message) -> Result<Option<Finding>, String> {
        match self.store.messages.get(effect.account_id, message.id).await {
            Ok(known) => {
                if let Some(sid) = known.provider_id {
                    let output = json!({"sid": sid, "status": known.status, "message_id": known.id});
                    return Ok(Some(Finding::Present {
                        provider_id: Some(sid),
                        output,
                    }));
                }
            }
            Err(StoreError::Missing { .. }) => (),
            Err(error) => return Err(error.to_string()),
        }
        let listed = self
            .rest
            .messages_between(&message.from, &message.to)
            .await
            .map_err(|error| error.to_string())?;
        for sent in listed {
            if self
                .is_ours(effect, message, &sent)
                .await
                .map_err(|error| error.to_string())?
            {
                self.progress(
                    message,
                    message_status(&sent.status),
                    Some(sent.sid.clone()),
                    None,
                )
                .await;
                let output = output(message, &sent);
                return Ok(Some(Finding::Present {
                    provider_id: Some(sent.sid),
                    output,
                }));
            }
        }
        Ok(None)
    }

    /// Whether Twilio's message can only be this one: same text, not older than the effect, and no other message of ours.
    async fn is_ours(&self, effect: &Effect, message: &Message, sent: &SentMessage) -> StoreResult<bool> {
        // A trial account's texts begin with a notice of Twilio's.
        let has_text = sent.body.ends_with(message.body.trim_end());
        let earliest_ms = effect.planned_at.as_unix_millis().saturating_sub(millis_of(SKEW));
        let is_recent = sent
            .date_created
            .is_some_and(|created| created.as_unix_millis() >= earliest_ms);
        if !has_text || !is_recent {
            return Ok(false);
        }
        let holder = self
            .store
            .messages
            .by_provider_id(effect.account_id, &sent.sid)
            .await?;
        Ok(holder.is_none_or(|holder| holder.id == message.id))
    }
}

#[async_trait]
impl EffectPort for TwilioSms {
    async fn execute(&self, effect: &Effect) -> EffectOutcome {
        let Some(message) = message_of(effect, MessageStatus::Queued, &self.settings.from_number) else {
            return EffectOutcome::permanent("no_sms", "only text messages are sent here");
        };
        if self.settings.account_sid.is_empty() || message.from.is_empty() {
            return EffectOutcome::permanent(
                "not_configured",
                "twilio.account_sid and twilio.from_number are not both set",
            );
        }
        match self.note(message.clone()).await {
            Ok(None) => {
                self.send(&message, validity(effect.valid_until, clock::now()))
                    .await
            }
            // A callback for an earlier attempt came in meanwhile.
            Ok(Some(known)) => EffectOutcome::Confirmed {
                output: json!({"sid": known.provider_id, "status": known.status, "message_id": known.id}),
                provider_id: known.provider_id,
            },
            Err(error) => EffectOutcome::store_failed(&error),
        }
    }

    async fn settle(&self, effect: &Effect) -> Finding {
        let Some(message) = message_of(effect, MessageStatus::Queued, &self.settings.from_number) else {
            return Finding::Absent;
        };
        // It is written down before Twilio hears of it: what is not was never sent. A crash with a long queue leaves many such.
        match self.store.messages.get(effect.account_id, message.id).await {
            Ok(_) => (),
            Err(StoreError::Missing { .. }) => return Finding::Absent,
            Err(error) => {
                return Finding::CannotTell {
                    reason: error.to_string(),
                };
            }
        }
        let began = tokio::time::Instant::now();
        let mut last = Err("nobody looked".to_owned());
        for after in self.look_ups {
            tokio::time::sleep_until(began + after).await;
            last = self.look(effect, &message).await;
            if let Ok(Some(finding)) = last {
                return finding;
            }
        }
        match last {
            Ok(_) => Finding::Absent,
            Err(reason) => Finding::CannotTell { reason },
        }
    }
}

/// How long Twilio may hold a message: our own bound, and never past the end of the gate's permission. 1 s is its least.
fn validity(valid_until: Option<Timestamp>, now: Timestamp) -> Duration {
    let left = valid_until.map_or(VALIDITY, |until| until.since(now));
    left.clamp(Duration::from_secs(1), VALIDITY)
}

fn output(message: &Message, sent: &SentMessage) -> Value {
    json!({
        "sid": sent.sid,
        "status": sent.status,
        "segments": sent.num_segments.as_deref().and_then(|count| count.parse::<u32>().ok()),
        "message_id": message.id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twilio_may_not_hold_a_message_past_the_end_of_its_window() {
        let now = Timestamp::from_unix_millis(1_795_000_000_000);
        let left = |seconds| validity(Some(now.plus(Duration::from_secs(seconds))), now);
        assert_eq!(left(90), Duration::from_secs(90));
        assert_eq!(left(0), Duration::from_secs(1));
        assert_eq!(left(50_000), VALIDITY);
        assert_eq!(validity(None, now), VALIDITY);
    }
}
