//! The loop guard: a workflow is not started again by what a run of its own has caused for the same lead.
//!
//! In: a fact or an effect, and the workflow that it would start. Out: the chain of runs that led to it, when the start would close a loop. Only
//! `caused_by` is trusted, which our own effects write; what a fact says about itself can be made up. A cut start is told to
//! people once: an alert, and a line in the lead's timeline.

use serde_json::json;

use crate::{
    bus::{live::LiveFact, local::LocalBus},
    clock,
    domain::{
        alert::{Alert, Severity},
        ids::{AccountId, AlertId, CallId, LeadId, ObservationId, RunId},
        observation::{EventType, Observation},
        time::Timestamp,
    },
    store::{Recorded, Store, StoreError, StoreResult, workflows::WorkflowRow},
    workflows::{Effect, Run, trigger},
};

/// Runs that may lead to one another. A chain that is longer counts as a loop: nobody meant it.
pub const CHAIN_MAX: usize = 8;

/// A start that may close a loop.
pub struct Start<'a> {
    pub row: &'a WorkflowRow,
    pub account_id: AccountId,
    pub lead_id: Option<LeadId>,
    pub call_id: Option<CallId>,
    /// The run that led to it.
    pub caused_by: Option<RunId>,
    /// What is to start the workflow: a fact's type, or the kind of the node.
    pub by: &'a str,
    /// Tells this start from any other of the workflow: its cut is told once.
    pub key: &'a [u8],
}

impl<'a> Start<'a> {
    /// The start of a workflow by a fact.
    pub fn by_fact(observation: &'a Observation, row: &'a WorkflowRow) -> Self {
        // A task is a run's, its completion a person's: whatever follows, nobody races.
        let is_a_persons = observation.kind == EventType::TASK_COMPLETED;
        Self {
            row,
            account_id: observation.account_id,
            lead_id: observation.lead_id,
            call_id: observation.call_id,
            caused_by: observation.caused_by.filter(|_| !is_a_persons),
            by: observation.kind.as_str(),
            key: observation.id.as_bytes(),
        }
    }

    /// The start of a workflow by a run's effect.
    pub fn by_run(effect: &'a Effect, row: &'a WorkflowRow) -> Self {
        Self {
            row,
            account_id: effect.account_id,
            lead_id: effect.lead_id,
            call_id: effect.call_id,
            caused_by: Some(effect.run_id),
            by: "run_workflow",
            key: effect.key.as_bytes(),
        }
    }

    /// Returns the runs that led to it, newest first, when it would close a loop.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn closed_loop(&self, store: &Store) -> StoreResult<Option<Vec<RunId>>> {
        let mut chain = Vec::new();
        let mut cause = self.caused_by;
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
            if head.account_id != self.account_id {
                return Ok(None);
            }
            if head.workflow_id == self.row.id && head.lead_id == self.lead_id {
                return Ok(Some(chain));
            }
            // A run that cannot be read has nothing to say about its cause; its own actor reports it.
            cause = Run::from_snapshot(&snapshot)
                .ok()
                .and_then(|run| trigger::cause_of(run.trigger()).or(run.parent()));
        }
        Ok(None)
    }

    /// Tells people, once for each start, that it was left out.
    ///
    /// # Errors
    /// When it could not be kept.
    pub async fn tell_cut(&self, store: &Store, bus: &LocalBus, chain: &[RunId]) -> StoreResult<()> {
        let now = clock::now();
        let parts = [b"loop_cut".as_slice(), self.key, self.row.id.as_bytes()];
        let evidence = json!({
            "workflow_id": self.row.id,
            "workflow": self.row.name,
            "event": self.by,
            "caused_by": chain,
        });
        let line = Observation {
            id: ObservationId::derived(Timestamp::default(), &parts),
            account_id: self.account_id,
            kind: EventType::new("loop.cut"),
            at: now,
            lead_id: self.lead_id,
            call_id: self.call_id,
            caused_by: self.caused_by,
            trace: None,
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
            account_id: self.account_id,
            kind: "loop_cut".to_owned(),
            severity: Severity::Warning,
            title: format!(
                "“{}” was not started again: its own run led to {}",
                self.row.name, self.by
            ),
            evidence,
            call_id: self.call_id,
            lead_id: self.lead_id,
            run_id: self.caused_by,
            raised_at: now,
            acked_at: None,
            acked_by: None,
            note: None,
        };
        if store.alerts.raise(alert.clone()).await? == Recorded::Fresh {
            let fact = LiveFact::AlertRaised {
                alert: Box::new(alert),
            };
            bus.publish(self.account_id, now, fact);
        }
        tracing::warn!(workflow_id = %self.row.id, by = self.by, "a loop was cut: no run was started");
        Ok(())
    }
}
