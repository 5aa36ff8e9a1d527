//! Twilio's words for our states, as its REST API and its callbacks use them.

use crate::domain::{call::CallStatus, message::MessageStatus};

/// A call's state; `None` for a word Twilio did not use when this was written.
#[must_use]
pub fn call_status(word: &str) -> Option<CallStatus> {
    Some(match word {
        "queued" => CallStatus::Queued,
        "initiated" => CallStatus::Initiated,
        "ringing" => CallStatus::Ringing,
        "in-progress" => CallStatus::InProgress,
        // A dialled conference that was joined ends as "answered".
        "completed" | "answered" => CallStatus::Completed,
        "busy" => CallStatus::Busy,
        "failed" => CallStatus::Failed,
        "no-answer" => CallStatus::NoAnswer,
        "canceled" => CallStatus::Canceled,
        _ => return None,
    })
}

/// An outbound message's state; a word we do not know is at least a message that Twilio took.
#[must_use]
pub fn message_status(word: &str) -> MessageStatus {
    match word {
        "sending" => MessageStatus::Sending,
        "sent" => MessageStatus::Sent,
        "delivered" | "read" | "partially_delivered" => MessageStatus::Delivered,
        "undelivered" => MessageStatus::Undelivered,
        "failed" | "canceled" => MessageStatus::Failed,
        _ => MessageStatus::Queued,
    }
}
