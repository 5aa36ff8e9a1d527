//! Where runs are found: by account and month, by workflow and month, by lead, by the run they take up again.
//!
//! A run is entered before it is created, so that none is ever out of sight; a list asks the runs themselves how they stand. Only the
//! tally by workflow keeps a status, and only whether the run has ended.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    buckets::{Scope, month_of},
    marks::Recent,
    run_rows::{HEADS, HeadRow},
    session::{Db, Statement},
};
use crate::{
    domain::ids::{AccountId, RunId, WorkflowId},
    store::{
        StoreError, StoreResult,
        runs::{RunCounts, RunHead, RunStatus},
    },
};

const BY_ACCOUNT: Statement =
    Statement::write("INSERT INTO runs_by_account (account, month, started_at, run) VALUES (?, ?, ?, ?)");
const BY_WORKFLOW: Statement = Statement::write(
    "INSERT INTO runs_by_workflow (workflow, month, started_at, run, account) VALUES (?, ?, ?, ?, ?)",
);
const BY_LEAD: Statement =
    Statement::write("INSERT INTO runs_by_lead (lead, started_at, run, workflow) VALUES (?, ?, ?, ?)");
const BY_RETRY: Statement =
    Statement::write("INSERT INTO runs_by_retry (retry_of, started_at, run) VALUES (?, ?, ?)");
const ENDED: Statement = Statement::write(
    "INSERT INTO runs_by_workflow (workflow, month, started_at, run, account, status) VALUES (?, ?, ?, ?, ?, ?)",
);
const NOT_BY_ACCOUNT: Statement = Statement::write(
    "DELETE FROM runs_by_account WHERE account = ? AND month = ? AND started_at = ? AND run = ?",
);
const NOT_BY_WORKFLOW: Statement = Statement::write(
    "DELETE FROM runs_by_workflow WHERE workflow = ? AND month = ? AND started_at = ? AND run = ?",
);
const TALLY: Statement =
    Statement::read("SELECT account, status FROM runs_by_workflow WHERE workflow = ? AND month = ?");

/// Runs asked for in one request: each is a partition of its own, so the request is spread over the cluster.
const RUNS_PER_READ: usize = 32;
const READS_AT_ONCE: usize = 16;

/// Tallies of months that are over and whose every run has ended.
pub(super) type Tallies = Recent<(AccountId, WorkflowId, i64), RunCounts>;

/// Enters a run that is about to be created.
pub(super) async fn enter(db: &Db, head: &RunHead) -> StoreResult<()> {
    let (month, at, id) = (month_of(head.started_at), head.started_at, head.id);
    tokio::try_join!(
        async {
            db.note(Scope::RunsOfAccount(head.account_id), month).await?;
            db.write(BY_ACCOUNT, (head.account_id, month, at, id)).await
        },
        async {
            db.note(Scope::RunsOfWorkflow(head.workflow_id), month).await?;
            db.write(BY_WORKFLOW, (head.workflow_id, month, at, id, head.account_id))
                .await
        },
        async {
            match head.lead_id {
                Some(lead) => db.write(BY_LEAD, (lead, at, id, head.workflow_id)).await,
                None => Ok(()),
            }
        },
        async {
            match head.retry_of {
                Some(retried) => db.write(BY_RETRY, (retried, at, id)).await,
                None => Ok(()),
            }
        },
    )?;
    Ok(())
}

/// Takes an entry back under which the run was not created: it exists since another moment.
pub(super) async fn take_back(db: &Db, head: &RunHead) -> StoreResult<()> {
    let (month, at, id) = (month_of(head.started_at), head.started_at, head.id);
    tokio::try_join!(
        db.write(NOT_BY_ACCOUNT, (head.account_id, month, at, id)),
        db.write(NOT_BY_WORKFLOW, (head.workflow_id, month, at, id)),
    )?;
    Ok(())
}

/// Enters how a run has ended.
pub(super) async fn enter_end(db: &Db, head: &RunHead) -> StoreResult<()> {
    let month = month_of(head.started_at);
    db.write(
        ENDED,
        (
            head.workflow_id,
            month,
            head.started_at,
            head.id,
            head.account_id,
            head.status,
        ),
    )
    .await
}

/// Counts a workflow's runs. Reads their entries month by month; months that can change no more are remembered.
pub(super) async fn counts(
    db: &Db,
    tallies: &Tallies,
    account: AccountId,
    workflow: WorkflowId,
) -> StoreResult<RunCounts> {
    let months = db.buckets(Scope::RunsOfWorkflow(workflow)).await?;
    let newest = months.last().copied();
    let mut sum = RunCounts::default();
    for month in months {
        let key = (account, workflow, month);
        let counts = match tallies.get(&key) {
            Some(known) => known,
            None => tally(db, key).await?,
        };
        if counts.active == 0 && Some(month) != newest {
            tallies.put(key, counts);
        }
        sum.active += counts.active;
        sum.completed += counts.completed;
        sum.failed += counts.failed;
        sum.cancelled += counts.cancelled;
    }
    Ok(sum)
}

async fn tally(db: &Db, key: (AccountId, WorkflowId, i64)) -> StoreResult<RunCounts> {
    let (account, workflow, month) = key;
    let rows: Vec<(Option<AccountId>, Option<RunStatus>)> = db.rows(TALLY, (workflow, month)).await?;
    let mut counts = RunCounts::default();
    for (_, status) in rows.into_iter().filter(|(owner, _)| *owner == Some(account)) {
        match status {
            None | Some(RunStatus::Running | RunStatus::Waiting | RunStatus::Stuck) => counts.active += 1,
            Some(RunStatus::Completed) => counts.completed += 1,
            Some(RunStatus::Failed) => counts.failed += 1,
            Some(RunStatus::Cancelled) => counts.cancelled += 1,
        }
    }
    Ok(counts)
}

/// The heads of these runs; one that was never created is not there.
pub(super) async fn heads(db: &Db, runs: Vec<RunId>) -> StoreResult<BTreeMap<RunId, RunHead>> {
    let questions: Vec<Vec<RunId>> = runs.chunks(RUNS_PER_READ).map(<[RunId]>::to_vec).collect();
    let answers: Vec<Vec<HeadRow>> = stream::iter(questions)
        .map(|runs| db.rows(HEADS, (runs,)))
        .buffer_unordered(READS_AT_ONCE)
        .try_collect()
        .await?;
    answers
        .into_iter()
        .flatten()
        .map(|row| {
            let head = row.into_head()?;
            Ok::<_, StoreError>((head.id, head))
        })
        .collect()
}
