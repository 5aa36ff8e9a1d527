//! Which runs a list shows: the index that leaves the fewest is walked newest first, and each run is asked for the rest.

use std::collections::BTreeMap;

use super::{
    buckets::{Scope, month_of_millis},
    run_index::heads,
    session::{Db, Statement},
    values::{millis, moment},
};
use crate::{
    domain::{
        ids::{AccountId, LeadId, RunId, WorkflowId},
        lead::Lead,
        time::Timestamp,
    },
    store::{
        LeadStore, Page, StoreError, StoreResult,
        cursor::{Position, Window},
        runs::{RunFilter, RunHead, is_named},
    },
};

const OF_ACCOUNT: Statement = Statement::read(
    "SELECT started_at, run FROM runs_by_account
     WHERE account = ? AND month = ? AND (started_at, run) < (?, ?) LIMIT ?",
);
const OF_WORKFLOW: Statement = Statement::read(
    "SELECT started_at, run FROM runs_by_workflow
     WHERE workflow = ? AND month = ? AND (started_at, run) < (?, ?) LIMIT ?",
);
const OF_LEAD: Statement = Statement::read(
    "SELECT started_at, run FROM runs_by_lead WHERE lead = ? AND (started_at, run) < (?, ?) LIMIT ?",
);
const OF_RETRY: Statement = Statement::read(
    "SELECT started_at, run FROM runs_by_retry WHERE retry_of = ? AND (started_at, run) < (?, ?) LIMIT ?",
);

/// Entries that are looked at together.
const ENTRIES_PER_LOOK: usize = 128;
/// Entries that one request looks at: the page ends there and its cursor goes on, though it may hold less than was asked for.
const ENTRIES_MAX: usize = 5_000;

/// What is walked.
#[derive(Debug, Clone, Copy)]
enum Walk {
    Account(AccountId),
    Workflow(WorkflowId),
    Lead(LeadId),
    Retry(RunId),
}

/// Reads one page of an account's runs, newest first.
pub(super) async fn list(
    db: &Db,
    leads: &dyn LeadStore,
    account: AccountId,
    filter: RunFilter,
    window: &Window,
) -> StoreResult<Page<RunHead>> {
    let walk = walk_of(account, &filter);
    let mut place = first_place(window.after, filter.until);
    let wanted = usize::try_from(window.fetch).unwrap_or(usize::MAX);
    let mut known_leads = BTreeMap::new();
    let (mut found, mut looked_at) = (Vec::new(), 0);
    loop {
        let entries = entries(db, walk, place).await?;
        let Some((last_at, last_run)) = entries.last().copied() else {
            return Ok(window.page(found));
        };
        looked_at += entries.len();
        place = Position {
            at: millis(last_at),
            id: *last_run.as_bytes(),
        };
        let known = heads(db, entries.iter().map(|(_, run)| *run).collect()).await?;
        for (started_at, run) in entries {
            if filter.from.is_some_and(|from| started_at < from) {
                return Ok(window.page(found));
            }
            // An entry of another moment, or of a run that was never made, is left over from a try that failed.
            let Some(head) = known.get(&run).filter(|head| head.started_at == started_at) else {
                continue;
            };
            if head.account_id == account
                && fits(head, &filter)
                && is_about(leads, head, filter.text.as_deref(), &mut known_leads).await?
            {
                let position = Position {
                    at: millis(started_at),
                    id: *run.as_bytes(),
                };
                found.push((position, head.clone()));
            }
        }
        if found.len() >= wanted {
            found.truncate(wanted);
            return Ok(window.page(found));
        }
        if looked_at >= ENTRIES_MAX {
            return Ok(window.page_up_to(found, place));
        }
    }
}

/// The index that leaves the fewest.
const fn walk_of(account: AccountId, filter: &RunFilter) -> Walk {
    match filter {
        RunFilter {
            retry_of: Some(retried),
            ..
        } => Walk::Retry(*retried),
        RunFilter {
            lead_id: Some(lead), ..
        } => Walk::Lead(*lead),
        RunFilter {
            workflow_id: Some(workflow),
            ..
        } => Walk::Workflow(*workflow),
        _ => Walk::Account(account),
    }
}

/// Where the walk begins: behind the page before, and before `until`.
fn first_place(after: Position, until: Option<Timestamp>) -> Position {
    let bound = until.map(|until| Position {
        at: millis(until),
        id: [0; 16],
    });
    match bound {
        Some(bound) if (bound.at, bound.id) < (after.at, after.id) => bound,
        Some(_) | None => after,
    }
}

/// The next entries behind `place`, newest first; none at the end.
async fn entries(db: &Db, walk: Walk, place: Position) -> StoreResult<Vec<(Timestamp, RunId)>> {
    let limit = i32::try_from(ENTRIES_PER_LOOK).unwrap_or(i32::MAX);
    let (at, id) = (moment(place.at), place.id);
    let (scope, statement) = match walk {
        Walk::Lead(lead) => return db.rows(OF_LEAD, (lead, at, id, limit)).await,
        Walk::Retry(retried) => return db.rows(OF_RETRY, (retried, at, id, limit)).await,
        Walk::Account(account) => (Scope::RunsOfAccount(account), OF_ACCOUNT),
        Walk::Workflow(workflow) => (Scope::RunsOfWorkflow(workflow), OF_WORKFLOW),
    };
    let mut months = db.buckets(scope).await?;
    months.retain(|month| *month <= month_of_millis(place.at));
    for month in months.into_iter().rev() {
        let found = match walk {
            Walk::Workflow(workflow) => db.rows(statement, (workflow, month, at, id, limit)).await?,
            Walk::Account(account) => db.rows(statement, (account, month, at, id, limit)).await?,
            Walk::Lead(_) | Walk::Retry(_) => Vec::new(),
        };
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

fn fits(head: &RunHead, filter: &RunFilter) -> bool {
    filter
        .workflow_id
        .is_none_or(|workflow| head.workflow_id == workflow)
        && filter.lead_id.is_none_or(|lead| head.lead_id == Some(lead))
        && filter.status.is_none_or(|status| head.status == status)
        && !(filter.only_active && head.status.is_terminal())
        && filter
            .retry_of
            .is_none_or(|retried| head.retry_of == Some(retried))
}

/// Whether the run's lead has the text in its name or a number.
async fn is_about(
    leads: &dyn LeadStore,
    head: &RunHead,
    text: Option<&str>,
    known: &mut BTreeMap<LeadId, Option<Lead>>,
) -> StoreResult<bool> {
    let Some(text) = text else { return Ok(true) };
    let Some(id) = head.lead_id else { return Ok(false) };
    if let std::collections::btree_map::Entry::Vacant(entry) = known.entry(id) {
        entry.insert(match leads.get(head.account_id, id).await {
            Ok(lead) => Some(lead),
            Err(StoreError::Missing { .. }) => None,
            Err(error) => return Err(error),
        });
    }
    let lead = known.get(&id).and_then(Option::as_ref);
    Ok(lead.is_some_and(|lead| is_named(lead, text)))
}
