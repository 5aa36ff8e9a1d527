//! Text messages in both directions, and whatever else the built-in outbox records instead of sending.

use serde::{Deserialize, Serialize};

use super::{
    call::CallPlan,
    ids::{AccountId, LeadId, MessageId, RunId},
    time::Timestamp,
};

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Sms,
    Email,
    /// A call that we place.
    Call,
    Slack,
    Webhook,
    Zapier,
    /// An entry in a calendar, as the outbox records it.
    Calendar,
    /// A row of a sheet, as the outbox records it.
    Sheet,
    /// A credit or a coupon, as the outbox records it.
    Stripe,
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Inbound,
    Outbound,
}

/// Where an outbound message stands. Ordered: a later word never yields to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// Recorded in the outbox; nothing left the machine.
    Outbox,
    Queued,
    Sending,
    Sent,
    Undelivered,
    Failed,
    Delivered,
    Received,
}

impl MessageStatus {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outbox => "outbox",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
            Self::Received => "received",
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Message {
    #[schema(value_type = String)]
    pub id: MessageId,
    #[schema(value_type = String)]
    pub account_id: AccountId,
    pub channel: Channel,
    pub direction: Direction,
    /// The sender: a phone number, an e-mail address, a bot, or empty.
    pub from: String,
    /// The receiver: a phone number, e-mail addresses, a channel, a URL, a document, a customer.
    pub to: String,
    pub body: String,
    /// What happens when it is answered, for a call that we place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallPlan>,
    pub status: MessageStatus,
    /// The provider's id once it is known.
    pub provider_id: Option<String>,
    /// The provider's error as it came, e.g. `30006 landline`.
    pub error: Option<String>,
    #[schema(value_type = Option<String>)]
    pub lead_id: Option<LeadId>,
    #[schema(value_type = Option<String>)]
    pub run_id: Option<RunId>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}
