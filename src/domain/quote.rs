//! Quotes: what was offered to a lead, and what became of it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    ids::{AccountId, LeadId, QuoteId},
    observation::EventType,
    resource::{ResourceKey, eventful, resource},
    time::Timestamp,
};

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuoteStatus {
    /// It is being written.
    Draft,
    /// The lead has it.
    Sent,
    /// The lead said yes.
    Accepted,
    /// The lead said no.
    Declined,
    /// Its time is over.
    Expired,
    /// It was paid for.
    Paid,
}

impl QuoteStatus {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Declined => "declined",
            Self::Expired => "expired",
            Self::Paid => "paid",
        }
    }
}

/// An offer to a lead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Quote {
    #[schema(value_type = String)]
    pub id: QuoteId,
    #[schema(value_type = String)]
    pub account_id: AccountId,
    /// Whom it is about.
    #[schema(value_type = Option<String>)]
    pub lead_id: Option<LeadId>,
    /// What is offered.
    pub title: String,
    /// In minor units: cents.
    pub amount: i64,
    /// ISO 4217, in lower case.
    pub currency: String,
    /// Where the lead sees it.
    pub url: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_until: Option<Timestamp>,
    pub notes: String,
    pub status: QuoteStatus,
    /// Counts changes, from 1; send it as `If-Match` with a change.
    pub revision: u64,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

resource!(Quote as Quote by id {
    fn group(&self) -> Option<ResourceKey> {
        self.lead_id.map(|id| *id.as_bytes())
    }

    fn state(&self) -> &'static str {
        self.status.as_str()
    }
});

eventful!(Quote {
    fn event(&self, before: Option<&Self>) -> Option<EventType> {
        if before.is_some_and(|before| before.status == self.status) {
            return None;
        }
        match self.status {
            QuoteStatus::Sent => Some(EventType::QUOTE_SENT),
            QuoteStatus::Draft
            | QuoteStatus::Accepted
            | QuoteStatus::Declined
            | QuoteStatus::Expired
            | QuoteStatus::Paid => None,
        }
    }

    fn data(&self) -> Value {
        json!({
            "id": self.id, "quote_id": self.id, "status": self.status, "source": "api",
            "title": self.title, "amount": self.amount, "currency": self.currency, "url": self.url,
            "valid_until": self.valid_until,
        })
    }

    fn lead_id(&self) -> Option<LeadId> {
        self.lead_id
    }
});
