//! Effects by Twilio: what messages and calls have in common.
//!
//! What is sent is in the store before Twilio hears of it, under an id that comes from the effect's key; Twilio's callbacks
//! carry a signed token of that id. So a callback proves that it left even when the answer was lost. Without a callback, what
//! is in doubt is looked up in Twilio's list: by sender, receiver and time.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::{
    ErrorClass, TwilioSettings,
    rest::{Made, RestError},
};
use crate::{
    clock,
    domain::{
        message::{Channel, Message, MessageStatus},
        time::millis_of,
    },
    integrations::{
        look_ups::{LOOK_UPS, search},
        outbox::message_of,
        port::{EffectOutcome, EffectPort},
    },
    store::{Recorded, Store, StoreError, StoreResult},
    workflows::{Effect, Failure, FailureKind, Finding},
};

/// Twilio's clock counts whole seconds, and may differ from ours by this much.
const SKEW: Duration = Duration::from_secs(30);

/// What Twilio does for us: messages, or calls.
#[async_trait]
pub trait Service: Send + Sync {
    /// Which effects it is for.
    const CHANNEL: Channel;
    /// Asks for it.
    async fn make(&self, effect: &Effect, message: &Message) -> Result<Made, RestError>;
    /// The newest of them between the same two numbers.
    async fn list(&self, message: &Message) -> Result<Vec<Made>, RestError>;
    /// Whether the words are the same, where Twilio shows them.
    fn has_words(&self, message: &Message, made: &Made) -> bool;
    /// Notes Twilio's id for it.
    async fn tie(&self, store: &Store, message: &Message, made: &Made) -> StoreResult<()>;
    /// What the node's output becomes.
    fn output(&self, message: &Message, made: &Made) -> Value;
    /// What happened when Twilio refuses, before Twilio's own words.
    fn refused(&self, class: ErrorClass) -> &'static str;
}

/// Carries effects out by one of Twilio's services.
pub struct TwilioPort<S> {
    service: S,
    store: Store,
    settings: TwilioSettings,
    look_ups: [Duration; 3],
}

impl<S: Service> TwilioPort<S> {
    pub(super) const fn of(service: S, store: Store, settings: TwilioSettings) -> Self {
        Self {
            service,
            store,
            settings,
            look_ups: LOOK_UPS,
        }
    }

    /// The same with other times of looking up.
    #[must_use]
    pub const fn with_look_ups(mut self, look_ups: [Duration; 3]) -> Self {
        self.look_ups = look_ups;
        self
    }

    /// What the effect sends, as the store keeps it; `None` for an effect of another service.
    fn message(&self, effect: &Effect) -> Option<Message> {
        message_of(effect, MessageStatus::Queued, &self.settings.from_number)
            .filter(|message| message.channel == S::CHANNEL)
    }

    /// Writes the message down, and sends it unless it is known already that it left.
    async fn send_once(&self, effect: &Effect, message: &Message) -> StoreResult<EffectOutcome> {
        if self.store.messages.record(message.clone()).await? == Recorded::Duplicate
            && let Some(made) = self.kept(message).await?.and_then(Made::known)
        {
            // A callback for an earlier attempt came in meanwhile.
            return Ok(self.confirmed(message, made));
        }
        match self.service.make(effect, message).await {
            Ok(made) => {
                self.tie(message, &made).await;
                Ok(self.confirmed(message, made))
            }
            Err(error) => Ok(self.failed(message, &error).await),
        }
    }

    /// What the store keeps; `None` when it was never written down.
    async fn kept(&self, message: &Message) -> StoreResult<Option<Message>> {
        match self.store.messages.get(message.account_id, message.id).await {
            Ok(kept) => Ok(Some(kept)),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The effect's own row and the callbacks say the same, so a store that fails here loses nothing for good.
    async fn tie(&self, message: &Message, made: &Made) {
        if let Err(error) = self.service.tie(&self.store, message, made).await {
            tracing::warn!(message_id = %message.id, %error, "what Twilio took could not be noted");
        }
    }

    fn confirmed(&self, message: &Message, made: Made) -> EffectOutcome {
        EffectOutcome::Confirmed {
            output: self.service.output(message, &made),
            provider_id: Some(made.sid),
        }
    }

    fn found(&self, message: &Message, made: Made) -> Finding {
        Finding::Present {
            output: self.service.output(message, &made),
            provider_id: Some(made.sid),
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
                if class.kind() == FailureKind::Permanent {
                    self.note_refusal(message, format!("{code} {words}")).await;
                }
                EffectOutcome::Rejected(Failure {
                    kind: class.kind(),
                    message: format!("{} ({code}: {words})", self.service.refused(class)),
                    code,
                    retry_after: *retry_after,
                })
            }
        }
    }

    async fn note_refusal(&self, message: &Message, shown: String) {
        let messages = &self.store.messages;
        let noted = messages.progress(message.id, MessageStatus::Failed, None, Some(shown), clock::now());
        if let Err(error) = noted.await {
            tracing::warn!(message_id = %message.id, %error, "a refusal could not be noted");
        }
    }

    /// Looks once. `None`: nothing to be seen so far.
    async fn look(&self, effect: &Effect, message: &Message) -> Result<Option<Finding>, String> {
        let kept = self.kept(message).await.map_err(|error| error.to_string())?;
        if let Some(made) = kept.and_then(Made::known) {
            return Ok(Some(self.found(message, made)));
        }
        let listed = self.service.list(message).await;
        for made in listed.map_err(|error| error.to_string())? {
            let is_ours = self.is_ours(effect, message, &made).await;
            if is_ours.map_err(|error| error.to_string())? {
                self.tie(message, &made).await;
                return Ok(Some(self.found(message, made)));
            }
        }
        Ok(None)
    }

    /// Whether what Twilio lists can only be this: same words, not older than the effect, and nothing else of ours.
    async fn is_ours(&self, effect: &Effect, message: &Message, made: &Made) -> StoreResult<bool> {
        let earliest_ms = effect.planned_at.as_unix_millis().saturating_sub(millis_of(SKEW));
        let is_recent = made
            .date_created
            .is_some_and(|created| created.as_unix_millis() >= earliest_ms);
        if !is_recent || !self.service.has_words(message, made) {
            return Ok(false);
        }
        let messages = &self.store.messages;
        let holder = messages.by_provider_id(effect.account_id, &made.sid).await?;
        Ok(holder.is_none_or(|holder| holder.id == message.id))
    }
}

#[async_trait]
impl<S: Service> EffectPort for TwilioPort<S> {
    async fn execute(&self, effect: &Effect) -> EffectOutcome {
        let Some(message) = self.message(effect) else {
            return EffectOutcome::permanent("wrong_provider", "Twilio's port was given another's effect");
        };
        if self.settings.account_sid.is_empty() || message.from.is_empty() {
            return EffectOutcome::permanent(
                "not_configured",
                "twilio.account_sid and twilio.from_number are not both set",
            );
        }
        let sent = self.send_once(effect, &message).await;
        sent.unwrap_or_else(|error| EffectOutcome::store_failed(&error))
    }

    async fn settle(&self, effect: &Effect) -> Finding {
        let Some(message) = self.message(effect) else {
            return Finding::Absent;
        };
        // It is written down before Twilio hears of it: what is not was never sent. A crash with a long queue leaves many such.
        match self.kept(&message).await {
            Ok(Some(_)) => search(self.look_ups, || self.look(effect, &message)).await,
            Ok(None) => Finding::Absent,
            Err(error) => Finding::CannotTell {
                reason: error.to_string(),
            },
        }
    }
}
