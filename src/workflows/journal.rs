//! The journal: what a run did and why, for people, audits and backtests.
//!
//! Nothing is recovered from it. `history` folds it into steps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    effect::Provider,
    input::{Choice, Failure},
};
use crate::domain::{
    ids::{CallId, RunId},
    observation::EventType,
    run::{RunStatus, StepStatus},
    time::Timestamp,
};

/// One line of a run's journal.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalEntry {
    /// Counts a run's lines from 0.
    pub seq: u64,
    pub at: Timestamp,
    pub entry: Entry,
}

/// What happened. `visit` counts how often the run came by the node before, from 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    RunStarted {
        trigger: Value,
        /// The run that this one takes up again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_of: Option<RunId>,
        /// The node it begins at, when that is not behind the trigger.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        begin_at: Option<String>,
    },
    /// A node that decides at once: begun and done.
    NodePassed {
        node: String,
        kind: String,
        visit: u32,
        /// The index of the loop's item it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        input: Value,
        port: String,
        output: Value,
    },
    /// A node began to wait.
    NodeWaiting {
        node: String,
        kind: String,
        visit: u32,
        /// The index of the loop's item it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        input: Value,
        /// Until when, at the longest, where that is known.
        until: Option<Timestamp>,
    },
    /// A node asked for its effect; the claim is in the same append.
    NodeActed {
        node: String,
        kind: String,
        visit: u32,
        /// The index of the loop's item it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        input: Value,
        key: String,
        provider: Provider,
    },
    /// A further attempt of a node's effect was claimed.
    Attempted { node: String, visit: u32, attempt: u32 },
    /// The gate let the attempt through, on these grounds.
    Judged {
        node: String,
        visit: u32,
        attempt: u32,
        gate: Value,
    },
    /// The gate lets the effect through only at `until`.
    Held {
        node: String,
        visit: u32,
        attempt: u32,
        until: Timestamp,
        reason: String,
    },
    /// An attempt was refused; `retry_at` when another follows.
    AttemptFailed {
        node: String,
        visit: u32,
        attempt: u32,
        failure: Failure,
        retry_at: Option<Timestamp>,
    },
    /// The outcome of an attempt is not known; what is done about it follows.
    AttemptUnknown {
        node: String,
        visit: u32,
        attempt: u32,
        message: String,
        retry_at: Option<Timestamp>,
    },
    /// A look-up found the effect not carried out.
    AttemptAbsent {
        node: String,
        visit: u32,
        attempt: u32,
        retry_at: Option<Timestamp>,
    },
    /// Only a person can say what becomes of the effect.
    Asked {
        node: String,
        visit: u32,
        attempt: u32,
        key: String,
        reason: String,
    },
    Decided {
        node: String,
        visit: u32,
        choice: Choice,
    },
    NodeDone {
        node: String,
        visit: u32,
        port: String,
        output: Value,
        provider_id: Option<String>,
    },
    /// The node failed for good; `port` is where the run goes on, if it does.
    NodeFailed {
        node: String,
        kind: String,
        visit: u32,
        /// The index of the loop's item it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
        code: String,
        message: String,
        port: Option<String>,
    },
    /// A further branch came to a merge that waits.
    BranchJoined {
        node: String,
        visit: u32,
        /// Branches that have come.
        arrived: u32,
    },
    /// A person moved the run to another version; `landing` names the nodes that changed places.
    Migrated {
        from: u32,
        to: u32,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        landing: BTreeMap<String, String>,
    },
    /// A branch ended at a merge that another one had come through first.
    BranchEnded {
        node: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<u32>,
    },
    /// A wait's filter could not be decided for an event, which was passed over.
    EventUndecided {
        node: String,
        visit: u32,
        event: EventType,
        reason: String,
    },
    /// The node has started a run and waits for its end.
    Following { node: String, visit: u32, run_id: RunId },
    /// The node has placed a call and waits for its end.
    Calling {
        node: String,
        visit: u32,
        call_id: CallId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider_id: Option<String>,
        until: Timestamp,
    },
    /// The run ended before the node did.
    NodeCancelled { node: String, visit: u32 },
    RunEnded {
        status: RunStatus,
        error: Option<String>,
    },
}

impl Entry {
    /// The entry as the JSON it is stored as.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an entry has only text keys")
    }

    /// Reads what [`Entry::to_json`] wrote.
    ///
    /// # Errors
    /// When the text is not an entry.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The node this is about and how it stands after it, for the live stream. `None` for what concerns the run as a whole.
    #[must_use]
    pub fn step(&self) -> Option<(&str, StepStatus)> {
        Some(match self {
            Self::RunStarted { .. }
            | Self::Migrated { .. }
            | Self::RunEnded { .. }
            | Self::BranchEnded { .. } => return None,
            Self::NodeActed { node, .. }
            | Self::Attempted { node, .. }
            | Self::Judged { node, .. }
            | Self::Decided { node, .. } => (node, StepStatus::Started),
            Self::NodeWaiting { node, .. }
            | Self::Held { node, .. }
            | Self::BranchJoined { node, .. }
            | Self::EventUndecided { node, .. }
            | Self::Following { node, .. }
            | Self::Calling { node, .. } => (node, StepStatus::Waiting),
            Self::AttemptFailed { node, retry_at, .. } | Self::AttemptAbsent { node, retry_at, .. } => (
                node,
                if retry_at.is_some() {
                    StepStatus::Waiting
                } else {
                    StepStatus::Failed
                },
            ),
            Self::AttemptUnknown { node, .. } | Self::Asked { node, .. } => (node, StepStatus::Unknown),
            Self::NodePassed { node, .. } | Self::NodeDone { node, .. } => (node, StepStatus::Done),
            Self::NodeFailed { node, .. } => (node, StepStatus::Failed),
            Self::NodeCancelled { node, .. } => (node, StepStatus::Cancelled),
        })
    }
}
