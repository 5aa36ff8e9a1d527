//! How a call ended, for whoever waits for it.
//!
//! In: a call's record, or the facts that are told about it, which name these fields alike. Out: one word.

use serde::{Deserialize, Serialize};

use super::{AnsweredBy, Call, CallStatus};

/// The end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEnd {
    pub status: CallStatus,
    #[serde(default)]
    pub answered_by: Option<AnsweredBy>,
    #[serde(default)]
    pub duration_s: Option<u32>,
}

/// What a call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// A person answered, or nobody looked whether it was one.
    Answered,
    Machine,
    NoAnswer,
    Busy,
    /// It could not be connected, was cancelled, or was lost.
    Failed,
}

impl CallEnd {
    /// How the call ended; `None` while it goes on.
    #[must_use]
    pub fn of(call: &Call) -> Option<Self> {
        let end = Self {
            status: call.status,
            answered_by: call.answered_by,
            duration_s: call.duration_s,
        };
        call.status.is_terminal().then_some(end)
    }

    /// How the call ended by what a fact tells about it; `None` while it goes on, and for facts about something else.
    #[must_use]
    pub fn told(data: &serde_json::Value) -> Option<Self> {
        let end = Self::deserialize(data).ok()?;
        end.status.is_terminal().then_some(end)
    }

    /// What the call came to.
    #[must_use]
    pub fn outcome(self) -> CallOutcome {
        match self.status {
            CallStatus::Completed if self.answered_by.is_some_and(AnsweredBy::is_machine) => CallOutcome::Machine,
            CallStatus::Completed => CallOutcome::Answered,
            CallStatus::NoAnswer => CallOutcome::NoAnswer,
            CallStatus::Busy => CallOutcome::Busy,
            CallStatus::Failed
            | CallStatus::Canceled
            // It has not ended: nobody asks.
            | CallStatus::Queued
            | CallStatus::Initiated
            | CallStatus::Ringing
            | CallStatus::InProgress => CallOutcome::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fact_tells_the_end_once_the_call_is_over() {
        let told = |status: &str, answered_by: Option<&str>| {
            CallEnd::told(&json!({"direction": "outbound", "status": status, "answered_by": answered_by, "duration_s": 4}))
                .map(CallEnd::outcome)
        };
        assert_eq!(told("in_progress", Some("human")), None);
        assert_eq!(told("completed", None), Some(CallOutcome::Answered));
        assert_eq!(told("completed", Some("unknown")), Some(CallOutcome::Answered));
        assert_eq!(
            told("completed", Some("machine_end_beep")),
            Some(CallOutcome::Machine)
        );
        assert_eq!(told("no_answer", None), Some(CallOutcome::NoAnswer));
        assert_eq!(told("busy", None), Some(CallOutcome::Busy));
        assert_eq!(told("canceled", None), Some(CallOutcome::Failed));
        assert_eq!(CallEnd::told(&json!({"text": "hello"})), None);
    }
}
