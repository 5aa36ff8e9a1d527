//! Text messages by Twilio. Its list shows their text, so a message in doubt is told from others by it.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    ErrorClass, TwilioSettings, callback_token,
    port::{Service, TwilioPort},
    rest::{Made, NewMessage, RestError, TwilioRest},
    words::message_status,
};
use crate::{
    clock,
    domain::{
        message::{Channel, Message},
        signing::SigningKeys,
        time::Timestamp,
    },
    store::{Store, StoreResult},
    workflows::Effect,
};

/// How long Twilio may hold a message it cannot deliver: a text that comes hours late does harm. Its own default is 10 h.
const VALIDITY: Duration = Duration::from_secs(4 * 3_600);

/// Sends text messages.
pub type TwilioSms = TwilioPort<Sms>;

/// Twilio's text messages.
pub struct Sms {
    rest: TwilioRest,
    public_url: String,
    signing_keys: watch::Receiver<SigningKeys>,
}

impl TwilioSms {
    /// `public_url` is where Twilio reaches this server, `signing_keys` sign the callbacks' tokens.
    #[must_use]
    pub const fn new(
        rest: TwilioRest,
        store: Store,
        settings: TwilioSettings,
        public_url: String,
        signing_keys: watch::Receiver<SigningKeys>,
    ) -> Self {
        let sms = Sms {
            rest,
            public_url,
            signing_keys,
        };
        Self::of(sms, store, settings)
    }
}

#[async_trait]
impl Service for Sms {
    const CHANNEL: Channel = Channel::Sms;

    async fn make(&self, effect: &Effect, message: &Message) -> Result<Made, RestError> {
        let now = clock::now();
        let callback =
            callback_token::address(&self.public_url, &self.signing_keys.borrow(), message.id, now);
        let request = NewMessage {
            to: &message.to,
            from: &message.from,
            body: &message.body,
            status_callback: &callback,
            validity: validity(effect.valid_until, now),
        };
        self.rest.create_message(&request).await
    }

    async fn list(&self, message: &Message) -> Result<Vec<Made>, RestError> {
        self.rest.messages_between(&message.from, &message.to).await
    }

    fn has_words(&self, message: &Message, made: &Made) -> bool {
        // A trial account's texts begin with a notice of Twilio's.
        made.body.ends_with(message.body.trim_end())
    }

    async fn tie(&self, store: &Store, message: &Message, made: &Made) -> StoreResult<()> {
        let (status, sid) = (message_status(&made.status), Some(made.sid.clone()));
        let messages = &store.messages;
        messages
            .progress(message.id, status, sid, None, clock::now())
            .await
            .map(drop)
    }

    fn output(&self, message: &Message, made: &Made) -> Value {
        json!({
            "sid": made.sid,
            "status": made.status,
            "segments": made.num_segments.as_deref().and_then(|count| count.parse::<u32>().ok()),
            "message_id": message.id,
        })
    }

    fn refused(&self, class: ErrorClass) -> &'static str {
        class.words()
    }
}

/// How long Twilio may hold a message: our own bound, and never past the end of the gate's permission. 1 s is its least.
fn validity(valid_until: Option<Timestamp>, now: Timestamp) -> Duration {
    let left = valid_until.map_or(VALIDITY, |until| until.since(now));
    left.clamp(Duration::from_secs(1), VALIDITY)
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
