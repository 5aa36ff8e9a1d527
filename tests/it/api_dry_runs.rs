//! Dry runs over the wire: the answer tells everything, and nothing happens.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    eventually::eventually,
    server::{Options, Server},
};

fn workflow() -> Value {
    json!({
        "name": "Text, wait, task", "enabled": false,
        "trigger": {"type": "quote.sent", "filter": "trigger.data.amount > 1000"},
        "nodes": [
            {"id": "hello", "type": "send_sms", "params": {"body": "Hi {{ lead.first_name }}, your quote is {{ trigger.data.amount }}"}},
            {"id": "pause", "type": "delay", "params": {"for": "3d"}},
            {"id": "task", "type": "create_task", "params": {"title": "Call {{ lead.name }}"}}],
        "edges": [{"from": "trigger", "to": "hello"}, {"from": "hello", "to": "pause"},
            {"from": "pause", "to": "task"}, {"from": "hello", "port": "error", "to": "task"}],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_every_message_and_does_nothing() {
    let server = Server::start(Options::serve()).await;
    let workflow = server.post("/api/workflows", &workflow()).await;
    let path = format!(
        "/api/workflows/{}/dry-run",
        workflow["id"].as_str().expect("an id")
    );
    let order = json!({"at": "2026-11-22T15:00:00Z", "lead": {"name": "Ann Lee", "phone": "+14155550102"},
        "data": {"amount": 5000}});
    let run = server.post(&path, &order).await;
    assert_eq!(
        (&run["status"], &run["would_start"]),
        (&json!("completed"), &json!(true)),
        "{run}"
    );
    assert_eq!(run["effects"][0]["text"], "Hi Ann, your quote is 5000");
    assert_eq!(run["effects"][0]["to"], "+14155550102");
    assert_eq!(run["effects"][1]["at"], "2026-11-25T15:00:00.000Z");
    assert_eq!(run["waits"][0]["until"], "2026-11-25T15:00:00.000Z");
    assert_eq!(run["tokens"], "1.5");
    assert_eq!(run["seen"]["lead"]["first_name"], "Ann", "{run}");
    assert_eq!(run["seen"]["trigger"]["data"]["amount"], 5000);

    let failing = json!({"data": {"amount": 5},
        "script": {"answers": {"hello": {"fail": {"code": "30006", "message": "It is a landline"}}}}});
    let run = server.post(&path, &failing).await;
    assert_eq!(run["would_start"], false, "the filter does not hold: {run}");
    assert_eq!(run["effects"][0]["reason"], "It is a landline");
    assert_eq!(run["effects"][1]["kind"], "create_task");
    assert_eq!(run["path"].as_array().map(Vec::len), Some(2));

    let lead = json!({"name": "Cleo Park", "phone": "+14155550104"});
    server.post("/api/leads", &lead).await;
    let recorded = json!({"type": "quote.sent", "id": "q-1", "subject": {"phone": "+14155550104"}, "data": {"amount": 7000}});
    let event = server.post("/api/events", &recorded).await;
    let run = server.post(&path, &json!({"event_id": event["event_id"]})).await;
    assert_eq!(run["effects"][0]["to"], "+14155550104", "{run}");
    assert_eq!(run["effects"][0]["text"], "Hi Cleo, your quote is 7000", "{run}");

    for (wrong, field) in [
        (
            json!({"script": {"answers": {"helo": "unknown"}}}),
            "script.answers.helo",
        ),
        (json!({"lead_id": "lead_01h455vb4pex5vsknk084sn02q"}), "lead_id"),
        (json!({"call_id": "call_01h455vb4pex5vsknk084sn02q"}), "call_id"),
        (json!({"version": 1, "definition": {}}), "definition"),
    ] {
        let refused = server.request(Method::POST, &path, Some(&wrong)).await;
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{}",
            refused.body
        );
        assert_eq!(refused.body["errors"][0]["field"], field, "{}", refused.body);
    }
    assert!(server.items("/api/runs").await.is_empty(), "no run is kept");
    assert!(server.items("/api/tasks").await.is_empty());
    assert!(server.items("/api/messages").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_tells_who_would_read_something_else() {
    let server = Server::start(Options::serve()).await;
    let mut definition = workflow();
    definition["nodes"][0] = json!({"id": "hello", "type": "create_task",
        "params": {"title": "Quote of {{ trigger.data.amount }}"}});
    definition["enabled"] = json!(true);
    let workflow = server.post("/api/workflows", &definition).await;
    let path = format!("/api/workflows/{}", workflow["id"].as_str().expect("an id"));
    for (name, phone, amount) in [
        ("Ann Lee", "+14155550111", 5000),
        ("Bob Ray", "+14155550222", 500),
    ] {
        server
            .post("/api/leads", &json!({"name": name, "phone": phone}))
            .await;
        let event = json!({"type": "quote.sent", "subject": {"phone": phone}, "data": {"amount": amount}});
        server.post("/api/events", &event).await;
    }
    let runs = format!(
        "/api/runs?workflow_id={}",
        workflow["id"].as_str().expect("an id")
    );
    eventually("the dearer quote has its run", async || {
        (server.items(&runs).await.len() == 1).then_some(())
    })
    .await;
    let filter = json!({"trigger": {"type": "quote.sent", "filter": "trigger.data.amount < 1000"}});
    let edited = server.request(Method::PATCH, &path, Some(&filter)).await;
    assert_eq!(edited.status, StatusCode::OK, "{}", edited.body);
    let found = server
        .post(&format!("{path}/backtest"), &json!({"limit": 10}))
        .await;
    let counts: Vec<_> = ["cases", "gains", "loses", "changed", "same"]
        .into_iter()
        .map(|name| found[name].as_u64())
        .collect();
    assert_eq!(counts, [Some(2), Some(1), Some(1), Some(0), Some(0)], "{found}");
    assert_eq!(
        (
            &found["differences"][0]["lead_name"],
            &found["differences"][0]["verdict"]
        ),
        (&json!("Ann Lee"), &json!("loses"))
    );
    assert_eq!(
        found["differences"][1]["edited"]["sent"][0]["text"],
        "Quote of 500"
    );
    assert_eq!(server.items(&runs).await.len(), 1, "nothing is started by it");
    let wrong = server
        .request(
            Method::POST,
            &format!("{path}/backtest"),
            Some(&json!({"limit": 501})),
        )
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
}
