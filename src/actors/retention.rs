//! Retention: takes away, day by day, what an account does not keep any longer.
//!
//! In: accounts that say how long they keep what. Out: transcripts, texts of messages and histories of ended runs that are older are gone; an
//! entry in the audit log says how many. A sweep goes through the lists from the oldest that is kept back to the beginning, a bounded number of
//! rows at a look, and its place is in the store: after a crash it goes on there. A day after it began the next one begins.

use std::{sync::Arc, time::Duration};

use ractor::{ActorCell, SpawnErr};
use tokio::sync::Notify;

use super::{
    LeadsHandle,
    rounds::{self, Round},
};
use crate::{
    clock,
    domain::{
        audit::{Deed, Details},
        erasure::Redaction,
        ids::AccountId,
        resource::ResourceKind,
        retention::{Lane, Retention, RetentionSweep, SweepCounts, Swept},
        time::Timestamp,
    },
    store::{
        Recorded, Store, StoreError, StoreResult,
        resources::{ResourceAddress, ResourceRow},
        runs::RunFilter,
        walking::Walk,
    },
};

/// Between two looks at every account.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Accounts that one look takes up.
const LOOK_ACCOUNTS: u32 = 1_000;
/// Rows of one list that one look goes through.
const LOOK_ROWS: usize = 2_000;
/// Between the beginnings of two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// How often a place is written again because somebody else was faster.
const TRIES_MAX: u32 = 10;
/// The word in the audit log.
const SWEPT: &str = "retentionSwept";

/// The sweeps. Cheap to clone.
#[derive(Clone)]
pub struct RetentionHandle {
    store: Store,
    leads: LeadsHandle,
    changed: Arc<Notify>,
}

impl RetentionHandle {
    /// Begins to look.
    ///
    /// # Errors
    /// When the supervisor is no longer alive.
    pub async fn start(store: Store, leads: LeadsHandle, supervisor: ActorCell) -> Result<Self, SpawnErr> {
        let handle = Self {
            store,
            leads,
            changed: Arc::default(),
        };
        let looking = handle.clone();
        let round = Round::new("what is not kept any longer", LOOK_EVERY, move || {
            let looking = looking.clone();
            async move { looking.look(clock::now()).await }
        });
        rounds::start(round.or_when(handle.changed.clone()), supervisor).await?;
        Ok(handle)
    }

    /// Keeps how long an account keeps what, and sweeps accordingly.
    ///
    /// # Errors
    /// When it could not be kept.
    pub async fn set(&self, account_id: AccountId, retention: Retention) -> StoreResult<()> {
        if !retention.keeps_everything() {
            self.open(account_id).await?;
        }
        self.store.accounts.set_retention(account_id, retention).await?;
        self.changed.notify_one();
        Ok(())
    }

    /// Sees to it that looks find the account, with a sweep that begins.
    async fn open(&self, account_id: AccountId) -> StoreResult<()> {
        let now = clock::now();
        let mut row = ResourceRow::first(&RetentionSweep::first(account_id, now))?;
        row.is_open = true;
        if self.store.resources.create(row).await? == Recorded::Fresh {
            return Ok(());
        }
        for _ in 0..TRIES_MAX {
            let row = self.store.resources.get(address_of(account_id)).await?;
            let sweep: RetentionSweep = row.read()?;
            match self.keep(&row, &sweep.again(now), true).await {
                Err(StoreError::Moved { .. }) => (),
                outcome => return outcome,
            }
        }
        Err(StoreError::Busy)
    }

    async fn keep(&self, row: &ResourceRow, sweep: &RetentionSweep, is_open: bool) -> StoreResult<()> {
        let mut next = row.next(sweep)?;
        next.is_open = is_open;
        self.store.resources.replace(next).await
    }

