//! Waits, loops, merges and runs that start runs, over the wire.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    eventually::eventually,
    server::{Options, Server},
};

fn task(id: &str, title: &str) -> Value {
    json!({"id": id, "type": "create_task", "params": {"title": title}})
}

fn workflow(name: &str, nodes: &Value, edges: &Value) -> Value {
    json!({"name": name, "trigger": {"type": "manual"}, "nodes": nodes, "edges": edges})
}

async fn published(server: &Server, workflow: &Value) -> String {
    let created = server.post("/api/workflows", workflow).await;
    let id = created["id"].as_str().expect("an id").to_owned();
    server
        .post(&format!("/api/workflows/{id}/publish"), &json!({}))
        .await;
    id
}

async fn started(server: &Server, workflow: &str, lead_id: &Value) -> String {
    let path = format!("/api/workflows/{workflow}/execute");
    let run = server.post(&path, &json!({"lead_id": lead_id})).await;
    run["run_id"].as_str().expect("an id").to_owned()
}

async fn until_status(server: &Server, run: &str, status: &str) -> Value {
    eventually(&format!("run {run} is {status}"), async || {
        let found = server.get(&format!("/api/runs/{run}")).await;
        (found["status"] == status).then_some(found)
    })
    .await
}

async fn titles(server: &Server) -> Vec<String> {
    let tasks = server.items("/api/tasks").await;
    let mut titles: Vec<String> = tasks
        .iter()
        .map(|task| task["title"].as_str().unwrap_or_default().to_owned())
        .collect();
    titles.sort();
    titles
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_starts_another_waits_for_its_end_then_loops_and_merges() {
    let server = Server::start(Options::serve()).await;
    let lead = server
        .post("/api/leads", &json!({"name": "Ann Lee", "phone": "+14155550102"}))
        .await;
    let child = workflow(
        "Child",
        &json!([task(
            "look",
            "Look after {{ lead.first_name }} for {{ trigger.data.why }}"
        )]),
        &json!([{"from": "trigger", "to": "look"}]),
    );
    let child = published(&server, &child).await;
    let parent = workflow(
        "Parent",
        &json!([
            {"id": "child", "type": "run_workflow", "params": {"workflow": child, "data": {"why": "love"}, "wait": true}},
            {"id": "each", "type": "for_each", "params": {"items": "['a', 'b', 'c']", "concurrency": 2}},
            task("one", "Item {{ index }} is {{ item }}"),
            task("beside", "Beside"),
            {"id": "meet", "type": "merge"},
            task("last", "{{ steps.each.output.count }} items, {{ steps.meet.output.branches }} branches, {{ steps.child.output.status }}")]),
        &json!([
            {"from": "trigger", "to": "child"}, {"from": "child", "to": "each"}, {"from": "child", "to": "beside"},
            {"from": "each", "port": "item", "to": "one"}, {"from": "each", "to": "meet"}, {"from": "beside", "to": "meet"},
            {"from": "meet", "to": "last"}]),
    );
    let parent = published(&server, &parent).await;
    let run = started(&server, &parent, &lead["id"]).await;
    let ended = until_status(&server, &run, "completed").await;
    assert_eq!(
        titles(&server).await,
        [
            "3 items, 2 branches, completed",
            "Beside",
            "Item 0 is a",
            "Item 1 is b",
            "Item 2 is c",
            "Look after Ann for love"
        ],
        "{ended}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_before_its_wait_is_found_also_after_a_crash() {
    let mut server = Server::start(Options::serve()).await;
    let lead = server
        .post("/api/leads", &json!({"name": "Ann Lee", "phone": "+14155550102"}))
        .await;
    let definition = workflow(
        "Wait",
        &json!([
            {"id": "first", "type": "wait_for", "params": {"event": "shop.go"}},
            {"id": "second", "type": "wait_for", "params": {"event": "shop.paid", "filter": "event.data.amount > 10"}},
            task("done", "{{ steps.second.output.data.amount }} paid")]),
        &json!([{"from": "trigger", "to": "first"}, {"from": "first", "port": "event", "to": "second"},
            {"from": "second", "port": "event", "to": "done"}]),
    );
    let definition = published(&server, &definition).await;
    let run = started(&server, &definition, &lead["id"]).await;
    until_status(&server, &run, "waiting").await;
    let event = async |server: &Server, kind: &str, data: Value| {
        let event = json!({"type": kind, "subject": {"lead_id": lead["id"]}, "data": data});
        let answer = server.request(Method::POST, "/api/events", Some(&event)).await;
        assert!(answer.status.is_success(), "{}", answer.body);
    };
    event(&server, "shop.paid", json!({"amount": 5})).await;
    event(&server, "shop.paid", json!({"amount": 50})).await;
    server.kill9().await;
    server.start_again().await;
    assert_eq!(
        server
            .request(Method::GET, &format!("/api/runs/{run}"), None)
            .await
            .status,
        StatusCode::OK
    );
    event(&server, "shop.go", json!({})).await;
    until_status(&server, &run, "completed").await;
    assert_eq!(titles(&server).await, ["50 paid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_run_ends_the_runs_that_it_waits_for_and_no_other() {
    let mut server = Server::start(Options::serve()).await;
    let nobody = Value::Null;
    let pause = json!({"id": "pause", "type": "delay", "params": {"for": "1d"}});
    let edge = json!([{"from": "trigger", "to": "pause"}]);
    let leaf = published(&server, &workflow("Leaf", &json!([pause]), &edge)).await;
    let beside = published(&server, &workflow("Beside", &json!([pause]), &edge)).await;
    let runs = |id: &str, target: &str, wait: bool| json!({"id": id, "type": "run_workflow", "params": {"workflow": target, "wait": wait}});
    let middle = workflow(
        "Middle",
        &json!([runs("below", &leaf, true)]),
        &json!([{"from": "trigger", "to": "below"}]),
    );
    let middle = published(&server, &middle).await;
    let top = workflow(
        "Top",
        &json!([runs("below", &middle, true), runs("beside", &beside, false)]),
        &json!([{"from": "trigger", "to": "below"}, {"from": "trigger", "to": "beside"}]),
    );
    let top = published(&server, &top).await;
    let top_run = started(&server, &top, &nobody).await;
    let only_run = async |server: &Server, workflow: &str, status: &str| {
        eventually(&format!("a run of {workflow} is {status}"), async || {
            let runs = server.items(&format!("/api/runs?workflow_id={workflow}")).await;
            runs.first().filter(|run| run["status"] == status).cloned()
        })
        .await
    };
    for workflow in [&top, &middle, &leaf, &beside] {
        only_run(&server, workflow, "waiting").await;
    }
    server.kill9().await;
    server.start_again().await;
    let path = format!("/api/runs/{top_run}/cancel");
    let answer = server.request(Method::POST, &path, Some(&json!({}))).await;
    assert!(answer.status.is_success(), "{}", answer.body);
    for workflow in [&top, &middle, &leaf] {
        only_run(&server, workflow, "cancelled").await;
    }
    let leaf_run = only_run(&server, &leaf, "cancelled").await;
    assert!(
        leaf_run["error"]
            .as_str()
            .is_some_and(|error| error.contains("has ended")),
        "{leaf_run}"
    );
    only_run(&server, &beside, "waiting").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_runs_one_that_is_not_there_is_not_published() {
    let server = Server::start(Options::serve()).await;
    let runs = |target: &str| {
        workflow(
            "Top",
            &json!([{"id": "below", "type": "run_workflow", "params": {"workflow": target}}]),
            &json!([{"from": "trigger", "to": "below"}]),
        )
    };
    let body = runs("wf_01h455vb4pex5vsknk084sn02q");
    let refused = server.request(Method::POST, "/api/workflows", Some(&body)).await;
    assert_eq!(
        refused.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        refused.body
    );
    assert_eq!(
        refused.body["errors"][0]["field"], "nodes[0].params.workflow",
        "{}",
        refused.body
    );
    assert_eq!(
        refused.body["errors"][0]["code"], "unknown_workflow",
        "{}",
        refused.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn workflows_that_run_one_another_in_a_ring_are_cut_and_shown() {
    let server = Server::start(Options::serve()).await;
    let lead = server
        .post("/api/leads", &json!({"name": "Ann Lee", "phone": "+14155550102"}))
        .await;
    let definition = |name: &str, target: &str| {
        workflow(
            name,
            &json!([task("mark", &format!("{name} was here")),
                {"id": "next", "type": "run_workflow", "params": {"workflow": target, "wait": true}}]),
            &json!([{"from": "trigger", "to": "mark"}, {"from": "mark", "to": "next"}]),
        )
    };
    // A first version of one, so that the other can name it.
    let one = published(
        &server,
        &workflow(
            "One",
            &json!([task("mark", "-")]),
            &json!([{"from": "trigger", "to": "mark"}]),
        ),
    )
    .await;
    let other = published(&server, &definition("Other", &one)).await;
    let path = format!("/api/workflows/{one}");
    let closed = definition("One", &other);
    let answer = server.request(Method::PATCH, &path, Some(&closed)).await;
    assert!(answer.status.is_success(), "{}", answer.body);
    server.post(&format!("{path}/publish"), &json!({})).await;
    let run = started(&server, &one, &lead["id"]).await;
    let failed = until_status(&server, &run, "failed").await;
    assert_eq!(
        titles(&server).await,
        ["One was here", "Other was here"],
        "{failed}"
    );
    let below = server.items(&format!("/api/runs?workflow_id={other}")).await;
    let below = until_status(&server, below[0]["id"].as_str().expect("an id"), "failed").await;
    assert_eq!(below["steps"][1]["error"]["code"], "loop_cut", "{below}");
    let alerts = server.items("/api/alerts?limit=50").await;
    let cut: Vec<_> = alerts
        .iter()
        .filter(|alert| alert["kind"] == "loop_cut")
        .collect();
    assert_eq!(cut.len(), 1, "{alerts:?}");
    assert_eq!(
        cut[0]["evidence"]["caused_by"].as_array().map(Vec::len),
        Some(2),
        "{cut:?}"
    );
    let timeline = format!("/api/leads/{}/timeline", lead["id"].as_str().expect("an id"));
    let timeline = server.items(&timeline).await;
    assert!(
        timeline.iter().any(|entry| entry["type"] == "loop.cut"),
        "{timeline:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_which_every_attempt_failed_says_so() {
    // Nobody listens on the discard port: each attempt is a temporary failure.
    let options = Options::serve()
        .with("PATCHCORD_EFFECTS__MODE", "live")
        .with("PATCHCORD_EMAIL__SMTP_URL", "smtp://127.0.0.1:9?tls=never")
        .with("PATCHCORD_EMAIL__FROM", "Acme <hello@acme.example>");
    let server = Server::start(options).await;
    let definition = workflow(
        "Write",
        &json!([{"id": "write", "type": "send_email",
            "params": {"to": "ann@example.com", "subject": "Hello", "body": "Hello Ann"}, "audience": "staff",
            "retry": {"max_attempts": 2, "initial_interval": "1s"}}]),
        &json!([{"from": "trigger", "to": "write"}]),
    );
    let run = started(&server, &published(&server, &definition).await, &Value::Null).await;
    until_status(&server, &run, "failed").await;
    let message = eventually("the message is closed", async || {
        let message = server.items("/api/messages").await.pop()?;
        (message["status"] == "failed").then_some(message)
    })
    .await;
    assert!(
        message["error"].as_str().is_some_and(|error| !error.is_empty()),
        "{message}"
    );
}
