//! Runs in SQLite: head and snapshot in one row, journal, timers and effects below it, all moved by one append.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    columns::{Count, last_byte, missing},
    contact_tally::contact_tally,
    cursor::{List, Window},
    database::Sqlite,
    journal_rows, run_list,
};
use crate::{
    domain::{
        ids::{AccountId, LeadId, RunId, WorkflowId},
        shard::Shard,
        time::Timestamp,
    },
    store::{
        Page, PageRequest, Recorded, RunStore, StoreError, StoreResult,
        runs::{
            ContactTally, EffectRow, JournalLine, RunAppend, RunCounts, RunFilter, RunHead, RunStatus,
            TimerRow,
        },
    },
};

pub(super) const HEAD: &str = "id, account, workflow, version, lead, call, trigger, status, revision, started_at, updated_at, ended_at, error, retry_of";

#[async_trait]
impl RunStore for Sqlite {
    async fn create(&self, append: RunAppend) -> StoreResult<Recorded> {
        self.write(move |db| create(db, &append)).await
    }

    async fn append(&self, append: RunAppend) -> StoreResult<()> {
        self.write(move |db| advance(db, &append)).await
    }

    async fn load(&self, id: RunId) -> StoreResult<(RunHead, Vec<u8>)> {
        self.read(move |db| {
            db.prepare_cached(&format!("SELECT {HEAD}, snapshot FROM runs WHERE id = ?1"))?
                .query_row([id], |row| Ok((head(row)?, row.get("snapshot")?)))
                .optional()?
                .ok_or_else(|| missing("run", id))
        })
        .await
    }

