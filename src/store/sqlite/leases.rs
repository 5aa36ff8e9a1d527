//! Leases in SQLite: the one process that serves the file owns every shard, always under epoch 1.

use std::{sync::PoisonError, time::Duration};

use async_trait::async_trait;

use super::database::Sqlite;
use crate::{
    domain::{ids::NodeId, shard::Shard},
    store::{
        LeaseStore, StoreResult,
        leases::{Heartbeat, Lease, NodeRow},
    },
};

const EPOCH: u64 = 1;

#[async_trait]
impl LeaseStore for Sqlite {
    async fn heartbeat(&self, node: NodeRow, _ttl: Duration) -> StoreResult<Heartbeat> {
        let mut served_by = self.node.lock().unwrap_or_else(PoisonError::into_inner);
        let beat = match &*served_by {
            Some(known) if known.id == node.id => Heartbeat::Alive,
            Some(_) | None => Heartbeat::Lapsed,
        };
        *served_by = Some(node);
        Ok(beat)
    }

    async fn leave(&self, node: NodeId) -> StoreResult<()> {
        let mut served_by = self.node.lock().unwrap_or_else(PoisonError::into_inner);
        served_by.take_if(|known| known.id == node);
        Ok(())
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeRow>> {
        let served_by = self.node.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(served_by.iter().cloned().collect())
    }

    async fn owners(&self) -> StoreResult<Vec<Lease>> {
        let served_by = self.node.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = served_by.as_ref().map(|known| known.id);
        Ok(Shard::all()
            .map(|shard| Lease {
                shard,
                epoch: EPOCH,
                owner,
            })
            .collect())
    }

    async fn take(&self, shard: Shard, node: NodeId, _epoch: u64) -> StoreResult<Option<Lease>> {
        Ok(Some(Lease {
            shard,
            epoch: EPOCH,
            owner: Some(node),
        }))
    }

    async fn release(&self, _shard: Shard, _node: NodeId, _epoch: u64) -> StoreResult<bool> {
        Ok(true)
    }
}
