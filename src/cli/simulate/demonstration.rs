//! The demonstration call and text messages of its caller, played into the server that runs in this process.

use super::{
    args::{CallDirection, Ending},
    audio::Side,
    call::{Cast, fresh_sid, play},
    doors::Doors,
    outcome::SimulateError,
    session, sms,
};
use crate::cli::demo::{CALLER_NUMBER, OUR_NUMBER};

/// Plays the demonstration call, at the speed it was spoken.
///
/// # Errors
/// [`SimulateError`] of the door or stream that failed.
pub async fn demonstrate(doors: &Doors, ending: Ending) -> Result<(), SimulateError> {
    let (caller, agent) = if ending == Ending::Voicemail {
        session::message_sides()?
    } else {
        (Side::demo_caller()?, Side::demo_agent()?)
    };
    let cast = Cast {
        call_sid: fresh_sid("CA"),
        customer: CALLER_NUMBER.to_owned(),
        ours: OUR_NUMBER.to_owned(),
        direction: CallDirection::Inbound,
        ending,
        caller,
        agent,
        speed: 1.0,
    };
    play(doors, &cast, &|_| ()).await.map(drop)
}

/// Sends `text` from the demonstration call's caller.
///
/// # Errors
/// [`SimulateError`] of the door.
pub async fn demonstrate_sms(doors: &Doors, text: &str) -> Result<(), SimulateError> {
    sms::bring(doors, (CALLER_NUMBER, OUR_NUMBER), text).await
}
