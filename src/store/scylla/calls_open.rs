//! Calls that may not be settled, by shard and hour: what a recovery looks at.
//!
//! An entry is written before the fact that opens the call, and marked as settled after the record that closes it; the call
//! itself decides. Both carry the number of facts as their write time, so that they end up in the order of the facts. Hours that
//! are over are dropped whole, with what is still open carried over, when the shard's first call of an hour comes in.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    buckets::Scope,
    calls::CallState,
    fields::{Int, values},
    positions::READS_AT_ONCE,
    rows::Scylla,
};
use crate::{
    domain::{ids::CallId, shard::Shard},
    store::StoreResult,
};

/// Outlives every hour: what is marked in one that was dropped goes by itself.
const MARK_TTL: Int = Int(30 * 24 * 3_600);
/// Hours that are left alone: a writer whose clock is behind may still add to them.
const HOURS_KEPT: i64 = 2;

const OPEN: &str =
    "INSERT INTO calls_open (shard, hour, call, settled) VALUES (?, ?, ?, false) USING TIMESTAMP ?";
const SETTLE: &str =
    "INSERT INTO calls_open (shard, hour, call, settled) VALUES (?, ?, ?, true) USING TIMESTAMP ? AND TTL ?";
const OF_HOUR: &str = "SELECT call, settled FROM calls_open WHERE shard = ? AND hour = ?";
const DROP_HOUR: &str = "DELETE FROM calls_open WHERE shard = ? AND hour = ?";

/// The newest hour of each shard that this process has written to.
#[derive(Default)]
pub(super) struct OpenHours(Mutex<BTreeMap<Shard, i64>>);

impl OpenHours {
    /// Whether `hour` is the shard's first of its kind in this process.
    fn begins(&self, shard: Shard, hour: i64) -> bool {
        let mut hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = hours.entry(shard).or_insert(i64::MIN);
        let begins = *newest < hour;
        *newest = hour.max(*newest);
        begins
    }
}

impl Scylla {
    /// Notes a call that is about to have `facts` facts and to be open.
    pub(super) async fn note_open(&self, id: CallId, hour: i64, facts: u64) -> StoreResult<()> {
        let shard = id.shard();
        self.db.note(Scope::OpenCalls(shard), hour).await?;
        // Before the mark of the record that holds these facts, after that of any earlier one.
        let when = facts.saturating_mul(2).saturating_sub(1);
        self.write(OPEN, values![shard.number(), hour, id, when]).await?;
        if self.open_hours.begins(shard, hour) {
            // What it clears away is in nobody's way: the next hour tries again.
            if let Err(error) = self.drop_open_hours(shard, hour).await {
                tracing::warn!(%error, %shard, "old entries of open calls could not be dropped");
            }
        }
        Ok(())
    }

    /// Marks a call whose record of `folded` facts is its last.
    pub(super) async fn note_settled(&self, id: CallId, hour: i64, folded: u64) -> StoreResult<()> {
        let when = folded.saturating_mul(2);
        self.write(SETTLE, values![id.shard().number(), hour, id, when, MARK_TTL])
            .await
    }

    /// Calls of a shard that are open.
    pub(super) async fn open_calls(&self, shard: Shard) -> StoreResult<Vec<(CallId, CallState)>> {
        let mut open = BTreeMap::new();
        for hour in self.db.buckets(Scope::OpenCalls(shard)).await? {
            open.extend(self.open_calls_of(shard, hour).await?);
        }
        Ok(open.into_iter().collect())
    }

    async fn open_calls_of(&self, shard: Shard, hour: i64) -> StoreResult<Vec<(CallId, CallState)>> {
        let mut ids = Vec::new();
        for mut row in self.select(OF_HOUR, values![shard.number(), hour]).await? {
            let id: CallId = row.take(0)?;
            let is_settled: Option<bool> = row.take_if_any(1)?;
            ids.extend((is_settled != Some(true)).then_some(id));
        }
        let reads = ids.into_iter().map(|id| async move {
            let state = self.call_state(id).await?;
            Ok::<_, crate::store::StoreError>(state.map(|state| (id, state)))
        });
        let found: Vec<_> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        let is_open = |(_, state): &(CallId, CallState)| !state.is_settled();
        Ok(found.into_iter().flatten().filter(is_open).collect())
    }

    async fn drop_open_hours(&self, shard: Shard, now: i64) -> StoreResult<()> {
        let mut hours = self.db.buckets(Scope::OpenCalls(shard)).await?;
        hours.retain(|hour| *hour < now - HOURS_KEPT);
        let Some(last) = hours.last().copied() else {
            return Ok(());
        };
        for hour in hours {
            for (id, state) in self.open_calls_of(shard, hour).await? {
                let when = state.facts.saturating_mul(2).saturating_sub(1);
                self.write(OPEN, values![shard.number(), now, id, when]).await?;
            }
            self.write(DROP_HOUR, values![shard.number(), hour]).await?;
        }
        self.db.forget_until(Scope::OpenCalls(shard), last).await
    }
}
