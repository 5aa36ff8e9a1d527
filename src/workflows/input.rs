//! Inputs: everything that can happen to a run.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{
    call::CallEnd,
    ids::{CallId, RunId},
    observation::Observation,
    run::RunStatus,
    time::Timestamp,
};

/// What happened. Whatever is stale, repeated or meant for another run changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// The run begins. Once per run.
    Started,
    /// A fact about the run's lead or call.
    Observed(Box<Observation>),
    /// The gate let an attempt through; `gate` says on what grounds. For the history only.
    Judged {
        key: String,
        attempt: u32,
        gate: Value,
    },
    /// The effect was carried out.
    EffectDone {
        key: String,
        attempt: u32,
        /// The provider's name for it, when it gave one.
        provider_id: Option<String>,
        /// What the node's output becomes.
        output: Value,
    },
    /// The effect was definitely not carried out.
    EffectFailed {
        key: String,
        attempt: u32,
        failure: Failure,
    },
    /// Whether the effect was carried out is not known: a timeout, a reset, a 5xx after the request was sent.
    EffectUnknown {
        key: String,
        attempt: u32,
        message: String,
    },
    /// The gate lets the effect through only later. Nothing was sent.
    EffectHeld {
        key: String,
        attempt: u32,
        until: Timestamp,
        reason: String,
    },
    /// What a look-up found.
    LookedUp {
        key: String,
        attempt: u32,
        finding: Finding,
    },
    TimerFired {
        timer: u64,
    },
    /// What the shell found in a lead's past for a wait, oldest first.
    LookedBack {
        wait: u32,
        observations: Vec<Observation>,
    },
    /// A run that this one has started is over.
    RunEnded {
        run_id: RunId,
        status: RunStatus,
        reason: Option<String>,
    },
    /// A call that was asked about is over.
    CallEnded {
        call_id: CallId,
        end: CallEnd,
    },
    /// A person decided about an effect whose outcome is unknown.
    Decided {
        key: String,
        choice: Choice,
    },
    /// A person, or enrolment, ends the run.
    Cancelled {
        reason: String,
    },
    /// The process that moved the run is gone: every claim without an answer is unknown from here on.
    Recovered,
}

impl Input {
    /// What happened, in a word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Observed(_) => "observed",
            Self::Judged { .. } => "judged",
            Self::EffectDone { .. } => "effect_done",
            Self::EffectFailed { .. } => "effect_failed",
            Self::EffectUnknown { .. } => "effect_unknown",
            Self::EffectHeld { .. } => "effect_held",
            Self::LookedUp { .. } => "looked_up",
            Self::TimerFired { .. } => "timer_fired",
            Self::LookedBack { .. } => "looked_back",
            Self::RunEnded { .. } => "run_ended",
            Self::CallEnded { .. } => "call_ended",
            Self::Decided { .. } => "decided",
            Self::Cancelled { .. } => "cancelled",
            Self::Recovered => "recovered",
        }
    }
}

/// Why an effect was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    /// The provider's code, or ours: `21610`, `http_404`, `opted_out`.
    pub code: String,
    /// What happened, for a person.
    pub message: String,
    /// How long the provider asks to be left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    Temporary,
    Permanent,
}

/// What a look-up of an effect in doubt found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Finding {
    /// It was carried out.
    Present {
        provider_id: Option<String>,
        output: Value,
    },
    /// It was not carried out.
    Absent,
    /// The provider cannot say.
    CannotTell { reason: String },
}

/// A person's choice for an effect whose outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Send it again, under the same key.
    Resend,
    /// Go on as if it had been carried out.
    Skip,
}
