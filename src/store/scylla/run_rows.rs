//! How a run lies in its partition: what one transition writes, as one conditional batch, and how it is read back.

use scylla::{DeserializeRow, SerializeRow, value::MaybeUnset};
use uuid::Uuid;

use super::{
    lwt::Changes,
    session::Statement,
    timers::wake_time,
    values::{Count, Small, present},
};
use crate::{
    domain::{
        ids::{AccountId, CallId, LeadId, RunId, WorkflowId},
        time::Timestamp,
    },
    store::{
        StoreResult, journal_rows,
        runs::{EffectRow, EffectState, JournalLine, RunAppend, RunHead, RunStatus},
    },
};

const CREATE: Statement = Statement::conditional(
    "UPDATE runs SET revision = ?, epoch = ?, commit_id = ?, account = ?, workflow = ?, version = ?, lead = ?, call = ?,
        retry_of = ?, trigger = ?, status = ?, started_at = ?, updated_at = ?, ended_at = ?, error = ?, snapshot = ?
     WHERE run = ? IF revision = null",
);
const MOVE: Statement = Statement::conditional(
    "UPDATE runs SET revision = ?, epoch = ?, commit_id = ?, version = ?, status = ?, updated_at = ?, ended_at = ?,
        error = ?, snapshot = ?, without_parts = ?
     WHERE run = ? IF revision = ? AND epoch <= ? AND account = ?",
);
const ADD_LINES: Statement =
    Statement::write("INSERT INTO runs (run, kind, seq, name, at, entry) VALUES (?, 0, ?, '', ?, ?)");
const SET_EFFECT: Statement = Statement::write(
    "INSERT INTO runs (run, kind, seq, name, at, state, attempt, request, provider_id, problem)
     VALUES (?, 1, 0, ?, ?, ?, ?, ?, ?, ?)",
);
const SET_TIMER: Statement =
    Statement::write("INSERT INTO runs (run, kind, seq, name, due) VALUES (?, 2, ?, '', ?)");
const REFER_TO_PART: Statement =
    Statement::write("INSERT INTO runs (run, kind, seq, name, write_id) VALUES (?, 3, ?, '', ?)");

pub(super) const HEAD: Statement = Statement::read(
    "SELECT DISTINCT run, account, workflow, version, lead, call, retry_of, trigger, status, revision, started_at,
        updated_at, ended_at, error FROM runs WHERE run = ?",
);
pub(super) const HEADS: Statement = Statement::read(
    "SELECT DISTINCT run, account, workflow, version, lead, call, retry_of, trigger, status, revision, started_at,
        updated_at, ended_at, error FROM runs WHERE run IN ?",
);
/// A takeover must see the last transition that anybody made.
pub(super) const LOAD: Statement = Statement::serial_read(
    "SELECT DISTINCT run, account, workflow, version, lead, call, retry_of, trigger, status, revision, started_at,
        updated_at, ended_at, error, snapshot FROM runs WHERE run = ?",
);
pub(super) const STAND: Statement = Statement::serial_read(
    "SELECT DISTINCT run, account, revision, epoch, commit_id, started_at FROM runs WHERE run = ?",
);
pub(super) const LINES: Statement =
    Statement::read("SELECT seq, at, entry FROM runs WHERE run = ? AND kind = 0");
pub(super) const EFFECTS: Statement = Statement::read(
    "SELECT name, at, state, attempt, request, provider_id, problem FROM runs WHERE run = ? AND kind = 1",
);

/// A timer that is not set any more: its row stays, because a deleted one would be waded through for days.
pub(super) const CLEARED: Timestamp = Timestamp::from_unix_millis(0);
/// A run that goes on.
const NOT_ENDED: Timestamp = Timestamp::from_unix_millis(0);

/// Names one write, so that it is known again when its outcome was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CommitId(pub(super) [u8; 16]);

impl CommitId {
    pub(super) fn fresh() -> Self {
        Self(*Uuid::now_v7().as_bytes())
    }
}

