//! Calls that are under way, by Twilio's REST API.

use async_trait::async_trait;

use super::{
    addresses::Addresses,
    doors,
    error_catalogue::ErrorClass,
    participants::NewParticipant,
    rest::{RestError, TwilioRest},
};
use crate::{
    domain::{
        call::Leg,
        ids::{CallSid, RoomSid},
    },
    integrations::line::{BringIn, CallLine, LineAnswer, NotIn, Voice},
};

/// Twilio's code for a call that is over.
const NOT_IN_PROGRESS: u32 = 21_220;

/// Twilio's calls.
pub struct TwilioLine {
    rest: TwilioRest,
    public_url: String,
}

impl TwilioLine {
    /// `public_url` is where Twilio reaches this server.
    #[must_use]
    pub const fn new(rest: TwilioRest, public_url: String) -> Self {
        Self { rest, public_url }
    }
}

#[async_trait]
impl CallLine for TwilioLine {
    async fn hang_up(&self, sid: &CallSid) -> LineAnswer {
        answer(self.rest.end_call(sid).await)
    }

    async fn bring_in(&self, wanted: &BringIn) -> Result<CallSid, NotIn> {
        let label = wanted.leg.to_string();
        let participant = NewParticipant {
            room: &wanted.room,
            label: &label,
            from: &wanted.from,
            to: &wanted.to,
            voice: &wanted.voice,
            ends_conference: !matches!(wanted.leg, Leg::Monitor { .. }),
            status_callback: &Addresses(&self.public_url).callback(&doors::leg(&wanted.call, wanted.leg)),
            timeout_s: wanted.ring_s,
        };
        let made = self.rest.add_participant(&participant).await;
        made.map(|made| CallSid::new(made.call_sid)).map_err(not_in)
    }

    async fn find(&self, room: &RoomSid, leg: Leg) -> Result<Option<CallSid>, NotIn> {
        let found = self.rest.participant(room, &leg.to_string()).await;
        let found = found.map_err(not_in)?;
        Ok(found.map(|found| CallSid::new(found.call_sid)))
    }

    async fn set_voice(&self, room: &RoomSid, sid: &CallSid, voice: &Voice) -> LineAnswer {
        answer(self.rest.set_participant(room, sid, voice).await)
    }

    async fn send_on(&self, call: &CallSid, missed: Leg) -> LineAnswer {
        let url = Addresses(&self.public_url).callback(&doors::missed(missed));
        answer(self.rest.redirect_call(call, &url).await)
    }
}

fn answer<T>(told: Result<Option<T>, RestError>) -> LineAnswer {
    match told {
        Ok(Some(_)) => LineAnswer::Asked,
        Ok(None)
        | Err(RestError::Refused {
            code: Some(NOT_IN_PROGRESS),
            ..
        }) => LineAnswer::Over,
        Err(error) => LineAnswer::Failed(error.to_string()),
    }
}

fn not_in(error: RestError) -> NotIn {
    let is_bad_number = error.class() == ErrorClass::BadNumber;
    match error {
        RestError::Refused { code, message, .. } => NotIn::Refused {
            is_bad_number,
            detail: code.map_or_else(|| message.clone(), |code| format!("{code}: {message}")),
        },
        RestError::Unreached(detail) => NotIn::Unreached(detail),
        RestError::Unknown(detail) => NotIn::Unknown(detail),
    }
}
