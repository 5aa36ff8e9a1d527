//! The doors of a call's own room: `/twilio/room` hears who comes and goes, `/twilio/leg` how far a dialled leg has come.
//!
//! The room is named by the customer's call, each leg by its label, so whatever is told here finds its call without a look-up.
//! Once the customer is in the room, the agent is dialled into it: what is about to be dialled is in the store first, so it is
//! dialled once, however often Twilio tells.

use std::time::Duration;

use axum::extract::State;

use super::{
    answer::Twiml,
    keep::{Unkept, keep},
    number_routing,
    request::{TwilioRequest, account},
};
use crate::{
    actors::CallReport,
    domain::{
        call::{CallFact, CallStatus, Leg, LegNews, MonitorMode},
        ids::{AccountId, CallSid, RoomSid},
    },
    http::{
        context::Context,
        error::{ApiError, ApiResult},
    },
    integrations::{
        line::{BringIn, LineAnswer, NotIn, Voice},
        look_ups::LOOK_UPS,
        twilio::doors,
    },
    store::{Recorded, StoreResult},
};

/// How long an answer waits for the agent's leg to be dialled; Twilio waits 15 s. It goes on by itself after that.
const DIAL_WITHIN: Duration = Duration::from_secs(12);

/// Takes in what happens in a room.
pub async fn room(State(context): State<Context>, request: TwilioRequest) -> ApiResult<Twiml> {
    let call = CallSid::new(request.sid("FriendlyName")?);
    let room = RoomSid::new(request.sid("ConferenceSid")?);
    let event = request.required("StatusCallbackEvent")?;
    let sequence = request.get("SequenceNumber").unwrap_or_default();
    let dedupe_key = request.dedupe_key("room", &[room.as_str(), sequence, event]);
    let told = |fact| Unkept {
        call: call.clone(),
        dedupe_key: dedupe_key.clone(),
        fact,
    };
    if event == "conference-end" {
        keep(&context, told(CallFact::RoomClosed { room: room.clone() })).await?;
        stop_ringing(&context, &call, &room).await?;
        return Ok(Twiml::nothing());
    }
    // Whoever came in by other ways than ours has no name and is none of ours to follow.
    let label = request
        .get("ParticipantLabel")
        .and_then(|label| label.parse().ok());
    let Some(leg) = label else {
        return Ok(Twiml::nothing());
    };
    if let Some(news) = news_of(&request, leg, &room, event)? {
        keep(&context, told(CallFact::Leg { leg, news })).await?;
    }
    if (leg, event) == (Leg::Customer, "participant-join") {
        bring_agent(&context, &request, call, room).await?;
    }
    Ok(Twiml::nothing())
}

/// What an event in a room says about a leg.
fn news_of(request: &TwilioRequest, leg: Leg, room: &RoomSid, event: &str) -> ApiResult<Option<LegNews>> {
    Ok(match event {
        "participant-join" => Some(LegNews::Joined {
            sid: request.call()?,
            room: room.clone(),
        }),
        "participant-leave" => Some(LegNews::Left { room: room.clone() }),
        "participant-mute" | "participant-unmute" | "participant-modify" => {
            let is_monitor = matches!(leg, Leg::Monitor { .. });
            let mode = mode_of(request).filter(|_| is_monitor);
            mode.zip(request.number("SequenceNumber"))
                .map(|(mode, sequence)| LegNews::Set {
                    mode,
                    sequence,
                    ours: 0,
                })
        }
        _ => None,
    })
}

/// How a leg is heard; `None` when the event does not say.
fn mode_of(request: &TwilioRequest) -> Option<MonitorMode> {
    let is_muted = request.get("Muted")? == "true";
    let is_coaching = request.get("Coaching") == Some("true");
    Some(match (is_muted, is_coaching) {
        (true, _) => MonitorMode::Listen,
        (false, true) => MonitorMode::Whisper,
        (false, false) => MonitorMode::Barge,
    })
}

