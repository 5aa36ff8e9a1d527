//! What lives in shards: told when shards come and go.

use async_trait::async_trait;

use crate::domain::shard::Shard;

/// Everything that acts for shards on this node.
#[async_trait]
pub trait Household: Send + Sync {
    /// These shards are this node's: whatever they hold is taken up.
    async fn gained(&self, shards: Vec<Shard>);
    /// These shards are not this node's any more: whatever acts for them stops. Returns when it has, or will not.
    async fn lost(&self, shards: Vec<Shard>);
}
