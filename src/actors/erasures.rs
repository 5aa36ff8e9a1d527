//! Erasures of leads: each is kept before it begins, and taken up again until nothing is left.
//!
//! In: a lead that is to be erased. Out: its erasure, done. The node that acts for the lead carries it out; after a crash, or while the store
//! is away, it is begun again from the start: every step may be done twice. What was erased is counted once, over all attempts.

use std::{sync::Arc, time::Duration};

use ractor::{ActorCell, SpawnErr};
use tokio::sync::Notify;

use super::{
    LeadsHandle, RunError, RunsHandle,
    erasing::Erasing,
    jobs::Jobs,
    rounds::{self, Round},
};
use crate::{
    clock,
    domain::{
        audit::{Deed, Details},
        erasure::{Erasure, ErasureStatus},
        ids::{AccountId, LeadId},
        resource::ResourceKind,
    },
    store::{
        Recorded, Store, StoreError, StoreResult,
        resources::{ResourceAddress, ResourceRow},
    },
};

/// Between two looks for erasures that wait here.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Erasures that one look takes up.
const LOOK_ROWS: u32 = 100;
/// Erasures that are under way at once; the others wait their turn.
const AT_ONCE: usize = 2;
/// After the first time through everything, for what was just being written: then it is gone through once more.
const SETTLE: Duration = Duration::from_secs(4);
/// The word in the audit log for an erasure that came to its end.
const ENDED: &str = "leadErased";

/// The erasures. Cheap to clone.
#[derive(Clone)]
pub struct ErasuresHandle {
    store: Store,
    leads: LeadsHandle,
    runs: RunsHandle,
    jobs: Jobs<LeadId>,
    arrived: Arc<Notify>,
}

/// Why an erasure pauses.
#[derive(Debug, thiserror::Error)]
enum Paused {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("an erasure's report cannot be written")]
    Json(#[from] serde_json::Error),
}

impl ErasuresHandle {
    /// Begins to carry out what waits.
    ///
    /// # Errors
    /// When the supervisor is no longer alive.
    pub async fn start(
        store: Store,
        leads: LeadsHandle,
        runs: RunsHandle,
        supervisor: ActorCell,
    ) -> Result<Self, SpawnErr> {
        let arrived: Arc<Notify> = Arc::default();
        let handle = Self {
            store,
            leads,
            runs,
            jobs: Jobs::new("erasure", AT_ONCE, arrived.clone()),
            arrived: arrived.clone(),
        };
        let looking = handle.clone();
        let round = Round::new("erasures", LOOK_EVERY, move || {
            let looking = looking.clone();
            async move { looking.look().await }
        });
        rounds::start(round.or_when(arrived), supervisor).await?;
        Ok(handle)
    }

    /// Takes an erasure in: from then on it is carried out, whatever happens to the process. One that is there stays and is returned.
    ///
    /// # Errors
    /// When it could not be kept.
    pub async fn take_in(&self, erasure: Erasure) -> StoreResult<Erasure> {
        let mut row = ResourceRow::first(&erasure)?;
        row.is_open = true;
        let kept = match self.store.resources.create(row).await? {
            Recorded::Fresh => erasure,
            Recorded::Duplicate => self.get(erasure.account_id, erasure.lead_id).await?,
        };
        self.arrived.notify_one();
        Ok(kept)
    }

    /// How the erasure of a lead stands.
    ///
    /// # Errors
    /// `Missing` when it was never asked for.
    pub async fn get(&self, account_id: AccountId, lead_id: LeadId) -> StoreResult<Erasure> {
        let address = ResourceAddress::of::<Erasure>(account_id, *lead_id.as_bytes());
        self.store.resources.get(address).await?.read()
    }

    /// Starts what waits here, as far as there is room.
    async fn look(&self) -> StoreResult<()> {
        for row in self
            .store
            .resources
            .open(ResourceKind::Erasure, LOOK_ROWS)
            .await?
        {
            let erasure: Erasure = row.read()?;
            if erasure.status == ErasureStatus::Erasing && self.leads.acts_for(erasure.lead_id.shard()) {
                let handle = self.clone();
                self.jobs.begin(
                    erasure.lead_id,
                    async move { handle.carry_out((row, erasure)).await },
                );
            }
        }
        Ok(())
    }

    /// Erases, from the beginning to the end.
    async fn carry_out(&self, kept: (ResourceRow, Erasure)) -> Result<(), Paused> {
        let mut erasing = Erasing::new(self.store.clone(), self.runs.clone(), kept);
        erasing.close_the_gate().await?;
        erasing.cancel_runs().await?;
        erasing.remove_lead().await?;
        erasing.go_through_everything().await?;
        tokio::time::sleep(SETTLE).await;
        erasing.cancel_runs().await?;
        erasing.go_through_everything().await?;
        let done = erasing.finish().await?;
        let (account_id, id, counts, now) = (done.account_id, done.lead_id, done.counts, clock::now());
        let deed = Deed::of_the_system(account_id, now, ENDED, id.to_string());
        let details = Details::of_counts(serde_json::to_value(counts)?);
        self.store.audit.append(deed, details).await?;
        tracing::info!(lead_id = %id, ?counts, "lead erased");
        Ok(())
    }
}
