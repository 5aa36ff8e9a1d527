//! One store: every aggregate's implementation behind one handle.

use std::{ops::Deref, sync::Arc};

use super::{
    AccountStore, AlertStore, AuditStore, CallStore, ContactStore, KeyringStore, LeadStore, LeaseStore,
    MessageStore, ObservationStore, ResourceStore, RunStore, ScheduleStore, TaskStore, WebhookStore,
    WorkflowStore,
};

/// One store. Cheap to clone: everything holds it, and every request clones it.
#[derive(Clone)]
pub struct Store(Arc<Aggregates>);

impl From<Aggregates> for Store {
    fn from(aggregates: Aggregates) -> Self {
        Self(Arc::new(aggregates))
    }
}

impl Deref for Store {
    type Target = Aggregates;

    fn deref(&self) -> &Aggregates {
        &self.0
    }
}

/// Every aggregate of one store.
#[derive(Clone)]
pub struct Aggregates {
    pub accounts: Arc<dyn AccountStore>,
    pub workflows: Arc<dyn WorkflowStore>,
    pub runs: Arc<dyn RunStore>,
    pub leads: Arc<dyn LeadStore>,
    pub calls: Arc<dyn CallStore>,
    pub observations: Arc<dyn ObservationStore>,
    pub alerts: Arc<dyn AlertStore>,
    pub tasks: Arc<dyn TaskStore>,
    pub messages: Arc<dyn MessageStore>,
    pub schedules: Arc<dyn ScheduleStore>,
    pub contacts: Arc<dyn ContactStore>,
    pub webhooks: Arc<dyn WebhookStore>,
    pub resources: Arc<dyn ResourceStore>,
    pub leases: Arc<dyn LeaseStore>,
    pub audit: Arc<dyn AuditStore>,
    pub keyring: Arc<dyn KeyringStore>,
}
