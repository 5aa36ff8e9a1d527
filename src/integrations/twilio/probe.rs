//! Asks Twilio whether a call still lives, and to stream it to us again.

use async_trait::async_trait;
use tokio::sync::watch;

use super::{
    addresses::Addresses,
    media_pass::{MediaPass, PASS_PARAMETER, ROLE_PARAMETER},
    rest::{KnownCall, NewStream, TwilioRest},
    words::call_status,
};
use crate::{
    clock,
    domain::{
        audio::Speaker,
        ids::{AccountSid, CallSid},
        signing::SigningKeys,
    },
    integrations::probe::{CallProbe, NotStreamed, ProbeAnswer},
};

/// Name of a stream that takes the place of one that broke off.
const STREAM_NAME: &str = "patchcord-again";

/// Asks by the REST API.
pub struct TwilioProbe {
    rest: TwilioRest,
    doors: Doors,
}

/// Where Twilio reaches us, and what lets it in.
#[derive(Clone)]
pub struct Doors {
    pub account: AccountSid,
    /// Without a slash at its end.
    pub public_url: String,
    pub signing_keys: watch::Receiver<SigningKeys>,
}

impl TwilioProbe {
    #[must_use]
    pub const fn new(rest: TwilioRest, doors: Doors) -> Self {
        Self { rest, doors }
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

    async fn stream_again(&self, sid: &CallSid, inbound: Speaker) -> Result<(), NotStreamed> {
        let Doors {
            account,
            public_url,
            signing_keys,
        } = &self.doors;
        let now = clock::now();
        let pass = MediaPass::fresh(account.clone(), sid.clone(), inbound, now);
        let pass = pass.seal(&signing_keys.borrow(), now);
        let doors = Addresses(public_url);
        let stream = NewStream {
            call: sid,
            url: &doors.socket(&format!("/twilio/media/{pass}")),
            name: STREAM_NAME,
            status_callback: &doors.callback("/twilio/stream"),
            parameters: &[
                (PASS_PARAMETER, pass.as_str()),
                (ROLE_PARAMETER, inbound.as_str()),
            ],
        };
        let started = self.rest.start_stream(&stream).await;
        started.map(drop).map_err(|error| NotStreamed(error.to_string()))
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
