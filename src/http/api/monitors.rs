//! Supervisors on live calls: who listens, who whispers to the agent, who barges in.
//!
//! A supervisor's telephone is dialled into the call's own room, muted unless something else is asked for. What is about to be
//! dialled is kept first, so one request dials once: also when the answer is lost, or this process dies in between.

use axum::{Extension, extract::State};
use serde::Deserialize;

use crate::{
    actors::CallReport,
    clock,
    domain::{
        call::{Call, CallFact, Leg, LegNews, MonitorLeg, MonitorMode, Supervision, Talk},
        ids::{CallId, CallSid, RoomSid},
        message::Direction,
        phone::PhoneNumber,
        time::millis_of,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{Accepted, ApiError, ApiResult, Problem},
        idempotency::RequestKey,
        json::{Json, Path},
    },
    integrations::line::{BringIn, LineAnswer, NotIn, Voice},
    store::Recorded,
};

/// Seconds a supervisor's telephone rings.
const RING_S: u32 = 30;
/// After that long a leg that the provider knows nothing of was not dialled, or rang in vain.
const DOUBT_MAX: std::time::Duration = std::time::Duration::from_secs(45);

/// A supervisor who wants to take part in a call.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMonitor {
    /// `listen`, with the microphone muted, when left out.
    #[serde(default)]
    mode: MonitorMode,
    /// The supervisor's telephone, in E.164: it rings.
    #[schema(value_type = String, example = "+14155550177", pattern = r"^\+[1-9][0-9]{6,14}$")]
    phone: PhoneNumber,
}

/// How a supervisor wants to take part from now on.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MonitorChange {
    mode: MonitorMode,
}

/// Listen to a call
///
/// Rings the supervisor's telephone and brings it into the call: heard by nobody (`listen`, the default), by the agent only (`whisper`), or by
/// everybody (`barge`). Answered when the provider has taken the order; `monitors` of the call says how far it is, and goes to the live
/// stream as `call.updated`. The call must be put through in a room of its own (`supervision` of its number), and an agent must be on it. One at a
/// time for each supervisor and call. Under an `Idempotency-Key` the telephone is dialled once, whatever happens in between. Needs the role supervisor.
#[utoipa::path(post, path = "/api/calls/{id}/monitor", tag = "calls", operation_id = "monitorCall", request_body = NewMonitor,
    params(("id" = CallId, Path, description = "The call.")),
    responses((status = 202, description = "The telephone rings, or may ring.", body = Call),
        (status = 502, description = "The provider failed; nothing was dialled.", body = Problem,
            content_type = "application/problem+json")))]
pub async fn join(
    State(context): State<Context>,
    caller: Caller,
    key: Option<Extension<RequestKey>>,
    Path(id): Path<CallId>,
    Json(wanted): Json<NewMonitor>,
) -> ApiResult<Accepted<Call>> {
    caller.must(Permission::MonitorCalls)?;
    let desk = Desk::at(&context, &caller, id).await?;
    let key = key.map(|Extension(key)| key.0);
    if key.as_deref().is_some_and(|key| desk.call.was_asked_under(key)) {
        // The answer was lost, not the order.
        return Ok(Accepted(desk.call.shown()));
    }
    let talk = desk.talk()?;
    let desk = desk.without_the_lost(&caller).await?;
    let leg = desk.call.next_monitor(caller.user_id);
    let asked = LegNews::Asked {
        room: talk.room.clone(),
        phone: wanted.phone.to_string(),
        mode: wanted.mode,
        key,
    };
    let bring_in = BringIn {
        call: desk.call.sid.clone(),
        from: desk.our_number().to_owned(),
        to: wanted.phone.to_string(),
        voice: voice(wanted.mode, &talk.agent),
        room: talk.room,
        leg,
        ring_s: RING_S,
    };
    if desk.keep(leg, format!("leg-asked:{leg}"), &asked).await? == Recorded::Duplicate {
        return Err(on_it_already());
    }
    let mut desk = desk.with(leg, &asked);
    match context.line.bring_in(&bring_in).await {
        Ok(sid) => desk.note(leg, LegNews::Made { sid }).await?,
        Err(NotIn::Unknown(detail)) => {
            // It stays in doubt until a callback tells, or a look-up.
            tracing::warn!(call_id = %id, detail, "nobody knows whether a supervisor's telephone rings");
        }
        Err(failed) => {
            desk.note(leg, LegNews::Ended).await?;
            return Err(not_dialled(failed));
        }
    }
    tracing::info!(call_id = %id, by = %caller.user_id, mode = ?wanted.mode, "a supervisor comes onto a call");
    Ok(Accepted(desk.call.shown()))
}

