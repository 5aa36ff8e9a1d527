//! What nodes tell each other.
//!
//! A word goes to the node that acts for a shard and is answered by it. Doing what a word says twice is doing it once: facts and runs
//! have ids of their own, and an input that was taken changes nothing the second time.

use serde::{Deserialize, Serialize};

use crate::{
    actors::runs::{ManualStart, OnVersion, RunError},
    domain::{
        ids::{AccountId, CallId, LeadId, RunId, WorkflowId},
        observation::Observation,
    },
    store::{Recorded, StoreError},
    workflows::{Effect, Input, migration::Migration, rerun::BeginAt},
};

/// One word.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub enum Word {
    /// Keep this fact and bring it on its way. It may be kept already.
    Observe { observation: Box<Observation> },
    /// Facts about a lead, or about the account, are in the store: take them up.
    TakeUpFacts {
        account_id: AccountId,
        lead_id: Option<LeadId>,
    },
    /// Start the one workflow whose wait after a fact is over.
    StartDue {
        observation: Box<Observation>,
        workflow_id: WorkflowId,
    },
    /// Merge a lead into another.
    MergeLead {
        account_id: AccountId,
        duplicate: LeadId,
        kept: LeadId,
    },
    /// A run is in the store that may not move yet.
    Wake { run_id: RunId },
    /// Move a run by an input.
    Move { run_id: RunId, input: Box<Input> },
    /// Move a run to another version.
    Migrate { run_id: RunId, wanted: Migration },
    /// Start a run by hand, under this id.
    Execute { start: Box<ManualStart>, id: RunId },
    /// Start the run that another run's effect asks for.
    StartChild { effect: Box<Effect> },
    /// End a run and start it over on another version.
    RestartOn {
        account_id: AccountId,
        run_id: RunId,
        version: u32,
    },
    /// Take up a run that has ended.
    TakeUpRun {
        account_id: AccountId,
        run_id: RunId,
        id: RunId,
        begin_at: BeginAt,
        on: OnVersion,
    },
    /// Facts about a call are in the store that its owner has to act on.
    CallFacts { account_id: AccountId, call_id: CallId },
    /// Does this node hear the call? Asked of every node.
    Hears { account_id: AccountId, call_id: CallId },
}

/// What the one who was told says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
pub enum Said {
    Done,
    /// Whether the fact was there before.
    Kept {
        is_fresh: bool,
    },
    /// Whether the input changed anything.
    Moved {
        is_moved: bool,
    },
    /// Whether the start is settled.
    Settled {
        is_settled: bool,
    },
    Run {
        run_id: RunId,
    },
    /// It does not act for that shard: ask who does and tell them.
    NotMine,
    Refused {
        refusal: Refusal,
    },
}

/// Why a word was not followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Refusal {
    /// Nothing has this id.
    Missing { what: String, id: String },
    /// The database or the run did not answer: another try may go well.
    Later { detail: String },
    /// For good, with the code that clients get.
    No { code: String, detail: String },
}

/// Kinds of things that can be missing, as the store names them.
const KINDS: &[&str] = &[
    "workflow",
    "run",
    "lead",
    "call",
    "account",
    "observation",
    "version",
];

impl From<Recorded> for Said {
    fn from(recorded: Recorded) -> Self {
        Self::Kept {
            is_fresh: recorded == Recorded::Fresh,
        }
    }
}

impl From<RunError> for Said {
    fn from(error: RunError) -> Self {
        let refusal = match &error {
            RunError::Store(StoreError::Missing { what, id }) => Refusal::Missing {
                what: (*what).to_owned(),
                id: id.clone(),
            },
            RunError::Store(StoreError::Fenced { .. }) | RunError::Unowned(_) => return Self::NotMine,
            RunError::Store(_) | RunError::TimedOut => Refusal::Later {
                detail: error.to_string(),
            },
            other => Refusal::No {
                code: other.code().to_owned(),
                detail: other.to_string(),
            },
        };
        Self::Refused { refusal }
    }
}

impl From<StoreError> for Said {
    fn from(error: StoreError) -> Self {
        RunError::Store(error).into()
    }
}

impl From<Refusal> for RunError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing { what, id } => {
                let known = KINDS.iter().find(|kind| **kind == what);
                Self::Store(StoreError::Missing {
                    what: known.copied().unwrap_or("thing"),
                    id,
                })
            }
            Refusal::Later { detail } => Self::Store(StoreError::Unavailable(detail.into())),
            Refusal::No { code, detail } => Self::Refused {
                code: Self::known_code(&code),
                detail,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_code_on_the_way() {
        let run_id = RunId::fresh();
        for error in [
            RunError::Ended(run_id),
            RunError::NotPublished(WorkflowId::fresh()),
            RunError::NotAwaited {
                run_id,
                name: "approved".to_owned(),
            },
        ] {
            let (code, text) = (error.code(), error.to_string());
            let Said::Refused { refusal } = Said::from(error) else {
                panic!("refused");
            };
            let json = serde_json::to_string(&refusal).expect("a refusal is JSON");
            let back = RunError::from(serde_json::from_str::<Refusal>(&json).expect("and back"));
            assert_eq!((back.code(), back.to_string()), (code, text));
        }
        let missing = RunError::Store(StoreError::Missing {
            what: "workflow",
            id: "wf_1".to_owned(),
        });
        let Said::Refused { refusal } = Said::from(missing) else {
            panic!("refused");
        };
        let back = RunError::from(refusal);
        assert!(matches!(
            back,
            RunError::Store(StoreError::Missing { what: "workflow", .. })
        ));
    }
}
