//! A transition of the core as the store appends it, and the world as the core sees it.

use crate::{
    analysis::summary::summary,
    clock,
    domain::{
        call::Call,
        ids::{AccountId, CallId, LeadId},
        time::Timestamp,
    },
    store::{
        Store, StoreError, StoreResult,
        runs::{EffectRow, JournalLine, RunAppend, RunHead},
    },
    workflows::{Plan, Run, Transition, World},
};

/// Reads what expressions may see. A lead or call that is gone is absent.
///
/// # Errors
/// When the store cannot be read.
pub async fn world(
    store: &Store,
    account_id: AccountId,
    lead_id: Option<LeadId>,
    call_id: Option<CallId>,
) -> StoreResult<World> {
    let account = store.accounts.account(account_id).await?;
    let lead = match lead_id {
        Some(id) => present(store.leads.get(account_id, id).await)?,
        None => None,
    };
    let call = match call_id {
        Some(id) => present(store.calls.get(account_id, id).await)?,
        None => None,
    };
    Ok(World {
        now: clock::now(),
        account: account.into(),
        lead,
        call,
        call_summary: None,
    })
}

/// Reads what the expressions of a run may see: [`world`], and what was said in its call where its plan asks for that.
///
/// # Errors
/// When the store cannot be read.
pub async fn world_of(store: &Store, plan: &Plan, run: &Run) -> StoreResult<World> {
    let mut world = world(store, run.account_id(), run.lead_id(), run.call_id()).await?;
    world.call_summary = summary_for(store, plan, world.call.as_ref()).await?;
    Ok(world)
}

/// What `call.summary` is for a plan; `None` where it does not ask.
///
/// # Errors
/// When the store cannot be read.
pub async fn summary_for(store: &Store, plan: &Plan, call: Option<&Call>) -> StoreResult<Option<String>> {
    let Some(call) = call.filter(|_| plan.reads_summary()) else {
        return Ok(None);
    };
    let transcript = present(store.calls.transcript(call.account_id, call.id).await)?;
    Ok(Some(summary(call, &transcript.unwrap_or_default())))
}

fn present<T>(read: StoreResult<T>) -> StoreResult<Option<T>> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns what the store appends for `transition`; `revision` is the run's before it, `epoch` that of the writer's lease.
#[must_use]
pub fn append_of(transition: &Transition, (revision, epoch): (u64, u64), now: Timestamp) -> RunAppend {
    let run = &transition.run;
    RunAppend {
        head: head_of(run, revision + 1, now),
        epoch,
        snapshot: run.snapshot(),
        journal: transition
            .journal
            .iter()
            .map(|line| JournalLine {
                seq: line.seq,
                at: line.at,
                entry: line.entry.to_json(),
            })
            .collect(),
        parts: transition.parts.clone(),
        drops_parts: run.has_parts() && run.has_ended(),
        timers_set: transition.timers_set.clone(),
        timers_cleared: transition.timers_cleared.clone(),
        effects: transition
            .effects
            .iter()
            .map(|record| EffectRow {
                key: record.effect.key.clone(),
                run_id: run.id(),
                account_id: run.account_id(),
                state: record.state,
                attempt: record.effect.attempt,
                request: serde_json::to_string(&record.effect).expect("an effect has only text keys"),
                provider_id: record.provider_id.clone(),
                error: record.error.clone(),
                at: now,
            })
            .collect(),
    }
}

fn head_of(run: &Run, revision: u64, now: Timestamp) -> RunHead {
    let status = run.status();
    RunHead {
        id: run.id(),
        account_id: run.account_id(),
        workflow_id: run.workflow_id(),
        version: run.version(),
        lead_id: run.lead_id(),
        call_id: run.call_id(),
        retry_of: run.retry_of(),
        trigger: run.trigger_type().to_owned(),
        status,
        revision,
        started_at: run.started_at(),
        updated_at: now,
        ended_at: status.is_terminal().then_some(now),
        error: run.error(),
    }
}
