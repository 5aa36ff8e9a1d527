//! Workflows: a draft to edit and numbered versions that never change.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Page, PageRequest, StoreResult};
use crate::domain::{
    ids::{AccountId, WorkflowId},
    time::Timestamp,
};

/// A workflow's own row. The definitions are JSON as `workflows::definition` reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkflowRow {
    pub id: WorkflowId,
    pub account_id: AccountId,
    pub name: String,
    pub enabled: bool,
    /// What is being edited.
    pub draft: String,
    /// The newest published version; 0 before the first.
    pub published: u32,
    /// The trigger's type of the published version: what routing looks up.
    pub trigger: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Counts edits; an update must carry the one it read.
    pub revision: u64,
}

/// A published version. Never changes.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowVersion {
    pub workflow_id: WorkflowId,
    pub version: u32,
    pub definition: String,
    pub published_at: Timestamp,
}

#[async_trait]
pub trait WorkflowStore: Send + Sync {
    /// Creates a workflow, with its first version when `version` is given.
    async fn create(&self, row: WorkflowRow, version: Option<WorkflowVersion>) -> StoreResult<()>;
    /// Replaces the row and adds `version` when given. `Moved` when `row.revision` is not the stored one plus 1.
    async fn update(&self, row: WorkflowRow, version: Option<WorkflowVersion>) -> StoreResult<()>;
    async fn delete(&self, account_id: AccountId, id: WorkflowId) -> StoreResult<()>;
    async fn get(&self, account_id: AccountId, id: WorkflowId) -> StoreResult<WorkflowRow>;
    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<WorkflowRow>>;
    async fn version(&self, id: WorkflowId, version: u32) -> StoreResult<WorkflowVersion>;
    async fn versions(&self, account_id: AccountId, id: WorkflowId) -> StoreResult<Vec<WorkflowVersion>>;
    /// Enabled and published workflows of an account whose trigger has this type, oldest first.
    async fn triggered_by(&self, account_id: AccountId, trigger: &str) -> StoreResult<Vec<WorkflowRow>>;
}
