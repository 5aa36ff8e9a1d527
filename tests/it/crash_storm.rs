//! Many runs, many kills, a provider that loses replies: nothing is lost, nothing is carried out twice.
//!
//! 200 runs of 12 steps each; meanwhile the server is killed 40 times, each time after a number of effects drawn from the
//! seed, and some microseconds later. The provider takes a request on and then, one time in twenty, closes the connection
//! instead of answering. What it took on is counted there, not by the server.
//!
//! `PATCHCORD_CRASH_SEED` plays a storm again; `PATCHCORD_CRASH_RUNS` and `PATCHCORD_CRASH_KILLS` make it another size.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};

use crate::support::{
    api::http,
    dice::{self, Dice},
    eventually::{a_moment, at_most, eventually_within},
    provider::Provider,
    server::{Options, Server},
};

const RUNS: u64 = 200;
const KILLS: u64 = 40;
/// Of a thousand replies, so many are lost.
const LOST_PER_MILLE: u64 = 50;
/// Nodes of the workflow whose effect has a key that its receiver keeps.
const WEBHOOKS: [&str; 7] = ["w1", "w2", "w3", "w4", "w5", "w6", "w7"];
/// Nodes whose effect has no key: what is in doubt is looked up.
const MESSAGES: [&str; 2] = ["m1", "m2"];
/// From the last kill until every step is settled or shown as unknown: the look-ups end after 60 s.
const SETTLED_WITHIN: Duration = Duration::from_secs(90);
/// Longest wait for the effects a kill waits for: look-ups may leave little to do.
const KILL_WAIT_MAX: Duration = Duration::from_millis(700);

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_kills_loses_nothing_and_repeats_nothing() {
    let seed = dice::seed("PATCHCORD_CRASH_SEED");
    let (runs, kills) = (
        size("PATCHCORD_CRASH_RUNS", RUNS),
        size("PATCHCORD_CRASH_KILLS", KILLS),
    );
    let mut dice = Dice::new(seed);
    let provider = Provider::start(LOST_PER_MILLE, dice.roll()).await;
    let mut server = Server::start(reaching(&provider)).await;
    let made = server.post("/api/workflows", &twelve_steps(&provider)).await;
    let workflow = made["id"].as_str().expect("a workflow has an id").to_owned();

    let (door, doors) = watch::channel(Door::of(&server));
    let is_storm_over = Arc::new(AtomicBool::new(false));
    let starter = tokio::spawn(start_all(workflow, runs, doors, Arc::clone(&is_storm_over)));
    let effects = runs * u64::try_from(WEBHOOKS.len() + MESSAGES.len()).expect("few");
    let began = Instant::now();
    for kill in 0..kills {
        let share = effects * (kill + 1) / (kills + 1);
        let jitter = dice.below(effects / (kills + 1) + 1);
        let wanted = share.saturating_sub(jitter);
        at_most(KILL_WAIT_MAX, || provider.arrived() >= wanted).await;
        a_moment(Duration::from_micros(dice.below(20_000))).await;
        server.restart().await;
        // The starter has ended only when all are started.
        drop(door.send(Door::of(&server)));
    }
    let last_kill = Instant::now();
    is_storm_over.store(true, Ordering::Relaxed);
    let started = starter.await.expect("the starter does not panic");
    assert_eq!(u64::try_from(started.len()), Ok(runs));
    let unknown = settled(&server, runs).await;
    println!(
        "{runs} runs, {kills} kills in {:.1} s, {} replies lost; settled {:.1} s after the last kill, {unknown} shown as unknown",
        (last_kill - began).as_secs_f64(),
        provider.lost(),
        last_kill.elapsed().as_secs_f64()
    );
    check_webhooks(&provider, runs);
    check_messages(&provider, runs, unknown);
}

/// Where the server is reached; a kill moves it.
#[derive(Clone)]
struct Door {
    url: String,
    token: String,
}

impl Door {
    fn of(server: &Server) -> Self {
        Self {
            url: server.url().to_owned(),
            token: server.ready().access_token.clone(),
        }
    }
}

/// Starts every run once, each under a key of its own: an answer that a kill took is asked for again.
async fn start_all(
    workflow: String,
    runs: u64,
    mut doors: watch::Receiver<Door>,
    is_storm_over: Arc<AtomicBool>,
) -> BTreeMap<u64, String> {
    let mut started = BTreeMap::new();
    let mut number = 0;
    while number < runs {
        let door = doors.borrow_and_update().clone();
        let body = json!({"data": {"n": number, "to": format!("+1415555{number:04}")}});
        let asked = http()
            .post(format!("{}/api/workflows/{workflow}/execute", door.url))
            .bearer_auth(&door.token)
            .header("Idempotency-Key", format!("start-{number}"))
            .json(&body)
            .timeout(Duration::from_secs(5))
            .send()
            .await;
        match asked {
            Ok(answer) if answer.status() == StatusCode::ACCEPTED => {
                let Ok(answer) = answer.json::<Value>().await else {
                    continue;
                };
                let run = answer["run_id"].as_str().expect("an accepted run has an id");
                started.insert(number, run.to_owned());
                number += 1;
            }
            Ok(answer) => panic!("run {number} was refused: {}", answer.status()),
            // Killed: the next door opens in a moment.
            Err(_) if !is_storm_over.load(Ordering::Relaxed) => {
                drop(tokio::time::timeout(Duration::from_millis(100), doors.changed()).await);
            }
            Err(error) => panic!("run {number} cannot be started after the storm: {error}"),
        }
    }
    started
}

