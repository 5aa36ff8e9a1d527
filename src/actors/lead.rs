//! One lead: takes observations in order and starts and signals runs.

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::{
    leads::Subject,
    residents::{Desk, Resident},
};
use crate::domain::observation::Observation;

/// What a lead's actor understands.
pub enum LeadMsg {
    /// This was observed and is in the store.
    Observed(Box<Observation>),
    /// The actor before this one failed: take up what it left.
    Recover,
}

/// What every lead's actor needs.
#[derive(Clone)]
pub struct LeadKind {}

/// The actor.
pub struct LeadActor {}

/// Its state.
pub struct LeadState {}

impl Resident for LeadKind {
    type Key = Subject;
    type Msg = LeadMsg;
    type Child = LeadActor;
    const NAME: &'static str = "lead";

    fn child(&self) -> LeadActor {
        LeadActor {}
    }

    fn recover() -> LeadMsg {
        LeadMsg::Recover
    }

    fn gave_up(&self, _key: &Subject, _error: &str) {}
}

impl Actor for LeadActor {
    type Msg = LeadMsg;
    type State = LeadState;
    type Arguments = (Subject, Desk<LeadKind>);

    async fn pre_start(
        &self,
        _myself: ActorRef<LeadMsg>,
        _arguments: Self::Arguments,
    ) -> Result<LeadState, ActorProcessingErr> {
        Ok(LeadState {})
    }
}
