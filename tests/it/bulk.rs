//! Bulk sends: one run writes to many leads, within the sender's rate, past the gate for each, and says how far it is.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    eventually::{eventually, eventually_within},
    server::{Options, Server},
};

const LEADS: u64 = 200;
const PER_SECOND: u64 = 50;
/// A machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(180);

async fn publish(server: &Server, definition: &Value) -> String {
    let made = server.post("/api/workflows", definition).await;
    let id = made["id"].as_str().expect("an id").to_owned();
    server
        .post(&format!("/api/workflows/{id}/publish"), &json!({}))
        .await;
    id
}

async fn execute(server: &Server, workflow: &str, body: &Value) -> String {
    let started = server
        .post(&format!("/api/workflows/{workflow}/execute"), body)
        .await;
    started["run_id"].as_str().expect("an id").to_owned()
}

fn bulk() -> Value {
    json!({"name": "Newsletter", "trigger": {"type": "manual"},
        "nodes": [{"id": "find", "type": "find_leads", "params": {"stage": "reader", "include_opted_out": true}},
                  {"id": "each", "type": "for_each", "params": {"items": "steps.find.output.leads", "concurrency": 40}},
                  {"id": "tell", "type": "send_sms", "params": {"body": "Hello {{ lead.first_name }}"}, "on_error": "continue"}],
        "edges": [{"from": "trigger", "to": "find"}, {"from": "find", "to": "each"},
                  {"from": "each", "port": "item", "to": "tell"}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_send_keeps_the_senders_rate_passes_the_gate_for_each_and_shows_how_far_it_is() {
    let options = Options::dev().with("PATCHCORD_TWILIO__MESSAGES_PER_S", &PER_SECOND.to_string());
    let server = Server::start(options).await;
    let mut last = Value::Null;
    for number in 0..LEADS {
        let lead = json!({"name": format!("Reader {number}"), "phone": format!("+1212555{number:04}"), "stage": "reader"});
        last = server.post("/api/leads", &lead).await;
    }
    let stopped = format!("/api/leads/{}", last["id"].as_str().expect("an id"));
    let change = json!({"opted_out_of": ["sms"]});
    server.request(Method::PATCH, &stopped, Some(&change)).await;
    let workflow = publish(&server, &bulk()).await;
    let began = Instant::now();
    let run = execute(&server, &workflow, &json!({})).await;
    let path = format!("/api/runs/{run}");

    // On its way it can be seen how far it is.
    let progress = eventually("some are sent, some wait", || async {
        let progress = server.get(&path).await["progress"].clone();
        let count = |name: &str| progress[name].as_u64().unwrap_or(0);
        (count("sent") > 0 && count("waiting") > 0 && progress["done_at"].is_string()).then_some(progress)
    })
    .await;
    assert!(
        progress["per_minute"].as_u64().is_some_and(|rate| rate > 0),
        "{progress}"
    );

    let ended = eventually_within(PATIENCE, "the bulk send ends", || async {
        let run = server.get(&path).await;
        run["ended_at"].is_string().then_some(run)
    })
    .await;
    assert_eq!(ended["status"], "completed", "{}", ended["error"]);
    let least = Duration::from_millis((LEADS - 10) * 1_000 / PER_SECOND);
    assert!(
        began.elapsed() >= least,
        "faster than the sender may: {:?}",
        began.elapsed()
    );
    let progress = &ended["progress"];
    assert_eq!(
        (
            &progress["sent"],
            &progress["refused"],
            &progress["waiting"],
            &progress["held"]
        ),
        (&json!(LEADS - 1), &json!(1), &json!(0), &json!(0)),
        "{progress}"
    );
    println!("{LEADS} messages at {PER_SECOND}/s took {:?}", began.elapsed());
}
