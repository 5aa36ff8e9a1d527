//! The doors that tell a call what to do next: `/twilio/voice` and `/twilio/dial`.

use std::time::Duration;

use axum::extract::State;

use super::{
    answer::Twiml,
    callbacks::answered_by,
    keep::{Unkept, keep_within},
    number_routing::{self, Way},
    request::TwilioRequest,
    routing::{self, OwnRoom, Route},
    twiml::Verb,
};
use crate::{
    clock,
    domain::{
        audio::Speaker,
        call::{CallFact, CallStatus, Parties},
        ids::{AccountSid, AgentId, CallSid},
        message::Direction,
    },
    http::{context::Context, error::ApiResult},
    integrations::twilio::{
        addresses::Addresses,
        doors as paths,
        media_pass::{MediaPass, ROLE_PARAMETER},
    },
};

/// How long an answer waits for the store. The caller hears silence until it comes.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);

/// Answers a call: streams it and routes it.
pub async fn voice(State(context): State<Context>, request: TwilioRequest) -> ApiResult<Twiml> {
    let call = request.call()?;
    let (kept, way) = tokio::join!(
        keep_request(&context, &request, &call),
        number_routing::of_call(&context, &request, PATIENCE)
    );
    kept?;
    // A call that we place to an agent first has the agent on the leg that runs this.
    let inbound = match request.query(ROLE_PARAMETER) {
        Some("agent") => Speaker::Agent,
        _ => Speaker::Customer,
    };
    let account = AccountSid::new(context.twilio.account_sid.as_str());
    let now = clock::now();
    let pass = MediaPass::fresh(account, call.clone(), inbound, now);
    let pass = pass.seal(&context.signing_keys.borrow(), now);
    let doors = Addresses(&context.settings.public_url);
    let way = way.unwrap_or_else(|| Way {
        route: Route::of_settings(&context.twilio),
        is_supervised: context.twilio.supervision,
    });
    let room = own_room(&request, &call, &way);
    Ok(Twiml::of(&routing::greet(
        &context.twilio,
        doors,
        (&pass, inbound),
        (&way.route, room),
    )))
}

/// The room that a call is put through in, when it is put through in one.
fn own_room<'a>(request: &'a TwilioRequest, call: &'a CallSid, way: &Way) -> Option<OwnRoom<'a>> {
    let is_inbound = request
        .parties()
        .is_none_or(|parties| parties.direction == Direction::Inbound);
    let ours = request
        .get(if is_inbound { "To" } else { "From" })
        .unwrap_or_default();
    way.is_supervised.then_some(OwnRoom { call, ours })
}

/// Keeps that Twilio asked what to do with a call, or goes on without waiting longer than a caller would.
///
/// # Errors
/// 400 when the status is missing or none we know.
pub async fn keep_request(context: &Context, request: &TwilioRequest, call: &CallSid) -> ApiResult<()> {
    let status = request.status("CallStatus")?;
    let parties = request.parties().unwrap_or_else(|| Parties {
        // Twilio names the direction of every call; one without it can only have come to us.
        direction: Direction::Inbound,
        from: request.get("From").unwrap_or_default().to_owned(),
        to: request.get("To").unwrap_or_default().to_owned(),
    });
    let Parties { direction, from, to } = parties;
    let requested = Unkept {
        call: call.clone(),
        dedupe_key: request.dedupe_key("voice", &[call.as_str()]),
        fact: CallFact::Requested {
            direction,
            from,
            to,
            status,
        },
    };
    // Synchronous detection says what it found in the request itself.
    let detected = request.get("AnsweredBy").map(|word| Unkept {
        call: call.clone(),
        dedupe_key: request.dedupe_key("voice-amd", &[call.as_str()]),
        fact: CallFact::MachineDetected {
            answered_by: answered_by(word),
        },
    });
    tokio::join!(keep_within(context, requested, PATIENCE), async {
        if let Some(detected) = detected {
            keep_within(context, detected, PATIENCE).await;
        }
    });
    Ok(())
}

/// Says how to go on after the leg to the agent has ended.
pub async fn dial(State(context): State<Context>, request: TwilioRequest) -> ApiResult<Twiml> {
    let call = request.call()?;
    if request.query("room").is_some() {
        // The room has closed. How the agent's leg ended is told by the leg itself.
        return Ok(Twiml::of(&[Verb::Hangup]));
    }
    let status = request.status("DialCallStatus")?;
    let leg = request.get("DialCallSid").unwrap_or_default();
    let word = request.get("DialCallStatus").unwrap_or_default();
    let ended = Unkept {
        dedupe_key: request.dedupe_key("dial", &[call.as_str(), leg, word]),
        call: call.clone(),
        fact: CallFact::DialEnded {
            status,
            duration_s: request.number("DialCallDuration"),
        },
    };
    let agent: Option<AgentId> = request.query(paths::AGENT).and_then(|id| id.parse().ok());
    tokio::join!(keep_within(&context, ended, PATIENCE), async {
        if let Some(agent) = agent {
            // Whoever waits for the next instruction waits no longer than for the record.
            let freed = number_routing::freed(&context, agent, &call);
            drop(tokio::time::timeout(PATIENCE, freed).await);
        }
    });
    Ok(Twiml::of(&after_leg(&context, &request, &call, status).await))
}

/// Says what a caller hears whom an agent did not answer who was to come into the room.
pub async fn missed(State(context): State<Context>, request: TwilioRequest) -> ApiResult<Twiml> {
    let call = request.call()?;
    Ok(Twiml::of(
        &after_leg(&context, &request, &call, CallStatus::NoAnswer).await,
    ))
}

/// What comes after the leg to an agent ended like this.
async fn after_leg(
    context: &Context,
    request: &TwilioRequest,
    call: &CallSid,
    status: CallStatus,
) -> Vec<Verb> {
    let doors = Addresses(&context.settings.public_url);
    let was_missed = status.is_terminal() && status != CallStatus::Completed;
    if was_missed && request.query(paths::AGENT).is_some() {
        // The next of the agents is asked; when there is none, or enough were, the caller leaves a message.
        if let Some(way) = number_routing::of_call(context, request, PATIENCE).await {
            let room = own_room(request, call, &way);
            return routing::sent(&context.twilio, doors, &way.route, room);
        }
    }
    routing::after_dial(&context.twilio, doors, status)
}
