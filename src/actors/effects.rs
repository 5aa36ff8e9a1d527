//! The effects: carries out what runs ask of the world, each past the gate, within the rates of whoever carries it.
//!
//! In: effects whose claim is on disk. Out: one input for the run, always: done, failed, unknown, held or looked up.
//! An effect that is under way is never started a second time: whoever asks again gets the answer of the first. So a run
//! that was restarted in the middle cannot send twice while the first attempt still travels.
//!
//! What waits, waits in lanes (`lanes`): in order for each account and sender, the accounts in turn. Its turn comes when a place is
//! free, the sender's rate (`pace`) allows it and the provider works (`breaker`). Only then is the gate asked, on fresh facts, in the
//! task that makes the attempt; what it holds back or refuses gives its turn back.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr};
use tokio::time::Instant;

use super::{
    attempt::{Ended, attempt, is_providers_failure, look_up},
    breaker::Turned,
    cluster::Ownership,
    dispatch::{Dispatch, Limits, Line, Place},
    gate::Gate,
    lanes::Next,
    leads::LeadsHandle,
    stuck::{self, Stuck},
};
use crate::{
    bus::{local::LocalBus, redis::allowance::Allowances},
    clock,
    domain::time::Timestamp,
    integrations::port::{EffectOutcome, EffectPort},
    store::Store,
    workflows::{Effect, Finding, Input},
};

/// How long an effect may wait for a provider that does not work before that counts as a failed attempt.
const PROVIDER_WAIT_MAX: Duration = Duration::from_secs(6 * 3_600);

/// Takes the answers to the run that asked: one that ends the attempt, and before it perhaps the gate's grounds.
pub type Reply = Box<dyn Fn(Input) + Send>;

/// What is asked about an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// Carry it out.
    Act,
    /// Find out whether it was carried out.
    LookUp,
}

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

/// One question with its way back.
pub struct Question {
    ask: Ask,
    /// The attempt that is asked about.
    attempt: u32,
    reply: Reply,
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
    /// Who wants to know, by the key of the effect that waits or is under way: it is there once, whoever asks.
    under_way: BTreeMap<String, Vec<Question>>,
    dispatch: Dispatch<Job>,
}