    async fn parts(&self, id: RunId) -> StoreResult<Vec<(u32, Vec<u8>)>> {
        self.read(move |db| {
            let mut rows =
                db.prepare_cached("SELECT part, bytes FROM run_parts WHERE run = ?1 ORDER BY part")?;
            let rows = rows.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn head(&self, account_id: AccountId, id: RunId) -> StoreResult<RunHead> {
        self.read(move |db| {
            db.prepare_cached(&format!("SELECT {HEAD} FROM runs WHERE id = ?1 AND account = ?2"))?
                .query_row((id, account_id), head)
                .optional()?
                .ok_or_else(|| missing("run", id))
        })
        .await
    }

    async fn journal(&self, account_id: AccountId, id: RunId) -> StoreResult<Vec<JournalLine>> {
        self.read(move |db| {
            check_owner(db, account_id, id)?;
            let mut statement =
                db.prepare_cached("SELECT seq, at, entry FROM journal WHERE run = ?1 ORDER BY seq")?;
            let mut rows = statement.query([id])?;
            let mut lines = Vec::new();
            while let Some(row) = rows.next()? {
                let row = JournalLine {
                    seq: row.get::<_, Count>(0)?.0,
                    at: row.get(1)?,
                    entry: row.get(2)?,
                };
                lines.extend(journal_rows::lines_of(row));
            }
            Ok(lines)
        })
        .await
    }

    async fn effects(&self, account_id: AccountId, id: RunId) -> StoreResult<Vec<EffectRow>> {
        self.read(move |db| {
            check_owner(db, account_id, id)?;
            effects_of(db, id)
        })
        .await
    }

    async fn contact_tally(
        &self,
        account_id: AccountId,
        id: RunId,
        now: Timestamp,
    ) -> StoreResult<ContactTally> {
        self.read(move |db| {
            check_owner(db, account_id, id)?;
            contact_tally(db, id, now)
        })
        .await
    }

    async fn list(
        &self,
        account_id: AccountId,
        filter: RunFilter,
        page: PageRequest,
    ) -> StoreResult<Page<RunHead>> {
        let window = Window::of(List::Runs, &page)?;
        self.read(move |db| run_list::list(db, account_id, &filter, &window))
            .await
    }

    async fn active_for_lead(&self, workflow_id: WorkflowId, lead_id: LeadId) -> StoreResult<Vec<RunId>> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT id FROM runs WHERE lead = ?1 AND workflow = ?2 AND status IN (?3, ?4, ?5) ORDER BY started_at, id",
            )?;
            let active = (lead_id, workflow_id, RunStatus::Running, RunStatus::Waiting, RunStatus::Stuck);
            Ok(statement.query_map(active, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn ever_for_lead(&self, workflow_id: WorkflowId, lead_id: LeadId) -> StoreResult<bool> {
        self.read(move |db| {
            let mut statement =
                db.prepare_cached("SELECT 1 FROM runs WHERE lead = ?1 AND workflow = ?2 LIMIT 1")?;
            Ok(statement.exists((lead_id, workflow_id))?)
        })
        .await
    }

    async fn timers(
        &self,
        shard: Option<Shard>,
        after: Option<TimerRow>,
        limit: u32,
    ) -> StoreResult<Vec<TimerRow>> {
        // No run has the nil id, so nothing lies before it.
        let (run, timer) = after.map_or((RunId::from_bytes([0; 16]), 0), |row| (row.run_id, row.timer));
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT due, run, timer FROM timers WHERE (run, timer) > (?1, ?2)
                 AND (?4 IS NULL OR substr(run, 16, 1) = ?4) ORDER BY run, timer LIMIT ?3",
            )?;
            let timers = statement.query_map((run, Count(timer), limit, last_byte(shard)), |row| {
                Ok(TimerRow {
                    due: row.get(0)?,
                    run_id: row.get(1)?,
                    timer: row.get::<_, Count>(2)?.0,
                })
            })?;
            Ok(timers.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn unparked(&self, shard: Option<Shard>) -> StoreResult<Vec<RunId>> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT id FROM runs WHERE status = ?1 AND (?2 IS NULL OR substr(id, 16, 1) = ?2) ORDER BY started_at, id",
            )?;
            Ok(statement
                .query_map((RunStatus::Running, last_byte(shard)), |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn forget_history(&self, account_id: AccountId, id: RunId) -> StoreResult<bool> {
        self.write(move |db| forget_history(db, account_id, id)).await
    }

    async fn counts(&self, account_id: AccountId, workflow_id: WorkflowId) -> StoreResult<RunCounts> {
        self.read(move |db| {
            let counts = db
                .prepare_cached(
                    "SELECT active, completed, failed, cancelled FROM run_counts WHERE workflow = ?1 AND account = ?2",
                )?
                .query_row((workflow_id, account_id), |row| {
                    Ok(RunCounts {
                        active: row.get::<_, Count>(0)?.0,
                        completed: row.get::<_, Count>(1)?.0,
                        failed: row.get::<_, Count>(2)?.0,
                        cancelled: row.get::<_, Count>(3)?.0,
                    })
                })
                .optional()?;
            Ok(counts.unwrap_or_default())
        })
        .await
    }
}

/// Forgets what an ended run did. The next revision, so that an actor that still holds the run cannot write it again.
fn forget_history(db: &Connection, account: AccountId, id: RunId) -> StoreResult<bool> {
    check_owner(db, account, id)?;
    let forgotten = db
        .prepare_cached(
            "UPDATE runs SET snapshot = x'', error = NULL, revision = revision + 1
             WHERE id = ?1 AND status IN (?2, ?3, ?4) AND length(snapshot) > 0",
        )?
        .execute((id, RunStatus::Completed, RunStatus::Failed, RunStatus::Cancelled))?;
    if forgotten == 0 {
        return Ok(false);
    }
    for table in ["journal", "effects", "timers", "run_parts"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE run = ?1"))?
            .execute([id])?;
    }
    Ok(true)
}

pub(super) fn create(db: &Connection, append: &RunAppend) -> StoreResult<Recorded> {
    let run = &append.head;
    let inserted = db
        .prepare_cached(
            "INSERT INTO runs (id, account, workflow, version, lead, call, trigger, status, revision, started_at, updated_at,
                ended_at, error, snapshot, retry_of)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            run.id,
            run.account_id,
            run.workflow_id,
            run.version,
            run.lead_id,
            run.call_id,
            run.trigger,
            run.status,
            Count(run.revision),
            run.started_at,
            run.updated_at,
            run.ended_at,
            run.error,
            append.snapshot,
            run.retry_of,
        ])?;
    if inserted == 0 {
        return Ok(Recorded::Duplicate);
    }
    count(db, run, None, Tally::of(run.status))?;
    write_rows(db, append)?;
    Ok(Recorded::Fresh)
}

fn advance(db: &Connection, append: &RunAppend) -> StoreResult<()> {
    let run = &append.head;
    let stored = db
        .prepare_cached("SELECT rowid, revision, status FROM runs WHERE id = ?1 AND account = ?2")?
        .query_row((run.id, run.account_id), |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, Count>(1)?.0,
                row.get::<_, RunStatus>(2)?,
            ))
        })
        .optional()?;
    let (rowid, revision, status) = stored.ok_or_else(|| missing("run", run.id))?;
    if revision.checked_add(1) != Some(run.revision) {
        return Err(StoreError::Moved {
            what: "run",
            id: run.id.to_string(),
            revision,
        });
    }
    db.prepare_cached(
        "UPDATE runs SET status = ?2, revision = ?3, updated_at = ?4, ended_at = ?5, error = ?6, snapshot = ?7, version = ?8
         WHERE rowid = ?1",
    )?
    .execute(params![
        rowid,
        run.status,
        Count(run.revision),
        run.updated_at,
        run.ended_at,
        run.error,
        append.snapshot,
        run.version,
    ])?;
    let (before, after) = (Tally::of(status), Tally::of(run.status));
    if before != after {
        count(db, run, Some(before), after)?;
    }
    write_rows(db, append)
}

/// What every transition carries below the head.
fn write_rows(db: &Connection, append: &RunAppend) -> StoreResult<()> {
    let id = append.head.id;
    for (part, bytes) in &append.parts {
        db.prepare_cached("INSERT OR REPLACE INTO run_parts (run, part, bytes) VALUES (?1, ?2, ?3)")?
            .execute((id, part, bytes))?;
    }
    if append.drops_parts {
        db.prepare_cached("DELETE FROM run_parts WHERE run = ?1")?
            .execute([id])?;
    }
    for row in journal_rows::rows_of(&append.journal) {
        db.prepare_cached("INSERT INTO journal (run, seq, at, entry) VALUES (?1, ?2, ?3, ?4)")?
            .execute((id, Count(row.seq), row.at, row.entry.as_ref()))?;
    }
    for timer in &append.timers_cleared {
        db.prepare_cached("DELETE FROM timers WHERE run = ?1 AND timer = ?2")?
            .execute((id, Count(*timer)))?;
    }
    for (timer, due) in &append.timers_set {
        db.prepare_cached("INSERT OR REPLACE INTO timers (run, timer, due) VALUES (?1, ?2, ?3)")?
            .execute((id, Count(*timer), due))?;
    }
    for effect in &append.effects {
        db.prepare_cached(
            "INSERT OR REPLACE INTO effects (run, key, account, state, attempt, request, provider_id, error, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            effect.run_id,
            effect.key,
            effect.account_id,
            effect.state,
            effect.attempt,
            effect.request,
            effect.provider_id,
            effect.error,
            effect.at,
        ])?;
    }
    Ok(())
}