#[derive(SerializeRow)]
struct Creation {
    revision: Count,
    epoch: Count,
    commit_id: [u8; 16],
    account: AccountId,
    workflow: WorkflowId,
    version: Small,
    lead: MaybeUnset<LeadId>,
    call: MaybeUnset<CallId>,
    retry_of: MaybeUnset<RunId>,
    trigger: String,
    status: RunStatus,
    started_at: Timestamp,
    updated_at: Timestamp,
    ended_at: Timestamp,
    error: String,
    snapshot: Vec<u8>,
    run: RunId,
}

/// The batch that creates a run.
pub(super) fn creation(append: &RunAppend, commit: CommitId) -> Changes {
    let head = &append.head;
    let mut changes = Changes::default();
    let creation = Creation {
        revision: Count(head.revision),
        epoch: Count(append.epoch),
        commit_id: commit.0,
        account: head.account_id,
        workflow: head.workflow_id,
        version: Small(head.version),
        lead: MaybeUnset::from_option(head.lead_id),
        call: MaybeUnset::from_option(head.call_id),
        retry_of: MaybeUnset::from_option(head.retry_of),
        trigger: head.trigger.clone(),
        status: head.status,
        started_at: head.started_at,
        updated_at: head.updated_at,
        ended_at: head.ended_at.unwrap_or(NOT_ENDED),
        error: head.error.clone().unwrap_or_default(),
        snapshot: append.snapshot.clone(),
        run: head.id,
    };
    changes.add(CREATE, creation);
    add_rows(&mut changes, append, commit);
    changes
}

/// The batch that moves a run by one transition.
pub(super) fn transition(append: &RunAppend, commit: CommitId) -> Changes {
    let head = &append.head;
    let mut changes = Changes::default();
    let without_parts = append.drops_parts.then_some(true);
    changes.add(
        MOVE,
        (
            Count(head.revision),
            Count(append.epoch),
            commit.0,
            Small(head.version),
            head.status,
            head.updated_at,
            head.ended_at.unwrap_or(NOT_ENDED),
            head.error.clone().unwrap_or_default(),
            append.snapshot.clone(),
            MaybeUnset::from_option(without_parts),
            head.id,
            Count(head.revision.saturating_sub(1)),
            Count(append.epoch),
            head.account_id,
        ),
    );
    add_rows(&mut changes, append, commit);
    changes
}

/// What every transition carries below the head. Nothing is null: a null is a tombstone.
fn add_rows(changes: &mut Changes, append: &RunAppend, commit: CommitId) {
    let run = append.head.id;
    for row in journal_rows::rows_of(&append.journal) {
        changes.add(ADD_LINES, (run, Count(row.seq), row.at, row.entry.into_owned()));
    }
    for effect in &append.effects {
        changes.add(
            SET_EFFECT,
            (
                run,
                effect.key.clone(),
                effect.at,
                effect.state,
                Small(effect.attempt),
                effect.request.clone(),
                effect.provider_id.clone().unwrap_or_default(),
                effect.error.clone().unwrap_or_default(),
            ),
        );
    }
    let is_set = |timer: u64| append.timers_set.iter().any(|(set, _)| *set == timer);
    for timer in append.timers_cleared.iter().filter(|timer| !is_set(**timer)) {
        changes.add(SET_TIMER, (run, Count(*timer), CLEARED));
    }
    for (timer, due) in &append.timers_set {
        changes.add(
            SET_TIMER,
            (run, Count(*timer), wake_time(*due, append.head.updated_at)),
        );
    }
    for (part, _) in &append.parts {
        changes.add(REFER_TO_PART, (run, Count(u64::from(*part)), commit.0));
    }
}

/// A head as it is read. Every column but the key may be null as far as the driver knows.
#[derive(DeserializeRow)]
pub(super) struct HeadRow {
    run: RunId,
    account: Option<AccountId>,
    workflow: Option<WorkflowId>,
    version: Option<Small>,
    lead: Option<LeadId>,
    call: Option<CallId>,
    retry_of: Option<RunId>,
    trigger: Option<String>,
    status: Option<RunStatus>,
    revision: Option<Count>,
    started_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    error: Option<String>,
}

