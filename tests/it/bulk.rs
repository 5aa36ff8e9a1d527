//! Bulk sends: one run writes to a thousand leads, within the sender's rate, past the gate for each, and says how far it is.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    eventually::{eventually, eventually_within},
    server::{Options, Server},
};

const LEADS: usize = 1_000;
/// Of these, so many have opted out.
const STOPPED: usize = 5;
/// And so many had their message of the day before.
const TOLD_BEFORE: usize = 10;
const PER_SECOND: u64 = 100;
/// Requests at a time while the leads are made.
const AT_ONCE: usize = 16;
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

/// Waits by the list, which costs the server little, and reads the run once.
async fn ended(server: &Server, run: &str) -> Value {
    eventually_within(PATIENCE, "the run ends", || async {
        let runs = server.items("/api/runs?limit=20").await;
        let mut runs = runs.into_iter().filter(|head| head["id"] == run);
        runs.next().filter(|head| head["ended_at"].is_string())
    })
    .await;
    server.get(&format!("/api/runs/{run}")).await
}

fn text(name: &str, body: &str) -> Value {
    json!({"name": name, "trigger": {"type": "manual"},
        "nodes": [{"id": "tell", "type": "send_sms", "params": {"body": body}}],
        "edges": [{"from": "trigger", "to": "tell"}]})
}

fn bulk() -> Value {
    json!({"name": "Newsletter", "trigger": {"type": "manual"},
        "nodes": [{"id": "find", "type": "find_leads", "params": {"stage": "reader", "include_opted_out": true}},
                  {"id": "each", "type": "for_each", "params": {"items": "steps.find.output.leads", "concurrency": 40}},
                  {"id": "tell", "type": "send_sms", "params": {"body": "Hello {{ lead.first_name }}"}, "on_error": "continue"}],
        "edges": [{"from": "trigger", "to": "find"}, {"from": "find", "to": "each"},
                  {"from": "each", "port": "item", "to": "tell"}]})
}

/// Makes the leads; gives their ids.
async fn readers(server: &Server) -> Vec<String> {
    let made = stream::iter(0..LEADS).map(|number| async move {
        let lead = json!({"name": format!("Reader {number}"), "phone": format!("+1212555{number:04}"), "stage": "reader"});
        let made = server.post("/api/leads", &lead).await;
        made["id"].as_str().expect("an id").to_owned()
    });
    made.buffer_unordered(AT_ONCE).collect().await
}

/// The numbers that text messages went to, page by page: one for each message.
async fn reached(server: &Server, body_begins: &str) -> Vec<String> {
    let (mut reached, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/api/messages?limit=200{cursor}")).await;
        let items = page["items"].as_array().expect("a list");
        let is_meant = |message: &&Value| {
            message["body"]
                .as_str()
                .is_some_and(|body| body.starts_with(body_begins))
        };
        let to = |message: &Value| message["to"].as_str().expect("a number").to_owned();
        reached.extend(items.iter().filter(is_meant).map(to));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return reached,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_send_keeps_the_senders_rate_passes_the_gate_for_each_and_shows_how_far_it_is() {
    let options = Options::dev()
        .with("PATCHCORD_TWILIO__MESSAGES_PER_S", &PER_SECOND.to_string())
        .with("PATCHCORD_GATE__SMS_PER_DAY", "1");
    let mut server = Server::start(options).await;
    let leads = readers(&server).await;
    for lead in &leads[..STOPPED] {
        let change = json!({"opted_out_of": ["sms"]});
        server
            .request(Method::PATCH, &format!("/api/leads/{lead}"), Some(&change))
            .await;
    }
    let reminder = publish(&server, &text("Reminder", "Remember")).await;
    for lead in &leads[STOPPED..STOPPED + TOLD_BEFORE] {
        let run = execute(&server, &reminder, &json!({ "lead_id": lead })).await;
        assert_eq!(ended(&server, &run).await["status"], "completed");
    }
    let newsletter = publish(&server, &bulk()).await;
    let began = Instant::now();
    let run = execute(&server, &newsletter, &json!({})).await;
    let path = format!("/api/runs/{run}");

    // On its way it can be seen how far it is.
    let progress = eventually("some are sent, some wait", || async {
        let progress = server.get(&path).await["progress"].clone();
        let count = |name: &str| progress[name].as_u64().unwrap_or(0);
        (count("sent") > 100 && count("waiting") > 0 && progress["done_at"].is_string()).then_some(progress)
    })
    .await;
    assert!(
        progress["per_minute"].as_u64().is_some_and(|rate| rate > 0),
        "{progress}"
    );
    // In the middle of it the power fails.
    server.kill9().await;
    server.start_again().await;

    let over = ended(&server, &run).await;
    let took = began.elapsed();
    assert_eq!(over["status"], "completed", "{}", over["error"]);
    let refused = STOPPED + TOLD_BEFORE;
    let sent = LEADS - refused;
    // The lanes' count starts anew with the process: a second's worth may go at once, twice.
    let paced = u64::try_from(sent).expect("a thousand") - 2 * PER_SECOND;
    let least = Duration::from_millis(paced * 1_000 / PER_SECOND);
    assert!(took >= least, "faster than the sender may: {took:?}");
    let progress = &over["progress"];
    assert_eq!(
        (
            &progress["sent"],
            &progress["refused"],
            &progress["waiting"],
            &progress["held"],
            &progress["unknown"]
        ),
        (&json!(sent), &json!(refused), &json!(0), &json!(0), &json!(0)),
        "{progress}"
    );
    let reached = reached(&server, "Hello").await;
    let once: BTreeSet<&String> = reached.iter().collect();
    assert_eq!(
        (reached.len(), once.len()),
        (sent, sent),
        "everybody once, nobody twice"
    );
    println!("{LEADS} leads at {PER_SECOND}/s took {took:?}");
}
