//! The effects: carries out what runs ask of the world, each past the gate, within the rates of whoever carries it.
//!
//! In: effects whose claim is on disk. Out: one input for the run, always: done, failed, unknown, held or looked up.
//! An effect that is under way is never started a second time: whoever asks again gets the answer of the first. So a run
//! that was restarted in the middle cannot send twice while the first attempt still travels.
//!
//! What waits, waits in lanes (`lanes`): in order for each account and sender, the accounts in turn. Its turn comes when a place is
//! free, the sender's rate (`pace`) allows it and the provider works (`breaker`). Only then is the gate asked, on fresh facts, in the
//! task that makes the attempt; what it holds back or refuses gives its turn back.

mod questions;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr};
use tokio::time::Instant;

use super::{
    attempt::{Ended, attempt, is_providers_failure, look_up},
    breaker::Turned,
    cluster::Ownership,
    dispatch::{Dispatch, WAITING_MAX},
    gate::Gate,
    lanes::Next,
    leads::LeadsHandle,
    place::{Line, Place},
    rates::Limits,
    stuck::{self, Stuck},
};
use crate::{
    bus::{local::LocalBus, redis::allowance::Allowances},
    clock,
    integrations::port::{EffectOutcome, EffectPort},
    store::Store,
    workflows::{Effect, Finding, Input},
};

pub use questions::{Ask, Reply};
use questions::{Question, Questions};

/// How long an effect may wait for a provider that does not work before that counts as a failed attempt.
const PROVIDER_WAIT_MAX: Duration = Duration::from_secs(6 * 3_600);

/// What the effects understand.
pub enum EffectsMsg {
    Asked(Job, Reply),
    /// The gate let an attempt through, on these grounds.
    Judged(String, serde_json::Value),
    /// An attempt came to an end.
    Executed(Box<Effect>, Ended),
    /// A look-up came to an end.
    LookedUp(Box<Effect>, Finding),
    /// A sender's turn or a provider's pause is over.
    Woke(Line, Instant),
}

/// What waits for its turn.
pub struct Job {
    effect: Box<Effect>,
    ask: Ask,
}

/// What the effects need.
pub struct EffectsKind {
    pub port: Arc<dyn EffectPort>,
    pub gate: Gate,
    pub limits: Limits,
    /// Rates that all nodes keep together, where they share a Redis.
    pub allowances: Option<Allowances>,
    /// The number that messages and calls go out by where nothing else is said.
    pub sender: String,
    pub store: Store,
    pub bus: LocalBus,
    /// Whether an effect's run is still this node's.
    pub ownership: Ownership,
    /// Where facts about leads go. Set once, by the composition root.
    pub leads: Arc<OnceLock<LeadsHandle>>,
}

/// The effects. Cheap to clone.
#[derive(Clone)]
pub struct EffectsHandle(ActorRef<EffectsMsg>);

impl EffectsHandle {
    /// Starts the dispatcher under `supervisor`.
    ///
    /// # Errors
    /// When the supervisor is no longer alive.
    pub async fn start(kind: EffectsKind, supervisor: ActorCell) -> Result<Self, SpawnErr> {
        let actor = EffectsActor { kind: Arc::new(kind) };
        let (actor, _) = Actor::spawn_linked(None, actor, (), supervisor).await?;
        Ok(Self(actor))
    }

    /// Carries an effect out, or finds out whether it was. `reply` is called with the run's next inputs.
    pub fn ask(&self, ask: Ask, effect: Box<Effect>, reply: Reply) {
        if self
            .0
            .send_message(EffectsMsg::Asked(Job { effect, ask }, reply))
            .is_err()
        {
            tracing::warn!("the effects have stopped: the claim is settled at the next start");
        }
    }
}

struct EffectsActor {
    kind: Arc<EffectsKind>,
}

/// The dispatcher's state.
pub struct State {
    under_way: Questions,
    dispatch: Dispatch<Job>,
}

impl EffectsActor {
    /// Notes who asks, and lets the effect wait for its turn, which may be at once.
    fn take(&self, myself: &ActorRef<EffectsMsg>, state: &mut State, job: Job, question: Question) {
        if !state.under_way.add(&job.effect.key, question) {
            return;
        }
        let place = Place::of(&job.effect, job.ask, &self.kind.sender);
        if let Some(until) = state.dispatch.closed_until(&place, Instant::now()) {
            hold_for_provider(state, &job.effect, &place, until);
            return;
        }
        let line = place.line;
        if let Err((job, backlog)) = state.dispatch.push(place, job) {
            let reason = format!("{WAITING_MAX} effects of {} wait already", line.0);
            let until = clock::now().plus(backlog);
            state.under_way.hold(&job.effect.key, until, &reason);
            return;
        }
        self.pump(myself, state, line);
    }

