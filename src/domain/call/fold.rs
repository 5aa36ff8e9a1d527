//! Folds facts into a call's record.
//!
//! In: a record, one fact, the time. Out: what changed that others should hear of, each at most once per call.

use super::{Call, CallFact};
use crate::domain::time::Timestamp;

/// What a fact changed about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallChange {
    /// The record differs from before; the live view should be told.
    Updated,
    /// The two sides can hear each other.
    Answered,
    /// Nobody answered: `call.no_answer`.
    Unanswered,
    /// `call.busy`.
    Busy,
    /// `call.failed`.
    Failed,
    /// A machine answered or the caller left a message: `call.voicemail`.
    Voicemail,
    /// The call is over, however it ended.
    Ended,
}

impl Call {
    /// Folds one fact in and returns what changed.
    pub fn apply(&mut self, fact: &CallFact, at: Timestamp) -> Vec<CallChange> {
        let _ = (fact, at);
        Vec::new()
    }
}
