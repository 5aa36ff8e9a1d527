//! One run, taken up again or brought a signal.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    eventually::eventually,
    server::{Options, Server},
};

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("expected a text, found {value}"))
}

/// Waits until the run at `path` stands like this, and returns it.
async fn standing(server: &Server, path: &str, status: &str) -> Value {
    eventually(&format!("{path} is {status}"), async || {
        let run = server.get(path).await;
        (run["status"] == status).then_some(run)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_is_taken_up_again_from_a_node_on_the_repaired_version() {
    let server = Server::start(Options::serve()).await;
    let workflow = |title: &str| {
        json!({"name": "Two tasks", "trigger": {"type": "manual"},
            "nodes": [
                {"id": "first", "type": "create_task", "params": {"title": "First"}},
                {"id": "second", "type": "create_task", "params": {"title": title}}],
            "edges": [{"from": "trigger", "to": "first"}, {"from": "first", "to": "second"}]})
    };
    let made = server
        .post(
            "/api/workflows",
            &workflow("{{ lead.name }} {{ steps.first.output.task_id }}"),
        )
        .await;
    let path = format!("/api/workflows/{}", text(&made["id"]));
    let started = server.post(&format!("{path}/execute"), &json!({})).await;
    let old = format!("/api/runs/{}", text(&started["run_id"]));
    let failed = standing(&server, &old, "failed").await;
    assert!(text(&failed["error"]).contains("lead"), "{failed}");
    let first_task = failed["steps"][0]["output"]["task_id"].clone();

    let repaired = json!({"nodes": workflow("After {{ steps.first.output.task_id }}")["nodes"]});
    server.request(Method::PATCH, &path, Some(&repaired)).await;
    server.post(&format!("{path}/publish"), &Value::Null).await;
    let retry = format!("{old}/retry");
    let gone = server
        .request(Method::POST, &retry, Some(&json!({"from": "nowhere"})))
        .await;
    assert_eq!(
        (gone.status, &gone.body["code"]),
        (StatusCode::CONFLICT, &json!("cannot_retry")),
        "{}",
        gone.body
    );
    let order = json!({"from": "second", "version": "newest"});
    let again = server.request(Method::POST, &retry, Some(&order)).await;
    assert_eq!(again.status, StatusCode::ACCEPTED, "{}", again.body);
    let new = format!("/api/runs/{}", text(&again.body["run_id"]));
    let done = standing(&server, &new, "completed").await;
    assert_eq!((&done["version"], &done["retry_of"]), (&json!(2), &failed["id"]));
    assert_eq!(
        done["steps"].as_array().map(Vec::len),
        Some(1),
        "only the second: {done}"
    );
    assert_eq!(
        text(&done["steps"][0]["input"]["title"]),
        format!("After {}", text(&first_task))
    );
    assert_eq!(server.get(&old).await["retried_as"], json!([done["id"]]));
    let from_start = server.post(&retry, &json!({"version": "newest"})).await;
    let whole = format!("/api/runs/{}", text(&from_start["run_id"]));
    let whole = standing(&server, &whole, "completed").await;
    assert_eq!(whole["steps"].as_array().map(Vec::len), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_the_wait_for_it_and_survives_a_crash() {
    let mut server = Server::start(Options::serve()).await;
    let workflow = json!({"name": "Approve", "trigger": {"type": "manual"},
        "nodes": [
            {"id": "wait", "type": "wait_for", "params": {"event": "signal.approved", "timeout": "3d"}},
            {"id": "task", "type": "create_task", "params": {"title": "By {{ steps.wait.output.data.who }}"}}],
        "edges": [{"from": "trigger", "to": "wait"}, {"from": "wait", "port": "event", "to": "task"}]});
    let made = server.post("/api/workflows", &workflow).await;
    let execute = format!("/api/workflows/{}/execute", text(&made["id"]));
    let started = server.post(&execute, &json!({})).await;
    let run = format!("/api/runs/{}", text(&started["run_id"]));
    standing(&server, &run, "waiting").await;
    let early = server.request(Method::POST, &format!("{run}/retry"), None).await;
    assert_eq!(
        early.status,
        StatusCode::CONFLICT,
        "it has not ended: {}",
        early.body
    );
    for (signal, status) in [
        (json!({"name": "Approved!"}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"name": "refused"}), StatusCode::CONFLICT),
    ] {
        let answer = server
            .request(Method::POST, &format!("{run}/signal"), Some(&signal))
            .await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    let signal = json!({"name": "approved", "data": {"who": "Ann"}});
    let answer = server
        .request(Method::POST, &format!("{run}/signal"), Some(&signal))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    server.restart().await;
    let done = standing(&server, &run, "completed").await;
    assert_eq!(done["steps"][1]["input"]["title"], "By Ann");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_becomes_a_workflow() {
    let server = Server::start(Options::serve()).await;
    let templates = server.items("/api/workflows/templates").await;
    for template in &templates {
        let path = format!("/api/workflows/templates/{}/use", text(&template["slug"]));
        let made = server
            .request(Method::POST, &path, Some(&json!({"enabled": true})))
            .await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        assert_eq!(made.body["published_version"], 1, "{}", made.body);
    }
    let named = server
        .post(
            "/api/workflows/templates/feedback_survey/use",
            &json!({"name": "Mine"}),
        )
        .await;
    assert_eq!(
        (&named["name"], &named["enabled"]),
        (&json!("Mine"), &json!(false))
    );
    let unknown = server
        .request(Method::POST, "/api/workflows/templates/nope/use", None)
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}
