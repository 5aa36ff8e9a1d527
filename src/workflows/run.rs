//! The state of one run: where its tokens stand and what its steps gave.
//!
//! Everything needed to go on is here and in the definition's version; nothing is replayed. The snapshot is one format
//! byte and compact JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::effect::Effect;
use crate::domain::{
    ids::{AccountId, CallId, LeadId, RunId, WorkflowId},
    run::RunStatus,
    time::Timestamp,
};

/// First byte of every snapshot this version writes. A change of layout takes the next number and keeps reading this one.
pub const SNAPSHOT_FORMAT: u8 = 1;

/// What a run is born with.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSeed {
    pub id: RunId,
    pub account_id: AccountId,
    pub workflow_id: WorkflowId,
    pub version: u32,
    pub lead_id: Option<LeadId>,
    pub call_id: Option<CallId>,
    /// What `trigger` is in expressions; see `trigger::value_of`.
    pub trigger: Value,
    pub started_at: Timestamp,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    #[serde(rename = "i")]
    pub(super) id: RunId,
    #[serde(rename = "a")]
    pub(super) account_id: AccountId,
    #[serde(rename = "w")]
    pub(super) workflow_id: WorkflowId,
    #[serde(rename = "v")]
    pub(super) version: u32,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub(super) lead_id: Option<LeadId>,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub(super) call_id: Option<CallId>,
    #[serde(rename = "s", with = "millis")]
    pub(super) started_at: Timestamp,
    #[serde(rename = "t")]
    pub(super) trigger: Value,
    #[serde(rename = "p")]
    pub(super) phase: Phase,
    /// Where the run stands in its graph, by number.
    #[serde(rename = "k", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tokens: BTreeMap<u32, Token>,
    /// `steps.<id>.output` of the nodes that some expression reads.
    #[serde(rename = "o", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) outputs: BTreeMap<String, Value>,
    /// How often each node was come by.
    #[serde(rename = "n", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) visits: BTreeMap<String, u32>,
    #[serde(rename = "x")]
    pub(super) counters: Counters,
}

/// Where a run is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    #[serde(rename = "n")]
    New,
    #[serde(rename = "a")]
    Active,
    /// The end is decided; effects on their way are still waited for, so that their outcome is kept.
    #[serde(rename = "e")]
    Ending(Ending),
    #[serde(rename = "d")]
    Ended(Ending),
}

/// How a run ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ending {
    #[serde(rename = "s")]
    pub status: RunStatus,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Numbers that only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Counters(
    /// Tokens made so far.
    pub u32,
    /// Timers set so far.
    pub u64,
    /// Journal lines written so far.
    pub u64,
    /// Nodes begun so far.
    pub u32,
);

/// One place where the run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Token {
    #[serde(rename = "n")]
    pub node: String,
    #[serde(rename = "v", default, skip_serializing_if = "is_zero")]
    pub visit: u32,
    #[serde(rename = "s")]
    pub state: TokenState,
}

/// What a token waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum TokenState {
    /// A delay's timer.
    #[serde(rename = "p")]
    Pausing(Alarm),
    /// The effect's answer.
    #[serde(rename = "a")]
    Acting(Box<Effect>),
    /// The look-up's answer.
    #[serde(rename = "l")]
    LookingUp(Box<Effect>),
    /// The time of the next attempt.
    #[serde(rename = "r")]
    Retrying(Box<Effect>, Alarm),
    /// The time the gate named; the attempt was not made.
    #[serde(rename = "h")]
    Held(Box<Effect>, Alarm),
    /// A person's decision.
    #[serde(rename = "q")]
    Asking(Box<Effect>),
}

/// A timer that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Alarm(
    /// Its number within the run.
    pub u64,
    /// When it is due.
    #[serde(with = "millis")]
    pub Timestamp,
);

impl TokenState {
    pub(super) const fn effect(&self) -> Option<&Effect> {
        match self {
            Self::Pausing(_) => None,
            Self::Acting(effect)
            | Self::LookingUp(effect)
            | Self::Retrying(effect, _)
            | Self::Held(effect, _)
            | Self::Asking(effect) => Some(effect),
        }
    }

    pub(super) const fn alarm(&self) -> Option<Alarm> {
        match self {
            Self::Pausing(alarm) | Self::Retrying(_, alarm) | Self::Held(_, alarm) => Some(*alarm),
            Self::Acting(_) | Self::LookingUp(_) | Self::Asking(_) => None,
        }
    }

