//! `kill -9` in the middle of runs: what was accepted goes on, nothing happens twice, timers fire.
//!
//! The server is killed at many points of its work, not at chosen ones: right after it accepted a run, after the first
//! effect arrived, while runs wait. What the outside has seen is counted by a sink, not by the server.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    eventually::eventually,
    server::{Options, Server},
    sink::Sink,
};

/// Times the server is killed in one test.
const KILLS: usize = 8;
/// Runs started before each kill.
const RUNS_PER_KILL: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn runs_go_on_after_kill_9_and_no_webhook_happens_twice() {
    let sink = Sink::start().await;
    let mut server = Server::start(reaching(&sink)).await;
    let workflow = create(&server, &two_webhooks(&sink, "1s")).await;
    let mut runs = Vec::new();
    for kill in 0..KILLS {
        for _ in 0..RUNS_PER_KILL {
            runs.push(execute(&server, &workflow, runs.len()).await);
        }
        // The first kill comes right after the answer; the later ones the deeper into the work the later they are.
        let arrivals = kill * RUNS_PER_KILL + kill % (RUNS_PER_KILL + 1);
        eventually("enough webhooks arrive", async || {
            (sink.arrivals().len() >= arrivals).then_some(())
        })
        .await;
        server.restart().await;
    }
    for run in &runs {
        completed(&server, run).await;
    }
    for path in ["/first", "/second"] {
        let keys = keys_by_run(&sink, path);
        assert_eq!(
            keys.len(),
            runs.len(),
            "{path}: every accepted run reached its webhook"
        );
        for (run, keys) in keys {
            assert_eq!(
                keys.len(),
                1,
                "{path}: run {run} was sent under {} keys",
                keys.len()
            );
            assert!(!keys.contains(""), "{path}: run {run} was sent without a key");
        }
    }
    let distinct = sink.counts("/first").len() + sink.counts("/second").len();
    let sent = sink.arrivals().len();
    println!(
        "{} runs, {KILLS} kills: {distinct} effects, {} repeats under the same key",
        runs.len(),
        sent - distinct
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_is_in_the_outbox_twice() {
    let mut server = Server::start(Options::dev()).await;
    let lead = server
        .items("/api/leads")
        .await
        .first()
        .cloned()
        .expect("the demo server knows a lead");
    let workflow = create(&server, &two_messages()).await;
    let mut runs = Vec::new();
    for kill in 0..KILLS {
        for _ in 0..RUNS_PER_KILL {
            let data = json!({"lead_id": lead["id"], "data": {"n": runs.len()}});
            runs.push(started(
                &server
                    .post(&format!("/api/workflows/{workflow}/execute"), &data)
                    .await,
            ));
        }
        let messages = kill * RUNS_PER_KILL;
        eventually("enough messages are in the outbox", async || {
            (outbox(&server).await.len() >= messages).then_some(())
        })
        .await;
        server.restart().await;
    }
    for run in &runs {
        completed(&server, run).await;
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for body in outbox(&server).await {
        *counts.entry(body).or_default() += 1;
    }
    assert_eq!(counts.len(), 2 * runs.len(), "{counts:?}");
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_fires_after_a_kill() {
    let sink = Sink::start().await;
    let mut server = Server::start(reaching(&sink)).await;
    let workflow = create(&server, &two_webhooks(&sink, "3s")).await;
    let run = execute(&server, &workflow, 0).await;
    waiting(&server, &run).await;
    let due = first_arrival(&sink, "/first").await + std::time::Duration::from_secs(3);
    server.restart().await;
    let fired = first_arrival(&sink, "/second").await;
    assert!(fired >= due, "the timer fired early");
    println!(
        "a timer that came due after the restart fired {} ms after its time",
        (fired - due).as_millis()
    );
    completed(&server, &run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_came_due_while_the_server_was_down_fires_at_the_start() {
    let sink = Sink::start().await;
    let mut server = Server::start(reaching(&sink)).await;
    let workflow = create(&server, &two_webhooks(&sink, "2s")).await;
    let run = execute(&server, &workflow, 0).await;
    waiting(&server, &run).await;
    let due = first_arrival(&sink, "/first").await + std::time::Duration::from_secs(2);
    server.kill9().await;
    eventually("the timer is due", async || (Instant::now() > due).then_some(())).await;
    assert_eq!(sink.counts("/second").len(), 0, "nobody was there to fire it");
    let started = Instant::now();
    server.start_again().await;
    let fired = first_arrival(&sink, "/second").await;
    println!(
        "a timer that came due while down fired {} ms after the start",
        (fired - started).as_millis()
    );
    completed(&server, &run).await;
}

/// A server whose webhooks may reach the sink on loopback.
fn reaching(sink: &Sink) -> Options {
    // The sink's address is named so that a test without a sink cannot reach anything.
    assert!(sink.at("").starts_with("http://127.0.0.1:"));
    Options::serve().with("PATCHCORD_SECURITY__ALLOW_PRIVATE_TARGETS", "127.0.0.1")
}

fn two_webhooks(sink: &Sink, pause: &str) -> Value {
    let webhook = |id: &str| {
        let body = json!({"run": "{{ trigger.data.n }}"});
        json!({"id": id, "type": "webhook", "params": {"url": sink.at(&format!("/{id}")), "body": body}})
    };
    json!({
        "name": "two webhooks", "enabled": true, "trigger": {"type": "manual"},
        "nodes": [webhook("first"), {"id": "pause", "type": "delay", "params": {"for": pause}}, webhook("second")],
        "edges": [{"from": "trigger", "to": "first"}, {"from": "first", "to": "pause"}, {"from": "pause", "to": "second"}],
    })
}

fn two_messages() -> Value {
    let message = |id: &str| {
        let body = format!("{id} of run {{{{ trigger.data.n }}}}");
        json!({"id": id, "type": "send_sms", "params": {"body": body}})
    };
    json!({
        "name": "two messages", "enabled": true, "trigger": {"type": "manual"},
        "nodes": [message("first"), {"id": "pause", "type": "delay", "params": {"for": "1s"}}, message("second")],
        "edges": [{"from": "trigger", "to": "first"}, {"from": "first", "to": "pause"}, {"from": "pause", "to": "second"}],
    })
}

async fn create(server: &Server, definition: &Value) -> String {
    let made = server.post("/api/workflows", definition).await;
    made["id"].as_str().expect("a workflow has an id").to_owned()
}

async fn execute(server: &Server, workflow: &str, number: usize) -> String {
    let data = json!({"data": {"n": number}});
    started(
        &server
            .post(&format!("/api/workflows/{workflow}/execute"), &data)
            .await,
    )
}

fn started(accepted: &Value) -> String {
    accepted["run_id"]
        .as_str()
        .expect("an accepted run has an id")
        .to_owned()
}

async fn status(server: &Server, run: &str) -> String {
    let run = server.get(&format!("/api/runs/{run}")).await;
    run["status"].as_str().expect("a run has a status").to_owned()
}

async fn completed(server: &Server, run: &str) {
    eventually(&format!("{run} completes"), async || {
        let status = status(server, run).await;
        assert!(
            !["failed", "stuck", "cancelled"].contains(&status.as_str()),
            "{run} is {status}"
        );
        (status == "completed").then_some(())
    })
    .await;
}

async fn waiting(server: &Server, run: &str) {
    eventually(&format!("{run} waits"), async || {
        (status(server, run).await == "waiting").then_some(())
    })
    .await;
}

async fn first_arrival(sink: &Sink, path: &str) -> Instant {
    let at = || {
        sink.arrivals()
            .into_iter()
            .find(|arrival| arrival.path == path)
            .map(|arrival| arrival.at)
    };
    eventually(&format!("{path} arrives"), async || at()).await
}

/// Every idempotency key under which each run's webhook arrived at `path`.
fn keys_by_run(sink: &Sink, path: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for arrival in sink.arrivals().into_iter().filter(|arrival| arrival.path == path) {
        keys.entry(arrival.body).or_default().insert(arrival.key);
    }
    keys
}

/// The texts of every message in the outbox.
async fn outbox(server: &Server) -> Vec<String> {
    let messages = server.items("/api/messages?limit=200").await;
    messages
        .iter()
        .map(|message| message["body"].as_str().expect("a message has a body").to_owned())
        .collect()
}
