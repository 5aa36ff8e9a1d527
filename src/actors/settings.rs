//! The configuration sections that the actors own.

use serde::Deserialize;

/// `[calls]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallsSettings {
    /// Seconds without any sign of life before a call is looked up and closed.
    pub lost_after_s: u64,
}

/// What effects do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectsMode {
    /// Providers are called.
    Live,
    /// What would have been sent is recorded.
    Outbox,
}

/// `[effects]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectsSettings {
    pub mode: EffectsMode,
    /// Effects of one provider under way at once.
    pub concurrency: usize,
}
