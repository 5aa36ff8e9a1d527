//! Triggers by the clock: how far each has come, and what it asks of the other aggregates.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{StoreResult, workflows::WorkflowRow};
use crate::domain::{
    ids::{AccountId, LeadId, WorkflowId},
    lead::Lead,
    observation::{EventType, Observation},
    time::Timestamp,
};

/// Up to when a published version has started everything it is due to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Considered {
    pub version: u32,
    pub until: Timestamp,
}

#[async_trait]
pub trait ScheduleStore: Send + Sync {
    /// Scan over all accounts: enabled and published workflows whose trigger has one of these types, oldest first.
    async fn live(&self, kinds: &[EventType]) -> StoreResult<Vec<WorkflowRow>>;
    /// Scan over all accounts: how far each workflow has come.
    async fn considered(&self) -> StoreResult<BTreeMap<WorkflowId, Considered>>;
    /// Keeps how far a workflow has come. One that has come farther under the same version stays there.
    async fn consider(&self, id: WorkflowId, considered: Considered) -> StoreResult<()>;
    /// Forgets a workflow that is no longer live: it begins anew when it is again.
    async fn forget(&self, id: WorkflowId) -> StoreResult<()>;
    /// An account's facts of this type (`quote.sent` or `purchase.completed`) after `from` and not after `until`, oldest first.
    async fn facts(
        &self,
        account_id: AccountId,
        kind: &EventType,
        from: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<Observation>>;
    /// An account's leads whose birthday is on this day (`MM-DD`), by id, after `after`.
    async fn born_on(
        &self,
        account_id: AccountId,
        day: &str,
        after: Option<LeadId>,
        limit: u32,
    ) -> StoreResult<Vec<Lead>>;
}
