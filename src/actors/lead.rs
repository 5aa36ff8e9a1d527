//! One lead: takes all facts about it in order, brings them to its runs, then starts what they trigger.
//!
//! In: observations that are in the store. Out: runs, each created in the store before the observation is marked as routed.
//! Everything here may be done twice: run ids come from the observation, and runs ignore what they have seen.
//! Restarts: its parent makes it anew and tells it to recover; it reads what is not marked as routed.

mod elsewhere;
mod merging;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::{
    appending::world,
    cluster::neighbours::Neighbours,
    leads::Subject,
    loop_guard::Start,
    plans::Plans,
    residents::{Desk, Resident},
    runs::{RunError, RunsHandle, TriggeredStart, triggered_run_id},
    spans,
    stuck::{self, Stuck},
};
use crate::{
    bus::local::LocalBus,
    domain::{
        ids::{AccountId, LeadId, RunId, WorkflowId},
        lead::Lead,
        observation::Observation,
        run::RunStatus,
    },
    store::{
        PageRequest, Recorded, Store, StoreError,
        runs::{RunFilter, RunHead},
        workflows::WorkflowRow,
    },
    telemetry::traces,
    workflows::{
        Plan, World,
        enrolment::{Admission, Earlier, admit},
        trigger,
    },
};

/// Active runs of one lead that hear of a fact at once.
const LISTENERS_PER_PAGE: u32 = 200;

/// What a lead's actor understands.
pub enum LeadMsg {
    /// This was observed and is in the store.
    Observed(Box<Observation>),
    /// A trigger's wait after a fact about the lead is over: start this one workflow. Answered with whether it is settled;
    /// false when the start waits for an earlier run.
    Due(Box<Observation>, WorkflowId, RpcReplyPort<bool>),
    /// Merge this lead into that one. Answered when it is done, or why it is not.
    Merge(LeadId, RpcReplyPort<Result<(), RunError>>),
    /// A run of the lead has ended: a start that waits for it may follow.
    RunEnded,
    /// The actor before this one failed: take up what it left.
    Recover,
}

/// What every lead's actor needs.
#[derive(Clone)]
pub struct LeadKind {
    pub store: Store,
    pub bus: LocalBus,
    pub plans: Plans,
    pub runs: RunsHandle,
    pub neighbours: Neighbours,
}

/// The actor.
pub struct LeadActor {
    kind: LeadKind,
}

/// Its state.
pub struct LeadState {
    subject: Subject,
    desk: Desk<LeadKind>,
    handled: u64,
}

/// Whether a fact has led to all it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Routed {
    Wholly,
    /// A start waits for an earlier run to end.
    InPart,
}

impl Resident for LeadKind {
    type Key = Subject;
    type Msg = LeadMsg;
    type Child = LeadActor;
    const NAME: &'static str = "lead";

    fn child(&self) -> LeadActor {
        LeadActor { kind: self.clone() }
    }

    fn recover() -> LeadMsg {
        LeadMsg::Recover
    }

    fn here(&self, subject: &Subject, message: LeadMsg) -> Option<LeadMsg> {
        if self.neighbours.is_here(subject.shard()) {
            return Some(message);
        }
        elsewhere::pass_on(self, *subject, message);
        None
    }

    fn gave_up(&self, key: &Subject, error: &str) {
        let (account_id, lead_id) = match key {
            Subject::Lead(account_id, lead_id) => (*account_id, Some(*lead_id)),
            Subject::Account(account_id) => (*account_id, None),
        };
        let stuck = Stuck {
            account_id,
            kind: "lead_stuck",
            title: "What happened with a lead cannot be brought to its workflows".to_owned(),
            error: error.to_owned(),
            run_id: None,
            call_id: None,
            lead_id,
        };
        stuck::tell(self.store.clone(), self.bus.clone(), stuck);
    }
}

impl LeadActor {
    /// Brings a fact to the lead's runs and starts what it triggers.
    async fn route(&self, observation: &Observation) -> Result<(), RunError> {
        let span = spans::of_fact(observation);
        traces::within(observation.place(), self.route_on(observation)).await?;
        traces::end(span);
        Ok(())
    }

    async fn route_on(&self, observation: &Observation) -> Result<(), RunError> {
        self.bring_to_runs(observation).await?;
        self.bring_to_caller(observation).await?;
        let rows = self
            .kind
            .store
            .workflows
            .triggered_by(observation.account_id, observation.kind.as_str())
            .await?;
        let mut routed = Routed::Wholly;
        if !rows.is_empty() {
            let world = world(
                &self.kind.store,
                observation.account_id,
                observation.lead_id,
                observation.call_id,
            )
            .await?;
            for row in rows {
                if self.start(observation, &row, &world).await? == Routed::InPart {
                    routed = Routed::InPart;
                }
            }
        }
        if routed == Routed::Wholly {
            self.kind.store.observations.mark_routed(observation.id).await?;
        }
        Ok(())
    }

