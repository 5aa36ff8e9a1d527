//! What the door of incoming webhooks has at hand: each one's mapping, remembered for a moment, and its last deliveries.
//!
//! Deliveries are put together here and written once a second, so that a webhook that is posted to a thousand times a second costs one
//! write more a second, not a thousand. What a crash takes is the last second of what is shown; the events themselves are on disk.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{context::Context, error::ApiError};
use crate::{
    domain::{
        ids::{AccountId, WebhookId},
        observation::EventType,
        secret::Secret,
        webhook_rule::{DELIVERIES_MAX, Delivery, DeliveryLog, WebhookRule},
    },
    integrations::incoming::{Source, Translated},
    store::{
        Recorded, Store, StoreError, StoreResult,
        resources::{ResourceAddress, ResourceRow},
    },
};

/// How long a mapping is remembered: another node's change takes as long.
const REMEMBERED: Duration = Duration::from_secs(1);
/// Mappings that are remembered; beyond it they are read anew.
const RULES_MAX: usize = 10_000;
/// Between two writes of deliveries.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Webhooks whose deliveries wait to be written; those of further ones are not shown.
const WAITING_MAX: usize = 256;
const TRIES_MAX: u32 = 10;

/// The desk. Cheap to clone.
#[derive(Clone)]
pub struct WebhookDesk(Arc<Parts>);

struct Parts {
    store: Store,
    rules: Mutex<BTreeMap<WebhookId, Remembered>>,
    waiting: Mutex<BTreeMap<(AccountId, WebhookId), Vec<Delivery>>>,
}

/// A mapping with when it was read; `None` for a webhook that has none.
type Remembered = (Instant, Option<Arc<WebhookRule>>);

/// What a request means after the mapping was asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Meant {
    Ours(EventType),
    /// For `webhook` triggers of this name.
    Named(String),
    /// The mapping leaves it out.
    Nothing,
}

