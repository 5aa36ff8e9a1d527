//! Payments: money that came from a lead, or did not.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    ids::{AccountId, LeadId, PaymentId, QuoteId},
    observation::EventType,
    resource::{ResourceKey, eventful, resource},
    time::Timestamp,
};

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// It is on its way.
    Pending,
    /// It is here.
    Received,
    /// It did not come through.
    Failed,
    /// It was given back.
    Refunded,
}

impl PaymentStatus {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Received => "received",
            Self::Failed => "failed",
            Self::Refunded => "refunded",
        }
    }
}

/// Money from a lead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Payment {
    #[schema(value_type = String)]
    pub id: PaymentId,
    #[schema(value_type = String)]
    pub account_id: AccountId,
    /// Whom it is about.
    #[schema(value_type = Option<String>)]
    pub lead_id: Option<LeadId>,
    /// What was paid for; ends the wait of `quote.unpaid`.
    #[schema(value_type = Option<String>)]
    pub quote_id: Option<QuoteId>,
    /// In minor units: cents.
    pub amount: i64,
    /// ISO 4217, in lower case.
    pub currency: String,
    /// How it was paid: `card`, `transfer`, `cash`.
    pub method: Option<String>,
    /// The number that others know it by: an invoice, a transaction.
    pub reference: Option<String>,
    /// Why it failed, in the words of whoever said so.
    pub reason: Option<String>,
    pub status: PaymentStatus,
    /// Counts changes, from 1; send it as `If-Match` with a change.
    pub revision: u64,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

resource!(Payment as Payment by id {
    fn group(&self) -> Option<ResourceKey> {
        self.lead_id.map(|id| *id.as_bytes())
    }

    fn state(&self) -> &'static str {
        self.status.as_str()
    }
});

eventful!(Payment {
    fn event(&self, before: Option<&Self>) -> Option<EventType> {
        if before.is_some_and(|before| before.status == self.status) {
            return None;
        }
        match self.status {
            PaymentStatus::Received => Some(EventType::PAYMENT_RECEIVED),
            PaymentStatus::Failed => Some(EventType::PAYMENT_FAILED),
            PaymentStatus::Pending | PaymentStatus::Refunded => None,
        }
    }

    fn data(&self) -> Value {
        let mut data = json!({
            "id": self.id, "payment_id": self.id, "status": self.status, "source": "api",
            "amount": self.amount, "currency": self.currency, "method": self.method, "reference": self.reference,
            "reason": self.reason,
        });
        // Without a quote it may be for any: the key must not be there then.
        if let Some(quote_id) = self.quote_id {
            data["quote_id"] = json!(quote_id);
        }
        data
    }

    fn lead_id(&self) -> Option<LeadId> {
        self.lead_id
    }
});