/// Waits until no run moves any more; returns how many show a step as unknown.
async fn settled(server: &Server, runs: u64) -> usize {
    let counted = async |status: &str| {
        let mut count = 0;
        let mut cursor = String::new();
        loop {
            let page = server
                .get(&format!("/api/runs?status={status}&limit=200{cursor}"))
                .await;
            count += page["items"].as_array().map_or(0, Vec::len);
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return count,
            }
        }
    };
    let all = usize::try_from(runs).expect("few");
    eventually_within(
        SETTLED_WITHIN,
        "every run completes or asks a person",
        async || {
            let (completed, stuck) = (counted("completed").await, counted("stuck").await);
            let failed = counted("failed").await;
            assert_eq!(failed, 0, "no run fails: the provider refuses nothing");
            (completed + stuck == all).then_some(stuck)
        },
    )
    .await
}

/// Every webhook of every run was carried out under one key.
fn check_webhooks(provider: &Provider, runs: u64) {
    let mut keys: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut repeats = 0;
    for ((path, key), bodies) in provider.webhooks() {
        assert!(!key.is_empty(), "{path} was called without a key");
        repeats += bodies.len() - 1;
        let body = bodies.first().expect("an entry has a body").clone();
        assert!(
            bodies.iter().all(|other| *other == body),
            "{path}: one key, one body"
        );
        keys.entry((path, body)).or_default().push(key);
    }
    for node in WEBHOOKS {
        for run in 0..runs {
            let effect = (format!("/{node}"), format!("{{\"run\":\"{run}\"}}"));
            let under = keys.remove(&effect).unwrap_or_default();
            assert_eq!(
                under.len(),
                1,
                "{node} of run {run}: carried out under {} keys",
                under.len()
            );
        }
    }
    assert!(keys.is_empty(), "nobody asked for {keys:?}");
    println!("webhooks: 0 lost, 0 carried out twice, {repeats} repeats under their key");
}

/// Every message of every run was taken on once; one that is shown as unknown, at most once.
fn check_messages(provider: &Provider, runs: u64, unknown: usize) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for message in provider.messages() {
        *counts.entry(message.body).or_default() += 1;
    }
    let mut missing = 0;
    for node in MESSAGES {
        for run in 0..runs {
            match counts.remove(&format!("{node} of run {run}")) {
                Some(1) => {}
                Some(times) => panic!("{node} of run {run} was sent {times} times"),
                None => missing += 1,
            }
        }
    }
    assert!(counts.is_empty(), "nobody asked for {counts:?}");
    assert!(
        missing <= unknown * MESSAGES.len(),
        "{missing} messages are lost, {unknown} runs say so"
    );
    println!("messages: {missing} not sent by runs that show it, 0 sent twice");
}

fn size(name: &str, usual: u64) -> u64 {
    let given = std::env::var(name).ok().and_then(|text| text.trim().parse().ok());
    given.unwrap_or(usual)
}

fn reaching(provider: &Provider) -> Options {
    Options::serve()
        .with("PATCHCORD_SECURITY__ALLOW_PRIVATE_TARGETS", "127.0.0.1")
        .with("PATCHCORD_TWILIO__API_BASE", &provider.at(""))
        .with("PATCHCORD_TWILIO__FROM_NUMBER", "+14155550000")
        .with("PATCHCORD_TWILIO__MESSAGES_PER_S", "1000")
        .with("PATCHCORD_EFFECTS__CONCURRENCY", "512")
        .with("PATCHCORD_LOG", "error")
}

/// Twelve steps one after the other: seven webhooks, two messages, two conditions, a pause.
fn twelve_steps(provider: &Provider) -> Value {
    let webhook = |id: &str| {
        json!({"id": id, "type": "webhook",
            "params": {"url": provider.at(&format!("/{id}")), "body": {"run": "{{ trigger.data.n }}"}},
            "retry": {"max_attempts": 20, "initial_interval": "1s", "backoff": 1}})
    };
    let message = |id: &str| {
        json!({"id": id, "type": "send_sms", "audience": "staff",
            "params": {"to": "{{ trigger.data.to }}", "body": format!("{id} of run {{{{ trigger.data.n }}}}")},
            "retry": {"max_attempts": 20, "initial_interval": "1s", "backoff": 1}})
    };
    let check = |id: &str| json!({"id": id, "type": "condition", "params": {"if": "trigger.data.n >= 0"}});
    let pause = json!({"id": "pause", "type": "delay", "params": {"for": "1s"}});
    let nodes = vec![
        webhook("w1"),
        check("c1"),
        message("m1"),
        webhook("w2"),
        webhook("w3"),
        pause,
        webhook("w4"),
        check("c2"),
        message("m2"),
        webhook("w5"),
        webhook("w6"),
        webhook("w7"),
    ];
    let mut edges = Vec::new();
    let (mut from, mut port) = ("trigger".to_owned(), "ok");
    for node in &nodes {
        let id = node["id"].as_str().expect("a node has an id").to_owned();
        edges.push(json!({"from": from, "port": port, "to": id}));
        port = if node["type"] == "condition" { "true" } else { "ok" };
        from = id;
    }
    json!({"name": "storm", "enabled": true, "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges})
}