/// Takes in how far a leg has come that was dialled into a room.
pub async fn leg(State(context): State<Context>, request: TwilioRequest) -> ApiResult<Twiml> {
    let wrong = || ApiError::Malformed {
        detail: "the address names no leg of a call".to_owned(),
    };
    let call = CallSid::new(request.query(doors::CALL).ok_or_else(wrong)?);
    let leg: Leg = request
        .query(doors::LEG)
        .and_then(|leg| leg.parse().ok())
        .ok_or_else(wrong)?;
    let sid = request.call()?;
    let status = request.status("CallStatus")?;
    let word = request.required("CallStatus")?;
    let unkept = |what: &str, fact| Unkept {
        call: call.clone(),
        dedupe_key: request.dedupe_key(what, &[call.as_str(), &leg.to_string(), word]),
        fact,
    };
    if !status.is_terminal() {
        // It proves that the leg was dialled, should the answer have been lost.
        let news = LegNews::Made { sid };
        keep(&context, unkept("leg", CallFact::Leg { leg, news })).await?;
        return Ok(Twiml::nothing());
    }
    let ended = CallFact::Leg {
        leg,
        news: LegNews::Ended,
    };
    keep(&context, unkept("leg", ended)).await?;
    if let Leg::Agent { id, .. } = leg {
        let fact = CallFact::DialEnded {
            status,
            duration_s: request.number("CallDuration"),
        };
        keep(&context, unkept("leg-dial", fact)).await?;
        if let Some(id) = id {
            number_routing::freed(&context, id, &call).await;
        }
        if status != CallStatus::Completed {
            send_on(&context, &call, leg).await?;
        }
    }
    Ok(Twiml::nothing())
}

/// Dials the agent into the room in which the customer waits, unless that was begun before.
async fn bring_agent(
    context: &Context,
    request: &TwilioRequest,
    call: CallSid,
    room: RoomSid,
) -> ApiResult<()> {
    let leg: Option<Leg> = request.query(doors::LEG).and_then(|leg| leg.parse().ok());
    let (Some(leg), Some(from), Some(to)) = (leg, request.query(doors::FROM), request.query(doors::TO))
    else {
        return Err(ApiError::Malformed {
            detail: "the address does not say who is brought in".to_owned(),
        });
    };
    let wanted = BringIn {
        call,
        room,
        leg,
        from: from.to_owned(),
        to: to.to_owned(),
        voice: Voice::Open,
        ring_s: context.twilio.dial_timeout_s,
    };
    let account_id = account(context).await?;
    let asked = LegNews::Asked {
        room: wanted.room.clone(),
        phone: wanted.to.clone(),
        mode: MonitorMode::Barge,
        key: None,
    };
    let key = format!("leg-asked:{leg}:{}", wanted.room);
    let is_first = note(context, account_id, &wanted, key, asked).await? == Recorded::Fresh;
    let context = context.clone();
    let bringing = tokio::spawn(async move {
        if is_first {
            bring(&context, account_id, &wanted).await
        } else {
            look_after(&context, account_id, &wanted).await
        }
    });
    match tokio::time::timeout(DIAL_WITHIN, bringing).await {
        Ok(Ok(brought)) => brought,
        Ok(Err(broke_off)) => Err(ApiError::Unavailable(Box::new(broke_off))),
        // Whatever comes of it, it goes on by itself.
        Err(_) => Ok(()),
    }
}

/// Dials the agent. When nothing comes of it, the customer is sent on.
async fn bring(context: &Context, account_id: AccountId, wanted: &BringIn) -> ApiResult<()> {
    let failed = match context.line.bring_in(wanted).await {
        Ok(sid) => return made(context, account_id, wanted, sid).await,
        Err(NotIn::Unknown(detail)) => {
            tracing::warn!(call = %wanted.call, detail, "nobody knows whether an agent is being called: it is looked up");
            return settle(context, account_id, wanted).await;
        }
        Err(failed) => failed,
    };
    tracing::error!(call = %wanted.call, reason = ?failed, "an agent could not be brought into a call");
    give_up(context, account_id, wanted).await
}