    /// Goes on with the sweep of every account that this node looks after.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn look(&self, now: Timestamp) -> StoreResult<()> {
        let rows = self
            .store
            .resources
            .open(ResourceKind::RetentionSweep, LOOK_ACCOUNTS)
            .await?;
        for row in rows {
            if !self.leads.acts_for(row.account_id.shard()) {
                continue;
            }
            match self.go_on(&row, now).await {
                // It was told anew meanwhile, or another node was faster.
                Ok(()) | Err(StoreError::Moved { .. }) => (),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn go_on(&self, row: &ResourceRow, now: Timestamp) -> StoreResult<()> {
        let account = self.store.accounts.account(row.account_id).await?;
        let mut sweep: RetentionSweep = row.read()?;
        if account.retention.keeps_everything() {
            return self.keep(row, &sweep, false).await;
        }
        if sweep.is_over {
            if now < sweep.began_at.plus(SWEEP_EVERY) {
                return Ok(());
            }
            sweep = sweep.again(now);
        }
        for swept in Swept::ALL {
            let cutoff = account.retention.cutoff(swept, sweep.began_at);
            let lane = sweep.lane(swept).clone();
            let (lane, taken) = match cutoff {
                Some(cutoff) if !lane.is_over => self.sweep(account.id, swept, cutoff, lane).await?,
                Some(_) => (lane, 0),
                None => (
                    Lane {
                        is_over: true,
                        cursor: None,
                    },
                    0,
                ),
            };
            *sweep.lane(swept) = lane;
            *sweep.counts.of(swept) += taken;
        }
        sweep.is_over = sweep.transcripts.is_over && sweep.messages.is_over && sweep.runs.is_over;
        if sweep.is_over {
            self.write_down(&sweep, &account.retention, now).await?;
        }
        self.keep(row, &sweep, true).await
    }

    /// Goes through some of a list that is older than `cutoff`. Returns how far it came, and how much was taken.
    async fn sweep(
        &self,
        account_id: AccountId,
        swept: Swept,
        cutoff: Timestamp,
        lane: Lane,
    ) -> StoreResult<(Lane, u64)> {
        let mut walk = match (lane.cursor, swept) {
            (Some(cursor), _) => Walk::from(cursor),
            (None, Swept::Transcripts) => Walk::calls_before(cutoff),
            (None, Swept::Messages) => Walk::messages_before(cutoff),
            (None, Swept::Runs) => Walk::default(),
        };
        let (mut looked_at, mut taken) = (0, 0);
        while looked_at < LOOK_ROWS {
            let page = match swept {
                Swept::Transcripts => self.sweep_calls(account_id, &mut walk).await?,
                Swept::Messages => self.sweep_messages(account_id, &mut walk).await?,
                Swept::Runs => self.sweep_runs(account_id, cutoff, &mut walk).await?,
            };
            let Some((rows, changed)) = page else { break };
            // A page may be empty and still have one behind it.
            looked_at += rows.max(1);
            taken += changed;
        }
        let lane = Lane {
            is_over: walk.is_over(),
            cursor: walk.into_cursor(),
        };
        Ok((lane, taken))
    }

    async fn sweep_calls(&self, account_id: AccountId, walk: &mut Walk) -> StoreResult<Option<(usize, u64)>> {
        let calls = &self.store.calls;
        let Some(page) = walk.next(|page| calls.list(account_id, page)).await? else {
            return Ok(None);
        };
        let mut changed = 0;
        for call in page.iter().filter(|call| call.status.is_terminal()) {
            changed += u64::from(calls.redact(account_id, call.id, Redaction::Words).await?);
        }
        Ok(Some((page.len(), changed)))
    }

    async fn sweep_messages(
        &self,
        account_id: AccountId,
        walk: &mut Walk,
    ) -> StoreResult<Option<(usize, u64)>> {
        let messages = &self.store.messages;
        let Some(page) = walk.next(|page| messages.list(account_id, page)).await? else {
            return Ok(None);
        };
        let (rows, mut changed) = (page.len(), 0);
        for message in page {
            let silent = message.clone().without_text();
            if silent != message {
                messages.redact(silent).await?;
                changed += 1;
            }
        }
        Ok(Some((rows, changed)))
    }

    async fn sweep_runs(
        &self,
        account_id: AccountId,
        cutoff: Timestamp,
        walk: &mut Walk,
    ) -> StoreResult<Option<(usize, u64)>> {
        let runs = &self.store.runs;
        // A run ends after it began: among those that began later none is old enough.
        let filter = RunFilter {
            until: Some(cutoff),
            ..RunFilter::default()
        };
        let Some(page) = walk.next(|page| runs.list(account_id, filter, page)).await? else {
            return Ok(None);
        };
        let mut changed = 0;
        for head in &page {
            if head.ended_at.is_some_and(|ended| ended < cutoff) {
                changed += u64::from(runs.forget_history(account_id, head.id).await?);
            }
        }
        Ok(Some((page.len(), changed)))
    }

    /// Says in the audit log what a sweep took, if it took anything.
    async fn write_down(
        &self,
        sweep: &RetentionSweep,
        retention: &Retention,
        now: Timestamp,
    ) -> StoreResult<()> {
        let counts = sweep.counts;
        if counts == SweepCounts::default() {
            return Ok(());
        }
        tracing::info!(account_id = %sweep.account_id, ?counts, "what is not kept any longer was taken away");
        let deed = Deed::of_the_system(sweep.account_id, now, SWEPT, sweep.account_id.to_string());
        let details = Details::of_counts(serde_json::json!({"taken": counts, "retention": retention}));
        self.store.audit.append(deed, details).await?;
        Ok(())
    }
}

fn address_of(account_id: AccountId) -> ResourceAddress {
    ResourceAddress::of::<RetentionSweep>(account_id, *account_id.as_bytes())
}
