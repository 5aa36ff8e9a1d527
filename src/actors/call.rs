//! One call: folds its facts, listens to it, scores it, tells others.

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::residents::{Desk, Resident};
use tokio::sync::mpsc;

use crate::{
    domain::{
        audio::Speaker,
        ids::{AccountId, CallId},
    },
    media::frame::AudioFrame,
};

/// A call within its account.
pub type CallKey = (AccountId, CallId);

/// What a lead's actor understands.
pub enum CallMsg {
    /// Facts are in the store that are not folded in.
    FactsArrived,
    /// A stream was opened: its frames come through here.
    LineOpened {
        frames: mpsc::Receiver<AudioFrame>,
        inbound: Speaker,
    },
    /// The actor before this one failed: take up what it left.
    Recover,
}

/// What every lead's actor needs.
#[derive(Clone)]
pub struct CallKind {}

/// The actor.
pub struct CallActor {}

/// Its state.
pub struct CallState {}

impl Resident for CallKind {
    type Key = CallKey;
    type Msg = CallMsg;
    type Child = CallActor;
    const NAME: &'static str = "call";

    fn child(&self) -> CallActor {
        CallActor {}
    }

    fn recover() -> CallMsg {
        CallMsg::Recover
    }

    fn gave_up(&self, _key: &CallKey, _error: &str) {}
}

impl Actor for CallActor {
    type Msg = CallMsg;
    type State = CallState;
    type Arguments = (CallKey, Desk<CallKind>);

    async fn pre_start(
        &self,
        _myself: ActorRef<CallMsg>,
        _arguments: Self::Arguments,
    ) -> Result<CallState, ActorProcessingErr> {
        Ok(CallState {})
    }
}
