//! Leases: which node acts for which shard.
//!
//! A node says by one heartbeat that it lives; a shard's row changes only when the shard moves. A lease counts as long as its
//! owner's heartbeat does. Its epoch grows with every taking and travels with every append: whoever acts for a lease that was
//! taken from it is refused by the store ([`super::StoreError::Fenced`]), so leases only decide who tries.
//!
//! An owner must stop acting by its own monotonic clock well before its heartbeat is over, at two thirds of the time.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreResult;
use crate::domain::{ids::NodeId, shard::Shard};

/// A node that lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Drawn afresh by every process: a restarted one is another node.
    pub id: NodeId,
    /// Where the other nodes reach it, `http://10.0.0.3:9080`.
    pub address: String,
}

/// What a heartbeat found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heartbeat {
    /// The node lives on.
    Alive,
    /// The node had been silent for too long, or is heard of for the first time. It lives from this moment, and must look anew at
    /// what it owns: others may have taken it.
    Lapsed,
}

/// Who may act for a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub shard: Shard,
    /// Grows with every taking; 0 when the shard was never taken.
    pub epoch: u64,
    /// Who took it last and did not give it back. Whether that node still lives, [`LeaseStore::nodes`] says.
    pub owner: Option<NodeId>,
}

#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Says that the node lives for another `ttl`, which is cut to whole seconds. An error means: not known.
    async fn heartbeat(&self, node: NodeRow, ttl: Duration) -> StoreResult<Heartbeat>;
    /// Ends the node's heartbeat, so that nobody waits for it. What it has not released is then free for the taking.
    async fn leave(&self, node: NodeId) -> StoreResult<()>;
    /// Nodes whose heartbeat counts, by id. The database's clock decides.
    async fn nodes(&self) -> StoreResult<Vec<NodeRow>>;
    /// Every shard's lease, by shard.
    async fn owners(&self) -> StoreResult<Vec<Lease>>;
    /// Takes a shard whose epoch is `epoch`: the lease is then `node`'s, under the next epoch. `None` when the shard has moved on.
    /// An outcome that is not known is looked up before this returns.
    async fn take(&self, shard: Shard, node: NodeId, epoch: u64) -> StoreResult<Option<Lease>>;
    /// Gives a shard back that `node` holds under `epoch`. False when it has moved on.
    async fn release(&self, shard: Shard, node: NodeId, epoch: u64) -> StoreResult<bool>;
}