    /// Brings a fact to every active run of the lead. It is on their disk when this returns: a fact that is marked as routed
    /// before that would be lost to a waiting run with the process.
    async fn bring_to_runs(&self, observation: &Observation) -> Result<(), RunError> {
        let Some(lead_id) = observation.lead_id else {
            return Ok(());
        };
        // One list for all states: a run that goes from one to another meanwhile is in it, and once.
        let filter = RunFilter {
            lead_id: Some(lead_id),
            only_active: true,
            ..RunFilter::default()
        };
        let mut cursor = None;
        loop {
            let page = PageRequest {
                limit: LISTENERS_PER_PAGE,
                cursor,
            };
            let runs = &self.kind.store.runs;
            let page = runs.list(observation.account_id, filter.clone(), page).await?;
            self.tell(observation, &page.items).await?;
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    async fn tell(&self, observation: &Observation, heads: &[RunHead]) -> Result<(), RunError> {
        let told = heads
            .iter()
            .map(|head| self.kind.runs.observe(head.id, observation));
        for (head, told) in heads.iter().zip(futures_util::future::join_all(told).await) {
            match told {
                Ok(()) => (),
                // A run that cannot move at all must not keep its lead from going on.
                Err(error @ (RunError::Unreadable { .. } | RunError::Broken { .. })) => {
                    tracing::error!(run_id = %head.id, %error, "a run that cannot be read did not take a fact");
                }
                Err(error) if head.status == RunStatus::Stuck => {
                    tracing::warn!(run_id = %head.id, %error, "a stuck run did not take a fact");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Brings what became of a call to the run that placed it, when that one is about somebody else or about nobody.
    async fn bring_to_caller(&self, observation: &Observation) -> Result<(), RunError> {
        let (Some(run_id), Some(_)) = (observation.caused_by, observation.call_id) else {
            return Ok(());
        };
        match self.kind.store.runs.head(observation.account_id, run_id).await {
            Ok(head) if head.lead_id == observation.lead_id || head.status.is_terminal() => Ok(()),
            Ok(_) => self.kind.runs.observe(run_id, observation).await,
            Err(StoreError::Missing { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Starts one workflow, if its trigger matches and the lead may enrol.
    async fn start(
        &self,
        observation: &Observation,
        row: &WorkflowRow,
        world: &World,
    ) -> Result<Routed, RunError> {
        let plan = match self.kind.plans.get(row.id, row.published).await {
            Ok(plan) => plan,
            Err(RunError::Broken { id, reason }) => {
                // One broken workflow must not keep the lead's others from running.
                tracing::error!(workflow_id = %id, reason, "a published workflow cannot be read");
                return Ok(Routed::Wholly);
            }
            Err(error) => return Err(error),
        };
        match trigger::matches(&plan.definition().trigger, observation, world) {
            Ok(true) => (),
            Ok(false) => return Ok(Routed::Wholly),
            Err(error) => {
                tracing::warn!(workflow_id = %row.id, %error, "a trigger's filter could not be decided: no run was started");
                return Ok(Routed::Wholly);
            }
        }
        let run_id = triggered_run_id(observation, row.id);
        if self.exists(observation, run_id).await? {
            return Ok(Routed::Wholly);
        }
        let start = Start::by_fact(observation, row);
        if let Some(chain) = start.closed_loop(&self.kind.store).await? {
            start.tell_cut(&self.kind.store, &self.kind.bus, &chain).await?;
            return Ok(Routed::Wholly);
        }
        match self.admission(observation, row, &plan, world).await? {
            Admission::Start => (),
            Admission::StartAfter(_) => return Ok(Routed::InPart),
            Admission::Replace(earlier) => {
                let reason = "replaced by a newer start for the same lead";
                self.cancel_all(observation.account_id, earlier, reason).await?;
            }
            Admission::Refuse(reason) => {
                tracing::info!(workflow_id = %row.id, observation = %observation.id, reason, "no run was started");
                return Ok(Routed::Wholly);
            }
        }
        let start = TriggeredStart {
            observation,
            workflow_id: row.id,
            version: row.published,
            plan: &plan,
        };
        if self.kind.runs.start_triggered(start).await? == Recorded::Fresh {
            tracing::debug!(%run_id, workflow_id = %row.id, trigger = %observation.kind, "run started");
        }
        Ok(Routed::Wholly)
    }

    /// Starts the one workflow whose wait after a fact is over. False when the start waits for an earlier run.
    async fn start_due(&self, observation: &Observation, workflow_id: WorkflowId) -> Result<bool, RunError> {
        let row = match self
            .kind
            .store
            .workflows
            .get(observation.account_id, workflow_id)
            .await
        {
            Ok(row) if row.enabled && row.published > 0 => row,
            Ok(_) | Err(StoreError::Missing { .. }) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        let world = world(
            &self.kind.store,
            observation.account_id,
            observation.lead_id,
            observation.call_id,
        )
        .await?;
        Ok(self.start(observation, &row, &world).await? == Routed::Wholly)
    }

    async fn exists(&self, observation: &Observation, run_id: RunId) -> Result<bool, RunError> {
        match self.kind.store.runs.head(observation.account_id, run_id).await {
            Ok(_) => Ok(true),
            Err(StoreError::Missing { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn admission(
        &self,
        observation: &Observation,
        row: &WorkflowRow,
        plan: &Plan,
        world: &World,
    ) -> Result<Admission, RunError> {
        let enrolment = plan.definition().settings.enrolment;
        let Some(lead_id) = observation.lead_id else {
            return Ok(Admission::Start);
        };
        let runs = &self.kind.store.runs;
        // Runs of duplicates that were merged into the lead are its runs.
        let ids = world.lead.as_ref().map_or_else(|| vec![lead_id], Lead::ids);
        let (mut any, mut active) = (false, Vec::new());
        for id in ids {
            active.extend(runs.active_for_lead(row.id, id).await?);
            any = any || !active.is_empty() || runs.ever_for_lead(row.id, id).await?;
        }
        Ok(admit(enrolment, Earlier { any, active: &active }))
    }

    async fn cancel_all(
        &self,
        account_id: AccountId,
        runs: Vec<RunId>,
        reason: &str,
    ) -> Result<(), RunError> {
        for run_id in runs {
            match self.kind.runs.cancel(account_id, run_id, reason.to_owned()).await {
                Ok(()) | Err(RunError::Ended(_)) => (),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Brings a fact on its way, behind those before it that still wait: their run may have ended a moment ago, and a newer
    /// fact must not overtake them. One that was taken up before its message came is left alone: to route it again, on what
    /// the lead has become meanwhile, could start what it never meant.
    async fn route_in_turn(&self, subject: Subject, observation: &Observation) -> Result<(), RunError> {
        let place = |fact: &Observation| (fact.at, fact.id);
        let (account_id, lead_id) = (observation.account_id, observation.lead_id);
        let unrouted = self
            .kind
            .store
            .observations
            .unrouted_of(account_id, lead_id)
            .await?;
        if !unrouted.iter().any(|known| known.id == observation.id) {
            return Ok(());
        }
        if unrouted.iter().any(|earlier| place(earlier) < place(observation)) {
            self.take_up(subject).await
        } else {
            self.route(observation).await
        }
    }

    /// Takes up what was kept but not wholly routed, oldest first.
    async fn take_up(&self, subject: Subject) -> Result<(), RunError> {
        let (account_id, lead_id) = match subject {
            Subject::Lead(account_id, lead_id) => (account_id, Some(lead_id)),
            Subject::Account(account_id) => (account_id, None),
        };
        for observation in self
            .kind
            .store
            .observations
            .unrouted_of(account_id, lead_id)
            .await?
        {
            self.route(&observation).await?;
        }
        Ok(())
    }
}

impl Actor for LeadActor {
    type Msg = LeadMsg;
    type State = LeadState;
    type Arguments = (Subject, Desk<LeadKind>);

    async fn pre_start(
        &self,
        _myself: ActorRef<LeadMsg>,
        (subject, desk): Self::Arguments,
    ) -> Result<LeadState, ActorProcessingErr> {
        Ok(LeadState {
            subject,
            desk,
            handled: 0,
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<LeadMsg>,
        message: LeadMsg,
        state: &mut LeadState,
    ) -> Result<(), ActorProcessingErr> {
        state.handled += 1;
        // The shard may have gone to another node since the message came.
        let Some(message) = self.kind.here(&state.subject, message) else {
            state.desk.idle(state.subject, state.handled);
            return Ok(());
        };
        match message {
            LeadMsg::Observed(observation) => self.route_in_turn(state.subject, &observation).await?,
            LeadMsg::Due(observation, workflow_id, reply) => {
                let is_settled = self.start_due(&observation, workflow_id).await?;
                // Nobody waits any more when the schedules gave up: they ask again.
                let _ = reply.send(is_settled);
            }
            LeadMsg::Merge(kept, reply) => {
                let merged = self.merge(state.subject, kept).await;
                // Whoever does not wait any more asks again.
                let _ = reply.send(merged);
            }
            LeadMsg::RunEnded | LeadMsg::Recover => self.take_up(state.subject).await?,
        }
        state.desk.idle(state.subject, state.handled);
        Ok(())
    }
}
