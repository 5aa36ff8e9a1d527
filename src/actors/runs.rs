//! The runs: where they are started, cancelled, decided on, and where everything that concerns one is delivered.
//!
//! In: starts and questions. Out: the first append of a run, made here so that the caller knows it is on disk; after it,
//! everything goes through the run's actor.

mod moves;
mod relatives;

use std::{sync::Arc, time::Duration};

use ractor::RpcReplyPort;
use serde::{Deserialize, Serialize};

use super::{
    appending::{append_of, summary_for, world_of},
    cluster::{
        neighbours::{Neighbours, PATIENCE},
        words::{Said, Word},
    },
    plans::Plans,
    residents::Residents,
    run::{Reaction, RunKind, RunMsg},
    timers::TimersHandle,
};
use crate::{
    clock,
    domain::{
        call::Call,
        ids::{AccountId, LeadId, RunId, WorkflowId},
        observation::Observation,
        shard::Shard,
        time::Timestamp,
        trace::TraceContext,
    },
    store::{Recorded, Store, StoreError, StoreResult, away, runs::RunAppend},
    workflows::{Input, Plan, Run, RunSeed, Transition, World, rerun::RerunError, transition, trigger},
};

pub use crate::workflows::{Choice, rerun::BeginAt};
pub use relatives::OnVersion;

/// How long a question to a run may take: an append behind a full queue, not an effect.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Timers that a start reads at once.
const TIMERS_PER_PAGE: u32 = 16_384;
/// Between two tries to read from a store that does not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Tries to learn whether a run was made.
const LOOKS_MAX: u32 = 60;

/// A start asked for by a person or the API.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ManualStart {
    pub account_id: AccountId,
    pub workflow_id: WorkflowId,
    pub lead_id: Option<LeadId>,
    /// What the run sees as `trigger.data`.
    pub data: serde_json::Value,
    /// The same text for the same workflow starts one run only.
    pub dedupe: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
}

/// Why a run could not be started or moved.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("workflow {0} has no published version")]
    NotPublished(WorkflowId),
    #[error("workflow {0} is switched off")]
    Disabled(WorkflowId),
    #[error("workflow {id} cannot be read: {reason}")]
    Broken { id: WorkflowId, reason: String },
    #[error("run {0} has ended")]
    Ended(RunId),
    #[error("run {run_id} has no effect {key} whose outcome is unknown")]
    NothingToDecide { run_id: RunId, key: String },
    #[error("run {run_id} stays on its version: {reason}")]
    CannotMove { run_id: RunId, reason: String },
    #[error("run {run_id} does not wait for a signal `{name}`")]
    NotAwaited { run_id: RunId, name: String },
    #[error("run {run_id} cannot be read: {reason}")]
    Unreadable { run_id: RunId, reason: String },
    #[error(transparent)]
    CannotRerun(#[from] RerunError),
    #[error(
        "“{0}” was not started: one of its own runs for the same lead leads to this step; end the loop with a condition, or wait for an event instead"
    )]
    Loop(String),
    #[error("effect {0} starts no run")]
    NothingToStart(String),
    #[error("the run did not answer in time")]
    TimedOut,
    #[error("no node acts for {0:?} at this moment: try again")]
    Unowned(Shard),
    /// What another node said, with the code that clients get.
    #[error("{detail}")]
    Refused { code: &'static str, detail: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A start that a fact leads to.
pub struct TriggeredStart<'a> {
    pub observation: &'a Observation,
    pub workflow_id: WorkflowId,
    pub version: u32,
    pub plan: &'a Plan,
}

/// What a start leads to before anything is on disk.
pub struct FirstStep {
    pub append: RunAppend,
    pub created: Box<Transition>,
}

