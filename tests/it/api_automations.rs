//! The built-in automations over the wire, and runs found again by whom they are about.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    eventually::eventually,
    server::{Options, Server},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_automation_is_switched_on_once_and_off_again() {
    let server = Server::start(Options::serve()).await;
    let before = server.items("/api/automations").await;
    assert!(before.iter().all(|one| one["enabled"] == false), "{before:?}");
    assert!(before.iter().any(|one| one["slug"] == "missed_call_text_back"));
    let path = "/api/automations/missed_call_text_back";
    let mut ids = Vec::new();
    for enabled in [true, true, false, true] {
        let answer = server
            .request(Method::PATCH, path, Some(&json!({"enabled": enabled})))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.body["enabled"], enabled);
        ids.push(answer.body["workflow_id"].clone());
    }
    assert!(
        ids.iter().all(|id| *id == ids[0]),
        "it stays one workflow: {ids:?}"
    );
    assert_eq!(server.items("/api/workflows").await.len(), 1);
    let unknown = server
        .request(
            Method::PATCH,
            "/api/automations/nope",
            Some(&json!({"enabled": true})),
        )
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_run_of_this_customer_is_found_by_name_number_and_time() {
    let server = Server::start(Options::serve()).await;
    let workflow = json!({"name": "Task", "trigger": {"type": "quote.sent"},
        "nodes": [{"id": "task", "type": "create_task", "params": {"title": "Look"}}],
        "edges": [{"from": "trigger", "to": "task"}]});
    server.post("/api/workflows", &workflow).await;
    for (name, phone) in [("Ann Lee", "+14155550111"), ("Bob Ray", "+14155550222")] {
        server
            .post("/api/leads", &json!({"name": name, "phone": phone}))
            .await;
        server
            .post(
                "/api/events",
                &json!({"type": "quote.sent", "subject": {"phone": phone}}),
            )
            .await;
    }
    eventually("both runs complete", async || {
        (server.items("/api/runs?status=completed").await.len() == 2).then_some(())
    })
    .await;
    let leads = server.items("/api/leads").await;
    let id_of = |name: &str| {
        let lead = leads.iter().find(|lead| lead["name"] == name).expect("the lead");
        lead["id"].clone()
    };
    for (query, name) in [
        ("q=ann", "Ann Lee"),
        ("q=5550222", "Bob Ray"),
        ("phone=%2B14155550111", "Ann Lee"),
        ("q=ray&from=2020-01-01T00:00:00Z", "Bob Ray"),
    ] {
        let found = server.items(&format!("/api/runs?{query}")).await;
        assert_eq!(found.len(), 1, "{query}: {found:?}");
        assert_eq!(found[0]["lead_id"], id_of(name), "{query}");
    }
    let none: Vec<Value> = server.items("/api/runs?to=2020-01-01T00:00:00Z").await;
    assert!(none.is_empty());
    let run = server.items("/api/runs?q=ann").await[0]["id"].clone();
    let run = server
        .get(&format!("/api/runs/{}", run.as_str().expect("an id")))
        .await;
    assert_eq!(
        (&run["tokens"], &run["steps"][0]["tokens"]),
        (&json!("0.5"), &json!("0"))
    );
    for wrong in ["q=", "phone=12", "from=yesterday"] {
        let refused = server
            .request(Method::GET, &format!("/api/runs?{wrong}"), None)
            .await;
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{wrong}: {}",
            refused.body
        );
    }
}
