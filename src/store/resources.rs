//! Resources: whatever is kept whole as one body, listed newest first, by group and by state.
//!
//! A row carries the facts that follow from its last change until they were handed on (`is_open`), so a change and its events are one
//! write, and whoever takes the row up after a crash hands the same facts on again, under the same ids.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Page, PageRequest, Recorded, StoreResult};
use crate::domain::{
    ids::AccountId,
    observation::Observation,
    resource::{Resource, ResourceKey, ResourceKind},
    shard::Shard,
    time::Timestamp,
};

/// A resource as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceRow {
    pub account_id: AccountId,
    pub kind: ResourceKind,
    pub id: ResourceKey,
    /// Its place in lists; it never changes.
    pub at: Timestamp,
    pub group: Option<ResourceKey>,
    pub state: String,
    /// Counts the writes of the row, from 1.
    pub revision: u64,
    /// Whether something is left to do: facts to hand on, rows to import.
    pub is_open: bool,
    /// What follows from the last change and may not have been handed on.
    pub facts: Vec<Observation>,
    pub body: Value,
}

impl ResourceRow {
    /// The row of a resource that is written for the first time.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be written as JSON.
    pub fn first<T: Resource>(resource: &T) -> StoreResult<Self> {
        Ok(Self {
            account_id: resource.account_id(),
            kind: T::KIND,
            id: resource.key(),
            at: resource.created_at(),
            group: resource.group(),
            state: resource.state().to_owned(),
            revision: 1,
            is_open: false,
            facts: Vec::new(),
            body: serde_json::to_value(resource)?,
        })
    }

    /// The row after this one, with nothing left to do.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be written as JSON.
    pub fn next<T: Resource>(&self, resource: &T) -> StoreResult<Self> {
        Ok(Self {
            revision: self.revision.saturating_add(1),
            at: self.at,
            ..Self::first(resource)?
        })
    }

    /// The same with facts to hand on.
    #[must_use]
    pub fn with_facts(mut self, facts: Vec<Observation>) -> Self {
        self.is_open = !facts.is_empty();
        self.facts = facts;
        self
    }

    /// The row after this one, when all that was left is done.
    #[must_use]
    pub fn settled(&self) -> Self {
        Self {
            revision: self.revision.saturating_add(1),
            is_open: false,
            facts: Vec::new(),
            ..self.clone()
        }
    }

    /// Where it is kept.
    #[must_use]
    pub const fn address(&self) -> ResourceAddress {
        ResourceAddress {
            account_id: self.account_id,
            kind: self.kind,
            id: self.id,
        }
    }

    /// The shard whose owner looks after what is left to do in it.
    #[must_use]
    pub const fn shard(&self) -> Shard {
        Shard::of(&self.id)
    }

    /// Reads the resource.
    ///
    /// # Errors
    /// `Unavailable` when it was written by a later program.
    pub fn read<T: Resource>(&self) -> StoreResult<T> {
        Ok(serde_json::from_value(self.body.clone())?)
    }
}

/// Which resources are wanted.
#[derive(Debug, Clone)]
pub struct ResourceFilter {
    pub kind: ResourceKind,
    pub group: Option<ResourceKey>,
    pub state: Option<String>,
}

impl ResourceFilter {
    /// All of a kind.
    #[must_use]
    pub const fn all(kind: ResourceKind) -> Self {
        Self {
            kind,
            group: None,
            state: None,
        }
    }

    /// All of a kind in a group.
    #[must_use]
    pub fn of_group(kind: ResourceKind, group: ResourceKey) -> Self {
        Self {
            group: Some(group),
            ..Self::all(kind)
        }
    }

    /// Whether a row is wanted.
    #[must_use]
    pub fn takes(&self, row: &ResourceRow) -> bool {
        self.kind == row.kind
            && self.group.is_none_or(|group| row.group == Some(group))
            && self.state.as_ref().is_none_or(|state| row.state == *state)
    }
}

/// Whose resource, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceAddress {
    pub account_id: AccountId,
    pub kind: ResourceKind,
    pub id: ResourceKey,
}

impl ResourceAddress {
    /// The address of a resource of this type.
    #[must_use]
    pub const fn of<T: Resource>(account_id: AccountId, id: ResourceKey) -> Self {
        let kind = T::KIND;
        Self { account_id, kind, id }
    }
}

#[async_trait]
pub trait ResourceStore: Send + Sync {
    /// A second row under the same id changes nothing.
    async fn create(&self, row: ResourceRow) -> StoreResult<Recorded>;
    /// Replaces the row before it: `Moved` when `row.revision` is not the one after what is stored.
    async fn replace(&self, row: ResourceRow) -> StoreResult<()>;
    async fn get(&self, address: ResourceAddress) -> StoreResult<ResourceRow>;
    async fn delete(&self, address: ResourceAddress) -> StoreResult<()>;
    /// Deletes a row in which nothing is left to do; one that is open stays, and is returned.
    async fn delete_done(&self, address: ResourceAddress) -> StoreResult<Option<ResourceRow>>;
    async fn list(
        &self,
        account_id: AccountId,
        filter: ResourceFilter,
        page: PageRequest,
    ) -> StoreResult<Page<ResourceRow>>;
    /// Recovery scan over all accounts: rows of a kind with something left to do, at most `limit`.
    async fn open(&self, kind: ResourceKind, limit: u32) -> StoreResult<Vec<ResourceRow>>;
}
