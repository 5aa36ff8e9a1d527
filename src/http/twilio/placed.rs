//! The door for calls that we placed: `/twilio/placed` says what happens once one is answered.
//!
//! The token in the address names the call of ours. The first of Twilio's calls under it is it; a second one, from an attempt
//! whose answer was lost, is hung up before anybody hears us twice.

use super::{
    answer::Twiml,
    callbacks::answered_by,
    number_routing,
    request::{TwilioRequest, account, refused},
    routing::{self, OwnRoom, Route},
    twiml::Verb,
    voice,
};
use axum::extract::State;

use crate::{
    clock,
    domain::{
        audio::Speaker,
        call::{CallPlan, CallStatus, OnMachine},
        ids::{AccountSid, CallSid},
        message::{Message, MessageStatus},
        phone::PhoneNumber,
    },
    http::{
        context::Context,
        error::{ApiError, ApiResult},
    },
    integrations::twilio::{addresses::Addresses, callback_token, media_pass::MediaPass},
};

/// Whose call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    Ours,
    /// Another call came first.
    Second,
}

/// Answers a call that we placed.
pub async fn placed(State(context): State<Context>, request: TwilioRequest) -> ApiResult<Twiml> {
    let call = request.call()?;
    let message = message_of(&context, &request).await?;
    let message =
        message.ok_or_else(|| refused("bad_callback_token", "the callback token is not one of ours"))?;
    voice::keep_request(&context, &request, &call).await?;
    if claim(&context, &message, &call).await? == Claim::Second {
        return Ok(Twiml::of(&[Verb::Hangup]));
    }
    let plan = message.call.as_ref().ok_or(ApiError::Missing { what: "call" })?;
    let is_machine = request
        .get("AnsweredBy")
        .is_some_and(|word| answered_by(word).is_machine());
    let sid = AccountSid::new(context.twilio.account_sid.as_str());
    let now = clock::now();
    let pass = MediaPass::fresh(sid, call.clone(), Speaker::Customer, now);
    let pass = pass.seal(&context.signing_keys.borrow(), now);
    let doors = Addresses(&context.settings.public_url);
    let is_supervised = plan.connect_to.is_some()
        && number_routing::is_supervised(&context, &message.from, voice::PATIENCE).await;
    let room = is_supervised.then_some(OwnRoom {
        call: &call,
        ours: &message.from,
    });
    let heard = routing::heard(&context.twilio, doors, &pass, Speaker::Customer);
    let connected = |to: &PhoneNumber| {
        let route = Route::Dial(to.to_string());
        routing::sent(&context.twilio, doors, &route, room)
    };
    Ok(Twiml::of(&verbs(plan, is_machine, heard, connected)))
}

/// Takes in what a status callback says about a call that we placed: that it exists, and how far it came.
///
/// # Errors
/// 403 for a token that is none of ours; 503 when the store does not answer: Twilio delivers again.
pub async fn progressed(context: &Context, request: &TwilioRequest) -> ApiResult<()> {
    let Some(message) = message_of(context, request).await? else {
        return Ok(());
    };
    let call = request.call()?;
    if claim(context, &message, &call).await? == Claim::Second {
        return Ok(());
    }
    let status = match request.status("CallStatus")? {
        CallStatus::Queued => MessageStatus::Queued,
        CallStatus::Initiated | CallStatus::Ringing => MessageStatus::Sent,
        CallStatus::InProgress | CallStatus::Completed => MessageStatus::Delivered,
        CallStatus::Busy | CallStatus::NoAnswer => MessageStatus::Undelivered,
        CallStatus::Failed | CallStatus::Canceled => MessageStatus::Failed,
    };
    context
        .store
        .messages
        .progress(message.id, status, None, None, clock::now())
        .await?;
    Ok(())
}

/// The call of ours that the address names; `None` when it names none.
async fn message_of(context: &Context, request: &TwilioRequest) -> ApiResult<Option<Message>> {
    let Some(token) = request.query(callback_token::PARAMETER) else {
        return Ok(None);
    };
    let id = callback_token::open(&context.signing_keys.borrow(), token)
        .ok_or_else(|| refused("bad_callback_token", "the callback token is not one of ours"))?;
    let account_id = account(context).await?;
    Ok(Some(context.store.messages.get(account_id, id).await?))
}

async fn claim(context: &Context, message: &Message, call: &CallSid) -> ApiResult<Claim> {
    let holder = context
        .store
        .messages
        .bind(message.id, call.as_str().to_owned(), clock::now())
        .await?;
    if holder == call.as_str() {
        return Ok(Claim::Ours);
    }
    metrics::counter!("patchcord_second_calls_total").increment(1);
    tracing::warn!(%call, holder, message_id = %message.id, "a second call for one effect is hung up");
    Ok(Claim::Second)
}

/// What the plan has the call hear; what comes first on any call is `heard`.
fn verbs(
    plan: &CallPlan,
    is_machine: bool,
    heard: Vec<Verb>,
    connected: impl Fn(&PhoneNumber) -> Vec<Verb>,
) -> Vec<Verb> {
    match &plan.on_machine {
        OnMachine::HangUp if is_machine => return vec![Verb::Hangup],
        OnMachine::LeaveMessage(text) if is_machine => {
            return vec![Verb::Say(text.clone()), Verb::Hangup];
        }
        OnMachine::Continue | OnMachine::HangUp | OnMachine::LeaveMessage(_) => (),
    }
    let mut verbs = heard;
    verbs.extend(plan.say.clone().map(Verb::Say));
    verbs.extend(plan.connect_to.iter().flat_map(connected));
    verbs.push(Verb::Hangup);
    verbs
}
