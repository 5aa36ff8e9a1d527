//! Observations: kept before they are acted on, marked once every workflow has seen them.

use async_trait::async_trait;

use super::{Page, PageRequest, Recorded, StoreResult, runs::RunAppend};
use crate::domain::{
    ids::{AccountId, LeadId, ObservationId},
    observation::{EventType, Observation},
    shard::Shard,
    time::Timestamp,
};

/// Most facts that [`ObservationStore::of_lead_since`] gives at once.
pub const PAST_PAGE: usize = 1_000;
/// Pages read for one look back. What lies behind them is not found, and a warning says so.
pub const PAST_PAGES_MAX: usize = 20;

#[async_trait]
pub trait ObservationStore: Send + Sync {
    /// Keeps a fact. The same id again changes nothing.
    async fn record(&self, observation: Observation) -> StoreResult<Recorded>;
    /// Keeps a fact together with the first append of every run it starts, in one write, and marks it as routed. A fact that
    /// was kept before changes nothing, and none of its runs is made.
    async fn record_routed(&self, observation: Observation, runs: Vec<RunAppend>) -> StoreResult<Recorded>;
    /// Marks that its runs exist.
    async fn mark_routed(&self, id: ObservationId) -> StoreResult<()>;
    /// Recovery scan over all accounts of a shard, or of all: facts whose runs may not exist yet, oldest first.
    async fn unrouted(&self, shard: Option<Shard>) -> StoreResult<Vec<Observation>>;
    /// Drops what recovery will not ask for any more: to be called every few minutes, by whoever owns the shard.
    async fn sweep(&self, _shard: Option<Shard>, _now: Timestamp) -> StoreResult<()> {
        Ok(())
    }
    /// Facts of one lead, or of the account's own when it is about nobody, whose runs may not exist yet; oldest first, at most 1,000.
    async fn unrouted_of(
        &self,
        account_id: AccountId,
        lead_id: Option<LeadId>,
    ) -> StoreResult<Vec<Observation>>;
    /// Leaves nothing of a fact but that there was one, and marks it as routed: the same id again changes nothing.
    async fn erase(&self, account_id: AccountId, id: ObservationId) -> StoreResult<()>;
    async fn get(&self, account_id: AccountId, id: ObservationId) -> StoreResult<Observation>;
    /// A lead's facts since `from`, oldest first, at most [`PAST_PAGE`].
    async fn of_lead_since(
        &self,
        account_id: AccountId,
        lead_id: LeadId,
        from: Timestamp,
    ) -> StoreResult<Vec<Observation>>;
    /// A lead's facts since `from` that are wanted, oldest first. Reads page by page, and at most [`PAST_PAGES_MAX`] of them.
    async fn past_of_lead(
        &self,
        account_id: AccountId,
        lead_id: LeadId,
        from: Timestamp,
        is_wanted: &(dyn for<'f> Fn(&'f Observation) -> bool + Sync),
    ) -> StoreResult<Vec<Observation>> {
        let mut found: Vec<Observation> = Vec::new();
        let mut from = from;
        for _ in 0..PAST_PAGES_MAX {
            let page = self.of_lead_since(account_id, lead_id, from).await?;
            let (count, last) = (page.len(), page.last().map(|observation| observation.at));
            for observation in page.into_iter().filter(is_wanted) {
                if !found.iter().any(|known| known.id == observation.id) {
                    found.push(observation);
                }
            }
            match last.filter(|last| count >= PAST_PAGE && *last > from) {
                Some(last) => from = last,
                None => return Ok(found),
            }
        }
        tracing::warn!(%lead_id, "a lead has more facts than are looked back on");
        Ok(found)
    }
    /// The newest facts of a kind, newest first: what a backtest plays. Looks through the newest 50,000 facts only.
    async fn newest_of(
        &self,
        account_id: AccountId,
        kind: EventType,
        limit: u32,
    ) -> StoreResult<Vec<Observation>>;
    /// A lead's timeline, newest first.
    async fn timeline(
        &self,
        account_id: AccountId,
        lead_id: LeadId,
        page: PageRequest,
    ) -> StoreResult<Page<Observation>>;
}
