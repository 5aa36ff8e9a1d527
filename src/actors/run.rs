//! One run: the shell around the pure core.

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::residents::{Desk, Resident};
use crate::domain::ids::RunId;

/// What a lead's actor understands.
pub enum RunMsg {
    /// Cancelled by a person.
    Cancel,
    /// The actor before this one failed: take up what it left.
    Recover,
}

/// What every lead's actor needs.
#[derive(Clone)]
pub struct RunKind {}

/// The actor.
pub struct RunActor {}

/// Its state.
pub struct RunState {}

impl Resident for RunKind {
    type Key = RunId;
    type Msg = RunMsg;
    type Child = RunActor;
    const NAME: &'static str = "run";

    fn child(&self) -> RunActor {
        RunActor {}
    }

    fn recover() -> RunMsg {
        RunMsg::Recover
    }

    fn gave_up(&self, _key: &RunId, _error: &str) {}
}

impl Actor for RunActor {
    type Msg = RunMsg;
    type State = RunState;
    type Arguments = (RunId, Desk<RunKind>);

    async fn pre_start(
        &self,
        _myself: ActorRef<RunMsg>,
        _arguments: Self::Arguments,
    ) -> Result<RunState, ActorProcessingErr> {
        Ok(RunState {})
    }
}
