//! Measures the workflow core: what one run costs from its trigger to its end, and how many bytes a parked run takes.
//!
//! Pure CPU, no disk: what the shell serialises for its append (snapshot, journal, effect) is part of the cost.

use std::{hint::black_box, time::Duration};

use criterion::Criterion;
use patchcord::{
    domain::{
        ids::{AccountId, CallId, LeadId, RunId, WorkflowId},
        lead::Lead,
        time::Timestamp,
    },
    workflows::{
        AccountFacts, Command, Input, Plan, Run, RunSeed, Transition, World, automations,
        dry_run::{Contacts, INPUTS_MAX, Script, Trial, dry_run},
        transition,
    },
};
use serde_json::json;

const START: Timestamp = Timestamp::from_unix_millis(1_795_338_000_000);

fn main() -> anyhow::Result<()> {
    let world = world()?;
    print_sizes(&world)?;
    let mut criterion = Criterion::default()
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    bench_run(&mut criterion, &world)?;
    bench_wait(&mut criterion, &world)?;
    bench_plan(&mut criterion)?;
    bench_dry_run(&mut criterion, &world)?;
    criterion.final_summary();
    Ok(())
}

/// Prints the snapshot's size of a run that is parked on a delay, alone and within the shipped automation.
fn print_sizes(world: &World) -> anyhow::Result<()> {
    let bare = parked(world, WAIT, json!({"type": "manual", "data": {}}), false)?;
    println!("parked run, manual trigger: {} bytes", bare.snapshot().len());
    let missed = automations::find("missed_call_text_back").map_or("", |automation| automation.definition);
    let trigger = json!({"type": "call.no_answer", "at": START, "data": {"from": "+14155550100", "to": "+14155550101"}});
    let missed = parked(
        world,
        &missed.replace("call.direction == 'inbound'", "true"),
        trigger,
        true,
    )?;
    println!(
        "parked run, missed-call text back, all ids: {} bytes",
        missed.snapshot().len()
    );
    Ok(())
}

/// One condition and one webhook: trigger → claim → answer → end.
fn bench_run(criterion: &mut Criterion, world: &World) -> anyhow::Result<()> {
    let plan = plan(ACT)?;
    criterion.bench_function("run/start-effect-done", |bench| {
        bench.iter(|| {
            let begun = append(transition(
                &plan,
                Run::new(seed(trigger(), false)),
                Input::Started,
                world,
            ));
            black_box(append(answer_all(&plan, begun, world)).run.status())
        });
    });
    criterion.bench_function("run/start", |bench| {
        bench.iter(|| {
            append(transition(
                &plan,
                Run::new(seed(trigger(), false)),
                Input::Started,
                world,
            ))
        });
    });
    Ok(())
}

/// A parked run is read, its timer fires, it ends.
fn bench_wait(criterion: &mut Criterion, world: &World) -> anyhow::Result<()> {
    let bytes = parked(world, WAIT, trigger(), false)?.snapshot();
    let plan = plan(WAIT)?;
    let mut later = world.clone();
    later.now = START.plus(Duration::from_secs(4 * 86_400));
    let run = Run::from_snapshot(&bytes)?;
    criterion.bench_function("wait/read-fire-end", |bench| {
        bench.iter(|| {
            let run = Run::from_snapshot(black_box(&bytes)).unwrap_or_else(|_| run.clone());
            append(transition(&plan, run, Input::TimerFired { timer: 0 }, &later))
        });
    });
    Ok(())
}

/// A definition is read, checked and made ready: once per version.
fn bench_plan(criterion: &mut Criterion) -> anyhow::Result<()> {
    let text = automations::ALL[0].definition;
    plan(text)?;
    criterion.bench_function("plan/from-json", |bench| {
        bench.iter(|| Plan::from_json(black_box(text)).is_ok())
    });
    Ok(())
}

/// Thirty days with messages, a choice and a task, on the virtual clock: what an author waits for. The bound is 100 ms.
fn bench_dry_run(criterion: &mut Criterion, world: &World) -> anyhow::Result<()> {
    let plan = plan(THIRTY_DAYS)?;
    let trial = Trial {
        workflow_id: WorkflowId::derived(START, &[b"workflow"]),
        version: 1,
        run_id: RunId::derived(START, &[b"run"]),
        call_id: None,
        trigger: trigger(),
        world: world.clone(),
        script: Script::default(),
        past: Vec::new(),
        people: Vec::new(),
        rules: None,
        inputs_max: INPUTS_MAX,
    };
    let run = dry_run(&plan, &trial, &mut Contacts::default(), &|_| None);
    anyhow::ensure!(run.effects.len() == 4, "every effect is played: {run:?}");
    criterion.bench_function("dry-run/thirty-days", |bench| {
        bench.iter(|| {
            black_box(dry_run(
                &plan,
                black_box(&trial),
                &mut Contacts::default(),
                &|_| None,
            ))
        })
    });
    Ok(())
}

