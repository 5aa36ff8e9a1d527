//! The loop guard: a workflow is not started again by what a run of its own has caused for the same lead.
//!
//! In: a fact and the workflow that it would start. Out: the chain of runs that led to it, when the start would close a loop. Only
//! `caused_by` is trusted, which our own effects write; what a fact says about itself can be made up. A cut start is told to
//! people once: an alert, and a line in the lead's timeline.

use serde_json::json;

use crate::{
    bus::{live::LiveFact, local::LocalBus},
    clock,
    domain::{
        alert::{Alert, Severity},
        ids::{AlertId, ObservationId, RunId},
        observation::{EventType, Observation},
        time::Timestamp,
    },
    store::{Recorded, Store, StoreError, StoreResult, workflows::WorkflowRow},
    workflows::{Run, trigger},
};

/// Runs that may lead to one another. A chain that is longer counts as a loop: nobody meant it.
pub const CHAIN_MAX: usize = 8;

/// Returns the runs that led to `observation`, newest first, when starting the workflow for it would close a loop.
///
/// # Errors
/// When the store cannot be read.
pub async fn loop_closed_by(
    store: &Store,
    observation: &Observation,
    row: &WorkflowRow,
) -> StoreResult<Option<Vec<RunId>>> {
    if observation.kind == EventType::TASK_COMPLETED {
        // The task is a run's, its completion a person's: whatever follows, nobody races.
        return Ok(None);
    }
    let mut chain = Vec::new();
    let mut cause = observation.caused_by;
    while let Some(run_id) = cause {
        chain.push(run_id);
        if chain.len() > CHAIN_MAX {
            return Ok(Some(chain));
        }
        let (head, snapshot) = match store.runs.load(run_id).await {
            Ok(found) => found,
            Err(StoreError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if head.account_id != observation.account_id {
            return Ok(None);
        }
        if head.workflow_id == row.id && head.lead_id == observation.lead_id {
            return Ok(Some(chain));
        }
        // A run that cannot be read has nothing to say about its cause; its own actor reports it.
        cause = Run::from_snapshot(&snapshot)
            .ok()
            .and_then(|run| trigger::cause_of(run.trigger()).or(run.parent()));
    }
    Ok(None)
}

/// Tells people, once for each fact and workflow, that a start was left out.
///
/// # Errors
/// When it could not be kept.
pub async fn tell_cut(
    store: &Store,
    bus: &LocalBus,
    observation: &Observation,
    row: &WorkflowRow,
    chain: &[RunId],
) -> StoreResult<()> {
    let now = clock::now();
    let parts = [
        b"loop_cut".as_slice(),
        observation.id.as_bytes(),
        row.id.as_bytes(),
    ];
    let evidence = json!({
        "workflow_id": row.id,
        "workflow": row.name,
        "event": observation.kind,
        "caused_by": chain,
    });
    let line = Observation {
        id: ObservationId::derived(Timestamp::default(), &parts),
        account_id: observation.account_id,
        kind: EventType::new("loop.cut"),
        at: now,
        lead_id: observation.lead_id,
        call_id: observation.call_id,
        caused_by: observation.caused_by,
        data: evidence.clone(),
    };
    let line_id = line.id;
    if store.observations.record(line).await? == Recorded::Fresh {
        metrics::counter!("patchcord_loops_cut_total").increment(1);
    }
    // For the timeline only: it starts nothing.
    store.observations.mark_routed(line_id).await?;
    let alert = Alert {
        id: AlertId::derived(Timestamp::default(), &parts),
        account_id: observation.account_id,
        kind: "loop_cut".to_owned(),
        severity: Severity::Warning,
        title: format!(
            "“{}” was not started again: its own run led to {}",
            row.name, observation.kind
        ),
        evidence,
        call_id: observation.call_id,
        lead_id: observation.lead_id,
        run_id: observation.caused_by,
        raised_at: now,
        acked_at: None,
        acked_by: None,
    };
    if store.alerts.raise(alert.clone()).await? == Recorded::Fresh {
        let fact = LiveFact::AlertRaised {
            alert: Box::new(alert),
        };
        bus.publish(observation.account_id, now, fact);
    }
    Ok(())
}
