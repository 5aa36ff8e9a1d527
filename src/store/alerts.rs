//! Alerts.

use async_trait::async_trait;

use super::{Page, PageRequest, Recorded, StoreResult};
use crate::domain::{
    alert::Alert,
    ids::{AccountId, AlertId, UserId},
    time::Timestamp,
};

#[async_trait]
pub trait AlertStore: Send + Sync {
    /// A second alert under the same id changes nothing.
    async fn raise(&self, alert: Alert) -> StoreResult<Recorded>;
    /// Marks it seen; the first person stays. Returns the alert and whether this call was the first.
    async fn acknowledge(
        &self,
        account_id: AccountId,
        id: AlertId,
        by: UserId,
        at: Timestamp,
    ) -> StoreResult<(Alert, Recorded)>;
    /// Writes a note to it in place of the one before; `None` takes it away.
    async fn annotate(&self, account_id: AccountId, id: AlertId, note: Option<String>) -> StoreResult<Alert>;
    /// One that is not there is gone already.
    async fn delete(&self, account_id: AccountId, id: AlertId) -> StoreResult<()>;
    async fn get(&self, account_id: AccountId, id: AlertId) -> StoreResult<Alert>;
    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<Alert>>;
}