    /// Starts whatever may start on the line, and sets a wake-up for the rest.
    fn pump(&self, myself: &ActorRef<EffectsMsg>, state: &mut State, line: Line) {
        loop {
            match state.dispatch.next(line, Instant::now()) {
                Next::Go(_, job) => self.start(myself, job),
                Next::NotBefore(at) => {
                    if state.dispatch.must_wake(line, at) {
                        let myself = myself.clone();
                        tokio::spawn(async move {
                            tokio::time::sleep_until(at).await;
                            // The effects have stopped with the server when nobody takes it.
                            let _ = myself.send_message(EffectsMsg::Woke(line, at));
                        });
                    }
                    break;
                }
                Next::Nobody => break,
            }
        }
        let waiting = u32::try_from(state.dispatch.waiting(line)).unwrap_or(u32::MAX);
        metrics::gauge!("patchcord_effects_waiting", "provider" => line.0.to_string()).set(waiting);
    }

    fn start(&self, myself: &ActorRef<EffectsMsg>, job: Job) {
        let Job { effect, ask } = job;
        let (kind, myself) = (Arc::clone(&self.kind), myself.clone());
        tokio::spawn(async move {
            let message = match ask {
                Ask::Act => {
                    let ended = attempt(&kind, &myself, &effect).await;
                    EffectsMsg::Executed(effect, ended)
                }
                Ask::LookUp => {
                    let finding = look_up(Arc::clone(&kind.port), &effect).await;
                    EffectsMsg::LookedUp(effect, finding)
                }
            };
            if myself.send_message(message).is_err() {
                tracing::warn!("an effect ended after the effects had stopped");
            }
        });
    }

    /// Keeps the provider's breaker and the sender's rate in step with what an attempt showed.
    fn learn(&self, state: &mut State, effect: &Effect, ended: &Ended) {
        let place = Place::of(effect, Ask::Act, &self.kind.sender);
        let now = Instant::now();
        let turned = match ended {
            Ended::Tried(outcome) if is_providers_failure(outcome) => state.dispatch.failed(&place, now),
            Ended::Tried(_) => state.dispatch.worked(&place),
            Ended::Stopped(_) | Ended::Held { .. } | Ended::Paced(..) | Ended::Elsewhere => {
                state.dispatch.give_back(&place, now);
                Turned::Nothing
            }
        };
        let Some(target) = place.target() else { return };
        match turned {
            Turned::Nothing => {}
            Turned::Closed => {
                tracing::info!(target, "a provider works again");
                metrics::gauge!("patchcord_breaker_open", "target" => target).set(0.0);
            }
            Turned::Opened => {
                tracing::warn!(target, "a provider keeps failing and is left alone for a while");
                metrics::gauge!("patchcord_breaker_open", "target" => target.clone()).set(1.0);
                metrics::counter!("patchcord_breaker_opened_total").increment(1);
                self.tell_down(effect, &target, ended);
                if let Some(until) = state.dispatch.closed_until(&place, now) {
                    for job in state.dispatch.drain(&place) {
                        hold_for_provider(state, &job.effect, &place, until);
                    }
                }
            }
        }
    }

    fn tell_down(&self, effect: &Effect, target: &str, ended: &Ended) {
        let stuck = Stuck {
            account_id: effect.account_id,
            kind: "provider_down",
            title: format!("{target} keeps failing: its effects wait and it is tried again now and then"),
            error: format!("{ended:?}"),
            run_id: Some(effect.run_id),
            call_id: None,
            lead_id: None,
        };
        stuck::tell(self.kind.store.clone(), self.kind.bus.clone(), stuck);
    }

