//! Calls that are under way, at the provider that carries them: ending them, and who else is brought into them.

use async_trait::async_trait;

use crate::domain::{
    call::Leg,
    ids::{CallSid, RoomSid},
};

/// What became of asking for something about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineAnswer {
    /// The provider takes care of it; its callback says when it has.
    Asked,
    /// The call, or the leg, is over already, or the provider knows nothing of it.
    Over,
    /// Nobody carries calls here.
    NoProvider,
    /// It may not have been done. Asking again does no harm.
    Failed(String),
}

/// How a leg is heard in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Voice {
    /// By everybody.
    Open,
    /// By nobody.
    Muted,
    /// By this leg only.
    Coaching(CallSid),
}

/// A leg to be dialled into a call's room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BringIn {
    /// The customer's call.
    pub call: CallSid,
    pub room: RoomSid,
    pub leg: Leg,
    /// A number of ours.
    pub from: String,
    pub to: String,
    pub voice: Voice,
    /// Seconds the telephone rings.
    pub ring_s: u32,
}

/// Why a leg is not in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotIn {
    NoProvider,
    /// The provider said no; nothing was dialled.
    Refused {
        is_bad_number: bool,
        detail: String,
    },
    /// Nothing was asked.
    Unreached(String),
    /// It may have been dialled: it must not be asked for again.
    Unknown(String),
}

/// Whoever carries calls. Every answer comes within the client's time-out.
#[async_trait]
pub trait CallLine: Send + Sync {
    /// Asks for the end of a call, or of a leg.
    async fn hang_up(&self, sid: &CallSid) -> LineAnswer;
    /// Dials a leg into a room. Not to be repeated when the answer is [`NotIn::Unknown`].
    async fn bring_in(&self, wanted: &BringIn) -> Result<CallSid, NotIn>;
    /// Looks for a leg that may have been dialled.
    async fn find(&self, room: &RoomSid, leg: Leg) -> Result<Option<CallSid>, NotIn>;
    /// Changes how a leg is heard.
    async fn set_voice(&self, room: &RoomSid, sid: &CallSid, voice: &Voice) -> LineAnswer;
    /// Has a caller whom this agent did not answer ask what comes next.
    async fn send_on(&self, call: &CallSid, missed: Leg) -> LineAnswer;
}

/// For a server without a provider.
#[derive(Debug, Clone, Copy)]
pub struct NoLine;

#[async_trait]
impl CallLine for NoLine {
    async fn hang_up(&self, _sid: &CallSid) -> LineAnswer {
        LineAnswer::NoProvider
    }

    async fn bring_in(&self, _wanted: &BringIn) -> Result<CallSid, NotIn> {
        Err(NotIn::NoProvider)
    }

    async fn find(&self, _room: &RoomSid, _leg: Leg) -> Result<Option<CallSid>, NotIn> {
        Err(NotIn::NoProvider)
    }

    async fn set_voice(&self, _room: &RoomSid, _sid: &CallSid, _voice: &Voice) -> LineAnswer {
        LineAnswer::NoProvider
    }

    async fn send_on(&self, _call: &CallSid, _missed: Leg) -> LineAnswer {
        LineAnswer::NoProvider
    }
}