/// Change how a supervisor takes part
///
/// Of the caller's own part in the call: `listen` mutes the microphone, `whisper` lets the agent hear it, `barge` everybody. Needs the role
/// supervisor.
#[utoipa::path(patch, path = "/api/calls/{id}/monitor", tag = "calls", operation_id = "changeMonitor", request_body = MonitorChange,
    params(("id" = CallId, Path, description = "The call.")),
    responses((status = 200, description = "The call as it is afterwards.", body = Call),
        (status = 502, description = "The provider failed; asking again does no harm.", body = Problem,
            content_type = "application/problem+json")))]
pub async fn change(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<CallId>,
    Json(wanted): Json<MonitorChange>,
) -> ApiResult<Json<Call>> {
    caller.must(Permission::MonitorCalls)?;
    let mut desk = Desk::at(&context, &caller, id).await?;
    let own = desk.own(&caller)?;
    let sid = desk.sid_of(&own).await?;
    let voice = match wanted.mode {
        // The microphone can always be turned off, whoever else is in the room.
        MonitorMode::Listen => Voice::Muted,
        mode => voice(mode, &desk.talk()?.agent),
    };
    match context.line.set_voice(&own.room, &sid, &voice).await {
        LineAnswer::Asked => {}
        LineAnswer::Over => {
            desk.note(own.leg, LegNews::Ended).await?;
            return Err(not_on_it());
        }
        failed => return Err(not_done(failed)),
    }
    let set = desk.call.set_anew(own.leg, wanted.mode);
    desk.note(own.leg, set).await?;
    tracing::info!(call_id = %id, by = %caller.user_id, mode = ?wanted.mode, "a supervisor takes part in another way");
    Ok(Json(desk.call.shown()))
}

/// Leave a call
///
/// Ends the supervisor's own leg, also while the telephone rings; the call goes on. Needs the role supervisor.
#[utoipa::path(delete, path = "/api/calls/{id}/monitor", tag = "calls", operation_id = "leaveCall",
    params(("id" = CallId, Path, description = "The call.")),
    responses((status = 200, description = "The call as it is afterwards.", body = Call),
        (status = 502, description = "The provider failed; asking again does no harm.", body = Problem,
            content_type = "application/problem+json")))]
pub async fn leave(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<CallId>,
) -> ApiResult<Json<Call>> {
    caller.must(Permission::MonitorCalls)?;
    let mut desk = Desk::at(&context, &caller, id).await?;
    let own = desk.own(&caller)?;
    let sid = desk.sid_of(&own).await?;
    match context.line.hang_up(&sid).await {
        LineAnswer::Asked | LineAnswer::Over => {}
        failed => return Err(not_done(failed)),
    }
    desk.note(own.leg, LegNews::Ended).await?;
    tracing::info!(call_id = %id, by = %caller.user_id, "a supervisor leaves a call");
    Ok(Json(desk.call.shown()))
}

/// A live call, as its facts have it at this moment.
struct Desk<'a> {
    context: &'a Context,
    call: Call,
}

impl<'a> Desk<'a> {
    async fn at(context: &'a Context, caller: &Caller, id: CallId) -> ApiResult<Self> {
        let stored = context.store.calls.get(caller.account_id, id).await?;
        let mut call = context.calls.current(caller.account_id, &stored.sid).await?;
        (call.lead_id, call.trend) = (stored.lead_id, stored.trend);
        if call.status.is_terminal() {
            return Err(conflict("call_over", "the call is over"));
        }
        Ok(Self { context, call })
    }

    /// Customer and agent, in their room.
    fn talk(&self) -> ApiResult<Talk> {
        self.call.talk().ok_or_else(|| match self.call.supervision {
            Supervision::Off => conflict(
                "not_supervised",
                "this call has no room of its own that a supervisor could come into: turn `supervision` on for its number \
                 (PATCH /api/numbers/{id}, or twilio.supervision); it holds for the next call",
            ),
            Supervision::Waiting | Supervision::Ready => conflict(
                "no_agent",
                "no agent is on the call at this moment: try again when one has answered",
            ),
        })
    }

    /// The caller's own leg.
    fn own(&self, caller: &Caller) -> ApiResult<MonitorLeg> {
        self.call.monitor_of(caller.user_id).ok_or_else(not_on_it)
    }

    /// The number of ours that the call came to, or goes out from.
    fn our_number(&self) -> &str {
        match self.call.direction {
            Direction::Inbound => &self.call.to,
            Direction::Outbound => &self.call.from,
        }
    }

    /// The provider's id of a leg; looked up when it is not known whether it was dialled.
    async fn sid_of(&mut self, own: &MonitorLeg) -> ApiResult<CallSid> {
        if let Some(sid) = &own.sid {
            return Ok(sid.clone());
        }
        match self.find(&own.room, own.leg).await? {
            Some(sid) => {
                self.note(own.leg, LegNews::Made { sid: sid.clone() }).await?;
                Ok(sid)
            }
            None => Err(in_doubt()),
        }
    }

