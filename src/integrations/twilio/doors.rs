//! The doors of a call's own room, as paths with everything in their query that they need to know.
//!
//! Twilio signs the whole address, so nobody else can have written what stands there.

use url::form_urlencoded::Serializer;

use crate::domain::{call::Leg, ids::CallSid};

/// Parameter: the customer's call.
pub const CALL: &str = "call";
/// Parameter: one of those in the room.
pub const LEG: &str = "leg";
/// Parameter: the telephone of the agent who is to be brought in.
pub const TO: &str = "to";
/// Parameter: the number of ours that calls them.
pub const FROM: &str = "from";
/// Parameter: the agent whose telephone rings.
pub const AGENT: &str = "agent";
/// Parameter: how many were asked, with this one.
pub const TRIES: &str = "tries";

/// Told what happens in the room; `agent` is brought in once the customer is there, at `to`, from the number `from` of ours.
#[must_use]
pub fn room(agent: Leg, (from, to): (&str, &str)) -> String {
    path(
        "/twilio/room",
        &[(LEG, agent.to_string().as_str()), (FROM, from), (TO, to)],
    )
}

/// Told how far a leg of this call has come.
#[must_use]
pub fn leg(call: &CallSid, leg: Leg) -> String {
    path(
        "/twilio/leg",
        &[(CALL, call.as_str()), (LEG, leg.to_string().as_str())],
    )
}

/// Asked what a caller hears next whom this agent did not answer.
#[must_use]
pub fn missed(agent: Leg) -> String {
    path("/twilio/missed", &asked(agent))
}

/// Asked what a caller hears next when the leg to this agent has ended. `in_room`: it was no leg that this call dialled.
#[must_use]
pub fn dial(agent: Leg, in_room: bool) -> String {
    let mut pairs = asked(agent);
    if in_room {
        pairs.push(("room", "1".to_owned()));
    }
    path("/twilio/dial", &pairs)
}

fn asked(agent: Leg) -> Vec<(&'static str, String)> {
    match agent {
        Leg::Agent { tries, id: Some(id) } => vec![(AGENT, id.to_string()), (TRIES, tries.to_string())],
        Leg::Agent { id: None, .. } | Leg::Customer | Leg::Monitor { .. } => Vec::new(),
    }
}

fn path(door: &str, pairs: &[(&str, impl AsRef<str>)]) -> String {
    if pairs.is_empty() {
        return door.to_owned();
    }
    let mut query = Serializer::for_suffix(format!("{door}?"), door.len() + 1);
    query.extend_pairs(pairs);
    query.finish()
}
