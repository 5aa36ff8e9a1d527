//! Calls by Twilio.
//!
//! The call is in the store before Twilio hears of it, under an id that comes from the effect's key. The addresses that Twilio
//! is given carry a signed token of that id: whichever callback comes first ties the call to Twilio's id, and a second call
//! under the same token is hung up when it is answered. Without a callback, a call in doubt is looked up in Twilio's list: by
//! caller, called and time.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    TwilioSettings, callback_token,
    rest::{NewCall, PlacedCall, RestError, TwilioRest},
};
use crate::{
    clock,
    domain::{
        call::OnMachine,
        ids::{CallId, CallSid},
        message::{Message, MessageStatus},
        secret::Secret,
        time::millis_of,
    },
    integrations::{
        outbox::message_of,
        port::{EffectOutcome, EffectPort},
    },
    store::{Recorded, Store, StoreError, StoreResult},
    workflows::{Effect, Failure, Finding, Request},
};

/// Twilio's clock counts whole seconds, and may differ from ours by this much.
const SKEW: Duration = Duration::from_secs(30);

/// Places calls.
pub struct TwilioCalls {
    rest: TwilioRest,
    store: Store,
    settings: TwilioSettings,
    public_url: String,
    master_key: Secret,
    look_ups: [Duration; 3],
}

impl TwilioCalls {
    /// `public_url` is where Twilio reaches this server, `master_key` signs the tokens.
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
            look_ups: super::sms::LOOK_UPS,
        }
    }

    /// The same with other times of looking up.
    #[must_use]
    pub const fn with_look_ups(mut self, look_ups: [Duration; 3]) -> Self {
        self.look_ups = look_ups;
        self
    }

    /// Writes the call down. `Some` when it is known already that it was placed.
    async fn note(&self, message: &Message) -> StoreResult<Option<CallSid>> {
        if self.store.messages.record(message.clone()).await? == Recorded::Fresh {
            return Ok(None);
        }
        self.known(message).await
    }

    async fn known(&self, message: &Message) -> StoreResult<Option<CallSid>> {
        match self.store.messages.get(message.account_id, message.id).await {
            Ok(known) => Ok(known.provider_id.map(CallSid::new)),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn place(&self, effect: &Effect, message: &Message) -> EffectOutcome {
        let Request::PlaceCall { plan, .. } = &effect.request else {
            return EffectOutcome::permanent("no_call", "only calls are placed here");
        };
        let token = callback_token::seal(&self.master_key, message.id);
        let url = format!(
            "{}/twilio/placed?{}={token}",
            self.public_url,
            callback_token::PARAMETER
        );
        let status_callback = callback_token::call_address(&self.public_url, &token);
        let call = NewCall {
            to: &message.to,
            from: &message.from,
            url: &url,
            status_callback: &status_callback,
            timeout_s: plan.timeout_s,
            machine_detection: match plan.on_machine {
                OnMachine::Continue => None,
                OnMachine::HangUp => Some("Enable"),
                OnMachine::LeaveMessage(_) => Some("DetectMessageEnd"),
            },
        };
        match self.rest.create_call(&call).await {
            Ok(placed) => {
                let sid = CallSid::new(placed.sid.clone());
                self.bind(message, &sid).await;
                confirmed(message, &sid, &placed.status)
            }
            Err(error) => self.failed(message, &error).await,
        }
    }

    /// Ties the call to Twilio's id, unless another call came first.
    async fn bind(&self, message: &Message, sid: &CallSid) {
        let bound = self
            .store
            .messages
            .bind(message.id, sid.as_str().to_owned(), clock::now())
            .await;
        match bound {
            Ok(holder) if holder == sid.as_str() => (),
            Ok(holder) => {
                tracing::warn!(message_id = %message.id, %sid, holder, "a second call was placed for one effect: it is hung up when it is answered");
            }
            // The callbacks carry the token and tie it again.
            Err(error) => {
                tracing::warn!(message_id = %message.id, %error, "a placed call could not be noted");
            }
        }
    }

    async fn failed(&self, message: &Message, error: &RestError) -> EffectOutcome {
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
                let kind = error.class().kind();
                let code = code.map_or_else(|| format!("http_{status}"), |code| code.to_string());
                if kind == crate::workflows::FailureKind::Permanent {
                    let shown = Some(format!("{code} {words}"));
                    let noted = self
                        .store
                        .messages
                        .progress(message.id, MessageStatus::Failed, None, shown, clock::now())
                        .await;
                    if let Err(error) = noted {
                        tracing::warn!(message_id = %message.id, %error, "a refused call could not be noted");
                    }
                }
                EffectOutcome::Rejected(Failure {
                    kind,
                    message: format!("the call was not placed ({code}: {words})"),
                    code,
                    retry_after: *retry_after,
                })
            }
        }
    }

    /// Looks once. `None`: nothing to be seen so far.
    async fn look(&self, effect: &Effect, message: &Message) -> Result<Option<Finding>, String> {
        if let Some(sid) = self.known(message).await.map_err(|error| error.to_string())? {
            return Ok(Some(found(message, &sid)));
        }
        let listed = self
            .rest
            .calls_between(&message.from, &message.to)
            .await
            .map_err(|error| error.to_string())?;
        for placed in listed {
            if self
                .is_ours(effect, message, &placed)
                .await
                .map_err(|error| error.to_string())?
            {
                let sid = CallSid::new(placed.sid);
                self.bind(message, &sid).await;
                return Ok(Some(found(message, &sid)));
            }
        }
        Ok(None)
    }

    /// Whether Twilio's call can only be this one: not older than the effect, and no other call of ours.
    async fn is_ours(&self, effect: &Effect, message: &Message, placed: &PlacedCall) -> StoreResult<bool> {
        let earliest_ms = effect.planned_at.as_unix_millis().saturating_sub(millis_of(SKEW));
        let is_recent = placed
            .date_created
            .is_some_and(|created| created.as_unix_millis() >= earliest_ms);
        if !is_recent {
            return Ok(false);
        }
        let holder = self
            .store
            .messages
            .by_provider_id(effect.account_id, &placed.sid)
            .await?;
        Ok(holder.is_none_or(|holder| holder.id == message.id))
    }
}

