//! What a check found.

use std::fmt;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    Good(String),
    Failed {
        said: String,
        /// What to do.
        fix: String,
    },
    /// Nothing to check, and why.
    Skipped(String),
}

impl Finding {
    pub fn good(said: impl Into<String>) -> Self {
        Self::Good(said.into())
    }

    pub fn failed(said: impl fmt::Display, fix: impl Into<String>) -> Self {
        Self::Failed {
            said: said.to_string(),
            fix: fix.into(),
        }
    }

    pub fn skipped(why: impl Into<String>) -> Self {
        Self::Skipped(why.into())
    }
}
