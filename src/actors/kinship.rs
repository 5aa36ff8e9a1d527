//! What a run asks about other runs, its calls and the past: children it starts, their ends, events before a wait.
//!
//! In: commands whose append is on disk. Out: one input for the run when there is an answer; else the run asks again by its own
//! timer or at recovery.

use std::time::Duration;

use serde_json::json;

use super::{
    effects::Reply,
    runs::{RunError, RunsHandle},
};
use crate::{
    bus::local::LocalBus,
    domain::{
        call::CallEnd,
        ids::{AccountId, CallId, LeadId, RunId},
        observation::{EventType, Observation},
        run::RunStatus,
        time::Timestamp,
    },
    store::{Store, StoreError, StoreResult, away, kin},
    workflows::{Effect, Failure, FailureKind, Input, Run},
};

/// First pause before the past is read again; each further one is twice as long.
const READ_AGAIN: Duration = Duration::from_secs(1);
const READ_AGAIN_MAX: Duration = Duration::from_secs(60);

/// Which part of a lead's past is wanted.
#[derive(Debug, Clone)]
pub struct Past {
    pub account_id: AccountId,
    pub lead_id: LeadId,
    pub events: Vec<EventType>,
    pub since: Timestamp,
}

/// Starts the run that `effect` asks for, once for its key.
pub fn start(runs: RunsHandle, bus: LocalBus, effect: Effect, reply: Reply) {
    tokio::spawn(async move {
        let (key, attempt) = (effect.key.clone(), effect.attempt);
        let input = match runs.start_child(&bus, &effect).await {
            Ok(run_id) => Input::EffectDone {
                key,
                attempt,
                provider_id: Some(run_id.to_string()),
                output: json!({"run_id": run_id}),
            },
            Err(error) => Input::EffectFailed {
                key,
                attempt,
                failure: failure_of(&error),
            },
        };
        reply(input);
    });
}

fn failure_of(error: &RunError) -> Failure {
    let (kind, code) = match error {
        RunError::Store(StoreError::Missing { .. }) => (FailureKind::Permanent, "workflow_missing"),
        RunError::NotPublished(_) => (FailureKind::Permanent, "workflow_not_published"),
        RunError::Disabled(_) => (FailureKind::Permanent, "workflow_disabled"),
        RunError::Broken { .. } => (FailureKind::Permanent, "workflow_broken"),
        RunError::Loop(_) => (FailureKind::Permanent, "loop_cut"),
        RunError::Refused { code, .. } => (FailureKind::Permanent, *code),
        // The start is repeated under the same id, so trying again is harmless.
        _ => (FailureKind::Temporary, "store_unavailable"),
    };
    Failure {
        kind,
        code: code.to_owned(),
        message: error.to_string(),
        retry_after: None,
    }
}

/// Finds what happened to a lead before a wait. Does not give up: a wait whose past was not read would run out although what it waits
/// for was there. There are no more of these than waits whose beginning the store has kept.
pub fn look_back(store: Store, past: Past, wait: u32, reply: Reply) {
    tokio::spawn(async move {
        let is_awaited = |fact: &Observation| past.events.contains(&fact.kind);
        let mut pause = READ_AGAIN;
        loop {
            match past_of(&store, &past, &is_awaited).await {
                Ok(observations) => return reply(Input::LookedBack { wait, observations }),
                Err(error) => {
                    tracing::warn!(%error, lead_id = %past.lead_id, "a wait could not look back: trying again");
                }
            }
            away::pause(pause).await;
            pause = (pause * 2).min(READ_AGAIN_MAX);
        }
    });
}

/// What happened to a duplicate before it was merged into the lead happened to the lead.
async fn past_of(
    store: &Store,
    past: &Past,
    is_awaited: &(dyn for<'f> Fn(&'f Observation) -> bool + Sync),
) -> StoreResult<Vec<Observation>> {
    let ids = kin::ids_of(store, past.account_id, past.lead_id).await?;
    let mut facts = kin::past(store, past.account_id, &ids, past.since, is_awaited).await?;
    for fact in &mut facts {
        fact.lead_id = Some(past.lead_id);
    }
    Ok(facts)
}

/// Ends a run that `parent` has started and does not wait for any more. It tells its end by itself; one that has ended already is
/// asked for it.
pub fn cancel_run(runs: RunsHandle, store: Store, parent: &Run, run_id: RunId, reply: Reply) {
    let (account_id, parent_id) = (parent.account_id(), parent.id());
    tokio::spawn(async move {
        let reason = format!("the run that waited for it, {parent_id}, has ended");
        match runs.cancel(account_id, run_id, reason).await {
            Ok(()) => (),
            Err(RunError::Ended(_) | RunError::Store(StoreError::Missing { .. })) => {
                ask_run(store, account_id, run_id, reply);
            }
            Err(error) => tracing::warn!(%error, %run_id, "a run could not be ended: the timer tries again"),
        }
    });
}

/// Finds out whether a run has ended.
pub fn ask_run(store: Store, account_id: AccountId, run_id: RunId, reply: Reply) {
    tokio::spawn(async move {
        match store.runs.head(account_id, run_id).await {
            Ok(head) if head.status.is_terminal() => reply(Input::RunEnded {
                run_id,
                status: head.status,
                reason: head.error,
            }),
            Ok(_) => {}
            Err(StoreError::Missing { .. }) => reply(Input::RunEnded {
                run_id,
                status: RunStatus::Failed,
                reason: Some("it is not in the store any more".to_owned()),
            }),
            Err(error) => {
                tracing::warn!(%error, %run_id, "a run's end could not be asked for: the timer asks again")
            }
        }
    });
}

/// Finds out whether a call has ended.
pub fn ask_call(store: Store, account_id: AccountId, call_id: CallId, reply: Reply) {
    tokio::spawn(async move {
        match store.calls.get(account_id, call_id).await {
            Ok(call) => {
                if let Some(end) = CallEnd::of(&call) {
                    reply(Input::CallEnded { call_id, end });
                }
            }
            // Nothing was heard of it so far.
            Err(StoreError::Missing { .. }) => {}
            Err(error) => {
                tracing::warn!(%error, %call_id, "a call's end could not be asked for: the timer asks again")
            }
        }
    });
}
