//! The keeper of the leases: says that this node lives, takes its part of the shards and gives back what is too much.
//!
//! A round every quarter of the lease's time: heartbeat, look, act. Acting is allowed until two thirds of the time after the last
//! heartbeat was *sent*; a heartbeat whose outcome is not known extends nothing. A node that was silent for too long lets go of
//! everything before it takes anything again. When the database was away and is back, all nodes beat at once and look when the others
//! must have beaten as well: whoever looked first would take everything, only to give it back.
//! Restarts: a round that fails or panics is made again; what it held runs out by itself meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    task::{JoinError, JoinHandle, JoinSet},
    time::Instant,
};

use super::{
    household::Household,
    ownership::{Ownership, Table},
    spread::{self, Holdings},
};
use crate::{
    domain::{ids::NodeId, shard::Shard},
    store::{
        StoreError, StoreResult, away,
        leases::{Heartbeat, Lease, LeaseStore, NodeRow},
    },
};

/// Heartbeats that wait for their answers at once: one each quarter of the time, for two thirds of it, and one more after a return.
const BEATS_AT_ONCE: usize = 4;
/// Leases that are asked for at once.
const AT_ONCE: usize = 16;
/// How long whatever acts for a shard may take to stop before it is given back all the same.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// Between two looks whether everything has been taken over, while leaving.
const LEAVE_MAX: Duration = Duration::from_secs(10);

/// Keeps this node's leases.
#[derive(Clone)]
pub struct Keeper {
    leases: Arc<dyn LeaseStore>,
    ownership: Ownership,
    household: Arc<dyn Household>,
    node: NodeRow,
    ttl: Duration,
    /// Leases that were taken since this node last lapsed. Others that bear its name do not count: somebody may be taking them.
    taken: Arc<Mutex<Taken>>,
    /// How many losses are still being wound up.
    winding_up: Arc<watch::Sender<usize>>,
}

/// What was taken, and how often the node has lost everything: a round that began before must not end as if it had not.
#[derive(Default)]
struct Taken {
    epochs: BTreeMap<Shard, u64>,
    lapses: u64,
}

/// A keeper at work.
pub struct Keeping {
    keeper: Keeper,
    leaving: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Keeper {
    /// A keeper for `node`; `ttl` is the time after which a silent node counts as dead.
    #[must_use]
    pub fn new(
        leases: Arc<dyn LeaseStore>,
        ownership: Ownership,
        household: Arc<dyn Household>,
        node: NodeRow,
        ttl: Duration,
    ) -> Self {
        Self {
            leases,
            ownership,
            household,
            node,
            ttl,
            taken: Arc::default(),
            winding_up: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Begins to keep leases.
    #[must_use]
    pub fn start(self) -> Keeping {
        let (leaving, mut left) = watch::channel(false);
        let keeper = self.clone();
        let task = tokio::spawn(async move {
            let mut rounds = tokio::time::interval(keeper.ttl / 4);
            rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            // Giving back waits for actors and taking for the database: heartbeats must not wait for either.
            let _beating = keeper.keep_beating();
            let mut returns = away::returns();
            loop {
                tokio::select! {
                    biased;
                    () = async { drop(left.wait_for(|is_leaving| *is_leaving).await) } => return,
                    _ = returns.changed() => tokio::time::sleep(keeper.ttl / 8).await,
                    _ = rounds.tick() => {}
                }
                let round = keeper.clone();
                match tokio::spawn(async move { round.round().await }).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "the leases could not be looked after: what is held runs out unless that changes");
                    }
                    Err(error) => tracing::error!(%error, "a look after the leases broke off"),
                }
                keeper.let_go_if_over().await;
            }
        });
        Keeping {
            keeper: self,
            leaving,
            task,
        }
    }

    /// One round.
    async fn round(&self) -> StoreResult<()> {
        self.let_go_if_over().await;
        let lapses = self.taken().lapses;
        // In this order: an owner that joins between the two reads must not look dead.
        let leases = self.leases.owners().await?;
        let nodes = self.leases.nodes().await?;
        self.act(&nodes, leases, lapses).await
    }

    /// Says again and again that the node lives, until what this returns is dropped.
    fn keep_beating(&self) -> Beating {
        let keeper = self.clone();
        Beating(tokio::spawn(async move {
            let mut beats = tokio::time::interval(keeper.ttl / 4);
            beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut returns = away::returns();
            // One that is answered late counts as well: a database that is slow for a while must not cost what is held.
            let mut under_way = JoinSet::new();
            loop {
                tokio::select! {
                    _ = beats.tick() => {}
                    _ = returns.changed() => {
                        beats.reset();
                        // Sent to a database that was away: the next one is answered sooner.
                        under_way.abort_all();
                        while under_way.join_next().await.is_some() {}
                    }
                    Some(beat) = under_way.join_next() => {
                        keeper.note_beat(beat);
                        continue;
                    }
                }
                // Two that found the node lapsed would each drop what was taken since.
                let at_once = if keeper.ownership.is_over() {
                    1
                } else {
                    BEATS_AT_ONCE
                };
                if under_way.len() < at_once {
                    let beating = keeper.clone();
                    under_way.spawn(async move { beating.beat().await });
                }
            }
        }))
    }

