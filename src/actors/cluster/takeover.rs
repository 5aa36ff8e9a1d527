//! What happens on this node when shards come and go.
//!
//! A shard that comes: its timers are armed, its runs that move are taken up, its facts are brought on their way, its calls are asked
//! after. A shard that goes: its actors finish what they were sent and stop, its timers are forgotten. Besides, a look at every
//! shard now and then finds what was left in the store for its owner: facts that could not reach it, runs that nobody woke.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{household::Household, ownership::Ownership};
use crate::{
    actors::{
        CallsHandle, LeadsHandle, RunsHandle, SchedulesHandle, leads::Subject, residents::Residents,
        run::RunKind, timers::TimersHandle,
    },
    bus::local::LocalBus,
    domain::shard::Shard,
    store::{Store, StoreResult, away},
};

/// Between two looks for what was left in the store.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// So many times as long as a look took, it is not looked again: it reads every mark of the hour, and they may be very many.
const LOOK_SHARE: u32 = 4;
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(30);
/// Before a scan that failed is made again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long actors of a shard that goes may take to finish what they were sent.
const FINISH_MAX: Duration = Duration::from_secs(3);
/// Before the timers of a shard are read once more: a former owner that was frozen may have written until its own time was over, behind
/// the first reading.
const SECOND_READING: Duration = Duration::from_secs(15);
/// Shards that are scanned at once.
const AT_ONCE: usize = 8;
/// Timers that a scan reads at once.
const TIMERS_PER_PAGE: u32 = 4_096;

/// Everything on this node that acts for shards. Cheap to clone.
#[derive(Clone)]
pub struct Estate {
    pub store: Store,
    pub bus: LocalBus,
    pub ownership: Ownership,
    pub runs: RunsHandle,
    pub leads: LeadsHandle,
    pub calls: CallsHandle,
    pub schedules: SchedulesHandle,
    pub run_actors: Residents<RunKind>,
    pub timers: TimersHandle,
}

#[async_trait]
impl Household for Estate {
    async fn gained(&self, shards: Vec<Shard>) {
        let began = tokio::time::Instant::now();
        self.schedules.changed();
        let estate = self.clone();
        // The keeper of the leases does not wait for it: its next heartbeat is due meanwhile.
        tokio::spawn(async move {
            let count = shards.len();
            for some in shards.chunks(AT_ONCE) {
                let scans = some.iter().map(|shard| estate.take_up(*shard));
                futures_util::future::join_all(scans).await;
            }
            let seconds = began.elapsed().as_secs_f64();
            metrics::histogram!("patchcord_takeover_seconds").record(seconds);
            tracing::info!(shards = count, seconds, "took up what the shards hold");
            tokio::time::sleep(SECOND_READING).await;
            for shard in shards {
                estate.take_up(shard).await;
            }
        });
    }

    async fn lost(&self, shards: Vec<Shard>) {
        self.timers.forget(shards.clone());
        let gone: Arc<BTreeSet<Shard>> = Arc::new(shards.into_iter().collect());
        let of_runs = Arc::clone(&gone);
        let runs = self.run_actors.evict(
            Arc::new(move |run_id| of_runs.contains(&run_id.shard())),
            FINISH_MAX,
        );
        let leads = self.leads.evict(Arc::clone(&gone), FINISH_MAX);
        tokio::join!(runs, leads);
    }
}

impl Estate {
    /// Begins to look for what is left in the store, until the process ends. On one box nothing ever is.
    pub fn look_after(&self) {
        let estate = self.clone();
        tokio::spawn(async move {
            let mut nodes = BTreeSet::new();
            loop {
                let began = Instant::now();
                let living = estate.ownership.addresses();
                // Whatever the shard of a call, the node that heard it may be the one that is gone.
                let are_all_there = nodes.is_subset(&living);
                let pause = if estate.look_everywhere(!are_all_there, began).await {
                    nodes = living;
                    (began.elapsed() * LOOK_SHARE).clamp(LOOK_EVERY, LOOK_PAUSE_MAX)
                } else {
                    LOOK_EVERY
                };
                away::pause(pause).await;
            }
        });
    }

    /// Takes up everything in a shard, and does not give up while it is this node's.
    async fn take_up(&self, shard: Shard) {
        while self.ownership.owns(shard).is_some() {
            match self.scan(shard).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(%error, ?shard, "what a shard holds cannot be read: it is tried again");
                    away::pause(AGAIN).await;
                }
            }
        }
    }

    async fn scan(&self, shard: Shard) -> StoreResult<()> {
        self.runs.recover_shard(shard).await?;
        self.bring_facts(shard).await?;
        self.calls.recover(Some(shard)).await?;
        let mut after = None;
        loop {
            let page = self
                .store
                .runs
                .timers(Some(shard), after, TIMERS_PER_PAGE)
                .await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(*last);
            self.timers.arm(page);
        }
    }

    /// Looks at every shard and says whether all could be read. When the database does not answer it is not asked for the rest.
    async fn look_everywhere(&self, has_node_left: bool, began: Instant) -> bool {
        let held: Vec<Shard> = self.ownership.held().into_keys().collect();
        let mut are_all_read = true;
        for some in held.chunks(AT_ONCE) {
            let looks = some.iter().map(|shard| self.look(*shard, has_node_left));
            for looked in futures_util::future::join_all(looks).await {
                if let Err(error) = looked {
                    tracing::warn!(%error, "a shard could not be looked at: it is again in a moment");
                    are_all_read = false;
                }
            }
            if !are_all_read && began.elapsed() > LOOK_EVERY {
                break;
            }
        }
        are_all_read
    }

    /// What was left for this node since the last look.
    async fn look(&self, shard: Shard, has_node_left: bool) -> StoreResult<()> {
        self.bring_facts(shard).await?;
        if has_node_left {
            self.calls.recover(Some(shard)).await?;
        }
        for run_id in self.store.runs.unparked(Some(shard)).await? {
            // Those that are awake know what they do.
            self.run_actors.wake(run_id);
        }
        Ok(())
    }

    async fn bring_facts(&self, shard: Shard) -> StoreResult<()> {
        let unrouted = self.store.observations.unrouted(Some(shard)).await?;
        let subjects: BTreeSet<Subject> = unrouted.iter().map(Subject::of).collect();
        for subject in subjects {
            self.leads.take_up(subject);
        }
        Ok(())
    }
}