impl RunError {
    /// Whether nothing is wrong with the run: the database was away, or the shard is just moving.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Store(error) => error.is_passing() || matches!(error, StoreError::Fenced { .. }),
            other => matches!(other, Self::Unowned(_)),
        }
    }

    /// The code that clients get.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotPublished(_) => "not_published",
            Self::Disabled(_) => "disabled",
            Self::Broken { .. } => "broken",
            Self::Ended(_) => "ended",
            Self::NothingToDecide { .. } => "nothing_to_decide",
            Self::CannotMove { .. } => "cannot_move",
            Self::NotAwaited { .. } => "not_awaited",
            Self::Unreadable { .. } => "unreadable",
            Self::CannotRerun(_) => "cannot_retry",
            Self::NothingToStart(_) => "nothing_to_start",
            Self::Loop(_) => "loop_cut",
            Self::TimedOut => "timed_out",
            Self::Unowned(_) => "no_owner",
            Self::Refused { code, .. } => code,
            Self::Store(_) => "store_unavailable",
        }
    }

    /// The code that another node named, if this program knows it.
    #[must_use]
    pub fn known_code(code: &str) -> &'static str {
        const KNOWN: &[&str] = &[
            "not_published",
            "disabled",
            "broken",
            "ended",
            "nothing_to_decide",
            "cannot_move",
            "not_awaited",
            "unreadable",
            "cannot_retry",
            "nothing_to_start",
            "loop_cut",
        ];
        KNOWN
            .iter()
            .find(|known| **known == code)
            .copied()
            .unwrap_or("refused")
    }
}

impl TriggeredStart<'_> {
    /// The first step of the run. Pure: the same fact gives the same run.
    #[must_use]
    pub fn first_step(&self, world: &World, epoch: u64) -> FirstStep {
        let created = transition(self.plan, self.run(world.now), Input::Started, world);
        FirstStep {
            append: append_of(&created, (0, epoch), world.now),
            created: Box::new(created),
        }
    }

    fn run(&self, now: Timestamp) -> Run {
        let observation = self.observation;
        let seed = RunSeed {
            id: triggered_run_id(observation, self.workflow_id),
            account_id: observation.account_id,
            workflow_id: self.workflow_id,
            version: self.version,
            lead_id: observation.lead_id,
            call_id: observation.call_id,
            trigger: trigger::value_of(observation),
            started_at: now,
        };
        Run::new(seed).traced(observation.place())
    }
}

/// The runs. Cheap to clone.
#[derive(Clone)]
pub struct RunsHandle {
    store: Store,
    plans: Plans,
    timers: TimersHandle,
    neighbours: Neighbours,
    runs: Residents<RunKind>,
}

/// Returns the id of the run that a fact starts: the same fact and workflow give the same run. It lives in the fact's shard, so
/// that whoever takes the fact in moves the run.
#[must_use]
pub fn triggered_run_id(observation: &Observation, workflow_id: WorkflowId) -> RunId {
    RunId::derived(
        observation.at,
        &[observation.id.as_bytes(), workflow_id.as_bytes()],
    )
    .in_shard(observation.shard())
}

impl RunsHandle {
    /// Ties the store to the run actors.
    #[must_use]
    pub fn new(
        store: Store,
        plans: Plans,
        timers: TimersHandle,
        neighbours: Neighbours,
        runs: Residents<RunKind>,
    ) -> Self {
        let ownership = neighbours.ownership().clone();
        store
            .runs
            .ask_before_writing(Arc::new(move |shard| ownership.owns(shard)));
        Self {
            store,
            plans,
            timers,
            neighbours,
            runs,
        }
    }

    /// Starts a run by hand. When this returns, the run survives a crash.
    ///
    /// # Errors
    /// [`RunError`] when the workflow is missing, off or unpublished, or the store could not keep the run.
    pub async fn execute(&self, start: ManualStart) -> Result<RunId, RunError> {
        let id = match &start.dedupe {
            Some(text) => RunId::derived(
                Timestamp::default(),
                &[start.workflow_id.as_bytes(), text.as_bytes()],
            ),
            None => {
                let id = RunId::fresh();
                id.in_shard(self.neighbours.near(id.shard()))
            }
        };
        let id = start.lead_id.map_or(id, |lead_id| id.in_shard(lead_id.shard()));
        let word = Word::Execute {
            start: Box::new(start.clone()),
            id,
        };
        match self.told(id.shard(), &word).await? {
            Some(id) => Ok(id),
            None => self.execute_here(start, id).await,
        }
    }

