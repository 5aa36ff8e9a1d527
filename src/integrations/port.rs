//! The effect port: the one way from a run to the world.
//!
//! A dry run, a backtest and the outbox put another implementation in its place and nothing else changes.

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    store::StoreError,
    workflows::{Effect, Failure, FailureKind, Finding},
};

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum EffectOutcome {
    /// It was carried out.
    Confirmed {
        /// The provider's name for it, when it gives one.
        provider_id: Option<String>,
        /// What the node's output becomes.
        output: Value,
    },
    /// It was definitely not carried out.
    Rejected(Failure),
    /// It may have been carried out.
    Unknown { message: String },
}

impl EffectOutcome {
    /// What became of it, in a word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Confirmed { .. } => "confirmed",
            Self::Rejected(_) => "rejected",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// A refusal that trying again does not change.
    #[must_use]
    pub fn permanent(code: &str, message: impl Into<String>) -> Self {
        Self::Rejected(Failure {
            kind: FailureKind::Permanent,
            code: code.to_owned(),
            message: message.into(),
            retry_after: None,
        })
    }

    /// Nothing was done, and it may work later.
    #[must_use]
    pub fn temporary(code: &str, message: impl Into<String>) -> Self {
        Self::Rejected(Failure {
            kind: FailureKind::Temporary,
            code: code.to_owned(),
            message: message.into(),
            retry_after: None,
        })
    }

    /// The store failed before anything was sent. While it is away the attempt does not count: [`AWAY`] says so.
    #[must_use]
    pub fn store_failed(error: &StoreError) -> Self {
        let is_away = matches!(error, StoreError::Busy | StoreError::Unavailable(_));
        Self::temporary(if is_away { AWAY } else { "store" }, error.to_string())
    }
}

/// The code of a failure of the store alone, before anything was sent.
pub const AWAY: &str = "store_away";

/// Whoever can carry effects out.
#[async_trait]
pub trait EffectPort: Send + Sync {
    /// Carries an effect out. Its claim is on disk before this is called. Answers within 50 s.
    async fn execute(&self, effect: &Effect) -> EffectOutcome;
    /// Finds out whether an effect whose outcome is unknown was carried out. May take 90 s: what was sent shows late.
    async fn settle(&self, effect: &Effect) -> Finding;
}