/// How a run counts in its workflow's tally.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tally {
    Active,
    Completed,
    Failed,
    Cancelled,
}

impl Tally {
    const fn of(status: RunStatus) -> Self {
        match status {
            RunStatus::Running | RunStatus::Waiting | RunStatus::Stuck => Self::Active,
            RunStatus::Completed => Self::Completed,
            RunStatus::Failed => Self::Failed,
            RunStatus::Cancelled => Self::Cancelled,
        }
    }

    /// How the four columns change when a run goes from `before` to `after`.
    fn changes(before: Option<Self>, after: Self) -> [i64; 4] {
        [Self::Active, Self::Completed, Self::Failed, Self::Cancelled]
            .map(|tally| i64::from(tally == after) - i64::from(Some(tally) == before))
    }
}

/// Keeps the tally as runs move: counting a workflow's runs when asked would scan them all.
fn count(db: &Connection, run: &RunHead, before: Option<Tally>, after: Tally) -> StoreResult<()> {
    let [active, completed, failed, cancelled] = Tally::changes(before, after);
    db.prepare_cached(
        "INSERT INTO run_counts (workflow, account, active, completed, failed, cancelled) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (workflow) DO UPDATE SET active = active + ?3, completed = completed + ?4, failed = failed + ?5,
            cancelled = cancelled + ?6",
    )?
    .execute((run.workflow_id, run.account_id, active, completed, failed, cancelled))?;
    Ok(())
}

fn effects_of(db: &Connection, id: RunId) -> StoreResult<Vec<EffectRow>> {
    let mut statement = db.prepare_cached(
        "SELECT key, run, account, state, attempt, request, provider_id, error, at FROM effects WHERE run = ?1 ORDER BY at, key",
    )?;
    let rows = statement.query_map([id], |row| {
        Ok(EffectRow {
            key: row.get(0)?,
            run_id: row.get(1)?,
            account_id: row.get(2)?,
            state: row.get(3)?,
            attempt: row.get(4)?,
            request: row.get(5)?,
            provider_id: row.get(6)?,
            error: row.get(7)?,
            at: row.get(8)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn check_owner(db: &Connection, account: AccountId, id: RunId) -> StoreResult<()> {
    let is_owned = db
        .prepare_cached("SELECT 1 FROM runs WHERE id = ?1 AND account = ?2")?
        .exists((id, account))?;
    is_owned.then_some(()).ok_or_else(|| missing("run", id))
}

pub(super) fn head(row: &Row<'_>) -> rusqlite::Result<RunHead> {
    Ok(RunHead {
        id: row.get("id")?,
        account_id: row.get("account")?,
        workflow_id: row.get("workflow")?,
        version: row.get("version")?,
        lead_id: row.get("lead")?,
        call_id: row.get("call")?,
        retry_of: row.get("retry_of")?,
        trigger: row.get("trigger")?,
        status: row.get("status")?,
        revision: row.get::<_, Count>("revision")?.0,
        started_at: row.get("started_at")?,
        updated_at: row.get("updated_at")?,
        ended_at: row.get("ended_at")?,
        error: row.get("error")?,
    })
}
