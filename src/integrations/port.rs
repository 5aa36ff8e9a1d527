//! The effect port: the one way by which a run reaches the world.
//!
//! In: an effect whose claim is on disk. Out: what became of it. Swapping the port is how a dry run stays dry.

use async_trait::async_trait;
use serde_json::Value;

use crate::workflows::{Effect, Failure, Finding};

/// What became of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum EffectOutcome {
    /// The provider has it.
    Confirmed {
        provider_id: Option<String>,
        /// What the node's output becomes.
        output: Value,
    },
    /// Definitely not carried out: nothing left the machine, or the provider refused.
    Rejected(Failure),
    /// A time-out, a reset or a 5xx after bytes were sent: it may have been carried out.
    Unknown { message: String },
}

/// Carries effects out. Every method ends by itself: each external call has a time-out.
#[async_trait]
pub trait EffectPort: Send + Sync {
    /// Carries the effect out once.
    async fn execute(&self, effect: &Effect) -> EffectOutcome;
    /// Finds out whether an effect in doubt was carried out. Looks from `effect.planned_at` on.
    async fn settle(&self, effect: &Effect) -> Finding;
}
