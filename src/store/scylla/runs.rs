//! Runs in CQL: one partition a run, one conditional batch a transition.
//!
//! Before the batch goes what recovery and lists find a run by: its wake-ups, its mark while it moves, its entries. Left behind by a
//! batch that never took place, they lead nowhere and hurt nobody. After it goes what only tidies up; a crash before that is mended
//! by the sweep.

use std::sync::{Arc, OnceLock, Weak, atomic::Ordering};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    buckets::hour_of,
    contact_tally::contact_tally,
    errors::{Unexpected, missing},
    leases::epoch_of,
    lwt::Verdict,
    marks::{Mark, MarkKind, Recent},
    run_history,
    run_index::{self, Tallies},
    run_list,
    run_rows::{
        CommitId, EFFECTS, EffectColumns, HEAD, HeadRow, LINES, LOAD, LineRow, LoadedRow, STAND, StandRow,
        creation, transition,
    },
    session::{Db, Statement},
    timers,
    values::{Count, Small, millis, moment},
};
use crate::{
    domain::{
        ids::{AccountId, LeadId, RunId, WorkflowId},
        shard::Shard,
        time::Timestamp,
    },
    store::{
        LeadStore, Page, PageRequest, Recorded, RunStore, StoreError, StoreResult,
        cursor::{List, Window},
        runs::{
            ContactTally, EffectRow, JournalLine, Owns, RunAppend, RunCounts, RunFilter, RunHead, RunStatus,
            TimerRow,
        },
    },
};

const KEEP_PART: Statement =
    Statement::write("INSERT INTO run_parts (run, part, write_id, bytes) VALUES (?, ?, ?, ?)");
const PARTS: Statement =
    Statement::read("SELECT seq, write_id, without_parts FROM runs WHERE run = ? AND kind = 3");
const PART: Statement =
    Statement::read("SELECT bytes FROM run_parts WHERE run = ? AND part = ? AND write_id = ?");
const DROP_PARTS: Statement = Statement::write("DELETE FROM run_parts WHERE run = ?");
const OF_LEAD: Statement = Statement::read(
    "SELECT started_at, run, workflow FROM runs_by_lead WHERE lead = ? AND (started_at, run) < (?, ?) LIMIT 1000",
);

const READS_AT_ONCE: usize = 16;
/// Runs whose mark, or end, this process remembers, twice over.
const REMEMBERED_MAX: usize = 50_000;
const TALLIES_MAX: usize = 10_000;
/// Transitions of this node that are on their way at once. The others wait here, where no time-out of a request runs: thousands of timers that
/// come due together would bury the server, and each request that it gives up leaves an outcome to be looked up. Who waits is bounded by
/// the runs at work.
const TRANSITIONS_AT_ONCE: usize = 64;
/// Pages of a lead's runs that enrolment looks through: of a lead with more than 20,000 runs it sees the newest.
const PAGES_OF_LEAD_MAX: usize = 20;

/// The runs of a cluster, as one node sees them.
pub(super) struct Runs {
    db: Arc<Db>,
    /// Set once, when the store is put together: leads keep facts, facts start runs, and lists of runs ask for leads.
    leads: OnceLock<Weak<dyn LeadStore>>,
    owns: OnceLock<Owns>,
    /// Where a moving run is marked by this node.
    marked: Recent<RunId, Marked>,
    tallies: Tallies,
    turns: Semaphore,
}

/// The hour of a run's mark, and the epoch of the node that set it: another owner in between may have said that it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Marked {
    hour: i64,
    epoch: u64,
}

impl Runs {
    pub(super) fn new(db: Arc<Db>) -> Self {
        Self {
            db,
            leads: OnceLock::new(),
            owns: OnceLock::new(),
            marked: Recent::new(REMEMBERED_MAX),
            tallies: Recent::new(TALLIES_MAX),
            turns: Semaphore::new(TRANSITIONS_AT_ONCE),
        }
    }

    /// Tells the runs where leads are found; the first one told stays.
    pub(super) fn meet(&self, leads: &Arc<dyn LeadStore>) {
        self.leads.get_or_init(|| Arc::downgrade(leads));
    }