impl EffectsActor {
    /// Notes who asks, and lets the effect wait for its turn, which may be at once.
    fn take(&self, myself: &ActorRef<EffectsMsg>, state: &mut State, job: Job, question: Question) {
        if let Some(first) = state.under_way.get_mut(&job.effect.key) {
            first.push(question);
            return;
        }
        state.under_way.insert(job.effect.key.clone(), vec![question]);
        let place = Place::of(&job.effect, job.ask, &self.kind.sender);
        if let Some(until) = state.dispatch.closed_until(&place, Instant::now()) {
            hold_for_provider(state, &job.effect, &place, until);
            return;
        }
        let line = place.line;
        if let Err((job, backlog)) = state.dispatch.push(place, job) {
            let reason = format!(
                "{} effects of {} wait already",
                super::dispatch::WAITING_MAX,
                line.0
            );
            hold(state, &job.effect.key, clock::now().plus(backlog), &reason);
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
            Ended::Stopped(_) | Ended::Held { .. } | Ended::Paced(_) | Ended::Elsewhere => {
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
            Ended::Paced(until) => {
                let job = Job {
                    effect: Box::new(effect.clone()),
                    ask: Ask::Act,
                };
                let place = Place::of(effect, Ask::Act, &self.kind.sender);
                state.dispatch.put_back(place, job, *until);
            }
            Ended::Elsewhere => {
                tracing::warn!(run_id = %effect.run_id, "an effect was left to the run's next owner");
                state.under_way.remove(&effect.key);
            }
            Ended::Held { until, reason } => hold(state, &effect.key, *until, reason),
            Ended::Stopped(failure) => answer(state, effect, &EffectOutcome::Rejected(failure.clone())),
            Ended::Tried(EffectOutcome::Unknown { message }) => {
                let questions = state.under_way.remove(&effect.key);
                for question in questions.into_iter().flatten() {
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
            Ended::Tried(outcome) => answer(state, effect, outcome),
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
        let questions = state.under_way.remove(&effect.key);
        for question in questions.into_iter().flatten() {
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
    if now.since(effect.planned_at) > PROVIDER_WAIT_MAX {
        let message = format!("{target} has not worked for hours; nothing was sent");
        answer(state, effect, &EffectOutcome::temporary("provider_down", message));
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
    hold(state, &effect.key, now.plus(wait), &reason);
}

/// Tells everybody who asked what became of an attempt, in the terms of their question.
fn answer(state: &mut State, effect: &Effect, outcome: &EffectOutcome) {
    let questions = state.under_way.remove(&effect.key);
    for question in questions.into_iter().flatten() {
        (question.reply)(input_of(&effect.key, &question, outcome.clone()));
    }
}

fn input_of(key: &str, question: &Question, outcome: EffectOutcome) -> Input {
    let (key, attempt) = (key.to_owned(), question.attempt);
    match (question.ask, outcome) {
        (Ask::Act, EffectOutcome::Confirmed { provider_id, output }) => Input::EffectDone {
            key,
            attempt,
            provider_id,
            output,
        },
        (Ask::Act, EffectOutcome::Rejected(failure)) => Input::EffectFailed {
            key,
            attempt,
            failure,
        },
        (Ask::Act, EffectOutcome::Unknown { message }) => Input::EffectUnknown {
            key,
            attempt,
            message,
        },
        (Ask::LookUp, outcome) => Input::LookedUp {
            key,
            attempt,
            finding: match outcome {
                EffectOutcome::Confirmed { provider_id, output } => Finding::Present { provider_id, output },
                EffectOutcome::Rejected(_) => Finding::Absent,
                EffectOutcome::Unknown { message } => Finding::CannotTell { reason: message },
            },
        },
    }
}

/// Tells everybody who asked that nothing was sent and when to come back. Who looked it up learns that it is not there.
fn hold(state: &mut State, key: &str, until: Timestamp, reason: &str) {
    let questions = state.under_way.remove(key);
    for question in questions.into_iter().flatten() {
        let (key, attempt) = (key.to_owned(), question.attempt);
        (question.reply)(match question.ask {
            Ask::Act => Input::EffectHeld {
                key,
                attempt,
                until,
                reason: reason.to_owned(),
            },
            Ask::LookUp => Input::LookedUp {
                key,
                attempt,
                finding: Finding::Absent,
            },
        });
    }
}

impl Actor for EffectsActor {
    type Msg = EffectsMsg;
    type State = State;
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<EffectsMsg>, (): ()) -> Result<State, ActorProcessingErr> {
        Ok(State {
            under_way: BTreeMap::new(),
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
            EffectsMsg::Judged(key, gate) => {
                let asked = state.under_way.get(&key).into_iter().flatten();
                for question in asked.filter(|question| question.ask == Ask::Act) {
                    (question.reply)(Input::Judged {
                        key: key.clone(),
                        attempt: question.attempt,
                        gate: gate.clone(),
                    });
                }
            }
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
mod tests {
    use std::sync::Mutex;

    use tokio::sync::{Semaphore, mpsc};

    use super::*;
    use crate::{
        actors::{gate::GateSettings, root::Root},
        domain::{
            consent::ConsentChange,
            ids::{AccountId, LeadId, RunId, WorkflowId},
            lead::Lead,
        },
        store::{
            conformance::samples,
            sqlite::{self, SqliteGuard},
        },
        workflows::{Request, definition::Audience, effect::InDoubt, gate_caps::WhenCapped},
    };

    /// Carries out one effect for each permit; knows what it has carried out.
    struct Gated {
        permits: Semaphore,
        outcome: EffectOutcome,
        executed: Mutex<Vec<String>>,
        looked_up: Mutex<Vec<String>>,
    }

    #[async_trait::async_trait]
    impl EffectPort for Gated {
        async fn execute(&self, effect: &Effect) -> EffectOutcome {
            self.permits.acquire().await.expect("open").forget();
            assert!(!effect.key.starts_with("panic"), "asked to");
            self.executed
                .lock()
                .expect("no panic holds it")
                .push(effect.key.clone());
            self.outcome.clone()
        }
        async fn settle(&self, effect: &Effect) -> Finding {
            self.looked_up
                .lock()
                .expect("no panic holds it")
                .push(effect.key.clone());
            Finding::Absent
        }
    }

    fn effect(key: &str) -> Box<Effect> {
        Box::new(Effect {
            key: key.to_owned(),
            attempt: 1,
            holds: 0,
            run_id: RunId::fresh(),
            account_id: AccountId::fresh(),
            workflow_id: WorkflowId::fresh(),
            lead_id: None,
            call_id: None,
            node: "tell".to_owned(),
            visit: 0,
            planned_at: clock::now(),
            audience: Audience::Staff,
            window: None,
            valid_until: None,
            in_doubt: InDoubt::Resend,
            request: Request::SlackMessage {
                channel: "#managers".to_owned(),
                text: "hello".to_owned(),
            },
        })
    }

    fn done() -> EffectOutcome {
        EffectOutcome::Confirmed {
            provider_id: None,
            output: serde_json::Value::Null,
        }
    }

    struct Bench {
        effects: EffectsHandle,
        port: Arc<Gated>,
        answers: mpsc::UnboundedReceiver<Input>,
        reply: mpsc::UnboundedSender<Input>,
        store: Store,
        _kept: (tempfile::TempDir, SqliteGuard),
    }

    const LIMITS: Limits = Limits {
        concurrency: 4,
        messages_per_s: 0,
        account_messages_per_s: 0,
        calls_per_s: 0,
        breaker_after: 3,
        breaker_pause: Duration::from_secs(30),
    };

    fn settings() -> GateSettings {
        GateSettings {
            quiet_hours: String::new(),
            timezone: "America/New_York".to_owned(),
            require_consent: false,
            reply_within_s: 600,
            caps_replies: true,
            when_capped: WhenCapped::Refuse,
            sms_per_day: 2,
            sms_per_week: 0,
            call_per_day: 0,
            call_per_week: 0,
            email_per_day: 0,
            email_per_week: 0,
            account_messages_per_s: 0,
            calls_per_s: 0,
            breaker_after: 3,
            breaker_pause_s: 30,
        }
    }

    impl Bench {
        async fn new(outcome: EffectOutcome, concurrency: usize) -> Self {
            let limits = Limits {
                concurrency,
                ..LIMITS
            };
            Self::with(outcome, limits, settings()).await
        }

        async fn with(outcome: EffectOutcome, limits: Limits, settings: GateSettings) -> Self {
            let port = Arc::new(Gated {
                permits: Semaphore::new(0),
                outcome,
                executed: Mutex::default(),
                looked_up: Mutex::default(),
            });
            let folder = tempfile::tempdir().expect("a folder");
            let (store, guard) = sqlite::open(&folder.path().join("store.db")).expect("it opens");
            let (root, _) = Root::start().await.expect("the root starts");
            let kind = EffectsKind {
                port: port.clone(),
                gate: Gate::new(store.clone(), &settings).expect("good settings"),
                limits,
                allowances: None,
                sender: "+14155550100".to_owned(),
                store: store.clone(),
                bus: LocalBus::new(0),
                ownership: Ownership::sole(),
                leads: Arc::default(),
            };
            let effects = EffectsHandle::start(kind, root.get_cell())
                .await
                .expect("it starts");
            let (reply, answers) = mpsc::unbounded_channel();
            Self {
                effects,
                port,
                answers,
                reply,
                store,
                _kept: (folder, guard),
            }
        }

        fn ask(&self, ask: Ask, key: &str) {
            self.ask_about(ask, effect(key));
        }

        fn ask_about(&self, ask: Ask, effect: Box<Effect>) {
            let reply = self.reply.clone();
            self.effects.ask(
                ask,
                effect,
                Box::new(move |input| reply.send(input).expect("the test listens")),
            );
        }

        async fn answer(&mut self) -> Input {
            let answer = tokio::time::timeout(Duration::from_secs(10), self.answers.recv()).await;
            answer.expect("an answer in time").expect("the sender lives")
        }
    }

    #[tokio::test]
    async fn an_effect_under_way_is_never_started_a_second_time() {
        let mut bench = Bench::new(done(), 4).await;
        bench.ask(Ask::Act, "a");
        bench.ask(Ask::Act, "a");
        bench.ask(Ask::LookUp, "a");
        bench.port.permits.add_permits(1);
        assert!(matches!(bench.answer().await, Input::EffectDone { .. }));
        assert!(matches!(bench.answer().await, Input::EffectDone { .. }));
        assert!(matches!(
            bench.answer().await,
            Input::LookedUp {
                finding: Finding::Present { .. },
                ..
            }
        ));
        assert_eq!(bench.port.executed.lock().expect("free").len(), 1);
        assert!(bench.port.looked_up.lock().expect("free").is_empty());
    }

    #[tokio::test]
    async fn a_look_up_asked_during_an_attempt_of_unknown_outcome_is_really_made() {
        let mut bench = Bench::new(
            EffectOutcome::Unknown {
                message: "reset".to_owned(),
            },
            4,
        )
        .await;
        bench.ask(Ask::Act, "a");
        bench.ask(Ask::LookUp, "a");
        bench.port.permits.add_permits(1);
        assert!(matches!(bench.answer().await, Input::EffectUnknown { .. }));
        assert!(matches!(
            bench.answer().await,
            Input::LookedUp {
                finding: Finding::Absent,
                ..
            }
        ));
        assert_eq!(bench.port.looked_up.lock().expect("free").as_slice(), ["a"]);
    }

    #[tokio::test]
    async fn a_provider_has_a_bounded_number_under_way_and_the_rest_in_order() {
        let mut bench = Bench::new(done(), 1).await;
        for key in ["a", "b", "c"] {
            bench.ask(Ask::Act, key);
        }
        bench.port.permits.add_permits(3);
        for expected in ["a", "b", "c"] {
            assert!(matches!(bench.answer().await, Input::EffectDone { key, .. } if key == expected));
        }
    }

    #[tokio::test]
    async fn a_panic_in_a_port_is_one_unknown_outcome() {
        let mut bench = Bench::new(done(), 1).await;
        bench.ask(Ask::Act, "panic");
        bench.ask(Ask::Act, "b");
        bench.port.permits.add_permits(2);
        assert!(matches!(bench.answer().await, Input::EffectUnknown { .. }));
        assert!(matches!(bench.answer().await, Input::EffectDone { .. }));
    }

    /// A person of a fresh account.
    async fn person(store: &Store) -> Lead {
        let account = samples::account(1);
        let lead = Lead {
            phone: "+12125550100".parse().ok(),
            ..Lead::nameless(LeadId::fresh(), account.id, clock::now())
        };
        let owner = samples::user(account.id, 1);
        store
            .accounts
            .create_account(account, owner)
            .await
            .expect("written");
        store.leads.create(lead.clone()).await.expect("written");
        lead
    }

    fn sms(key: &str, lead: &Lead) -> Box<Effect> {
        let to = lead.phone.clone().expect("the sample has one");
        Box::new(Effect {
            account_id: lead.account_id,
            lead_id: Some(lead.id),
            audience: Audience::Lead,
            request: Request::SendSms {
                to,
                body: "hello".to_owned(),
                from: None,
            },
            ..*effect(key)
        })
    }

    #[tokio::test]
    async fn what_is_for_a_lead_passes_the_gate_and_the_history_hears_on_what_grounds() {
        let mut bench = Bench::new(done(), 4).await;
        let lead = person(&bench.store).await;
        bench.ask_about(Ask::Act, sms("a", &lead));
        bench.port.permits.add_permits(1);
        let Input::Judged { gate, .. } = bench.answer().await else {
            panic!("the grounds come first");
        };
        assert_eq!(gate["contacts"]["day"], 1, "{gate}");
        assert!(matches!(bench.answer().await, Input::EffectDone { .. }));
    }

    #[tokio::test]
    async fn an_opt_out_counts_for_what_waited_already() {
        let mut bench = Bench::new(done(), 1).await;
        let lead = person(&bench.store).await;
        // The first takes the only place; the second waits behind it when the person writes STOP.
        bench.ask_about(Ask::Act, sms("a", &lead));
        assert!(matches!(bench.answer().await, Input::Judged { .. }));
        bench.ask_about(Ask::Act, sms("b", &lead));
        let stop = ConsentChange::stop();
        bench
            .store
            .leads
            .change_consent(lead.account_id, lead.id, stop, clock::now())
            .await
            .expect("written");
        bench.port.permits.add_permits(2);
        assert!(matches!(bench.answer().await, Input::EffectDone { .. }));
        let refused = bench.answer().await;
        assert!(
            matches!(&refused, Input::EffectFailed { key, failure, .. } if key == "b" && failure.code == "opted_out"),
            "{refused:?}"
        );
        assert_eq!(bench.port.executed.lock().expect("free").as_slice(), ["a"]);
    }

    #[tokio::test]
    async fn a_stop_that_only_the_provider_heard_is_kept_for_whoever_has_the_number() {
        let refusal = EffectOutcome::permanent("21610", "unsubscribed recipient");
        let mut bench = Bench::new(refusal, 1).await;
        let (lead, other) = (person(&bench.store).await, "+12125550199");
        let to_another = Box::new(Effect {
            request: Request::SendSms {
                to: other.parse().expect("a number"),
                body: "hello".to_owned(),
                from: None,
            },
            ..*sms("another", &lead)
        });
        bench.port.permits.add_permits(2);
        for (effect, is_out) in [(to_another, false), (sms("own", &lead), true)] {
            bench.ask_about(Ask::Act, effect);
            assert!(matches!(bench.answer().await, Input::Judged { .. }));
            assert!(matches!(bench.answer().await, Input::EffectFailed { .. }));
            let kept = bench
                .store
                .leads
                .get(lead.account_id, lead.id)
                .await
                .expect("kept");
            assert_eq!(kept.opted_out, is_out);
        }
    }

    #[tokio::test]
    async fn a_cap_holds_for_many_at_once_and_what_was_not_sent_does_not_count() {
        let refusal = EffectOutcome::permanent("bad_number", "no such number");
        let mut bench = Bench::new(refusal, 4).await;
        let lead = person(&bench.store).await;
        bench.ask_about(Ask::Act, sms("refused", &lead));
        bench.port.permits.add_permits(1);
        assert!(matches!(bench.answer().await, Input::Judged { .. }));
        assert!(matches!(bench.answer().await, Input::EffectFailed { .. }));
        let mut bench2 = Bench::new(done(), 4).await;
        let lead = person(&bench2.store).await;
        bench2.port.permits.add_permits(10);
        for number in 0..10 {
            bench2.ask_about(Ask::Act, sms(&format!("k{number}"), &lead));
        }
        let (mut sent, mut capped) = (0, 0);
        while sent + capped < 10 {
            match bench2.answer().await {
                Input::EffectDone { .. } => sent += 1,
                Input::EffectFailed { failure, .. } if failure.code == "cap_reached" => capped += 1,
                Input::Judged { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((sent, capped), (2, 8));
    }

    #[tokio::test]
    async fn a_look_up_asked_while_the_effect_still_waits_gets_the_answer_of_the_attempt() {
        let mut bench = Bench::new(done(), 1).await;
        bench.ask(Ask::Act, "first");
        bench.ask(Ask::Act, "waits");
        bench.ask(Ask::LookUp, "waits");
        bench.port.permits.add_permits(2);
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(bench.answer().await);
        }
        assert!(
            matches!(
                &answers[2],
                Input::LookedUp {
                    finding: Finding::Present { .. },
                    ..
                }
            ),
            "{answers:?}"
        );
        assert!(bench.port.looked_up.lock().expect("free").is_empty());
    }

    #[tokio::test]
    async fn a_provider_that_keeps_failing_is_left_alone_and_what_waits_is_held() {
        let down = EffectOutcome::temporary("http_503", "out of order");
        let mut bench = Bench::new(down, 1).await;
        for key in ["a", "b", "c", "d", "e"] {
            bench.ask(Ask::Act, key);
        }
        bench.port.permits.add_permits(5);
        let (mut failed, mut held) = (0, 0);
        while failed + held < 5 {
            match bench.answer().await {
                Input::EffectFailed { .. } => failed += 1,
                Input::EffectHeld { reason, .. } if reason.starts_with("slack keeps failing") => held += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((failed, held), (3, 2));
        assert_eq!(bench.port.executed.lock().expect("free").len(), 3);
    }
}
