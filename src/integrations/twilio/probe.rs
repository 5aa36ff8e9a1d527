//! Asks Twilio whether a call still lives.

use async_trait::async_trait;

use super::{
    rest::{KnownCall, TwilioRest},
    words::call_status,
};
use crate::{
    domain::ids::CallSid,
    integrations::probe::{CallProbe, ProbeAnswer},
};

/// Asks by the REST API.
pub struct TwilioProbe {
    rest: TwilioRest,
}

impl TwilioProbe {
    #[must_use]
    pub const fn new(rest: TwilioRest) -> Self {
        Self { rest }
    }
}

#[async_trait]
impl CallProbe for TwilioProbe {
    async fn ask(&self, sid: &CallSid) -> ProbeAnswer {
        match self.rest.call(sid).await {
            Ok(Some(call)) => answer(&call),
            Ok(None) => ProbeAnswer::Gone,
            Err(error) => {
                tracing::warn!(call_sid = %sid, error = %error, "call could not be looked up");
                ProbeAnswer::Live
            }
        }
    }
}

fn answer(call: &KnownCall) -> ProbeAnswer {
    match call_status(&call.status) {
        Some(status) if status.is_terminal() => {
            let duration_s = call.duration.as_deref().and_then(|seconds| seconds.parse().ok());
            ProbeAnswer::Ended { status, duration_s }
        }
        // A word we do not know closes no record.
        Some(_) | None => ProbeAnswer::Live,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::call::CallStatus;

    #[test]
    fn only_a_terminal_word_ends_a_call() {
        let known = |status: &str, duration: Option<&str>| KnownCall {
            sid: "CA1".to_owned(),
            status: status.to_owned(),
            duration: duration.map(ToOwned::to_owned),
        };
        let ended = ProbeAnswer::Ended {
            status: CallStatus::NoAnswer,
            duration_s: Some(0),
        };
        assert_eq!(answer(&known("no-answer", Some("0"))), ended);
        assert_eq!(answer(&known("in-progress", None)), ProbeAnswer::Live);
        assert_eq!(answer(&known("teleported", Some("1"))), ProbeAnswer::Live);
    }
}
