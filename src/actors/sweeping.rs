//! Drops, now and then, what recovery will not ask the store for any more. On one box there is nothing of the kind.

use std::time::Duration;

use ractor::{ActorCell, SpawnErr};

use super::{
    cluster::Ownership,
    rounds::{self, Round},
};
use crate::{
    clock,
    domain::shard::Shard,
    store::{Store, StoreResult},
};

const EVERY: Duration = Duration::from_secs(600);

/// Begins to sweep the shards that this node owns, until the process ends.
///
/// # Errors
/// When the supervisor is no longer alive.
pub async fn start(store: Store, ownership: Ownership, supervisor: ActorCell) -> Result<(), SpawnErr> {
    let round = Round::new("what is over", EVERY, move || {
        let (store, ownership) = (store.clone(), ownership.clone());
        async move { sweep_all(&store, &ownership).await }
    });
    // A start has better to do.
    rounds::start(round.not_at_once(), supervisor).await
}

async fn sweep_all(store: &Store, ownership: &Ownership) -> StoreResult<()> {
    let shards: Vec<Option<Shard>> = if ownership.is_shared() {
        ownership.held().into_keys().map(Some).collect()
    } else {
        vec![None]
    };
    for shard in shards {
        if let Err(error) = sweep(store, shard).await {
            tracing::warn!(%error, "what is over could not be dropped: it is tried again later");
        }
    }
    Ok(())
}

async fn sweep(store: &Store, shard: Option<Shard>) -> StoreResult<()> {
    let now = clock::now();
    store.runs.sweep(shard, now).await?;
    store.observations.sweep(shard, now).await
}