#[async_trait]
impl EffectPort for TwilioCalls {
    async fn execute(&self, effect: &Effect) -> EffectOutcome {
        let Some(message) = message_of(effect, MessageStatus::Queued, &self.settings.from_number) else {
            return EffectOutcome::permanent("no_call", "only calls are placed here");
        };
        if self.settings.account_sid.is_empty() || message.from.is_empty() {
            return EffectOutcome::permanent(
                "not_configured",
                "twilio.account_sid and twilio.from_number are not both set",
            );
        }
        match self.note(&message).await {
            Ok(None) => self.place(effect, &message).await,
            // A callback for an earlier attempt came in meanwhile.
            Ok(Some(sid)) => confirmed(&message, &sid, "placed"),
            Err(error) => EffectOutcome::store_failed(&error),
        }
    }

    async fn settle(&self, effect: &Effect) -> Finding {
        let Some(message) = message_of(effect, MessageStatus::Queued, &self.settings.from_number) else {
            return Finding::Absent;
        };
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

fn confirmed(message: &Message, sid: &CallSid, status: &str) -> EffectOutcome {
    EffectOutcome::Confirmed {
        provider_id: Some(sid.as_str().to_owned()),
        output: output(message, sid, status),
    }
}

fn found(message: &Message, sid: &CallSid) -> Finding {
    Finding::Present {
        provider_id: Some(sid.as_str().to_owned()),
        output: output(message, sid, "placed"),
    }
}

fn output(message: &Message, sid: &CallSid, status: &str) -> Value {
    let call_id = CallId::of_provider(message.account_id, sid);
    json!({"call_id": call_id, "sid": sid, "status": status, "message_id": message.id})
}
