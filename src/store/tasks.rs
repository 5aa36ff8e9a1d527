//! Tasks.

use async_trait::async_trait;

use super::{Page, PageRequest, Recorded, StoreResult};
use crate::domain::{
    ids::{AccountId, TaskId},
    task::Task,
};

#[async_trait]
pub trait TaskStore: Send + Sync {
    /// A second task under the same id changes nothing.
    async fn create(&self, task: Task) -> StoreResult<Recorded>;
    /// Replaces a task whole.
    async fn update(&self, task: Task) -> StoreResult<()>;
    /// One that is not there is gone already.
    async fn delete(&self, account_id: AccountId, id: TaskId) -> StoreResult<()>;
    async fn get(&self, account_id: AccountId, id: TaskId) -> StoreResult<Task>;
    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<Task>>;
}
