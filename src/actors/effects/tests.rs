//! The effects' actor over a port that waits for the test.

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
        StoreError,
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
        trace: None,
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
        // The gate has held them back all night: that is no wait for the provider.
        let effect = Effect {
            planned_at: clock::now().minus(PROVIDER_WAIT_MAX * 2),
            ..*effect(key)
        };
        bench.ask_about(Ask::Act, Box::new(effect));
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

#[tokio::test]
async fn an_attempt_that_only_the_store_kept_from_being_made_is_held_and_does_not_count() {
    for (error, is_held) in [
        (StoreError::Busy, true),
        (StoreError::Taken { field: "number" }, false),
    ] {
        let mut bench = Bench::new(EffectOutcome::store_failed(&error), 4).await;
        bench.port.permits.add_permits(1);
        bench.ask(Ask::Act, "a");
        let answer = bench.answer().await;
        assert_eq!(
            matches!(answer, Input::EffectHeld { .. }),
            is_held,
            "{error}: {answer:?}"
        );
    }
}
