//! One run: the shell around the pure core.
//!
//! In: inputs. For each: one transition of the core, one durable append, then its commands. The order is the promise:
//! nothing is carried out before its claim is on disk, and nothing that is on disk is forgotten.
//! Restarts: its parent makes it anew and tells it to recover; it reads its last append and goes on from there.

mod elsewhere;
mod moving;
mod telling;

use std::sync::{Arc, OnceLock};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::{
    appending::{append_of, world_of},
    cluster::neighbours::Neighbours,
    effects::{Ask, EffectsHandle},
    kinship::{self, Past},
    lead::LeadKind,
    plans::Plans,
    residents::{self, Desk, Resident, Residents},
    runs::{RunError, RunsHandle},
    spans,
    timers::TimersHandle,
};
use crate::{
    bus::{live::LiveFact, local::LocalBus},
    clock,
    domain::{ids::RunId, run::RunStatus},
    store::{Store, StoreError, runs::TimerRow},
    workflows::{
        Command, Effect, Input, Plan, Provider, Run, Transition, migration::Migration, run::SnapshotError,
        transition,
    },
};

/// Times a transition is tried again on a fresh state when somebody else moved the run.
const MOVED_RETRIES_MAX: u32 = 3;

/// What a run's actor understands.
pub enum RunMsg {
    /// The first append is on disk: carry its commands out.
    Created(Box<Transition>),
    Input(Input),
    /// An input whose sender waits until it is on disk.
    Asked(Input, RpcReplyPort<Result<Reaction, RunError>>),
    /// A person moves the run to another version.
    Migrate(Migration, RpcReplyPort<Result<Reaction, RunError>>),
    /// The actor before this one failed, or the process ended: settle what was under way.
    Recover,
}

/// What an asked input did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    Moved,
    /// It changed nothing: stale, repeated or not meant for where the run stands.
    Ignored,
}

/// What every run's actor needs.
#[derive(Clone)]
pub struct RunKind {
    pub store: Store,
    pub bus: LocalBus,
    pub plans: Plans,
    pub timers: TimersHandle,
    pub effects: EffectsHandle,
    pub neighbours: Neighbours,
    /// Told when a run of theirs ends: a queued start may follow. Set once, by the composition root.
    pub leads: Arc<OnceLock<Residents<LeadKind>>>,
    /// What runs start and ask of other runs. Set once, by the composition root.
    pub runs: Arc<OnceLock<RunsHandle>>,
}

/// The actor.
pub struct RunActor {
    kind: RunKind,
}

/// Its state.
pub struct RunState {
    id: RunId,
    desk: Desk<RunKind>,
    handled: u64,
    loaded: Option<Loaded>,
}

struct Loaded {
    run: Run,
    plan: Arc<Plan>,
    revision: u64,
}

