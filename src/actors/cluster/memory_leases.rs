//! Leases in memory, by tokio's clock: what the keeper is tested with on a paused one.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{
    domain::{ids::NodeId, shard::Shard},
    store::{
        StoreError, StoreResult,
        leases::{Heartbeat, Lease, LeaseStore, NodeRow},
    },
};

/// One database; every node has its own [`MemoryLeases::line`] to it.
#[derive(Clone, Default)]
pub struct MemoryLeases {
    rows: Arc<Mutex<Rows>>,
}

#[derive(Default)]
struct Rows {
    nodes: BTreeMap<NodeId, (NodeRow, Instant)>,
    leases: BTreeMap<Shard, (u64, Option<NodeId>)>,
}

/// A node's line to the database, which can be cut or slow.
#[derive(Clone)]
pub struct Line {
    database: MemoryLeases,
    is_cut: Arc<AtomicBool>,
    /// How long a heartbeat waits for its answer, in milliseconds.
    delay_ms: Arc<AtomicU64>,
}

impl MemoryLeases {
    pub fn line(&self) -> Line {
        Line {
            database: self.clone(),
            is_cut: Arc::default(),
            delay_ms: Arc::default(),
        }
    }
}

impl Line {
    pub fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
    }

    pub fn slow_down(&self, delay_ms: u64) {
        self.delay_ms.store(delay_ms, Ordering::SeqCst);
    }

    fn rows<T>(&self, work: impl FnOnce(&mut Rows) -> T) -> StoreResult<T> {
        if self.is_cut.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("the line is cut".into()));
        }
        let mut rows = self.database.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        rows.nodes.retain(|_, (_, until)| *until > now);
        Ok(work(&mut rows))
    }
}

#[async_trait]
impl LeaseStore for Line {
    async fn heartbeat(&self, node: NodeRow, ttl: Duration) -> StoreResult<Heartbeat> {
        let beat = self.rows(|rows| {
            let before = rows.nodes.insert(node.id, (node, Instant::now() + ttl));
            before.map_or(Heartbeat::Lapsed, |_| Heartbeat::Alive)
        });
        tokio::time::sleep(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst))).await;
        beat
    }

    async fn leave(&self, node: NodeId) -> StoreResult<()> {
        self.rows(|rows| drop(rows.nodes.remove(&node)))
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeRow>> {
        self.rows(|rows| rows.nodes.values().map(|(row, _)| row.clone()).collect())
    }

    async fn owners(&self) -> StoreResult<Vec<Lease>> {
        self.rows(|rows| {
            Shard::all()
                .map(|shard| {
                    let (epoch, owner) = rows.leases.get(&shard).copied().unwrap_or_default();
                    Lease { shard, epoch, owner }
                })
                .collect()
        })
    }

    async fn take(&self, shard: Shard, node: NodeId, epoch: u64) -> StoreResult<Option<Lease>> {
        self.rows(|rows| {
            let row = rows.leases.entry(shard).or_default();
            if row.0 != epoch {
                return None;
            }
            *row = (epoch + 1, Some(node));
            Some(Lease {
                shard,
                epoch: epoch + 1,
                owner: Some(node),
            })
        })
    }

    async fn release(&self, shard: Shard, node: NodeId, epoch: u64) -> StoreResult<bool> {
        self.rows(|rows| {
            let row = rows.leases.entry(shard).or_default();
            let is_its = *row == (epoch, Some(node));
            if is_its {
                row.1 = None;
            }
            is_its
        })
    }
}
