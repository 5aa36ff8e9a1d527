//! Everything known about a lead in one document, and nothing about anybody else.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    api::ask,
    eventually::eventually,
    server::{Options, Server},
    twilio,
};

fn count(document: &Value, part: &str) -> usize {
    document[part]
        .as_array()
        .unwrap_or_else(|| panic!("{part} is no list"))
        .len()
}

async fn lead(server: &Server, name: &str, phone: &str) -> String {
    let lead = server
        .post("/api/leads", &json!({"name": name, "phone": phone}))
        .await;
    lead["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_is_exported_with_everything_known_and_nobody_else() {
    let server = Server::start(Options::dev()).await;
    let ann = lead(&server, "Ann", "+14155550101").await;
    let bea = lead(&server, "Bea", "+14155550102").await;
    let workflow = json!({"name": "Text", "enabled": true, "trigger": {"type": "manual"},
        "nodes": [{"id": "text", "type": "send_sms", "params": {"to": "{{ lead.phone }}", "body": "Dear {{ lead.name }}"}}],
        "edges": [{"from": "trigger", "to": "text"}]});
    let workflow = server.post("/api/workflows", &workflow).await;
    let workflow = format!("/api/workflows/{}", workflow["id"].as_str().expect("an id"));
    server.post(&format!("{workflow}/publish"), &json!({})).await;
    for (lead, title) in [(&ann, "Call Ann"), (&bea, "Call Bea")] {
        server
            .post("/api/tasks", &json!({"title": title, "lead_id": lead}))
            .await;
        let quote = json!({"title": title, "lead_id": lead, "amount": 100, "currency": "usd"});
        server.post("/api/quotes", &quote).await;
        server
            .post(&format!("{workflow}/execute"), &json!({"lead_id": lead}))
            .await;
    }
    server
        .report_no_answer(&twilio::call_sid(1), "+14155550101")
        .await;
    let path = format!("/api/leads/{ann}/export");
    let document = eventually("calls, messages and runs are there", async || {
        let document = server.get(&path).await;
        let has = |part| count(&document, part) > 0;
        let is_sent = document["messages"].to_string().contains("Dear Ann");
        (has("calls") && has("runs") && has("timeline") && is_sent).then_some(document)
    })
    .await;
    assert_eq!(document["lead"]["name"], "Ann");
    assert_eq!(
        ["tasks", "quotes", "payments", "appointments"].map(|part| count(&document, part)),
        [1, 1, 0, 0]
    );
    // The missed call's own run may be there too.
    let runs = document["runs"].as_array().into_iter().flatten();
    let mut firsts = runs.map(|run| &run["steps"][0]["node"]);
    assert!(
        firsts.any(|node| node == "text"),
        "every step is there: {}",
        document["runs"]
    );
    assert!(
        document["changes"].to_string().contains("createLead"),
        "{}",
        document["changes"]
    );
    for other in [&bea, "Bea", "+14155550102"] {
        assert!(
            !document.to_string().contains(other),
            "{other} is in it: {document}"
        );
    }
    let logged = server.items("/api/audit?action=exportLead").await;
    assert!(!logged.is_empty(), "the export is in the audit log");
    assert_eq!(
        (&logged[0]["subject"], &logged[0]["after"]),
        (&json!(ann), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_larger_than_a_chunk_arrives_whole() {
    let server = Server::start(Options::dev()).await;
    let ann = lead(&server, "Ann", "+14155550101").await;
    let notes = "x".repeat(9_000);
    for number in 0..40 {
        let task = json!({"title": format!("Task {number}"), "notes": notes, "lead_id": ann});
        server.post("/api/tasks", &task).await;
    }
    let token = server.ready().access_token.clone();
    let path = format!("/api/leads/{ann}/export");
    let answer = ask(&server, Method::GET, &path, &token, None).await;
    assert_eq!(count(&answer.body, "tasks"), 40);
    assert!(answer.body.to_string().len() > 40 * 9_000);
}
