//! A fact about nobody, taken in with all it leads to: one write carries the fact and the first append of every run it starts.
//!
//! In: an observation that is not in the store yet. Out: it is kept and routed, and its runs move. Without a lead there is
//! nothing to keep in order, so no mailbox is passed and the effect of an event waits for one commit only.
//! Whatever needs an order, or a look at what came before, goes through `lead`.

use super::{
    appending::world,
    lead::LeadKind,
    runs::{FirstStep, RunError, TriggeredStart, triggered_run_id},
    spans,
};
use crate::{
    domain::observation::Observation,
    store::{Recorded, workflows::WorkflowRow},
    telemetry::traces,
    workflows::{Plan, World, trigger},
};

/// Whether `observation` may be taken in here: it is about nobody, and no run brought it about.
#[must_use]
pub fn may_take(observation: &Observation) -> bool {
    observation.lead_id.is_none() && observation.caused_by.is_none()
}

/// Keeps a fact with the runs it starts and lets them move. The same fact again changes nothing.
///
/// # Errors
/// When it could not be kept; nothing happened then.
pub async fn take_in(kind: &LeadKind, observation: Observation) -> Result<Recorded, RunError> {
    let span = spans::of_fact(&observation);
    let recorded = record(kind, observation).await?;
    traces::end(span);
    Ok(recorded)
}

async fn record(kind: &LeadKind, observation: Observation) -> Result<Recorded, RunError> {
    let rows = kind
        .store
        .workflows
        .triggered_by(observation.account_id, observation.kind.as_str())
        .await?;
    let mut started = Vec::new();
    if !rows.is_empty() {
        let world = world(&kind.store, observation.account_id, None, observation.call_id).await?;
        for row in rows {
            started.extend(first_step(kind, &observation, &row, &world).await?);
        }
    }
    let (appends, created): (Vec<_>, Vec<_>) = started
        .into_iter()
        .map(|step| (step.append, step.created))
        .unzip();
    let (account_id, id) = (observation.account_id, observation.id);
    match kind.store.observations.record_routed(observation, appends).await {
        Ok(Recorded::Fresh) => {
            for transition in created {
                kind.runs.created(transition);
            }
            Ok(Recorded::Fresh)
        }
        Ok(Recorded::Duplicate) => {
            // An earlier try may have kept it without hearing so. Its runs are named after the fact as it was kept.
            let kept = kind.store.observations.get(account_id, id).await?;
            let workflows = created.iter().map(|transition| transition.run.workflow_id());
            let runs = workflows.map(|workflow_id| triggered_run_id(&kept, workflow_id));
            kind.runs.look_after(runs.collect());
            Ok(Recorded::Duplicate)
        }
        Err(error) => {
            kind.runs
                .look_after(created.iter().map(|transition| transition.run.id()).collect());
            Err(error.into())
        }
    }
}

/// The first step of the run that a workflow makes of the fact; `None` when its trigger does not match.
async fn first_step(
    kind: &LeadKind,
    observation: &Observation,
    row: &WorkflowRow,
    world: &World,
) -> Result<Option<FirstStep>, RunError> {
    let plan = match kind.plans.get(row.id, row.published).await {
        Ok(plan) => plan,
        Err(RunError::Broken { id, reason }) => {
            // One broken workflow must not keep the others from running.
            tracing::error!(workflow_id = %id, reason, "a published workflow cannot be read");
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    if !matches(&plan, observation, row, world) {
        return Ok(None);
    }
    let start = TriggeredStart {
        observation,
        workflow_id: row.id,
        version: row.published,
        plan: &plan,
    };
    let epoch = kind.runs.epoch_of(triggered_run_id(observation, row.id));
    if !plan.reads_summary() {
        return Ok(Some(start.first_step(world, epoch)));
    }
    let call_summary = kind.runs.call_summary(&plan, world.call.as_ref()).await?;
    let world = World {
        call_summary,
        ..world.clone()
    };
    Ok(Some(start.first_step(&world, epoch)))
}

/// Whether the workflow's trigger and its filter match.
fn matches(plan: &Plan, observation: &Observation, row: &WorkflowRow, world: &World) -> bool {
    trigger::matches(&plan.definition().trigger, observation, world).unwrap_or_else(|error| {
        tracing::warn!(workflow_id = %row.id, %error, "a trigger's filter could not be decided: no run was started");
        false
    })
}
