//! Leases in CQL: one row a shard, whose epoch grows for ever; one row a node, which lives as long as its last heartbeat says.
//!
//! Both change by lightweight transactions alone, and each row is a partition of its own: nobody waits for another's.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    lwt::Verdict,
    session::{Db, Statement},
    values::{Count, present},
};
use crate::{
    domain::{ids::NodeId, shard::Shard},
    store::{
        LeaseStore, StoreResult,
        leases::{Heartbeat, Lease, NodeRow},
    },
};

const LIVE_ON: Statement =
    Statement::conditional("UPDATE nodes USING TTL ? SET address = ? WHERE node = ? IF address != null")
        .urgent();
const LIVE: Statement =
    Statement::conditional("INSERT INTO nodes (node, address) VALUES (?, ?) IF NOT EXISTS USING TTL ?")
        .urgent();
const LEAVE: Statement = Statement::conditional("DELETE FROM nodes WHERE node = ? IF EXISTS").urgent();
const NODES: Statement = Statement::read("SELECT node, address FROM nodes").urgent();
const TAKE_FIRST: Statement =
    Statement::conditional("UPDATE leases SET epoch = ?, owner = ? WHERE shard = ? IF epoch = null").urgent();
const TAKE: Statement =
    Statement::conditional("UPDATE leases SET epoch = ?, owner = ? WHERE shard = ? IF epoch = ?").urgent();
const RELEASE: Statement =
    Statement::conditional("UPDATE leases SET owner = null WHERE shard = ? IF epoch = ? AND owner = ?")
        .urgent();
const ONE: Statement = Statement::serial_read("SELECT epoch, owner FROM leases WHERE shard = ?").urgent();
/// A taking is in a majority of copies before whoever took the shard looks at what it holds.
const EPOCH: Statement = Statement::read("SELECT epoch FROM leases WHERE shard = ?").urgent();
/// 256 rows: a scan is one request, where asking for each would be as many.
const ALL: Statement = Statement::read("SELECT shard, epoch, owner FROM leases").urgent();

/// Who acts for what, as the database has it.
pub(super) struct Leases {
    db: Arc<Db>,
}

impl Leases {
    pub(super) const fn new(db: Arc<Db>) -> Self {
        Self { db }
    }

    async fn lease(&self, shard: Shard) -> StoreResult<Lease> {
        let row: Option<(Option<Count>, Option<NodeId>)> = self.db.first(ONE, (shard,)).await?;
        let (epoch, owner) = row.unwrap_or_default();
        Ok(Lease {
            shard,
            epoch: epoch.map_or(0, |epoch| epoch.0),
            owner,
        })
    }

    async fn is_standing(&self, lease: Lease) -> StoreResult<bool> {
        Ok(self.lease(lease.shard).await? == lease)
    }
}

/// The epoch of the shard's last taking; 0 when it was never taken.
pub(super) async fn epoch_of(db: &Db, shard: Shard) -> StoreResult<u64> {
    let row: Option<(Option<Count>,)> = db.first(EPOCH, (shard,)).await?;
    Ok(row.and_then(|(epoch,)| epoch).map_or(0, |epoch| epoch.0))
}

#[async_trait]
impl LeaseStore for Leases {
    async fn heartbeat(&self, node: NodeRow, ttl: Duration) -> StoreResult<Heartbeat> {
        let seconds = i32::try_from(ttl.as_secs().max(1)).unwrap_or(i32::MAX);
        let lives = self
            .db
            .conditional(LIVE_ON, (seconds, &node.address, node.id))
            .await?;
        if lives == Verdict::Applied {
            return Ok(Heartbeat::Alive);
        }
        self.db
            .conditional(LIVE, (node.id, &node.address, seconds))
            .await?;
        Ok(Heartbeat::Lapsed)
    }

    async fn leave(&self, node: NodeId) -> StoreResult<()> {
        self.db.conditional(LEAVE, (node,)).await?;
        Ok(())
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeRow>> {
        let rows: Vec<(NodeId, Option<String>)> = self.db.rows(NODES, ()).await?;
        let mut nodes: Vec<NodeRow> = rows
            .into_iter()
            .filter_map(|(id, address)| address.map(|address| NodeRow { id, address }))
            .collect();
        nodes.sort_by_key(|node| node.id);
        Ok(nodes)
    }

    async fn owners(&self) -> StoreResult<Vec<Lease>> {
        let rows: Vec<(Shard, Option<Count>, Option<NodeId>)> = self.db.rows(ALL, ()).await?;
        let mut leases: Vec<Lease> = Shard::all()
            .map(|shard| Lease {
                shard,
                epoch: 0,
                owner: None,
            })
            .collect();
        for (shard, epoch, owner) in rows {
            let lease = &mut leases[usize::from(shard.number())];
            lease.epoch = present(epoch, "a lease's epoch")?.0;
            lease.owner = owner;
        }
        Ok(leases)
    }

    async fn take(&self, shard: Shard, node: NodeId, epoch: u64) -> StoreResult<Option<Lease>> {
        let taken = Lease {
            shard,
            epoch: epoch + 1,
            owner: Some(node),
        };
        let next = Count(taken.epoch);
        let outcome = match epoch {
            0 => self.db.conditional(TAKE_FIRST, (next, node, shard)).await,
            _ => self.db.conditional(TAKE, (next, node, shard, Count(epoch))).await,
        };
        match self.db.settled(outcome, || self.is_standing(taken)).await? {
            Verdict::Applied => Ok(Some(taken)),
            Verdict::Refused => Ok(None),
        }
    }

    async fn release(&self, shard: Shard, node: NodeId, epoch: u64) -> StoreResult<bool> {
        let outcome = self.db.conditional(RELEASE, (shard, Count(epoch), node)).await;
        let released = Lease {
            shard,
            epoch,
            owner: None,
        };
        let outcome = self.db.settled(outcome, || self.is_standing(released)).await?;
        Ok(outcome == Verdict::Applied)
    }
}