    fn note_beat(&self, beat: Result<StoreResult<()>, JoinError>) {
        match beat {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "a heartbeat failed: what is held runs out unless the next does not");
            }
            Err(error) => tracing::error!(%error, "a heartbeat broke off"),
        }
        // A round may hang at a database that is away.
        if self.ownership.is_over() {
            self.lose_everything();
        }
    }

    /// Says that the node lives. The time counts from before it was said, so an answer is worth something for as long as that lasts.
    async fn beat(&self) -> StoreResult<()> {
        let sent = Instant::now();
        let patience = self.ttl * 2 / 3;
        let beat = tokio::time::timeout(patience, self.leases.heartbeat(self.node.clone(), self.ttl)).await;
        let beat = beat.unwrap_or_else(|_| {
            Err(StoreError::Unavailable(
                format!("no answer to the heartbeat within {patience:?}").into(),
            ))
        })?;
        if beat == Heartbeat::Lapsed {
            // Others may be taking everything at this moment: only what is taken from here on counts.
            self.forget_taken();
            self.lose_everything();
        }
        self.ownership.extend(sent + patience);
        Ok(())
    }

    fn forget_taken(&self) {
        let mut taken = self.taken();
        taken.epochs.clear();
        taken.lapses += 1;
    }

    /// From here on nothing is this node's; its actors' end is not waited for, because the next heartbeat is due.
    fn lose_everything(&self) {
        self.taken().lapses += 1;
        let shards: Vec<Shard> = self.ownership.held().into_keys().collect();
        if !shards.is_empty() {
            self.ownership.drop_held(&shards);
            self.winding_up.send_modify(|count| *count += 1);
            let keeper = self.clone();
            tokio::spawn(async move {
                keeper.wind_up(shards).await;
                keeper.winding_up.send_modify(|count| *count -= 1);
            });
        }
    }

    async fn act(&self, nodes: &[NodeRow], leases: Vec<Lease>, lapses: u64) -> StoreResult<()> {
        let living: BTreeSet<NodeId> = nodes.iter().map(|node| node.id).collect();
        let before = self.ownership.held();
        let mut epochs: BTreeMap<Shard, u64> =
            leases.iter().map(|lease| (lease.shard, lease.epoch)).collect();
        let mut holdings: Holdings = leases
            .iter()
            .filter_map(|lease| {
                let owner = lease.owner.filter(|owner| living.contains(owner))?;
                let counts =
                    owner != self.node.id || self.taken().epochs.get(&lease.shard) == Some(&lease.epoch);
                counts.then_some((lease.shard, owner))
            })
            .collect();
        let strays = self.strays(&leases, &holdings);
        let plan = spread::plan(self.node.id, &living, &holdings, &strays);
        holdings.retain(|shard, _| !plan.give_back.contains(shard));
        if !plan.give_back.is_empty() {
            self.give_back(&plan.give_back, &epochs).await;
        }
        for taken in self.take(&plan.take, &epochs, lapses).await {
            epochs.insert(taken.shard, taken.epoch);
            holdings.insert(taken.shard, self.node.id);
        }
        let (mine, others): (Holdings, Holdings) = holdings
            .into_iter()
            .partition(|(_, owner)| *owner == self.node.id);
        let held: BTreeMap<Shard, u64> = mine
            .keys()
            .map(|shard| (*shard, epochs.get(shard).copied().unwrap_or(0)))
            .collect();
        let addresses = nodes.iter().map(|node| (node.id, node.address.clone())).collect();
        let lost: Vec<Shard> = before
            .keys()
            .filter(|shard| !held.contains_key(shard))
            .copied()
            .collect();
        // A shard that came back under another epoch was somebody else's meanwhile: what is in memory is stale.
        let gained: Vec<Shard> = held
            .iter()
            .filter(|(shard, epoch)| before.get(*shard) != Some(*epoch))
            .map(|(shard, _)| *shard)
            .collect();
        let moved_on: Vec<Shard> = gained
            .iter()
            .filter(|shard| before.contains_key(shard))
            .copied()
            .collect();
        if !lost.is_empty() || !moved_on.is_empty() {
            let gone: Vec<Shard> = lost.into_iter().chain(moved_on).collect();
            self.let_go(gone).await;
        }
        if !gained.is_empty() {
            // What comes must not be swept away with what went, which takes no longer than that.
            let mut winding_up = self.winding_up.subscribe();
            let wound_up = winding_up.wait_for(|count| *count == 0);
            drop(tokio::time::timeout(DRAIN_MAX, wound_up).await);
        }
        if !self.learn(Table::new(held, others, addresses), lapses) {
            return Ok(());
        }
        if !gained.is_empty() {
            tracing::info!(shards = gained.len(), nodes = nodes.len(), "took shards over");
            metrics::counter!("patchcord_shards_taken_total")
                .increment(gained.len().try_into().unwrap_or(u64::MAX));
            self.household.gained(gained).await;
        }
        Ok(())
    }

    /// Leases that bear this node's name without being its: the answer to a taking was lost, or the node lapsed.
    fn strays(&self, leases: &[Lease], holdings: &Holdings) -> Vec<Shard> {
        leases
            .iter()
            .filter(|lease| lease.owner == Some(self.node.id) && !holdings.contains_key(&lease.shard))
            .map(|lease| lease.shard)
            .collect()
    }

    /// Acts on what was found out, unless the node has lapsed since: then the next round looks anew.
    fn learn(&self, table: Table, lapses: u64) -> bool {
        let taken = self.taken();
        let is_fresh = taken.lapses == lapses;
        if is_fresh {
            self.ownership.learn(table);
        }
        is_fresh
    }

    /// Takes shards that nobody holds. One whose taking fails is left for the next round.
    async fn take(&self, shards: &[Shard], epochs: &BTreeMap<Shard, u64>, lapses: u64) -> Vec<Lease> {
        let mut taken = Vec::new();
        for some in shards.chunks(AT_ONCE) {
            let asked = some.iter().map(|shard| {
                let epoch = epochs.get(shard).copied().unwrap_or(0);
                self.leases.take(*shard, self.node.id, epoch)
            });
            for answer in futures_util::future::join_all(asked).await {
                match answer {
                    Ok(Some(lease)) => {
                        let mut known = self.taken();
                        if known.lapses == lapses {
                            known.epochs.insert(lease.shard, lease.epoch);
                            taken.push(lease);
                        }
                    }
                    Ok(None) => {}
                    Err(error) => tracing::warn!(%error, "a shard could not be taken: it is tried again"),
                }
            }
        }
        taken
    }

    /// Lets whatever acts for the shards stop, then gives them back.
    async fn give_back(&self, shards: &[Shard], epochs: &BTreeMap<Shard, u64>) {
        self.let_go(shards.to_vec()).await;
        self.taken().epochs.retain(|shard, _| !shards.contains(shard));
        for some in shards.chunks(AT_ONCE) {
            let asked = some.iter().map(|shard| {
                let epoch = epochs.get(shard).copied().unwrap_or(0);
                self.leases.release(*shard, self.node.id, epoch)
            });
            for answer in futures_util::future::join_all(asked).await {
                if let Err(error) = answer {
                    // It is taken back at the next look, or given back then.
                    tracing::warn!(%error, "a shard could not be given back");
                }
            }
        }
        tracing::info!(shards = shards.len(), "gave shards back");
    }

    async fn let_go_if_over(&self) {
        if self.ownership.is_over() {
            self.let_go(self.ownership.held().into_keys().collect()).await;
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops acting for shards: no message, no timer, no append from here on.
    async fn let_go(&self, shards: Vec<Shard>) {
        if shards.is_empty() {
            return;
        }
        self.ownership.drop_held(&shards);
        self.wind_up(shards).await;
    }

    /// Waits for whatever still acts for shards that are not this node's.
    async fn wind_up(&self, shards: Vec<Shard>) {
        if tokio::time::timeout(DRAIN_MAX, self.household.lost(shards))
            .await
            .is_err()
        {
            tracing::warn!(
                "something still acts for a shard that is given up: the store refuses it from the next owner on"
            );
        }
    }
}

/// The task that beats; dropped, it stops.
struct Beating(JoinHandle<()>);

impl Drop for Beating {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Keeping {
    /// Gives everything back, so that the other nodes need not wait for this one to be missed.
    pub async fn leave(self) {
        self.leaving.send_replace(true);
        let Self { keeper, task, .. } = self;
        let left = async {
            if let Err(error) = task.await {
                tracing::error!(%error, "the keeper of the leases broke off");
            }
            let held = keeper.ownership.held();
            let shards: Vec<Shard> = held.keys().copied().collect();
            keeper.give_back(&shards, &held).await;
            if let Err(error) = keeper.leases.leave(keeper.node.id).await {
                tracing::warn!(%error, "the other nodes notice by themselves that this one has left");
            }
        };
        if tokio::time::timeout(LEAVE_MAX, left).await.is_err() {
            tracing::warn!(
                "the shards could not be given back in time: the other nodes take them when this one is missed"
            );
        }
    }
}

#[cfg(test)]
mod tests;