/// Sees to a leg whose dialling was begun before, perhaps by a process that died: it is looked up and not dialled again.
async fn look_after(context: &Context, account_id: AccountId, wanted: &BringIn) -> ApiResult<()> {
    let call = context.calls.current(account_id, &wanted.call).await?;
    if !call.is_in_doubt(wanted.leg) {
        return Ok(());
    }
    match context.line.find(&wanted.room, wanted.leg).await {
        Ok(Some(sid)) => made(context, account_id, wanted, sid).await,
        Ok(None) => give_up(context, account_id, wanted).await,
        // Twilio tells again.
        Err(error) => Err(unanswered(format!("{error:?}"))),
    }
}

/// Looks a leg up whose dialling is in doubt, until it is found or counts as not dialled.
async fn settle(context: &Context, account_id: AccountId, wanted: &BringIn) -> ApiResult<()> {
    let began = tokio::time::Instant::now();
    for after in LOOK_UPS {
        tokio::time::sleep_until(began + after).await;
        if let Ok(Some(sid)) = context.line.find(&wanted.room, wanted.leg).await {
            return made(context, account_id, wanted, sid).await;
        }
        if !context
            .calls
            .current(account_id, &wanted.call)
            .await?
            .is_in_doubt(wanted.leg)
        {
            // A callback has told meanwhile.
            return Ok(());
        }
    }
    give_up(context, account_id, wanted).await
}

async fn made(context: &Context, account_id: AccountId, wanted: &BringIn, sid: CallSid) -> ApiResult<()> {
    let key = format!("leg-made:{}:{sid}", wanted.leg);
    note(context, account_id, wanted, key, LegNews::Made { sid }).await?;
    Ok(())
}

/// Nobody comes: the call was missed by this agent, and the customer is sent on.
async fn give_up(context: &Context, account_id: AccountId, wanted: &BringIn) -> ApiResult<()> {
    let (leg, room) = (wanted.leg, &wanted.room);
    note(
        context,
        account_id,
        wanted,
        format!("leg-lost:{leg}:{room}"),
        LegNews::Ended,
    )
    .await?;
    let missed = CallReport {
        account_id,
        sid: wanted.call.clone(),
        dedupe_key: format!("leg-missed:{leg}:{room}"),
        fact: CallFact::DialEnded {
            status: CallStatus::Failed,
            duration_s: None,
        },
    };
    context.calls.report(missed).await?;
    if let Leg::Agent { id: Some(id), .. } = leg {
        number_routing::freed(context, id, &wanted.call).await;
    }
    send_on(context, &wanted.call, leg).await
}

/// Has the customer ask what comes next.
async fn send_on(context: &Context, call: &CallSid, missed: Leg) -> ApiResult<()> {
    match context.line.send_on(call, missed).await {
        LineAnswer::Asked | LineAnswer::Over | LineAnswer::NoProvider => Ok(()),
        // Twilio tells again what led here.
        LineAnswer::Failed(detail) => Err(unanswered(detail)),
    }
}

/// Lets nobody's telephone ring on for a room that has closed.
async fn stop_ringing(context: &Context, call: &CallSid, room: &RoomSid) -> ApiResult<()> {
    let account_id = account(context).await?;
    for sid in context.calls.current(account_id, call).await?.ringing_for(room) {
        if let LineAnswer::Failed(detail) = context.line.hang_up(&sid).await {
            // It rings for its time and is over then.
            tracing::warn!(%call, %sid, detail, "a telephone rings on for a call that is over");
        }
    }
    Ok(())
}

/// Keeps news of a leg.
async fn note(
    context: &Context,
    account_id: AccountId,
    wanted: &BringIn,
    dedupe_key: String,
    news: LegNews,
) -> StoreResult<Recorded> {
    let report = CallReport {
        account_id,
        sid: wanted.call.clone(),
        dedupe_key,
        fact: CallFact::Leg {
            leg: wanted.leg,
            news,
        },
    };
    context.calls.report(report).await.map(|(_, recorded)| recorded)
}

fn unanswered(detail: String) -> ApiError {
    ApiError::Unavailable(detail.into())
}
