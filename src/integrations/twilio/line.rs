//! Ends calls by Twilio's REST API.

use async_trait::async_trait;

use super::rest::{RestError, TwilioRest};
use crate::{
    domain::ids::CallSid,
    integrations::line::{CallLine, HangUp},
};

/// Twilio's code for a call that is over.
const NOT_IN_PROGRESS: u32 = 21_220;

/// Twilio's calls.
pub struct TwilioLine {
    rest: TwilioRest,
}

impl TwilioLine {
    #[must_use]
    pub const fn new(rest: TwilioRest) -> Self {
        Self { rest }
    }
}

#[async_trait]
impl CallLine for TwilioLine {
    async fn hang_up(&self, sid: &CallSid) -> HangUp {
        match self.rest.end_call(sid).await {
            Ok(Some(_)) => HangUp::Asked,
            Ok(None) => HangUp::Over,
            Err(RestError::Refused {
                code: Some(NOT_IN_PROGRESS),
                ..
            }) => HangUp::Over,
            Err(error) => HangUp::Failed(error.to_string()),
        }
    }
}
