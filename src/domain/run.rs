//! How runs, their steps and their effects stand: words shared by the core, the store and the live stream.

use serde::{Deserialize, Serialize};

/// How a run stands, for lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Moving, or waiting for an effect's answer.
    Running,
    /// Parked on a timer or an event.
    Waiting,
    /// An effect's outcome is unknown and a person has to choose, or a step keeps failing.
    Stuck,
    Completed,
    Failed,
    Cancelled,
}

impl RunStatus {
    /// The word used in JSON and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Stuck => "stuck",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens to the run.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// How a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    Started,
    Waiting,
    Done,
    Failed,
    /// The outcome is not known; see the run.
    Unknown,
    /// The run ended before the node did.
    Cancelled,
}

/// Where an effect stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EffectState {
    /// Written before the first byte is sent. Found like this after a crash, its outcome is unknown.
    Claimed,
    Confirmed,
    Rejected,
    Unknown,
    /// Looked up and not there: it may be sent again.
    Absent,
}