/// Runs until the run waits for its timer.
fn parked(
    world: &World,
    definition: &str,
    trigger: serde_json::Value,
    with_call: bool,
) -> anyhow::Result<Run> {
    let plan = plan(definition)?;
    let begun = transition(&plan, Run::new(seed(trigger, with_call)), Input::Started, world);
    Ok(answer_all(&plan, begun, world).run)
}

/// Confirms every effect the transition asks for. The last transition is given back.
fn answer_all(plan: &Plan, begun: Transition, world: &World) -> Transition {
    let mut last = begun;
    while let Some(effect) = last.commands.iter().find_map(|command| match command {
        Command::Act(effect) => Some(effect.clone()),
        _ => None,
    }) {
        let input = Input::EffectDone {
            key: effect.key.clone(),
            attempt: effect.attempt,
            provider_id: Some("SM00000000000000000000000000000000".to_owned()),
            output: json!({"status": 200}),
        };
        last = transition(plan, last.run, input, world);
    }
    last
}

/// What the shell does with a transition short of the disk: everything as text and bytes.
fn append(transition: Transition) -> Transition {
    black_box(transition.run.snapshot());
    for line in &transition.journal {
        black_box(line.entry.to_json());
    }
    for record in &transition.effects {
        black_box(serde_json::to_string(&record.effect).unwrap_or_default());
    }
    transition
}

fn plan(text: &str) -> anyhow::Result<Plan> {
    Plan::from_json(text).map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

fn trigger() -> serde_json::Value {
    json!({"type": "webhook", "at": START, "data": {"name": "order_paid", "amount": 5000, "email": "john@example.com"}})
}

fn seed(trigger: serde_json::Value, with_call: bool) -> RunSeed {
    RunSeed {
        id: RunId::derived(START, &[b"run"]),
        account_id: AccountId::derived(START, &[b"account"]),
        workflow_id: WorkflowId::derived(START, &[b"workflow"]),
        version: 1,
        lead_id: Some(LeadId::derived(START, &[b"lead"])),
        call_id: with_call.then(|| CallId::derived(START, &[b"call"])),
        trigger,
        started_at: START,
    }
}

fn world() -> anyhow::Result<World> {
    let account_id = AccountId::derived(START, &[b"account"]);
    let id = LeadId::derived(START, &[b"lead"]);
    let lead = Lead {
        name: "Ada Lovelace".to_owned(),
        phone: Some("+14155550100".parse()?),
        score: 90,
        ..Lead::nameless(id, account_id, START)
    };
    let account = AccountFacts {
        id: account_id,
        name: "Acme".to_owned(),
        require_consent: false,
    };
    Ok(World {
        now: START,
        account,
        lead: Some(lead),
        call: None,
        call_summary: None,
    })
}

const ACT: &str = r#"{"name": "act", "trigger": {"type": "webhook", "name": "order_paid"},
 "nodes": [
  {"id": "large", "type": "condition", "params": {"if": "trigger.data.amount > 1000"}},
  {"id": "tell", "type": "webhook", "params": {"url": "https://example.com/hook",
    "body": {"who": "{{ lead.name }}", "amount": "{{ trigger.data.amount }}"}}}],
 "edges": [{"from": "trigger", "to": "large"}, {"from": "large", "port": "true", "to": "tell"}]}"#;

const WAIT: &str = r#"{"name": "wait", "trigger": {"type": "manual"},
 "nodes": [{"id": "wait", "type": "delay", "params": {"for": "3d"}}],
 "edges": [{"from": "trigger", "to": "wait"}]}"#;

const THIRTY_DAYS: &str = r#"{"name": "thirty days", "trigger": {"type": "webhook", "name": "order_paid"},
 "nodes": [
  {"id": "thanks", "type": "send_sms", "params": {"body": "Hi {{ lead.first_name }}, thank you for your payment of {{ trigger.data.amount }}."}},
  {"id": "customer", "type": "update_lead", "params": {"stage": "customer"}},
  {"id": "week", "type": "delay", "params": {"for": "7d"}},
  {"id": "happy", "type": "condition", "params": {"if": "lead.score > 50"}},
  {"id": "review", "type": "send_sms", "params": {"body": "{{ lead.first_name }}, would you review us?"}},
  {"id": "month", "type": "delay", "params": {"for": "23d"}},
  {"id": "upsell", "type": "create_task", "params": {"title": "Offer {{ lead.name }} the next step", "due_in": "3d"}}],
 "edges": [{"from": "trigger", "to": "thanks"}, {"from": "thanks", "to": "customer"}, {"from": "customer", "to": "week"},
  {"from": "week", "to": "happy"}, {"from": "happy", "port": "true", "to": "review"}, {"from": "happy", "port": "false", "to": "month"},
  {"from": "review", "to": "month"}, {"from": "month", "to": "upsell"}]}"#;