    /// Waits until a transition may set out.
    async fn turn(&self) -> SemaphorePermit<'_> {
        self.turns.acquire().await.expect("nobody closes the semaphore")
    }

    /// Writes what must not be missing once the transition has taken place.
    async fn prepare(&self, append: &RunAppend, commit: CommitId) -> StoreResult<()> {
        let head = &append.head;
        self.db
            .latest
            .fetch_max(millis(head.updated_at), Ordering::Relaxed);
        tokio::try_join!(
            timers::set(&self.db, head.id, &append.timers_set, head.updated_at),
            self.mark(append),
            self.keep_parts(append, commit),
        )?;
        Ok(())
    }

    /// Marks a run that stands as running, once in an hour: recovery has to look at it.
    async fn mark(&self, append: &RunAppend) -> StoreResult<()> {
        let head = &append.head;
        let marked = Marked {
            hour: hour_of(head.updated_at),
            epoch: append.epoch,
        };
        // A mark of an earlier hour may have been dropped by whoever owned the run meanwhile.
        if head.status != RunStatus::Running || self.marked.get(&head.id) == Some(marked) {
            return Ok(());
        }
        self.db.mark(mark_of(head, marked.hour)).await?;
        self.marked.put(head.id, marked);
        Ok(())
    }

    async fn keep_parts(&self, append: &RunAppend, commit: CommitId) -> StoreResult<()> {
        for (part, bytes) in &append.parts {
            self.db
                .write(KEEP_PART, (append.head.id, Small(*part), commit.0, bytes))
                .await?;
        }
        Ok(())
    }

    /// Tidies up behind a transition that has taken place. What fails here is mended by the sweep.
    async fn follow(&self, append: &RunAppend) {
        let head = &append.head;
        let marked = match head.status {
            RunStatus::Running => None,
            _ => self.marked.take(&head.id),
        };
        let tidied = tokio::try_join!(
            async {
                match marked {
                    Some(Marked { hour, .. }) => self.db.mark_done(mark_of(head, hour)).await,
                    None => Ok(()),
                }
            },
            async {
                if head.status.is_terminal() {
                    run_index::enter_end(&self.db, head).await
                } else {
                    Ok(())
                }
            },
            async {
                if append.drops_parts {
                    self.db.write(DROP_PARTS, (head.id,)).await
                } else {
                    Ok(())
                }
            },
        );
        if let Err(error) = tidied {
            tracing::warn!(run_id = %head.id, %error, "a run moved, and what only tidies up was not written");
        }
    }

    async fn stand(&self, id: RunId) -> StoreResult<Option<StandRow>> {
        self.db.first(STAND, (id,)).await
    }

    async fn is_standing(&self, id: RunId, commit: CommitId) -> StoreResult<bool> {
        Ok(self.stand(id).await?.is_some_and(|stand| stand.is_of(id, commit)))
    }

    /// Refuses what this process has no part in any more, by its own clock.
    fn may_move(&self, append: &RunAppend) -> StoreResult<()> {
        match self.owns.get() {
            Some(owns) if append.epoch > 0 && owns(append.head.id.shard()) != Some(append.epoch) => {
                Err(fenced(append))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses to make a run in a shard that a newer epoch owns: its partition is empty, so nothing there can. One that is made under
    /// no epoch is left to the owner.
    async fn may_create(&self, append: &RunAppend) -> StoreResult<()> {
        if append.epoch > 0 && epoch_of(&self.db, append.head.id.shard()).await? > append.epoch {
            return Err(fenced(append));
        }
        self.may_move(append)
    }

    /// Takes back the entry of a run that was not made under it, unless it was made by another at the same moment.
    async fn take_entry_back(&self, head: &RunHead) -> StoreResult<()> {
        let stand = self.stand(head.id).await?;
        if stand.and_then(|stand| stand.started_at) == Some(head.started_at) {
            return Ok(());
        }
        run_index::take_back(&self.db, head).await
    }

    /// Why the database refused to move a run.
    async fn refusal(&self, append: &RunAppend, commit: CommitId) -> StoreResult<()> {
        let head = &append.head;
        let stand = self
            .stand(head.id)
            .await?
            .ok_or_else(|| missing("run", head.id))?;
        if stand.is_of(head.id, commit) {
            return Ok(());
        }
        let (Some(revision), Some(epoch)) = (stand.revision, stand.epoch) else {
            return Err(missing("run", head.id));
        };
        if stand.account != Some(head.account_id) {
            return Err(missing("run", head.id));
        }
        if epoch.0 > append.epoch {
            return Err(fenced(append));
        }
        Err(StoreError::Moved {
            what: "run",
            id: head.id.to_string(),
            revision: revision.0,
        })
    }

    async fn owned(&self, account_id: AccountId, id: RunId) -> StoreResult<RunHead> {
        let row: Option<HeadRow> = self.db.first(HEAD, (id,)).await?;
        let head = row.ok_or_else(|| missing("run", id))?.into_head()?;
        (head.account_id == account_id)
            .then_some(head)
            .ok_or_else(|| missing("run", id))
    }

    /// The lead's runs of a workflow, oldest first.
    async fn of_lead(&self, workflow_id: WorkflowId, lead_id: LeadId) -> StoreResult<Vec<RunHead>> {
        type Entry = (Timestamp, RunId, Option<WorkflowId>);
        let (mut ids, mut place) = (Vec::new(), (moment(i64::MAX), RunId::from_bytes([u8::MAX; 16])));
        for _ in 0..PAGES_OF_LEAD_MAX {
            let entries: Vec<Entry> = self.db.rows(OF_LEAD, (lead_id, place.0, place.1)).await?;
            let Some((at, run, _)) = entries.last().copied() else {
                break;
            };
            place = (moment(millis(at)), run);
            let of_workflow = entries
                .into_iter()
                .filter(|(_, _, workflow)| *workflow == Some(workflow_id));
            ids.extend(of_workflow.map(|(_, run, _)| run));
        }
        let mut heads: Vec<RunHead> = run_index::heads(&self.db, ids).await?.into_values().collect();
        heads.sort_by_key(|head| (head.started_at, head.id));
        Ok(heads)
    }

    /// Drops the marks of hours that are over. A run that still moves gets another mark first.
    async fn drop_marks(&self, shard: Shard, now: Timestamp) -> StoreResult<()> {
        for hour in self.db.closed_hours(MarkKind::MovingRun, shard, now).await? {
            let open = self.db.open_marks_of(MarkKind::MovingRun, shard, hour).await?;
            let ids = open.iter().map(|mark| RunId::from_bytes(mark.id)).collect();
            for head in run_index::heads(&self.db, ids).await?.into_values() {
                if head.status == RunStatus::Running {
                    self.db.mark(mark_of(&head, hour_of(now))).await?;
                } else if head.status.is_terminal() {
                    run_index::enter_end(&self.db, &head).await?;
                }
            }
            self.db.drop_hour(MarkKind::MovingRun, shard, hour).await?;
        }
        Ok(())
    }
}

fn fenced(append: &RunAppend) -> StoreError {
    StoreError::Fenced {
        what: "run",
        id: append.head.id.to_string(),
        epoch: append.epoch,
    }
}

fn mark_of(head: &RunHead, hour: i64) -> Mark {
    Mark {
        kind: MarkKind::MovingRun,
        shard: head.id.shard(),
        hour,
        id: *head.id.as_bytes(),
        turn: Some(head.revision),
    }
}

/// The shard asked for, or every one.
pub(super) fn shards(wanted: Option<Shard>) -> Vec<Shard> {
    wanted.map_or_else(|| Shard::all().collect(), |shard| vec![shard])
}

#[async_trait]
impl RunStore for Runs {
    fn ask_before_writing(&self, owns: Owns) {
        self.owns.get_or_init(|| owns);
    }

    async fn create(&self, append: RunAppend) -> StoreResult<Recorded> {
        let (commit, id) = (CommitId::fresh(), append.head.id);
        let _turn = self.turn().await;
        tokio::try_join!(
            self.prepare(&append, commit),
            run_index::enter(&self.db, &append.head)
        )?;
        // Last, so that nothing that takes long lies between the answer and the batch.
        if let Err(refusal) = self.may_create(&append).await {
            if matches!(refusal, StoreError::Fenced { .. }) {
                self.take_entry_back(&append.head).await?;
            }
            return Err(refusal);
        }
        let outcome = self.db.conditional_batch(creation(&append, commit)).await;
        match self.db.settled(outcome, || self.is_standing(id, commit)).await? {
            Verdict::Applied => {
                self.follow(&append).await;
                Ok(Recorded::Fresh)
            }
            Verdict::Refused => {
                self.take_entry_back(&append.head).await?;
                Ok(Recorded::Duplicate)
            }
        }
    }

    async fn append(&self, append: RunAppend) -> StoreResult<()> {
        let (commit, id) = (CommitId::fresh(), append.head.id);
        let _turn = self.turn().await;
        self.prepare(&append, commit).await?;
        self.may_move(&append)?;
        let outcome = self.db.conditional_batch(transition(&append, commit)).await;
        match self.db.settled(outcome, || self.is_standing(id, commit)).await? {
            Verdict::Applied => (),
            Verdict::Refused => self.refusal(&append, commit).await?,
        }
        self.follow(&append).await;
        Ok(())
    }

    async fn load(&self, id: RunId) -> StoreResult<(RunHead, Vec<u8>)> {
        let row: Option<LoadedRow> = self.db.first(LOAD, (id,)).await?;
        row.ok_or_else(|| missing("run", id))?.into_loaded()
    }

    async fn parts(&self, id: RunId) -> StoreResult<Vec<(u32, Vec<u8>)>> {
        let references: Vec<(Count, Option<Vec<u8>>, Option<bool>)> = self.db.rows(PARTS, (id,)).await?;
        stream::iter(references)
            .filter(|(_, _, without)| std::future::ready(*without != Some(true)))
            .map(async |(part, write_id, _)| {
                let part = u32::try_from(part.0).map_err(|_too_large| Unexpected { what: "a part" })?;
                let bytes: Option<(Vec<u8>,)> = self.db.first(PART, (id, Small(part), write_id)).await?;
                let (bytes,) = bytes.ok_or(Unexpected { what: "a run's part" })?;
                Ok((part, bytes))
            })
            .buffered(READS_AT_ONCE)
            .try_collect()
            .await
    }

    async fn head(&self, account_id: AccountId, id: RunId) -> StoreResult<RunHead> {
        self.owned(account_id, id).await
    }

    async fn journal(&self, account_id: AccountId, id: RunId) -> StoreResult<Vec<JournalLine>> {
        self.owned(account_id, id).await?;
        let rows: Vec<LineRow> = self.db.rows(LINES, (id,)).await?;
        let mut lines = Vec::new();
        for row in rows {
            lines.extend(row.into_lines()?);
        }
        Ok(lines)
    }

    async fn effects(&self, account_id: AccountId, id: RunId) -> StoreResult<Vec<EffectRow>> {
        self.owned(account_id, id).await?;
        let rows: Vec<EffectColumns> = self.db.rows(EFFECTS, (id,)).await?;
        let mut effects = rows
            .into_iter()
            .map(|row| row.into_effect(id, account_id))
            .collect::<StoreResult<Vec<_>>>()?;
        effects.sort_by(|one, other| (one.at, &one.key).cmp(&(other.at, &other.key)));
        Ok(effects)
    }

    async fn contact_tally(
        &self,
        account_id: AccountId,
        id: RunId,
        now: Timestamp,
    ) -> StoreResult<ContactTally> {
        contact_tally(&self.effects(account_id, id).await?, now)
    }

    async fn list(
        &self,
        account_id: AccountId,
        filter: RunFilter,
        page: PageRequest,
    ) -> StoreResult<Page<RunHead>> {
        let window = Window::of(List::Runs, &page)?;
        let leads = self.leads.get().and_then(Weak::upgrade);
        let leads = leads.ok_or(Unexpected { what: "its leads" })?;
        run_list::list(&self.db, leads.as_ref(), account_id, filter, &window).await
    }

    async fn active_for_lead(&self, workflow_id: WorkflowId, lead_id: LeadId) -> StoreResult<Vec<RunId>> {
        let heads = self.of_lead(workflow_id, lead_id).await?;
        Ok(heads
            .into_iter()
            .filter(|head| !head.status.is_terminal())
            .map(|head| head.id)
            .collect())
    }

    async fn ever_for_lead(&self, workflow_id: WorkflowId, lead_id: LeadId) -> StoreResult<bool> {
        Ok(!self.of_lead(workflow_id, lead_id).await?.is_empty())
    }

    async fn timers(
        &self,
        shard: Option<Shard>,
        after: Option<TimerRow>,
        limit: u32,
    ) -> StoreResult<Vec<TimerRow>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        timers::scan(&self.db, shard, after, limit).await
    }

    async fn unparked(&self, shard: Option<Shard>) -> StoreResult<Vec<RunId>> {
        let marks: Vec<Vec<Mark>> = stream::iter(shards(shard))
            .map(|shard| self.db.open_marks(MarkKind::MovingRun, shard))
            .buffer_unordered(READS_AT_ONCE)
            .try_collect()
            .await?;
        let mut ids: Vec<RunId> = marks
            .into_iter()
            .flatten()
            .map(|mark| RunId::from_bytes(mark.id))
            .collect();
        // A run that moved in two hours has two marks.
        ids.sort_unstable();
        ids.dedup();
        let mut moving: Vec<RunHead> = run_index::heads(&self.db, ids)
            .await?
            .into_values()
            .filter(|head| head.status == RunStatus::Running)
            .collect();
        moving.sort_by_key(|head| (head.started_at, head.id));
        Ok(moving.into_iter().map(|head| head.id).collect())
    }

    async fn sweep(&self, shard: Option<Shard>, now: Timestamp) -> StoreResult<()> {
        for shard in shards(shard) {
            self.drop_marks(shard, now).await?;
            timers::drop_hours(&self.db, shard, now).await?;
        }
        Ok(())
    }

    async fn forget_history(&self, account_id: AccountId, id: RunId) -> StoreResult<bool> {
        let head = self.owned(account_id, id).await?;
        let (_, snapshot) = self.load(id).await?;
        if !head.status.is_terminal() || snapshot.is_empty() {
            return Ok(false);
        }
        run_history::forget(&self.db, &head).await
    }

    async fn counts(&self, account_id: AccountId, workflow_id: WorkflowId) -> StoreResult<RunCounts> {
        run_index::counts(&self.db, &self.tallies, account_id, workflow_id).await
    }
}
