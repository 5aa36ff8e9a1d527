//! Observations: facts about calls, leads and messages.
//!
//! One vocabulary for everything: what triggers match, a lead's timeline keeps and the UI shows.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use super::{
    ids::{AccountId, CallId, LeadId, ObservationId, RunId},
    time::Timestamp,
    trace::TraceContext,
};

/// The dotted name of a kind of fact, `call.no_answer`. Accounts may add their own; ours are the constants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventType(Cow<'static, str>);

macro_rules! event_types {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        impl EventType {
            $($(#[$doc])* pub const $name: Self = Self(Cow::Borrowed($text));)+
            /// Every kind the product itself observes.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}

event_types! {
    /// Started by a person or the API, not by a fact.
    MANUAL = "manual";
    CALL_STARTED = "call.started";
    CALL_COMPLETED = "call.completed";
    CALL_NO_ANSWER = "call.no_answer";
    CALL_BUSY = "call.busy";
    CALL_FAILED = "call.failed";
    CALL_VOICEMAIL = "call.voicemail";
    CALL_SENTIMENT_NEGATIVE = "call.sentiment_negative";
    CALL_SENTIMENT_POSITIVE = "call.sentiment_positive";
    CALL_KEYWORD = "call.keyword";
    CALL_SILENCE = "call.silence";
    LEAD_CREATED = "lead.created";
    LEAD_UPDATED = "lead.updated";
    LEAD_QUALIFIED = "lead.qualified";
    LEAD_BIRTHDAY = "lead.birthday";
    LEAD_OPTED_OUT = "lead.opted_out";
    SMS_RECEIVED = "sms.received";
    APPOINTMENT_BOOKED = "appointment.booked";
    APPOINTMENT_CANCELLED = "appointment.cancelled";
    APPOINTMENT_NO_SHOW = "appointment.no_show";
    QUOTE_SENT = "quote.sent";
    QUOTE_UNPAID = "quote.unpaid";
    PAYMENT_RECEIVED = "payment.received";
    PAYMENT_FAILED = "payment.failed";
    PURCHASE_COMPLETED = "purchase.completed";
    SURVEY_ANSWERED = "survey.answered";
    TASK_COMPLETED = "task.completed";
    USAGE_THRESHOLD = "usage.threshold";
    SCHEDULE = "schedule";
    WEBHOOK = "webhook";
}

impl EventType {
    /// Wraps a name an account chose.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Cow::Owned(text.into()))
    }

    /// The kind of ours that `word` names, its parts joined by dots or underscores: `payment.received`, `payment_received`.
    #[must_use]
    pub fn ours(word: &str) -> Option<Self> {
        fn plain(text: &str) -> impl Iterator<Item = u8> {
            text.bytes().map(|byte| if byte == b'.' { b'_' } else { byte })
        }
        Self::ALL
            .iter()
            .find(|kind| plain(kind.as_str()).eq(plain(word)))
            .cloned()
    }

    /// The dotted name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Observation {
    /// The place of what comes of this fact, below where it was observed.
    #[must_use]
    pub fn place(&self) -> Option<TraceContext> {
        self.trace
            .map(|trace| trace.derived(&[b"fact", self.id.as_bytes()]))
    }
}

/// One observed fact. Recording it twice under one id records it once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    pub id: ObservationId,
    pub account_id: AccountId,
    #[serde(rename = "type")]
    pub kind: EventType,
    pub at: Timestamp,
    pub lead_id: Option<LeadId>,
    pub call_id: Option<CallId>,
    /// The run whose effect led to this fact, when one did.
    pub caused_by: Option<RunId>,
    /// Where it stands in a trace, when it is traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
    /// What is known about it. For call facts with evidence: `excerpt`, `score`, `rule`, `start_ms`, `end_ms`.
    pub data: serde_json::Value,
}
