//! The messages of the live stream, as the public contract names them.

use serde::{Deserialize, Serialize};

pub use crate::domain::run::StepStatus;
use crate::domain::{
    alert::Alert,
    audio::Speaker,
    call::Call,
    ids::{AccountId, AlertId, CallId, LeadId, RunId, UserId, WorkflowId},
    sentiment::Sentiment,
    time::Timestamp,
};

/// One thing that just happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum LiveFact {
    #[serde(rename = "call.started")]
    CallStarted { call: Box<Call> },
    #[serde(rename = "call.updated")]
    CallUpdated { call: Box<Call> },
    #[serde(rename = "call.ended")]
    CallEnded { call: Box<Call> },
    /// Words that may still change; `stable` is the part two decodings agreed on.
    #[serde(rename = "transcript.partial")]
    TranscriptPartial {
        call_id: CallId,
        speaker: Speaker,
        text: String,
        stable: String,
        start_ms: u64,
        end_ms: u64,
    },
    #[serde(rename = "transcript.final")]
    TranscriptFinal {
        call_id: CallId,
        ordinal: u32,
        speaker: Speaker,
        text: String,
        start_ms: u64,
        end_ms: u64,
        sentiment: Option<Sentiment>,
    },
    /// Speech that was not turned into words: too much was waiting, or no model is loaded.
    #[serde(rename = "transcript.shed")]
    TranscriptShed {
        call_id: CallId,
        speaker: Speaker,
        start_ms: u64,
        end_ms: u64,
    },
    /// The customer's running sentiment after a turn.
    #[serde(rename = "sentiment.trend")]
    SentimentTrend { call_id: CallId, trend: f32, at_ms: u64 },
    #[serde(rename = "alert.raised")]
    AlertRaised { alert: Box<Alert> },
    #[serde(rename = "alert.acked")]
    AlertAcked { alert_id: AlertId, by: UserId },
    #[serde(rename = "run.started")]
    RunStarted {
        run_id: RunId,
        workflow_id: WorkflowId,
        name: String,
        trigger: String,
        lead_id: Option<LeadId>,
        call_id: Option<CallId>,
    },
    /// A node began, ended, waits or failed.
    #[serde(rename = "run.step")]
    RunStep {
        run_id: RunId,
        node: String,
        kind: String,
        status: StepStatus,
        detail: serde_json::Value,
        call_id: Option<CallId>,
    },
    #[serde(rename = "run.ended")]
    RunEnded {
        run_id: RunId,
        status: String,
        error: Option<String>,
        call_id: Option<CallId>,
    },
}

impl LiveFact {
    /// The call it is about, when it is about one.
    #[must_use]
    pub fn call_id(&self) -> Option<CallId> {
        match self {
            Self::CallStarted { call } | Self::CallUpdated { call } | Self::CallEnded { call } => {
                Some(call.id)
            }
            Self::TranscriptPartial { call_id, .. }
            | Self::TranscriptFinal { call_id, .. }
            | Self::TranscriptShed { call_id, .. }
            | Self::SentimentTrend { call_id, .. } => Some(*call_id),
            Self::AlertRaised { alert } => alert.call_id,
            Self::AlertAcked { .. } => None,
            Self::RunStarted { call_id, .. }
            | Self::RunStep { call_id, .. }
            | Self::RunEnded { call_id, .. } => *call_id,
        }
    }

    /// Its name in the stream, `call.started`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::CallStarted { .. } => "call.started",
            Self::CallUpdated { .. } => "call.updated",
            Self::CallEnded { .. } => "call.ended",
            Self::TranscriptPartial { .. } => "transcript.partial",
            Self::TranscriptFinal { .. } => "transcript.final",
            Self::TranscriptShed { .. } => "transcript.shed",
            Self::SentimentTrend { .. } => "sentiment.trend",
            Self::AlertRaised { .. } => "alert.raised",
            Self::AlertAcked { .. } => "alert.acked",
            Self::RunStarted { .. } => "run.started",
            Self::RunStep { .. } => "run.step",
            Self::RunEnded { .. } => "run.ended",
        }
    }
}

/// A fact with its place in the stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveMessage {
    /// Opaque; give it back as `since` to go on from here.
    pub cursor: String,
    pub at: Timestamp,
    #[serde(skip)]
    pub account_id: AccountId,
    #[serde(flatten)]
    pub fact: LiveFact,
}