impl WebhookDesk {
    /// Begins to write deliveries.
    #[must_use]
    pub fn start(store: Store) -> Self {
        let desk = Self(Arc::new(Parts {
            store,
            rules: Mutex::default(),
            waiting: Mutex::default(),
        }));
        let writing = desk.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(WRITE_EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                writing.write().await;
            }
        });
        desk
    }

    /// The mapping of a webhook, if it has one.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn rule_of(
        &self,
        account_id: AccountId,
        id: WebhookId,
    ) -> StoreResult<Option<Arc<WebhookRule>>> {
        let now = Instant::now();
        {
            let rules = self.0.rules.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((read_at, rule)) = rules.get(&id)
                && now.duration_since(*read_at) < REMEMBERED
            {
                return Ok(rule.clone());
            }
        }
        let rule = match self.0.store.resources.get(rule_address(account_id, id)).await {
            Ok(row) => Some(Arc::new(row.read()?)),
            Err(StoreError::Missing { .. }) => None,
            Err(error) => return Err(error),
        };
        let mut rules = self.0.rules.lock().unwrap_or_else(PoisonError::into_inner);
        if rules.len() >= RULES_MAX {
            rules.clear();
        }
        rules.insert(id, (now, rule.clone()));
        Ok(rule)
    }

    /// Forgets a mapping: it was changed.
    pub fn forget(&self, id: WebhookId) {
        self.0
            .rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
    }

    /// Takes note of a delivery.
    pub fn note(&self, (account_id, id): (AccountId, WebhookId), delivery: Delivery) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= WAITING_MAX && !waiting.contains_key(&(account_id, id)) {
            metrics::counter!("patchcord_webhook_deliveries_not_shown_total").increment(1);
            return;
        }
        let deliveries = waiting.entry((account_id, id)).or_default();
        if deliveries.len() >= DELIVERIES_MAX {
            deliveries.remove(0);
        }
        deliveries.push(delivery);
    }

    /// The last deliveries of a webhook, newest first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn deliveries(&self, account_id: AccountId, id: WebhookId) -> StoreResult<Vec<Delivery>> {
        let more = self.take(account_id, id);
        self.keep(account_id, id, &more).await
    }

    fn take(&self, account_id: AccountId, id: WebhookId) -> Vec<Delivery> {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.remove(&(account_id, id)).unwrap_or_default()
    }

    async fn write(&self) {
        let keys: Vec<_> = {
            let waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.keys().copied().collect()
        };
        for (account_id, id) in keys {
            let more = self.take(account_id, id);
            if let Err(error) = self.keep(account_id, id, &more).await {
                tracing::warn!(webhook_id = %id, %error, "deliveries of a webhook are not shown");
            }
        }
    }

    /// Writes deliveries beside those that are kept. Returns all of them.
    async fn keep(
        &self,
        account_id: AccountId,
        id: WebhookId,
        more: &[Delivery],
    ) -> StoreResult<Vec<Delivery>> {
        let resources = &self.0.store.resources;
        for _ in 0..TRIES_MAX {
            let stored = match resources.get(log_address(account_id, id)).await {
                Ok(row) => Some(row),
                Err(StoreError::Missing { .. }) => None,
                Err(error) => return Err(error),
            };
            let before = match &stored {
                Some(row) => row.read()?,
                None => DeliveryLog {
                    webhook_id: id,
                    account_id,
                    deliveries: Vec::new(),
                },
            };
            if more.is_empty() {
                return Ok(before.deliveries);
            }
            let log = before.with(more);
            let written = match &stored {
                Some(row) => resources.replace(row.next(&log)?).await.map(|()| Recorded::Fresh),
                None => resources.create(ResourceRow::first(&log)?).await,
            };
            match written {
                Ok(Recorded::Fresh) => return Ok(log.deliveries),
                // Somebody else was faster.
                Ok(Recorded::Duplicate) | Err(StoreError::Moved { .. } | StoreError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Busy)
    }

    /// Drops what is kept beside a webhook that is gone.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn drop_all(&self, account_id: AccountId, id: WebhookId) -> StoreResult<()> {
        self.take(account_id, id);
        self.forget(id);
        for address in [rule_address(account_id, id), log_address(account_id, id)] {
            match self.0.store.resources.delete(address).await {
                Ok(()) | Err(StoreError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Where the mapping of a webhook is kept.
#[must_use]
pub fn rule_address(account_id: AccountId, id: WebhookId) -> ResourceAddress {
    ResourceAddress::of::<WebhookRule>(account_id, *id.as_bytes())
}

fn log_address(account_id: AccountId, id: WebhookId) -> ResourceAddress {
    ResourceAddress::of::<DeliveryLog>(account_id, *id.as_bytes())
}

/// The service that a mapping names.
#[must_use]
pub fn source_of(rule: &WebhookRule) -> Source {
    // What is stored was a source when it was written.
    serde_json::from_value(serde_json::Value::String(rule.source.clone())).unwrap_or(Source::Form)
}

/// What a request means: as the mapping says, else as the service's own words are known, else by its name. A form's name is the webhook's.
#[must_use]
pub fn meant(rule: &WebhookRule, webhook_name: &str, read: &Translated) -> Meant {
    match (rule.events.get(&read.word).map(String::as_str), &read.kind) {
        (Some(""), _) => Meant::Nothing,
        (Some(word), _) => match EventType::ours(word).filter(|kind| *kind != EventType::WEBHOOK) {
            Some(kind) => Meant::Ours(kind),
            None => Meant::Named(word.to_owned()),
        },
        (None, Some(kind)) => Meant::Ours(kind.clone()),
        (None, None) if source_of(rule) == Source::Form => Meant::Named(webhook_name.to_owned()),
        (None, None) => Meant::Named(read.word.clone()),
    }
}

/// Seals a secret that a service signs with.
///
/// # Errors
/// When it cannot be sealed.
pub fn sealed(context: &Context, id: WebhookId, secret: &Secret) -> Result<String, ApiError> {
    let secret = Secret::new(secret.expose().trim().to_owned());
    Ok(context.sealing.seal(&purpose(id), &secret)?)
}

/// What a secret is sealed for: it opens for its own webhook only.
fn purpose(id: WebhookId) -> String {
    format!("secret of the service behind {id}")
}

/// Opens a secret that a service signs with.
///
/// # Errors
/// When it was sealed under another key.
pub fn opened(context: &Context, id: WebhookId, sealed: &str) -> Result<Secret, ApiError> {
    Ok(context.sealing.open(&purpose(id), sealed)?)
}
