//! The effects: carries out what runs ask of the world, a bounded number at once for each provider.
//!
//! In: effects whose claim is on disk. Out: one input for the run, always: done, failed, unknown or looked up.
//! An effect that is under way is never started a second time: whoever asks again gets the answer of the first. So a run
//! that was restarted in the middle cannot send twice while the first attempt still travels.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr};

use crate::{
    integrations::port::{EffectOutcome, EffectPort},
    workflows::{Effect, Failure, FailureKind, Finding, Input, Provider},
};

/// Effects of one provider that may wait. One more is answered as a temporary failure, which the run retries.
const WAITING_MAX: usize = 10_000;
/// Longest an effect may take before its outcome counts as unknown. The ports' own time-outs are shorter.
const EXECUTE_MAX: Duration = Duration::from_secs(60);
/// Longest a look-up may take: Twilio's list is read after 5, 20 and 60 s.
const LOOK_UP_MAX: Duration = Duration::from_secs(120);

/// Takes the answer to the run that asked.
pub type Reply = Box<dyn FnOnce(Input) + Send>;

/// What is asked about an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Carry it out.
    Act,
    /// Find out whether it was carried out.
    LookUp,
}

/// What the effects understand.
pub enum EffectsMsg {
    Asked(Question),
    /// An attempt came to an end.
    Executed(Box<Effect>, EffectOutcome),
    /// A look-up came to an end.
    LookedUp(Box<Effect>, Finding),
}

/// One question with its way back.
pub struct Question {
    effect: Box<Effect>,
    ask: Ask,
    reply: Reply,
}

/// The effects. Cheap to clone.
#[derive(Clone)]
pub struct EffectsHandle(ActorRef<EffectsMsg>);

impl EffectsHandle {
    /// Starts the dispatcher under `supervisor`; `concurrency` is per provider.
    ///
    /// # Errors
    /// When the supervisor is no longer alive.
    pub async fn start(
        port: Arc<dyn EffectPort>,
        concurrency: usize,
        supervisor: ActorCell,
    ) -> Result<Self, SpawnErr> {
        let actor = EffectsActor {
            port,
            concurrency: concurrency.max(1),
        };
        let (actor, _) = Actor::spawn_linked(None, actor, (), supervisor).await?;
        Ok(Self(actor))
    }

    /// Carries an effect out, or finds out whether it was. `reply` is called once, with the run's next input.
    pub fn ask(&self, ask: Ask, effect: Box<Effect>, reply: Reply) {
        if self
            .0
            .send_message(EffectsMsg::Asked(Question { effect, ask, reply }))
            .is_err()
        {
            tracing::warn!("the effects have stopped: the claim is settled at the next start");
        }
    }
}

struct EffectsActor {
    port: Arc<dyn EffectPort>,
    concurrency: usize,
}

/// The dispatcher's state.
#[derive(Default)]
pub struct Dispatch {
    /// Who wants to know, by the key of the effect under way.
    under_way: BTreeMap<String, Vec<Question>>,
    running: BTreeMap<Provider, usize>,
    waiting: BTreeMap<Provider, VecDeque<Question>>,
}

impl EffectsActor {
    /// Starts a question or lets it wait for a place.
    fn take(&self, myself: &ActorRef<EffectsMsg>, dispatch: &mut Dispatch, question: Question) {
        if let Some(first) = dispatch.under_way.get_mut(&question.effect.key) {
            first.push(question);
            return;
        }
        let provider = question.effect.provider();
        let running = dispatch.running.entry(provider).or_default();
        if *running < self.concurrency {
            *running += 1;
            self.start(myself, dispatch, question);
            return;
        }
        let waiting = dispatch.waiting.entry(provider).or_default();
        if waiting.len() >= WAITING_MAX {
            metrics::counter!("patchcord_effects_refused_total", "provider" => provider.to_string())
                .increment(1);
            let outcome = EffectOutcome::Rejected(Failure {
                kind: FailureKind::Temporary,
                code: "queue_full".to_owned(),
                message: format!("{WAITING_MAX} effects of {provider} are waiting already"),
                retry_after: None,
            });
            answer(question, &outcome);
            return;
        }
        waiting.push_back(question);
    }

    fn start(&self, myself: &ActorRef<EffectsMsg>, dispatch: &mut Dispatch, question: Question) {
        let effect = question.effect.clone();
        let ask = question.ask;
        dispatch.under_way.insert(effect.key.clone(), vec![question]);
        let (port, myself) = (Arc::clone(&self.port), myself.clone());
        tokio::spawn(async move {
            let message = match ask {
                Ask::Act => {
                    let outcome = execute(port, &effect).await;
                    EffectsMsg::Executed(effect, outcome)
                }
                Ask::LookUp => {
                    let finding = look_up(port, &effect).await;
                    EffectsMsg::LookedUp(effect, finding)
                }
            };
            if myself.send_message(message).is_err() {
                tracing::warn!("an effect ended after the effects had stopped");
            }
        });
    }