/// A head with its snapshot: the driver reads no row within a row.
#[derive(DeserializeRow)]
pub(super) struct LoadedRow {
    run: RunId,
    account: Option<AccountId>,
    workflow: Option<WorkflowId>,
    version: Option<Small>,
    lead: Option<LeadId>,
    call: Option<CallId>,
    retry_of: Option<RunId>,
    trigger: Option<String>,
    status: Option<RunStatus>,
    revision: Option<Count>,
    started_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    error: Option<String>,
    snapshot: Option<Vec<u8>>,
}

impl HeadRow {
    pub(super) fn into_head(self) -> StoreResult<RunHead> {
        Ok(RunHead {
            id: self.run,
            account_id: present(self.account, "a run's account")?,
            workflow_id: present(self.workflow, "a run's workflow")?,
            version: present(self.version, "a run's version")?.0,
            lead_id: self.lead,
            call_id: self.call,
            retry_of: self.retry_of,
            trigger: self.trigger.unwrap_or_default(),
            status: present(self.status, "a run's status")?,
            revision: present(self.revision, "a run's revision")?.0,
            started_at: present(self.started_at, "a run's start")?,
            updated_at: present(self.updated_at, "a run's last move")?,
            ended_at: self.ended_at.filter(|at| *at != NOT_ENDED),
            error: filled(self.error),
        })
    }
}

impl LoadedRow {
    pub(super) fn into_loaded(self) -> StoreResult<(RunHead, Vec<u8>)> {
        let snapshot = present(self.snapshot, "a run's snapshot")?;
        let head = HeadRow {
            run: self.run,
            account: self.account,
            workflow: self.workflow,
            version: self.version,
            lead: self.lead,
            call: self.call,
            retry_of: self.retry_of,
            trigger: self.trigger,
            status: self.status,
            revision: self.revision,
            started_at: self.started_at,
            updated_at: self.updated_at,
            ended_at: self.ended_at,
            error: self.error,
        };
        Ok((head.into_head()?, snapshot))
    }
}

/// Where a run stands, for whoever was refused or does not know.
#[derive(DeserializeRow)]
pub(super) struct StandRow {
    run: RunId,
    pub(super) account: Option<AccountId>,
    pub(super) revision: Option<Count>,
    pub(super) epoch: Option<Count>,
    pub(super) commit_id: Option<Vec<u8>>,
    pub(super) started_at: Option<Timestamp>,
}

impl StandRow {
    /// Whether the last write of the run that took place is this one.
    pub(super) fn is_of(&self, run: RunId, commit: CommitId) -> bool {
        self.run == run && self.commit_id.as_deref() == Some(commit.0.as_slice())
    }
}

#[derive(DeserializeRow)]
pub(super) struct LineRow {
    seq: Count,
    at: Option<Timestamp>,
    entry: Option<String>,
}

impl LineRow {
    pub(super) fn into_lines(self) -> StoreResult<Vec<JournalLine>> {
        Ok(journal_rows::lines_of(JournalLine {
            seq: self.seq.0,
            at: present(self.at, "a line's time")?,
            entry: present(self.entry, "a line's entry")?,
        }))
    }
}

#[derive(DeserializeRow)]
pub(super) struct EffectColumns {
    name: String,
    at: Option<Timestamp>,
    state: Option<EffectState>,
    attempt: Option<Small>,
    request: Option<String>,
    provider_id: Option<String>,
    problem: Option<String>,
}

impl EffectColumns {
    pub(super) fn into_effect(self, run_id: RunId, account_id: AccountId) -> StoreResult<EffectRow> {
        Ok(EffectRow {
            key: self.name,
            run_id,
            account_id,
            state: present(self.state, "an effect's state")?,
            attempt: present(self.attempt, "an effect's attempt")?.0,
            request: present(self.request, "an effect's request")?,
            provider_id: filled(self.provider_id),
            error: filled(self.problem),
            at: present(self.at, "an effect's time")?,
        })
    }
}

/// Texts that are not there are kept empty.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