    /// Whether an answer is on its way.
    pub(super) const fn is_in_flight(&self) -> bool {
        matches!(self, Self::Acting(_) | Self::LookingUp(_))
    }
}

/// Why bytes are not a run.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the snapshot is empty")]
    Empty,
    #[error("snapshot format {0} is not known to this version")]
    Format(u8),
    #[error("the snapshot cannot be read")]
    Broken(#[source] serde_json::Error),
}

impl Run {
    /// A run that has not begun; give it `Input::Started`.
    #[must_use]
    pub fn new(seed: RunSeed) -> Self {
        Self {
            id: seed.id,
            account_id: seed.account_id,
            workflow_id: seed.workflow_id,
            version: seed.version,
            lead_id: seed.lead_id,
            call_id: seed.call_id,
            started_at: seed.started_at,
            trigger: seed.trigger,
            phase: Phase::New,
            tokens: BTreeMap::new(),
            outputs: BTreeMap::new(),
            visits: BTreeMap::new(),
            counters: Counters::default(),
        }
    }

    /// The run as bytes to store.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = vec![SNAPSHOT_FORMAT];
        serde_json::to_writer(&mut bytes, self).expect("a run has only text keys and a Vec takes every byte");
        bytes
    }

    /// Reads what [`Run::snapshot`] wrote.
    ///
    /// # Errors
    /// [`SnapshotError`] for bytes of an unknown format or broken ones.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        match bytes.split_first() {
            None => Err(SnapshotError::Empty),
            Some((&SNAPSHOT_FORMAT, body)) => serde_json::from_slice(body).map_err(SnapshotError::Broken),
            Some((&format, _)) => Err(SnapshotError::Format(format)),
        }
    }

    #[must_use]
    pub const fn id(&self) -> RunId {
        self.id
    }

    #[must_use]
    pub const fn account_id(&self) -> AccountId {
        self.account_id
    }

    #[must_use]
    pub const fn workflow_id(&self) -> WorkflowId {
        self.workflow_id
    }

    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    #[must_use]
    pub const fn lead_id(&self) -> Option<LeadId> {
        self.lead_id
    }

    #[must_use]
    pub const fn call_id(&self) -> Option<CallId> {
        self.call_id
    }

    #[must_use]
    pub const fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// What started the run, `call.no_answer`.
    #[must_use]
    pub fn trigger_type(&self) -> &str {
        self.trigger
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or("manual")
    }

    /// How the run stands.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        match &self.phase {
            Phase::Ended(ending) => ending.status,
            Phase::New | Phase::Ending(_) => RunStatus::Running,
            Phase::Active => {
                let mut states = self.tokens.values().map(|token| &token.state);
                if states.clone().any(TokenState::is_in_flight) {
                    RunStatus::Running
                } else if states.any(|state| matches!(state, TokenState::Asking(_))) {
                    RunStatus::Stuck
                } else {
                    RunStatus::Waiting
                }
            }
        }
    }

    /// Why the run failed, was cancelled or is stuck, for a person.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        match &self.phase {
            Phase::Ended(ending) => ending.error.clone(),
            Phase::New | Phase::Ending(_) => None,
            Phase::Active => self.tokens.values().find_map(|token| match &token.state {
                TokenState::Asking(effect) => Some(format!(
                    "{}: it is not known whether the effect was carried out; resend or skip it",
                    effect.node
                )),
                _ => None,
            }),
        }
    }

    /// Timers that are set, by number: what a shell that holds its own timers arms after loading the run.
    #[must_use]
    pub fn timers(&self) -> Vec<(u64, Timestamp)> {
        self.tokens
            .values()
            .filter_map(|token| token.state.alarm())
            .map(|Alarm(timer, due)| (timer, due))
            .collect()
    }

    /// Effects that were claimed or are being looked up.
    #[must_use]
    pub fn in_flight(&self) -> Vec<&Effect> {
        self.tokens
            .values()
            .filter(|token| token.state.is_in_flight())
            .filter_map(|token| token.state.effect())
            .collect()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Serde for a moment as a bare number: a snapshot is read by nobody but us.
mod millis {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::time::Timestamp;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub fn serialize<S: Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(moment.as_unix_millis())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        u64::deserialize(deserializer).map(Timestamp::from_unix_millis)
    }
}