/// Why a run's actor cannot go on.
#[derive(Debug, thiserror::Error)]
enum RunFault {
    #[error("run {0} cannot be read")]
    Snapshot(RunId, #[source] SnapshotError),
    #[error("run {0} is moved by somebody else again and again")]
    Contended(RunId),
    #[error(transparent)]
    Run(#[from] RunError),
}

impl From<StoreError> for RunFault {
    fn from(error: StoreError) -> Self {
        Self::Run(RunError::Store(error))
    }
}

impl Resident for RunKind {
    type Key = RunId;
    type Msg = RunMsg;
    type Child = RunActor;
    const NAME: &'static str = "run";

    fn child(&self) -> RunActor {
        RunActor { kind: self.clone() }
    }

    fn recover() -> RunMsg {
        RunMsg::Recover
    }

    fn is_passing(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
        match error.downcast_ref::<RunFault>() {
            Some(RunFault::Run(error)) => error.is_passing(),
            Some(RunFault::Snapshot(..) | RunFault::Contended(_)) => false,
            None => residents::is_passing(error),
        }
    }

    fn here(&self, run_id: &RunId, message: RunMsg) -> Option<RunMsg> {
        if self.neighbours.is_here(run_id.shard()) {
            return Some(message);
        }
        elsewhere::pass_on(self, *run_id, message);
        None
    }

    fn gave_up(&self, key: &RunId, error: &str) {
        super::stuck::park_run(self.store.clone(), self.bus.clone(), *key, error.to_owned());
    }
}

impl RunActor {
    /// The epoch under which the run may be moved at this moment.
    fn epoch(&self, run_id: RunId) -> Result<u64, RunError> {
        let shard = run_id.shard();
        let epoch = self.kind.neighbours.ownership().owns(shard);
        epoch.ok_or(RunError::Unowned(shard))
    }

    async fn load(&self, state: &mut RunState) -> Result<(), RunFault> {
        let (head, snapshot) = self.kind.store.runs.load(state.id).await?;
        // An ended run whose history was forgotten takes nothing any more.
        if snapshot.is_empty() {
            return Ok(());
        }
        let broken = |error| RunFault::Snapshot(state.id, error);
        let mut run = Run::from_snapshot(&snapshot).map_err(broken)?;
        if !run.missing_parts().is_empty() {
            for (part, bytes) in self.kind.store.runs.parts(state.id).await? {
                run.fill(part, &bytes).map_err(broken)?;
            }
        }
        let plan = self.kind.plans.get(head.workflow_id, head.version).await?;
        state.loaded = Some(Loaded {
            run,
            plan,
            revision: head.revision,
        });
        Ok(())
    }

    /// Moves the run by one input: transition, append, commands.
    async fn take(&self, state: &mut RunState, input: Input) -> Result<Reaction, RunFault> {
        for _ in 0..=MOVED_RETRIES_MAX {
            if state.loaded.is_none() {
                self.load(state).await?;
            }
            let Some(loaded) = &state.loaded else {
                return Ok(Reaction::Ignored);
            };
            let (run, began) = (&loaded.run, clock::now());
            let world = world_of(&self.kind.store, &loaded.plan, run).await?;
            let now = world.now;
            let moved = transition(&loaded.plan, run.clone(), input.clone(), &world);
            let plan = Arc::clone(&loaded.plan);
            let mut revision = loaded.revision;
            if moved.changed {
                let append = append_of(&moved, (revision, self.epoch(state.id)?), now);
                match self.kind.store.runs.append(append).await {
                    Ok(()) => revision += 1,
                    Err(StoreError::Moved { .. }) => {
                        state.loaded = None;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
                spans::transition(&moved.run, revision, input.word(), began);
            }
            self.carry_out(state, &plan, &moved, revision);
            self.show_alerts(&moved).await?;
            self.hand_on_facts(&moved).await?;
            self.close_messages(&moved).await?;
            self.call_people(&moved.run).await?;
            let reaction = if moved.changed {
                Reaction::Moved
            } else {
                Reaction::Ignored
            };
            state.loaded = Some(Loaded {
                run: moved.run,
                plan,
                revision,
            });
            return Ok(reaction);
        }
        Err(RunFault::Contended(state.id))
    }

    /// Does what a transition asks for, now that it is on disk.
    fn carry_out(&self, state: &RunState, plan: &Plan, moved: &Transition, revision: u64) {
        self.tell(plan, moved);
        let place = spans::place_of(&moved.run, revision);
        for command in &moved.commands {
            match command {
                Command::Act(effect) if effect.provider() == Provider::Workflow => {
                    self.start_child(state, effect.placed(place));
                }
                Command::Act(effect) => self.ask(state, Ask::Act, effect.placed(place)),
                Command::LookUp(effect) => self.ask(state, Ask::LookUp, effect.placed(place)),
                Command::Finish { status, error } => self.finish(&moved.run, *status, error.clone()),
                Command::LookBack {
                    wait,
                    lead_id,
                    events,
                    since,
                } => {
                    let past = Past {
                        account_id: moved.run.account_id(),
                        lead_id: *lead_id,
                        events: events.clone(),
                        since: *since,
                    };
                    kinship::look_back(self.kind.store.clone(), past, *wait, Self::reply(state));
                }
                Command::AskRun { run_id } => {
                    kinship::ask_run(
                        self.kind.store.clone(),
                        moved.run.account_id(),
                        *run_id,
                        Self::reply(state),
                    );
                }
                Command::AskCall { call_id } => {
                    kinship::ask_call(
                        self.kind.store.clone(),
                        moved.run.account_id(),
                        *call_id,
                        Self::reply(state),
                    );
                }
                Command::CancelRun { run_id } => self.cancel_child(state, &moved.run, *run_id),
                // Timers are armed below from the same list the store got; leads look up who listens.
                Command::SetTimer { .. } | Command::ClearTimer { .. } | Command::Listen { .. } => (),
            }
        }
        let run_id = state.id;
        let timers = moved.timers_set.iter().map(|(timer, due)| TimerRow {
            due: *due,
            run_id,
            timer: *timer,
        });
        self.kind.timers.arm(timers.collect());
    }

    /// Starts the run that an effect asks for.
    fn start_child(&self, state: &RunState, effect: Effect) {
        match self.kind.runs.get() {
            Some(runs) => {
                kinship::start(runs.clone(), self.kind.bus.clone(), effect, Self::reply(state));
            }
            None => tracing::error!("no runs are connected: the claim is settled at the next start"),
        }
    }

    /// Ends a run that this one has started and does not wait for any more.
    fn cancel_child(&self, state: &RunState, parent: &Run, child_id: RunId) {
        let Some(runs) = self.kind.runs.get() else {
            tracing::error!("no runs are connected: the run's timer asks again");
            return;
        };
        let store = self.kind.store.clone();
        kinship::cancel_run(runs.clone(), store, parent, child_id, Self::reply(state));
    }

    fn reply(state: &RunState) -> super::effects::Reply {
        let (desk, id) = (state.desk.clone(), state.id);
        Box::new(move |input| desk.send(id, RunMsg::Input(input)))
    }

    fn ask(&self, state: &RunState, ask: Ask, effect: Effect) {
        self.kind.effects.ask(ask, Box::new(effect), Self::reply(state));
    }

    /// Takes up what the actor before this one, or the process before this one, left behind.
    async fn recover(&self, state: &mut RunState) -> Result<(), RunFault> {
        self.load(state).await?;
        let Some(loaded) = &state.loaded else {
            return Ok(());
        };
        let run_id = state.id;
        let timers = loaded
            .run
            .timers()
            .into_iter()
            .map(|(timer, due)| TimerRow { due, run_id, timer });
        self.kind.timers.arm(timers.collect());
        if loaded.run.has_ended() {
            // The actor before this one may have failed between the last append and telling so.
            self.tell_of_end(&loaded.run, loaded.run.status());
        }
        self.take(state, Input::Recovered).await?;
        Ok(())
    }

    fn rest_if_parked(state: &RunState) {
        let is_parked = state
            .loaded
            .as_ref()
            .is_none_or(|loaded| loaded.run.status() != RunStatus::Running);
        if is_parked {
            state.desk.idle(state.id, state.handled);
        }
    }
}

impl Actor for RunActor {
    type Msg = RunMsg;
    type State = RunState;
    type Arguments = (RunId, Desk<RunKind>);

    async fn pre_start(
        &self,
        _myself: ActorRef<RunMsg>,
        (id, desk): Self::Arguments,
    ) -> Result<RunState, ActorProcessingErr> {
        Ok(RunState {
            id,
            desk,
            handled: 0,
            loaded: None,
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<RunMsg>,
        message: RunMsg,
        state: &mut RunState,
    ) -> Result<(), ActorProcessingErr> {
        state.handled += 1;
        // The shard may have gone to another node since the message came.
        let Some(message) = self.kind.here(&state.id, message) else {
            state.loaded = None;
            state.desk.idle(state.id, state.handled);
            return Ok(());
        };
        match message {
            RunMsg::Created(created) => {
                let plan = self
                    .kind
                    .plans
                    .get(created.run.workflow_id(), created.run.version())
                    .await?;
                let fact = LiveFact::RunStarted {
                    run_id: state.id,
                    workflow_id: created.run.workflow_id(),
                    name: plan.definition().name.clone(),
                    trigger: created.run.trigger_type().to_owned(),
                    lead_id: created.run.lead_id(),
                    call_id: created.run.call_id(),
                };
                self.kind
                    .bus
                    .publish(created.run.account_id(), clock::now(), fact);
                spans::transition(&created.run, 1, Input::Started.word(), created.run.started_at());
                self.carry_out(state, &plan, &created, 1);
                state.loaded = Some(Loaded {
                    run: created.run,
                    plan,
                    revision: 1,
                });
            }
            RunMsg::Input(input) => {
                let taken = self.take(state, input.clone()).await;
                elsewhere::unless_fenced(&self.kind, state, input, taken)?;
            }
            RunMsg::Asked(input, reply) => {
                let reaction = self.take(state, input).await;
                answer(state, reply, reaction)?;
            }
            RunMsg::Migrate(wanted, reply) => {
                let reaction = self.migrate(state, &wanted).await;
                answer(state, reply, reaction)?;
            }
            RunMsg::Recover => self.recover(state).await?,
        }
        Self::rest_if_parked(state);
        Ok(())
    }
}

/// Tells the sender of a question what came of it.
fn answer(
    state: &mut RunState,
    reply: RpcReplyPort<Result<Reaction, RunError>>,
    reaction: Result<Reaction, RunFault>,
) -> Result<(), RunFault> {
    let answer = match reaction {
        Ok(reaction) => Ok(reaction),
        Err(RunFault::Run(error)) => {
            // The sender hears it; the state on disk is whole, so the next message starts from there.
            state.loaded = None;
            if may_have_moved(&error) {
                // The append may be on disk all the same: then its commands are still to be carried out.
                state.desk.send(state.id, RunMsg::Recover);
            }
            Err(error)
        }
        // Nothing was loaded, and nothing that is tried again can change it.
        Err(RunFault::Snapshot(run_id, error)) => Err(RunError::Unreadable {
            run_id,
            reason: error.to_string(),
        }),
        Err(fault @ RunFault::Contended(_)) => return Err(fault),
    };
    if reply.send(answer).is_err() {
        tracing::debug!("nobody waits for the answer any more");
    }
    Ok(())
}

/// Whether a refused input may be on disk all the same.
const fn may_have_moved(error: &RunError) -> bool {
    matches!(error, RunError::Store(StoreError::Unavailable(_)))
}
