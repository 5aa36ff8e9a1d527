//! Runs that come from other runs: those they start, those that take one up again, and what is told between them.

use super::{RunError, RunsHandle};
use crate::{
    actors::{
        cluster::words::Word,
        loop_guard::Start,
        run::{Reaction, RunMsg},
    },
    bus::local::LocalBus,
    clock,
    domain::{
        ids::{AccountId, ObservationId, RunId},
        observation::{EventType, Observation},
        run::RunStatus,
    },
    store::StoreError,
    telemetry::traces,
    workflows::{
        Effect, Entry, Input, JournalEntry, Request, Run, RunSeed,
        migration::outputs_of,
        rerun::{BeginAt, Rerun, rerun},
        trigger,
        waits::SIGNAL,
    },
};

/// Which version a run is taken up again on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum OnVersion {
    /// The one it ran on.
    Pinned,
    /// The published one.
    Newest,
}

impl RunsHandle {
    /// Starts the run that another run's effect asks for, once for the effect's key.
    ///
    /// # Errors
    /// As for [`RunsHandle::execute`]; [`RunError::Loop`] when a run of that workflow led to it, which is told on `bus`.
    pub async fn start_child(&self, bus: &LocalBus, effect: &Effect) -> Result<RunId, RunError> {
        let Request::RunWorkflow {
            target, data, depth, ..
        } = &effect.request
        else {
            return Err(RunError::NothingToStart(effect.key.clone()));
        };
        let id = effect.child_id();
        let word = Word::StartChild {
            effect: Box::new(effect.clone()),
        };
        if let Some(id) = self.told(id.shard(), &word).await? {
            return Ok(id);
        }
        match self.store.runs.head(effect.account_id, id).await {
            Ok(_) => {
                self.look_after(vec![id]);
                return Ok(id);
            }
            Err(StoreError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let row = self.store.workflows.get(effect.account_id, *target).await?;
        if row.published == 0 {
            return Err(RunError::NotPublished(row.id));
        }
        if !row.enabled {
            return Err(RunError::Disabled(row.id));
        }
        let start = Start::by_run(effect, &row);
        if let Some(chain) = start.closed_loop(&self.store).await? {
            start.tell_cut(&self.store, bus, &chain).await?;
            return Err(RunError::Loop(row.name));
        }
        let plan = self.plans.get(row.id, row.published).await?;
        let now = clock::now();
        let seed = RunSeed {
            id,
            account_id: effect.account_id,
            workflow_id: row.id,
            version: row.published,
            lead_id: effect.lead_id,
            call_id: effect.call_id,
            trigger: trigger::manual_value(effect.lead_id, data.clone(), now),
            started_at: now,
        };
        let run = Run::new(seed).child_of(effect.run_id, *depth);
        self.begin(&plan, run.traced(effect.trace)).await?;
        Ok(id)
    }

    /// Tells a run that one it has started is over. Should the news be lost, the run's own timer asks.
    pub fn tell_end(&self, parent: RunId, run_id: RunId, status: RunStatus, reason: Option<String>) {
        let ended = Input::RunEnded {
            run_id,
            status,
            reason,
        };
        self.runs.deliver(parent, RunMsg::Input(ended));
    }

    /// Brings a signal to one run. When this returns, it is on disk: a wait has taken it or it is kept for one.
    ///
    /// # Errors
    /// [`RunError::NotAwaited`] when nothing in the run's workflow waits for a signal of that name, when the run has ended,
    /// or when it has had this signal before.
    pub async fn signal(
        &self,
        account_id: AccountId,
        run_id: RunId,
        id: ObservationId,
        name: &str,
        data: serde_json::Value,
    ) -> Result<(), RunError> {
        let head = self.store.runs.head(account_id, run_id).await?;
        let signal = Observation {
            id,
            account_id,
            kind: EventType::new(format!("{SIGNAL}{name}")),
            at: clock::now(),
            lead_id: head.lead_id,
            call_id: head.call_id,
            caused_by: None,
            trace: None,
            data,
        };
        match self.ask(run_id, Input::Observed(Box::new(signal))).await? {
            Reaction::Moved => Ok(()),
            Reaction::Ignored => Err(RunError::NotAwaited {
                run_id,
                name: name.to_owned(),
            }),
        }
    }

    /// Takes up a run that has ended: a new run with the same trigger, from the start or from a node. The same `id` starts one
    /// run only.
    ///
    /// # Errors
    /// [`RunError::CannotRerun`] says what to do instead; [`RunError::NotPublished`] when there is no newest version.
    pub async fn take_up(
        &self,
        account_id: AccountId,
        run_id: RunId,
        id: RunId,
        begin_at: BeginAt,
        on: OnVersion,
    ) -> Result<RunId, RunError> {
        let id = id.in_shard(run_id.shard());
        let word = Word::TakeUpRun {
            account_id,
            run_id,
            id,
            begin_at: begin_at.clone(),
            on,
        };
        if let Some(id) = self.told(id.shard(), &word).await? {
            return Ok(id);
        }
        let head = self.store.runs.head(account_id, run_id).await?;
        let version = match on {
            OnVersion::Pinned => head.version,
            OnVersion::Newest => {
                self.store
                    .workflows
                    .get(account_id, head.workflow_id)
                    .await?
                    .published
            }
        };
        if version == 0 {
            return Err(RunError::NotPublished(head.workflow_id));
        }
        let (_, snapshot) = self.store.runs.load(run_id).await?;
        let old = state_of(run_id, &snapshot)?;
        let plan = self.plans.get(head.workflow_id, version).await?;
        // A line of another program's version is passed over: its output is missed only when it is read, and then by name.
        let journal: Vec<JournalEntry> = self
            .store
            .runs
            .journal(account_id, run_id)
            .await?
            .into_iter()
            .filter_map(|line| {
                let entry = Entry::from_json(&line.entry).ok()?;
                Some(JournalEntry {
                    seq: line.seq,
                    at: line.at,
                    entry,
                })
            })
            .collect();
        let order = Rerun {
            old: &old,
            outputs: outputs_of(&journal),
            id,
            version,
            begin_at,
            now: clock::now(),
        };
        let run = rerun(order, &plan)?;
        self.begin(&plan, run.traced(traces::current())).await?;
        Ok(id)
    }
}

/// The state of a run that is to be taken up again.
fn state_of(run_id: RunId, snapshot: &[u8]) -> Result<Run, RunError> {
    if snapshot.is_empty() {
        let reason = "what it did is not kept any more".to_owned();
        return Err(RunError::Unreadable { run_id, reason });
    }
    Run::from_snapshot(snapshot).map_err(|error| RunError::Unreadable {
        run_id,
        reason: error.to_string(),
    })
}