    /// Has a run started by the node that acts for its shard; `None` when that is this one.
    async fn told(&self, shard: Shard, word: &Word) -> Result<Option<RunId>, RunError> {
        match self.neighbours.tell(shard, word, PATIENCE).await? {
            None => Ok(None),
            Some(Said::Run { run_id }) => Ok(Some(run_id)),
            Some(Said::Refused { refusal }) => Err(refusal.into()),
            Some(_) => Err(RunError::TimedOut),
        }
    }

    /// Starts a run by hand on this node.
    pub(super) async fn execute_here(&self, start: ManualStart, id: RunId) -> Result<RunId, RunError> {
        let row = self
            .store
            .workflows
            .get(start.account_id, start.workflow_id)
            .await?;
        if row.published == 0 {
            return Err(RunError::NotPublished(row.id));
        }
        if !row.enabled {
            return Err(RunError::Disabled(row.id));
        }
        if let Some(lead_id) = start.lead_id {
            self.store.leads.get(start.account_id, lead_id).await?;
        }
        let plan = self.plans.get(row.id, row.published).await?;
        let now = clock::now();
        let seed = RunSeed {
            id,
            account_id: start.account_id,
            workflow_id: row.id,
            version: row.published,
            lead_id: start.lead_id,
            call_id: None,
            trigger: trigger::manual_value(start.lead_id, start.data, now),
            started_at: now,
        };
        self.begin(&plan, Run::new(seed).traced(start.trace)).await?;
        Ok(id)
    }

    /// Starts the run that a fact leads to, once.
    ///
    /// # Errors
    /// [`RunError::Store`] when it could not be kept.
    pub async fn start_triggered(&self, start: TriggeredStart<'_>) -> Result<Recorded, RunError> {
        self.begin(start.plan, start.run(clock::now())).await
    }

