//! The keys of a store, which the store has sealed under the master key only.

use async_trait::async_trait;

use super::StoreResult;
use crate::domain::sealing::WrappedKeys;

/// The keys of a store: one row.
#[async_trait]
pub trait KeyringStore: Send + Sync {
    /// The keys, when they were ever made.
    async fn wrapped_keys(&self) -> StoreResult<Option<WrappedKeys>>;
    /// Puts `next` in the place of `before`. Returns what stands there afterwards: somebody else may have been faster.
    async fn rewrap(&self, before: Option<WrappedKeys>, next: WrappedKeys) -> StoreResult<WrappedKeys>;
}