    /// Gives the place of an ended effect to the next that waits.
    fn free(&self, myself: &ActorRef<EffectsMsg>, dispatch: &mut Dispatch, provider: Provider) {
        if let Some(running) = dispatch.running.get_mut(&provider) {
            *running = running.saturating_sub(1);
        }
        if let Some(next) = dispatch.waiting.get_mut(&provider).and_then(VecDeque::pop_front) {
            self.take(myself, dispatch, next);
        }
    }
}

/// Carries an effect out in a task of its own, so that a panic in a port is one unknown outcome and nothing more.
async fn execute(port: Arc<dyn EffectPort>, effect: &Effect) -> EffectOutcome {
    let effect = effect.clone();
    let provider = effect.provider();
    let attempt = tokio::spawn(async move { tokio::time::timeout(EXECUTE_MAX, port.execute(&effect)).await });
    let outcome = match attempt.await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => EffectOutcome::Unknown {
            message: format!("no answer within {} s", EXECUTE_MAX.as_secs()),
        },
        Err(error) => EffectOutcome::Unknown {
            message: format!("the attempt broke off: {error}"),
        },
    };
    let word = match &outcome {
        EffectOutcome::Confirmed { .. } => "confirmed",
        EffectOutcome::Rejected(_) => "rejected",
        EffectOutcome::Unknown { .. } => "unknown",
    };
    metrics::counter!("patchcord_effects_total", "provider" => provider.to_string(), "outcome" => word)
        .increment(1);
    outcome
}

async fn look_up(port: Arc<dyn EffectPort>, effect: &Effect) -> Finding {
    let effect = effect.clone();
    let search = tokio::spawn(async move { tokio::time::timeout(LOOK_UP_MAX, port.settle(&effect)).await });
    match search.await {
        Ok(Ok(finding)) => finding,
        Ok(Err(_)) => Finding::CannotTell {
            reason: "the provider did not answer the look-up in time".to_owned(),
        },
        Err(error) => Finding::CannotTell {
            reason: format!("the look-up broke off: {error}"),
        },
    }
}

/// Tells whoever asked what became of an attempt, in the terms of their question.
fn answer(question: Question, outcome: &EffectOutcome) {
    let Question { effect, ask, reply } = question;
    let (key, attempt) = (effect.key, effect.attempt);
    let input = match (ask, outcome.clone()) {
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
        (Ask::LookUp, EffectOutcome::Confirmed { provider_id, output }) => Input::LookedUp {
            key,
            attempt,
            finding: Finding::Present { provider_id, output },
        },
        (Ask::LookUp, EffectOutcome::Rejected(_)) => Input::LookedUp {
            key,
            attempt,
            finding: Finding::Absent,
        },
        (Ask::LookUp, EffectOutcome::Unknown { message }) => Input::LookedUp {
            key,
            attempt,
            finding: Finding::CannotTell { reason: message },
        },
    };
    reply(input);
}

impl Actor for EffectsActor {
    type Msg = EffectsMsg;
    type State = Dispatch;
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<EffectsMsg>, (): ()) -> Result<Dispatch, ActorProcessingErr> {
        Ok(Dispatch::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<EffectsMsg>,
        message: EffectsMsg,
        dispatch: &mut Dispatch,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            EffectsMsg::Asked(question) => self.take(&myself, dispatch, question),
            EffectsMsg::Executed(effect, outcome) => {
                let ended = dispatch.under_way.remove(&effect.key);
                self.free(&myself, dispatch, effect.provider());
                for question in ended.into_iter().flatten() {
                    let needs_look_up =
                        question.ask == Ask::LookUp && matches!(outcome, EffectOutcome::Unknown { .. });
                    if needs_look_up {
                        self.take(&myself, dispatch, question);
                    } else {
                        answer(question, &outcome);
                    }
                }
            }
            EffectsMsg::LookedUp(effect, finding) => {
                let ended = dispatch.under_way.remove(&effect.key);
                self.free(&myself, dispatch, effect.provider());
                for question in ended.into_iter().flatten() {
                    match question.ask {
                        // Whoever wants it carried out while it was being looked up gets their own attempt.
                        Ask::Act => self.take(&myself, dispatch, question),
                        Ask::LookUp => {
                            let (key, attempt) = (question.effect.key, question.effect.attempt);
                            (question.reply)(Input::LookedUp {
                                key,
                                attempt,
                                finding: finding.clone(),
                            });
                        }
                    }
                }
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
        actors::root::Root,
        domain::{
            ids::{AccountId, RunId, WorkflowId},
            time::Timestamp,
        },
        workflows::{Request, definition::Audience, effect::InDoubt},
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
            planned_at: Timestamp::default(),
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
    }

    impl Bench {
        async fn new(outcome: EffectOutcome, concurrency: usize) -> Self {
            let port = Arc::new(Gated {
                permits: Semaphore::new(0),
                outcome,
                executed: Mutex::default(),
                looked_up: Mutex::default(),
            });
            let (root, _) = Root::start().await.expect("the root starts");
            let effects = EffectsHandle::start(port.clone(), concurrency, root.get_cell())
                .await
                .expect("it starts");
            let (reply, answers) = mpsc::unbounded_channel();
            Self {
                effects,
                port,
                answers,
                reply,
            }
        }

        fn ask(&self, ask: Ask, key: &str) {
            let reply = self.reply.clone();
            self.effects.ask(
                ask,
                effect(key),
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
}
