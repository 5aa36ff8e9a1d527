//! Drops, now and then, what recovery will not ask the store for any more. On one box there is nothing of the kind.

use std::time::Duration;

use super::cluster::Ownership;
use crate::{
    clock,
    domain::shard::Shard,
    store::{Store, StoreResult},
};

const EVERY: Duration = Duration::from_secs(600);

/// Begins to sweep the shards that this node owns, until the process ends.
pub fn start(store: Store, ownership: Ownership) {
    tokio::spawn(async move {
        let mut rounds = tokio::time::interval(EVERY);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // A start has better to do.
        rounds.tick().await;
        loop {
            rounds.tick().await;
            let shards: Vec<Option<Shard>> = if ownership.is_shared() {
                ownership.held().into_keys().map(Some).collect()
            } else {
                vec![None]
            };
            for shard in shards {
                if let Err(error) = sweep(&store, shard).await {
                    tracing::warn!(%error, "what is over could not be dropped: it is tried again later");
                }
            }
        }
    });
}

async fn sweep(store: &Store, shard: Option<Shard>) -> StoreResult<()> {
    let now = clock::now();
    store.runs.sweep(shard, now).await?;
    store.observations.sweep(shard, now).await
}