    /// What `call.summary` would be for a plan; `None` where it does not ask.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn call_summary(&self, plan: &Plan, call: Option<&Call>) -> StoreResult<Option<String>> {
        summary_for(&self.store, plan, call).await
    }

    /// Lets a run move whose first append is on disk.
    pub fn created(&self, created: Box<Transition>) {
        metrics::counter!("patchcord_runs_started_total").increment(1);
        self.runs.deliver(created.run.id(), RunMsg::Created(created));
    }

    /// Starts a run that has been made already.
    async fn begin(&self, plan: &Plan, run: Run) -> Result<Recorded, RunError> {
        let world = world_of(&self.store, plan, &run).await?;
        let now = world.now;
        let created = transition(plan, run, Input::Started, &world);
        let run_id = created.run.id();
        let epoch = self.epoch_of(run_id);
        let recorded = match self.store.runs.create(append_of(&created, (0, epoch), now)).await {
            Ok(recorded) => recorded,
            Err(error) => {
                self.look_after(vec![run_id]);
                return Err(error.into());
            }
        };
        if recorded == Recorded::Duplicate {
            self.look_after(vec![run_id]);
        } else {
            self.created(Box::new(created));
        }
        Ok(recorded)
    }

    /// The epoch under which this node makes a run. One that it does not act for is made under none, and its owner moves it.
    pub(super) fn epoch_of(&self, run_id: RunId) -> u64 {
        self.neighbours.ownership().owns(run_id.shard()).unwrap_or(0)
    }

    /// Brings a message to a run's actor, wherever that is.
    pub(super) fn bring(&self, run_id: RunId, message: RunMsg) {
        self.runs.deliver(run_id, message);
    }

    /// Lets runs move that may be in the store although nobody was told: their first append was asked for and its outcome is
    /// not known, or their shard was just moving. One that waits has its timers armed. What is not there, or has ended, is left alone.
    pub fn look_after(&self, run_ids: Vec<RunId>) {
        let (store, runs) = (self.store.clone(), self.runs.clone());
        tokio::spawn(async move {
            for run_id in run_ids {
                wake_if_there(&store, &runs, run_id).await;
            }
        });
    }

    /// Brings a fact to a run that may be waiting for it. When this returns, what the fact did to the run is on disk.
    ///
    /// # Errors
    /// When the run could not take it: it must be brought again.
    pub async fn observe(&self, run_id: RunId, observation: &Observation) -> Result<(), RunError> {
        let input = Input::Observed(Box::new(observation.clone()));
        match self.ask(run_id, input).await {
            Ok(_) | Err(RunError::Store(StoreError::Missing { .. })) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Ends a run that has not ended. When this returns, its end is on disk.
    ///
    /// # Errors
    /// [`RunError::Ended`] when it had; [`RunError::Store`] when it is not the account's.
    pub async fn cancel(&self, account_id: AccountId, run_id: RunId, reason: String) -> Result<(), RunError> {
        self.store.runs.head(account_id, run_id).await?;
        match self.ask(run_id, Input::Cancelled { reason }).await? {
            Reaction::Moved => Ok(()),
            Reaction::Ignored => Err(RunError::Ended(run_id)),
        }
    }

    /// Settles an effect whose outcome is unknown by a person's choice.
    ///
    /// # Errors
    /// [`RunError::NothingToDecide`] when the run has no such effect.
    pub async fn decide(
        &self,
        account_id: AccountId,
        run_id: RunId,
        effect_key: String,
        choice: Choice,
    ) -> Result<(), RunError> {
        self.store.runs.head(account_id, run_id).await?;
        match self
            .ask(
                run_id,
                Input::Decided {
                    key: effect_key.clone(),
                    choice,
                },
            )
            .await?
        {
            Reaction::Moved => Ok(()),
            Reaction::Ignored => Err(RunError::NothingToDecide {
                run_id,
                key: effect_key,
            }),
        }
    }

    /// Moves a run by an input, wherever it is; answers when that is on disk.
    pub(super) async fn ask(&self, run_id: RunId, input: Input) -> Result<Reaction, RunError> {
        let (sender, answer) = ractor::concurrency::oneshot();
        self.runs
            .deliver(run_id, RunMsg::Asked(input, RpcReplyPort::from(sender)));
        match tokio::time::timeout(ANSWER_MAX, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(RunError::TimedOut),
        }
    }

    /// Takes up every run that was moving when the process ended; returns how many. Every timer in the store is armed by a
    /// task of its own, so that a server with a million of them opens its doors meanwhile.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn recover(&self) -> StoreResult<usize> {
        let unparked = self.store.runs.unparked(None).await?;
        let count = unparked.len();
        for run_id in unparked {
            self.runs.deliver(run_id, RunMsg::Recover);
        }
        tokio::spawn(arm_all(self.store.clone(), self.timers.clone()));
        Ok(count)
    }

    /// Takes up every run of a shard that was moving when its owner was lost.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn recover_shard(&self, shard: Shard) -> StoreResult<()> {
        for run_id in self.store.runs.unparked(Some(shard)).await? {
            self.runs.deliver(run_id, RunMsg::Recover);
        }
        Ok(())
    }
}

/// Wakes a run that is in the store and has not ended. A store that does not answer is asked again for a while.
async fn wake_if_there(store: &Store, runs: &Residents<RunKind>, run_id: RunId) {
    for _ in 0..LOOKS_MAX {
        match store.runs.load(run_id).await {
            Ok((head, _)) if !head.status.is_terminal() => return runs.wake(run_id),
            Ok(_) | Err(StoreError::Missing { .. }) => return,
            Err(error) => tracing::warn!(%run_id, %error, "whether a run was made is not known yet"),
        }
        away::pause(STORE_PAUSE).await;
    }
    tracing::error!(%run_id, "whether a run was made is not known: the next start takes it up if it was");
}

/// Arms every timer in the store, page by page. Does not give up: a timer that is not armed does not fire.
async fn arm_all(store: Store, timers: TimersHandle) {
    let (mut after, mut count) = (None, 0);
    loop {
        let page = match store.runs.timers(None, after, TIMERS_PER_PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, "timers cannot be read: they are read again in a moment");
                tokio::time::sleep(STORE_PAUSE).await;
                continue;
            }
        };
        let Some(last) = page.last() else { break };
        after = Some(*last);
        count += page.len();
        timers.arm(page);
    }
    tracing::info!(timers = count, "every timer is armed");
}
