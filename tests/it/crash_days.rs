//! A wait of three days across twenty restarts of the real program and a publish: it fires once, in time, on its version.
//!
//! The days pass between the starts: each process has its clock set ahead, which only a test build lets itself be told.

use std::time::Duration;

use patchcord::clock;
use serde_json::{Value, json};

use crate::support::{
    eventually::eventually,
    server::{Options, Server},
    sink::Sink,
};

const RESTARTS: u64 = 20;
const THREE_DAYS_S: u64 = 3 * 24 * 3_600;
/// The last process begins so long before the time.
const LAST_STRETCH_S: u64 = 15;

#[tokio::test(flavor = "multi_thread")]
async fn a_three_day_wait_survives_twenty_restarts_and_a_publish() {
    let sink = Sink::start().await;
    let options = Options::serve().with("PATCHCORD_SECURITY__ALLOW_PRIVATE_TARGETS", "127.0.0.1");
    let mut server = Server::start(options).await;
    let made = server.post("/api/workflows", &waits(&sink, "old")).await;
    let workflow = made["id"].as_str().expect("a workflow has an id").to_owned();
    let started = server
        .post(
            &format!("/api/workflows/{workflow}/execute"),
            &json!({"data": {}}),
        )
        .await;
    let run = started["run_id"].as_str().expect("a run has an id").to_owned();
    let due_ms = eventually("the run waits", async || due_ms(&server, &run).await).await;
    for restart in 1..=RESTARTS {
        server.kill9().await;
        assert_eq!(
            sink.arrivals().len(),
            0,
            "it fired early, before restart {restart}"
        );
        let left_s = due_ms.saturating_sub(clock::now().as_unix_millis()) / 1_000 - LAST_STRETCH_S;
        let ahead_s = if restart == RESTARTS {
            left_s
        } else {
            THREE_DAYS_S * restart / (RESTARTS + 1)
        };
        server.set(clock::AHEAD, &ahead_s.to_string());
        server.start_again().await;
        if restart == RESTARTS / 2 {
            republish(&server, &workflow, &waits(&sink, "new")).await;
        }
    }
    let ahead_ms = ahead_of(&server) * 1_000;
    let paths = eventually("it fires", async || {
        let paths: Vec<_> = sink.arrivals().into_iter().map(|arrival| arrival.path).collect();
        (!paths.is_empty()).then_some(paths)
    })
    .await;
    let seen_ms = clock::now().as_unix_millis() + ahead_ms;
    assert_eq!(paths, ["/old"], "once, on the version it began with");
    assert!(seen_ms >= due_ms, "it fired {} ms early", due_ms - seen_ms);
    let lag = Duration::from_millis(seen_ms - due_ms);
    assert!(lag < Duration::from_secs(1), "{lag:?} late");
    eventually("the run completes", async || {
        let run = server.get(&format!("/api/runs/{run}")).await;
        (run["status"] == "completed").then_some(())
    })
    .await;
    assert_eq!(sink.arrivals().len(), 1);
    println!(
        "three days, {RESTARTS} restarts, one publish: fired once, seen {} ms after its time",
        lag.as_millis()
    );
}

fn ahead_of(server: &Server) -> u64 {
    let ahead = server.setting(clock::AHEAD).expect("it was set");
    ahead.parse().expect("it is a number")
}

/// When the run's wait ends, once it waits.
async fn due_ms(server: &Server, run: &str) -> Option<u64> {
    let run = server.get(&format!("/api/runs/{run}")).await;
    let steps = run["steps"].as_array()?;
    let until = steps.iter().find_map(|step| step["waiting_until"].as_str())?;
    let moment: jiff::Timestamp = until.parse().expect("a moment in RFC 3339");
    u64::try_from(moment.as_millisecond()).ok()
}

fn waits(sink: &Sink, after: &str) -> Value {
    json!({
        "name": "waits", "enabled": true, "trigger": {"type": "manual"},
        "nodes": [{"id": "pause", "type": "delay", "params": {"for": "3d"}},
            {"id": after, "type": "webhook", "params": {"url": sink.at(&format!("/{after}")), "body": {}}}],
        "edges": [{"from": "trigger", "to": "pause"}, {"from": "pause", "to": after}],
    })
}

async fn republish(server: &Server, workflow: &str, definition: &Value) {
    let answer = server
        .request(
            reqwest::Method::PATCH,
            &format!("/api/workflows/{workflow}"),
            Some(definition),
        )
        .await;
    assert!(answer.status.is_success(), "{}", answer.body);
    let published = server
        .post(&format!("/api/workflows/{workflow}/publish"), &json!({}))
        .await;
    assert_eq!(published["published_version"], 2, "{published}");
}
