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
        ids::{AccountId, LeadId, UserId},
        lead::Lead,
        resource::ResourceKind,
        time::Timestamp,
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
/// How often an erasure is kept again because somebody else was faster.
const TRIES_MAX: u32 = 10;
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
    #[error("what was the lead's is lead {0}'s: that one is erased first")]
    StillThere(LeadId),
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

    /// Takes an erasure in: from then on it is carried out, whatever happens to the process. One that is under way stays and is returned.
    ///
    /// # Errors
    /// When it could not be kept.
    pub async fn take_in(&self, erasure: Erasure) -> StoreResult<Erasure> {
        let kept = take_in(&self.store, erasure).await?;
        self.arrived.notify_one();
        Ok(kept)
    }

    /// How the erasure of a lead stands.
    ///
    /// # Errors
    /// `Missing` when it was never asked for.
    pub async fn get(&self, account_id: AccountId, lead_id: LeadId) -> StoreResult<Erasure> {
        row_of(&self.store, account_id, lead_id).await?.read()
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
        let erasure = kept.1.clone();
        let mut erasing = Erasing::new(self.store.clone(), self.runs.clone(), kept);
        erasing.close_the_gate().await?;
        erasing.cancel_runs().await?;
        erasing.remove_lead().await?;
        self.follow(&erasure).await?;
        erasing.go_through_everything().await?;
        tokio::time::sleep(SETTLE).await;
        erasing.cancel_runs().await?;
        erasing.go_through_everything().await?;
        self.follow(&erasure).await?;
        let done = erasing.finish().await?;
        let (account_id, id, counts, now) = (done.account_id, done.lead_id, done.counts, clock::now());
        let deed = Deed::of_the_system(account_id, now, ENDED, id.to_string());
        let details = Details::of_counts(serde_json::to_value(counts)?);
        self.store.audit.append(deed, details).await?;
        tracing::info!(lead_id = %id, ?counts, "lead erased");
        Ok(())
    }

    /// Whoever the lead was merged into after it was asked for has what was the lead's: that one is erased first.
    async fn follow(&self, erasure: &Erasure) -> Result<(), Paused> {
        match self.store.leads.get(erasure.account_id, erasure.lead_id).await {
            Ok(lead) => {
                let id = lead.id;
                if id != erasure.lead_id {
                    self.take_in(Erasure::of(lead, erasure.requested_by, clock::now()))
                        .await?;
                }
                Err(Paused::StillThere(id))
            }
            Err(StoreError::Missing { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

async fn row_of(store: &Store, account_id: AccountId, lead_id: LeadId) -> StoreResult<ResourceRow> {
    let address = ResourceAddress::of::<Erasure>(account_id, *lead_id.as_bytes());
    store.resources.get(address).await
}

/// Keeps an erasure that is to be carried out. One that is under way stays; one that was done was of an earlier lead with this id.
async fn take_in(store: &Store, erasure: Erasure) -> StoreResult<Erasure> {
    let mut row = ResourceRow::first(&erasure)?;
    row.is_open = true;
    for _ in 0..TRIES_MAX {
        if store.resources.create(row.clone()).await? == Recorded::Fresh {
            return Ok(erasure);
        }
        let stored = row_of(store, erasure.account_id, erasure.lead_id).await?;
        let before: Erasure = stored.read()?;
        if before.status == ErasureStatus::Erasing {
            return Ok(before);
        }
        let mut again = stored.next(&erasure)?;
        again.is_open = true;
        match store.resources.replace(again).await {
            Ok(()) => return Ok(erasure),
            Err(StoreError::Moved { .. }) => (),
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::Busy)
}

/// Whether the lead is being erased, or was since `since`; then by whose wish.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn erased_since(
    store: &Store,
    (account_id, lead_id): (AccountId, LeadId),
    since: Timestamp,
) -> StoreResult<Option<UserId>> {
    match row_of(store, account_id, lead_id).await {
        Ok(row) => {
            let erasure: Erasure = row.read()?;
            let is_now = erasure.finished_at.is_none_or(|finished| finished >= since);
            Ok(is_now.then_some(erasure.requested_by))
        }
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lets a lead be erased that has taken in one that was being erased. The next look of whoever acts for it begins.
///
/// # Errors
/// When it could not be kept.
pub(super) async fn erase_too(store: &Store, lead: Lead, requested_by: UserId) -> StoreResult<()> {
    take_in(store, Erasure::of(lead, requested_by, clock::now()))
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        conformance::samples::{account_id, lead, user_id},
        sqlite,
    };

    #[tokio::test]
    async fn the_erasure_of_a_lead_that_was_made_again_begins_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, _guard) = sqlite::open(&folder.path().join("store.db")).expect("it opens");
        let store = &store;
        let at = |second: u64| Timestamp::from_unix_millis(second * 1_000);
        let erasure = |second| Erasure::of(lead(account_id(1), 1), user_id(1), at(second));
        let first = take_in(store, erasure(1)).await.expect("kept");
        assert_eq!(
            take_in(store, erasure(2)).await.expect("read"),
            first,
            "it is under way"
        );
        let subject = (first.account_id, first.lead_id);
        assert_eq!(
            erased_since(store, subject, at(9)).await.expect("read"),
            Some(user_id(1))
        );
        let row = row_of(store, first.account_id, first.lead_id)
            .await
            .expect("kept");
        let done = row.next(&first.done(at(3))).expect("JSON");
        store.resources.replace(done).await.expect("written");
        for (since, by) in [(3, Some(user_id(1))), (4, None)] {
            assert_eq!(erased_since(store, subject, at(since)).await.expect("read"), by);
        }
        let again = take_in(store, erasure(5)).await.expect("kept");
        assert_eq!((again.status, again.created_at), (ErasureStatus::Erasing, at(5)));
        let open = store
            .resources
            .open(ResourceKind::Erasure, 10)
            .await
            .expect("read");
        assert_eq!(open.len(), 1, "it is carried out");
    }
}
