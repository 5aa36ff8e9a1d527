//! Calls by Twilio.
//!
//! Both addresses that Twilio is given carry the token: whichever callback comes first ties the call to Twilio's id, and a
//! second call under the same token is hung up when it is answered.

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    ErrorClass, TwilioSettings, callback_token,
    port::{Service, TwilioPort},
    rest::{Made, NewCall, RestError, TwilioRest},
};
use crate::{
    clock,
    domain::{
        call::OnMachine,
        ids::{CallId, CallSid},
        message::{Channel, Message},
        signing::SigningKeys,
    },
    store::{Store, StoreResult},
    workflows::{Effect, Request},
};

/// Places calls.
pub type TwilioCalls = TwilioPort<Calls>;

/// Twilio's calls.
pub struct Calls {
    rest: TwilioRest,
    public_url: String,
    signing_keys: watch::Receiver<SigningKeys>,
}

impl TwilioCalls {
    /// `public_url` is where Twilio reaches this server, `signing_keys` sign the tokens.
    #[must_use]
    pub const fn new(
        rest: TwilioRest,
        store: Store,
        settings: TwilioSettings,
        public_url: String,
        signing_keys: watch::Receiver<SigningKeys>,
    ) -> Self {
        let calls = Calls {
            rest,
            public_url,
            signing_keys,
        };
        Self::of(calls, store, settings)
    }
}

#[async_trait]
impl Service for Calls {
    const CHANNEL: Channel = Channel::Call;

    async fn make(&self, effect: &Effect, message: &Message) -> Result<Made, RestError> {
        let Request::PlaceCall { plan, .. } = &effect.request else {
            return Err(RestError::Unreached("the effect is no call".to_owned()));
        };
        let token = callback_token::seal(&self.signing_keys.borrow(), message.id, clock::now());
        let call = NewCall {
            to: &message.to,
            from: &message.from,
            url: &callback_token::answer_address(&self.public_url, &token),
            status_callback: &callback_token::call_address(&self.public_url, &token),
            timeout_s: plan.timeout_s,
            machine_detection: match plan.on_machine {
                OnMachine::Continue => None,
                OnMachine::HangUp => Some("Enable"),
                OnMachine::LeaveMessage(_) => Some("DetectMessageEnd"),
            },
        };
        self.rest.create_call(&call).await
    }

    async fn list(&self, message: &Message) -> Result<Vec<Made>, RestError> {
        self.rest.calls_between(&message.from, &message.to).await
    }

    fn has_words(&self, _message: &Message, _made: &Made) -> bool {
        true
    }

    /// Ties the call to Twilio's id, unless another call came first.
    async fn tie(&self, store: &Store, message: &Message, made: &Made) -> StoreResult<()> {
        let holder = store
            .messages
            .bind(message.id, made.sid.clone(), clock::now())
            .await?;
        if holder != made.sid {
            tracing::warn!(message_id = %message.id, sid = made.sid, holder, "a second call was placed for one effect: it is hung up when it is answered");
        }
        Ok(())
    }

    fn output(&self, message: &Message, made: &Made) -> Value {
        let call_id = CallId::of_provider(message.account_id, &CallSid::new(made.sid.as_str()));
        json!({"call_id": call_id, "sid": made.sid, "status": made.status, "message_id": message.id})
    }

    fn refused(&self, _class: ErrorClass) -> &'static str {
        "the call was not placed"
    }
}
