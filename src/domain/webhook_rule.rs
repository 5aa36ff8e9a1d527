//! What is kept beside an incoming webhook: who posts there, and what came last.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    ids::{AccountId, DeliveryId, LeadId, ObservationId, WebhookId},
    resource::{Resource, ResourceKey, ResourceKind, resource},
    time::Timestamp,
};

/// Deliveries that are shown.
pub const DELIVERIES_MAX: usize = 10;

/// Who posts to a webhook, and what its words are with us.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookRule {
    pub webhook_id: WebhookId,
    pub account_id: AccountId,
    /// The word of the service.
    pub source: String,
    pub sealed_secret: Option<String>,
    pub events: BTreeMap<String, String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

resource!(WebhookRule as WebhookRule by webhook_id {
    fn state(&self) -> &'static str {
        "set"
    }
});

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryOutcome {
    /// Taken in.
    Accepted,
    /// It was taken in before.
    Duplicate,
    /// The mapping leaves it out.
    Ignored,
    /// Not readable, not signed, or wrong: `error` says why.
    Refused,
}

/// A request that came to a webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Delivery {
    #[schema(value_type = String)]
    pub id: DeliveryId,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub outcome: DeliveryOutcome,
    /// The event that it is with us.
    pub event: Option<String>,
    #[schema(value_type = Option<String>)]
    pub event_id: Option<ObservationId>,
    #[schema(value_type = Option<String>)]
    pub lead_id: Option<LeadId>,
    /// Why it was refused.
    pub error: Option<String>,
    /// The headers that matter; signatures are left out.
    pub headers: BTreeMap<String, String>,
    /// The body as it came, at most 16 KiB of it.
    pub body: String,
    /// Whether the body is there whole: only then it can be replayed.
    pub is_whole: bool,
    /// The service whose signature was checked and held; what such a service has not signed cannot be replayed as its own.
    #[serde(default)]
    pub signed_by: Option<String>,
    /// The delivery that this one replays.
    #[schema(value_type = Option<String>)]
    pub replay_of: Option<DeliveryId>,
}

/// The last deliveries of a webhook, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliveryLog {
    pub webhook_id: WebhookId,
    pub account_id: AccountId,
    pub deliveries: Vec<Delivery>,
}

impl DeliveryLog {
    /// The log with more in it: the newest ten, each once.
    #[must_use]
    pub fn with(mut self, more: &[Delivery]) -> Self {
        for delivery in more {
            if !self.deliveries.iter().any(|known| known.id == delivery.id) {
                self.deliveries.push(delivery.clone());
            }
        }
        self.deliveries
            .sort_by_key(|delivery| std::cmp::Reverse((delivery.at, delivery.id)));
        self.deliveries.truncate(DELIVERIES_MAX);
        self
    }
}

impl Resource for DeliveryLog {
    const KIND: ResourceKind = ResourceKind::Delivery;

    fn account_id(&self) -> AccountId {
        self.account_id
    }

    fn key(&self) -> ResourceKey {
        *self.webhook_id.as_bytes()
    }

    fn created_at(&self) -> Timestamp {
        Timestamp::default()
    }

    fn group(&self) -> Option<ResourceKey> {
        None
    }

    fn state(&self) -> &'static str {
        "kept"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(at: u64) -> Delivery {
        let at = Timestamp::from_unix_millis(at);
        Delivery {
            id: DeliveryId::derived(at, &[]),
            at,
            outcome: DeliveryOutcome::Accepted,
            event: None,
            event_id: None,
            lead_id: None,
            error: None,
            headers: BTreeMap::new(),
            body: String::new(),
            is_whole: true,
            signed_by: None,
            replay_of: None,
        }
    }

    #[test]
    fn the_newest_ten_stay_each_once() {
        let log = DeliveryLog {
            webhook_id: WebhookId::from_bytes([1; 16]),
            account_id: AccountId::from_bytes([2; 16]),
            deliveries: Vec::new(),
        };
        let first: Vec<_> = (0..8).map(delivery).collect();
        let second: Vec<_> = (5..14).map(delivery).collect();
        let log = log.with(&second).with(&first);
        let times: Vec<_> = log
            .deliveries
            .iter()
            .map(|delivery| delivery.at.as_unix_millis())
            .collect();
        assert_eq!(times, (4..14).rev().collect::<Vec<_>>());
    }
}