    /// Answers everybody who waits for an attempt that ended.
    fn settle(&self, myself: &ActorRef<EffectsMsg>, state: &mut State, effect: &Effect, ended: &Ended) {
        self.learn(state, effect, ended);
        match ended {
            Ended::Paced(whose, until) => {
                let job = Job {
                    effect: Box::new(effect.clone()),
                    ask: Ask::Act,
                };
                let place = Place::of(effect, Ask::Act, &self.kind.sender);
                state.dispatch.put_back(place, job, *whose, *until);
            }
            Ended::Elsewhere => {
                tracing::warn!(run_id = %effect.run_id, "an effect was left to the run's next owner");
                state.under_way.take(&effect.key);
            }
            Ended::Held { until, reason } => state.under_way.hold(&effect.key, *until, reason),
            Ended::Stopped(failure) => {
                let refused = EffectOutcome::Rejected(failure.clone());
                state.under_way.answer(&effect.key, &refused);
            }
            Ended::Tried(EffectOutcome::Unknown { message }) => {
                for question in state.under_way.take(&effect.key) {
                    if question.ask == Ask::LookUp {
                        let job = Job {
                            effect: Box::new(effect.clone()),
                            ask: Ask::LookUp,
                        };
                        self.take(myself, state, job, question);
                    } else {
                        (question.reply)(Input::EffectUnknown {
                            key: effect.key.clone(),
                            attempt: question.attempt,
                            message: message.clone(),
                        });
                    }
                }
            }
            Ended::Tried(outcome) => state.under_way.answer(&effect.key, outcome),
        }
        let line = (effect.provider(), Ask::Act);
        state.dispatch.free(line);
        self.pump(myself, state, line);
    }

    /// Answers everybody who waits for a look-up that ended.
    fn looked_up(
        &self,
        myself: &ActorRef<EffectsMsg>,
        state: &mut State,
        effect: &Effect,
        finding: &Finding,
    ) {
        for question in state.under_way.take(&effect.key) {
            match question.ask {
                // Whoever wants it carried out while it was being looked up gets their own attempt.
                Ask::Act => {
                    let job = Job {
                        effect: Box::new(Effect {
                            attempt: question.attempt,
                            ..effect.clone()
                        }),
                        ask: Ask::Act,
                    };
                    self.take(myself, state, job, question);
                }
                Ask::LookUp => (question.reply)(Input::LookedUp {
                    key: effect.key.clone(),
                    attempt: question.attempt,
                    finding: finding.clone(),
                }),
            }
        }
        let line = (effect.provider(), Ask::LookUp);
        state.dispatch.free(line);
        self.pump(myself, state, line);
    }
}

/// Holds an effect until its provider is tried again; one that waited for hours fails instead.
fn hold_for_provider(state: &mut State, effect: &Effect, place: &Place, until: Instant) {
    let now = clock::now();
    let target = place.target().unwrap_or_default();
    // What was held back by quiet hours first has not waited for the provider all that time.
    let failing_for = state.dispatch.failing_for(place, Instant::now());
    if now.since(effect.planned_at).min(failing_for) > PROVIDER_WAIT_MAX {
        let message = format!("{target} has not worked for hours; nothing was sent");
        let down = EffectOutcome::temporary("provider_down", message);
        state.under_way.answer(&effect.key, &down);
        return;
    }
    let wait = until.saturating_duration_since(Instant::now());
    // Spread by key, so that they do not all come back at once.
    let spread = effect
        .key
        .bytes()
        .fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let wait = wait + wait / 1_000 * (spread % 1_000);
    let reason = format!("{target} keeps failing and is left alone for a while");
    state.under_way.hold(&effect.key, now.plus(wait), &reason);
}

impl Actor for EffectsActor {
    type Msg = EffectsMsg;
    type State = State;
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<EffectsMsg>, (): ()) -> Result<State, ActorProcessingErr> {
        Ok(State {
            under_way: Questions::default(),
            dispatch: Dispatch::new(self.kind.limits),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<EffectsMsg>,
        message: EffectsMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            EffectsMsg::Asked(job, reply) => {
                let question = Question {
                    ask: job.ask,
                    attempt: job.effect.attempt,
                    reply,
                };
                self.take(&myself, state, job, question);
            }
            EffectsMsg::Judged(key, gate) => state.under_way.tell_judged(&key, &gate),
            EffectsMsg::Executed(effect, ended) => self.settle(&myself, state, &effect, &ended),
            EffectsMsg::LookedUp(effect, finding) => self.looked_up(&myself, state, &effect, &finding),
            EffectsMsg::Woke(line, at) => {
                state.dispatch.woke(line, at);
                self.pump(&myself, state, line);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