    async fn find(&self, room: &RoomSid, leg: Leg) -> ApiResult<Option<CallSid>> {
        let found = self.context.line.find(room, leg).await;
        found.map_err(|failed| match failed {
            NotIn::NoProvider => no_provider(),
            NotIn::Refused { detail, .. } | NotIn::Unreached(detail) | NotIn::Unknown(detail) => {
                ApiError::ProviderFailed { detail }
            }
        })
    }

    /// Makes sure that the caller is not on the call, nor about to be: a leg of which nothing was heard for long, and that the
    /// provider does not know, is given up.
    async fn without_the_lost(mut self, caller: &Caller) -> ApiResult<Self> {
        let Some(own) = self.call.monitor_of(caller.user_id) else {
            return Ok(self);
        };
        if own.sid.is_some() {
            return Err(on_it_already());
        }
        if let Some(sid) = self.find(&own.room, own.leg).await? {
            self.note(own.leg, LegNews::Made { sid }).await?;
            return Err(on_it_already());
        }
        if millis_of(clock::now().since(own.asked_at)) < millis_of(DOUBT_MAX) {
            return Err(in_doubt());
        }
        self.note(own.leg, LegNews::Ended).await?;
        Ok(self)
    }

    /// Keeps what is known of a leg.
    async fn keep(&self, leg: Leg, dedupe_key: String, news: &LegNews) -> ApiResult<Recorded> {
        let report = CallReport {
            account_id: self.call.account_id,
            sid: self.call.sid.clone(),
            dedupe_key,
            fact: CallFact::Leg {
                leg,
                news: news.clone(),
            },
        };
        let (_, recorded) = self.context.calls.report(report).await?;
        Ok(recorded)
    }

    /// Keeps what happened to a leg, and takes it into the call at hand.
    async fn note(&mut self, leg: Leg, news: LegNews) -> ApiResult<()> {
        let dedupe_key = match &news {
            LegNews::Made { sid } => format!("leg-made:{leg}:{sid}"),
            // The same change may be made again after another one: each is a fact of its own.
            LegNews::Set { .. } => format!("leg-set:{leg}:{}", clock::now().as_unix_millis()),
            LegNews::Asked { .. } | LegNews::Joined { .. } | LegNews::Left { .. } | LegNews::Ended => {
                format!("leg-ended:{leg}")
            }
        };
        self.keep(leg, dedupe_key, &news).await?;
        self.call.apply(&CallFact::Leg { leg, news }, clock::now());
        Ok(())
    }

    fn with(mut self, leg: Leg, news: &LegNews) -> Self {
        let fact = CallFact::Leg {
            leg,
            news: news.clone(),
        };
        self.call.apply(&fact, clock::now());
        self
    }
}

fn voice(mode: MonitorMode, agent: &CallSid) -> Voice {
    match mode {
        MonitorMode::Listen => Voice::Muted,
        MonitorMode::Whisper => Voice::Coaching(agent.clone()),
        MonitorMode::Barge => Voice::Open,
    }
}

fn not_dialled(failed: NotIn) -> ApiError {
    match failed {
        NotIn::NoProvider => no_provider(),
        NotIn::Refused {
            is_bad_number: true,
            detail,
        } => ApiError::field(
            "phone",
            format!("expected a telephone that can be called; the provider says {detail}"),
        ),
        NotIn::Refused { detail, .. } | NotIn::Unreached(detail) | NotIn::Unknown(detail) => {
            ApiError::ProviderFailed {
                detail: format!("nothing was dialled: {detail}"),
            }
        }
    }
}

fn not_done(answer: LineAnswer) -> ApiError {
    match answer {
        LineAnswer::NoProvider => no_provider(),
        LineAnswer::Failed(detail) => ApiError::ProviderFailed { detail },
        LineAnswer::Asked | LineAnswer::Over => not_on_it(),
    }
}

fn no_provider() -> ApiError {
    conflict(
        "no_provider",
        "nobody carries calls for this server: nothing leaves it",
    )
}

fn on_it_already() -> ApiError {
    conflict(
        "already_monitoring",
        "you are on this call already, or your telephone rings: change how with PATCH, leave with DELETE",
    )
}

fn not_on_it() -> ApiError {
    conflict(
        "not_monitoring",
        "you are not on this call: come onto it with POST",
    )
}

fn in_doubt() -> ApiError {
    conflict(
        "monitor_in_doubt",
        "the provider's answer was lost, so your telephone may ring and is not dialled again: try again in a minute",
    )
}

fn conflict(code: &'static str, detail: &str) -> ApiError {
    ApiError::Conflict {
        code,
        detail: detail.to_owned(),
    }
}
