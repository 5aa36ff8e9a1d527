//! Versions over the wire: publish, take back, copy, and what becomes of runs that wait on an old version.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    api::{Answer, ask, http},
    eventually::eventually,
    server::{Options, Server},
};

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("expected a text, found {value}"))
}

/// A wait of `wait`, and a task behind it.
fn waiting_workflow(wait: &str, title: &str) -> Value {
    json!({
        "name": "Wait, then a task",
        "trigger": {"type": "manual"},
        "nodes": [
            {"id": "pause", "type": "delay", "params": {"for": wait}},
            {"id": "task", "type": "create_task", "params": {"title": title}}],
        "edges": [{"from": "trigger", "to": "pause"}, {"from": "pause", "to": "task"}],
    })
}

async fn if_match(
    server: &Server,
    method: Method,
    path: &str,
    revision: &str,
    body: Option<Value>,
) -> Answer {
    let mut request = http()
        .request(method, server.at(path))
        .bearer_auth(&server.ready().access_token)
        .header("If-Match", revision);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.expect("the server answers");
    Answer {
        status: response.status(),
        body: response.json().await.expect("JSON"),
    }
}

/// Starts a run and waits until it is parked; returns its address.
async fn parked_run(server: &Server, workflow: &str) -> String {
    let started = server.post(&format!("{workflow}/execute"), &json!({})).await;
    let run = format!("/api/runs/{}", text(&started["run_id"]));
    eventually("the run waits", async || {
        (server.get(&run).await["status"] == "waiting").then_some(())
    })
    .await;
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_never_changes_and_can_be_taken_back_as_the_draft() {
    let server = Server::start(Options::serve()).await;
    let first = server
        .post("/api/workflows", &waiting_workflow("3d", "First"))
        .await;
    let path = format!("/api/workflows/{}", text(&first["id"]));
    let changed = json!({"nodes": waiting_workflow("1d", "Second")["nodes"]});
    let stale = if_match(&server, Method::PATCH, &path, "\"7\"", Some(changed.clone())).await;
    assert_eq!(
        (stale.status, &stale.body["code"]),
        (StatusCode::CONFLICT, &json!("moved"))
    );
    let edited = if_match(&server, Method::PATCH, &path, "\"1\"", Some(changed)).await;
    assert_eq!(edited.status, StatusCode::OK, "{}", edited.body);
    let stale = if_match(&server, Method::POST, &format!("{path}/publish"), "1", None).await;
    assert_eq!(stale.status, StatusCode::CONFLICT, "{}", stale.body);
    let published = if_match(&server, Method::POST, &format!("{path}/publish"), "2", None).await;
    assert_eq!(published.body["published_version"], 2, "{}", published.body);
    let unreadable = if_match(&server, Method::POST, &format!("{path}/publish"), "two", None).await;
    assert_eq!(unreadable.status, StatusCode::UNPROCESSABLE_ENTITY);

    let one = server.get(&format!("{path}/versions/1")).await;
    assert_eq!(one["definition"]["nodes"][1]["params"]["title"], "First");
    let missing = server
        .request(Method::GET, &format!("{path}/versions/9"), None)
        .await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND, "{}", missing.body);
    let back = server
        .post(&format!("{path}/versions/1/restore"), &Value::Null)
        .await;
    assert_eq!(back["definition"]["nodes"][1]["params"]["title"], "First");
    assert_eq!(back["published_version"], 2, "only the draft is another");
    let again = server.post(&format!("{path}/publish"), &Value::Null).await;
    assert_eq!(again["published_version"], 3);
    let versions = server.items(&format!("{path}/versions")).await;
    let titles: Vec<_> = versions
        .iter()
        .map(|version| text(&version["definition"]["nodes"][1]["params"]["title"]))
        .collect();
    assert_eq!(titles, ["First", "Second", "First"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_a_draft_that_is_switched_off() {
    let server = Server::start(Options::serve()).await;
    let original = server
        .post("/api/workflows", &waiting_workflow("3d", "First"))
        .await;
    let path = format!("/api/workflows/{}", text(&original["id"]));
    let copy = server.post(&format!("{path}/clone"), &Value::Null).await;
    assert_eq!(copy["name"], "Wait, then a task (copy)");
    assert_eq!(
        (&copy["enabled"], &copy["published_version"]),
        (&json!(false), &Value::Null)
    );
    assert_ne!(copy["id"], original["id"]);
    let file = server.get(&format!("{path}/export?version=1")).await;
    let taken_in = server
        .request(Method::POST, "/api/workflows/import", Some(&file))
        .await;
    assert_eq!(taken_in.status, StatusCode::CREATED, "{}", taken_in.body);
    assert_eq!(
        taken_in.body["definition"]["nodes"],
        original["definition"]["nodes"]
    );
    assert_eq!(taken_in.body["enabled"], false);
    for (wrong, field) in [
        (json!({"format": "n8n", "nodes": []}), "format"),
        (json!({"name": "x", "tirgger": {}}), "tirgger"),
    ] {
        let refused = server
            .request(Method::POST, "/api/workflows/import", Some(&wrong))
            .await;
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{}",
            refused.body
        );
        assert!(
            refused.body["errors"].to_string().contains(field),
            "{}",
            refused.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one story from begin to end")]
async fn waiting_runs_are_pinned_until_a_person_moves_or_restarts_them() {
    let mut server = Server::start(Options::serve()).await;
    let workflow = server
        .post("/api/workflows", &waiting_workflow("3d", "Old"))
        .await;
    let path = format!("/api/workflows/{}", text(&workflow["id"]));
    let runs = [parked_run(&server, &path).await, parked_run(&server, &path).await];
    // The second version waits elsewhere: nobody can stay at `pause`.
    let new = json!({
        "nodes": [
            {"id": "short", "type": "delay", "params": {"for": "1s"}},
            {"id": "task", "type": "create_task", "params": {"title": "New"}}],
        "edges": [{"from": "trigger", "to": "short"}, {"from": "short", "to": "task"}],
    });
    let edited = server.request(Method::PATCH, &path, Some(&new)).await;
    assert_eq!(edited.status, StatusCode::OK, "{}", edited.body);
    let draft = server.post(&format!("{path}/preview"), &Value::Null).await;
    assert_eq!(
        draft["groups"][0],
        json!({"from_version": 1, "nodes": ["pause"], "runs": 2, "can_move": false})
    );
    server.post(&format!("{path}/publish"), &Value::Null).await;
    for run in &runs {
        assert_eq!(server.get(run).await["version"], 1, "publishing moves nobody");
    }
    let seen = server
        .post(&format!("{path}/versions/2/preview"), &Value::Null)
        .await;
    let place = &seen["items"][0]["places"][0];
    assert_eq!(
        (&place["node"], &place["kind"]),
        (&json!("pause"), &json!("delay")),
        "{seen}"
    );
    assert_eq!(
        (&place["fate"], &place["lands_at"]),
        (&json!("gone"), &Value::Null),
        "{seen}"
    );

    let order = |choice: &str, landing: Value| json!({"groups": [{"from_version": 1, "nodes": ["pause"], "choice": choice, "landing": landing}], "limit": 1});
    let migrate = format!("{path}/versions/2/migrate");
    let wrong = server
        .request(
            Method::POST,
            &migrate,
            Some(&order("move", json!({"pause": "shrot"}))),
        )
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", wrong.body);
    let left = server.post(&migrate, &order("move", json!({}))).await;
    assert!(
        text(&left["left"][0]["reason"]).contains("`pause` is not in the new version"),
        "{left}"
    );
    let finishing = server.post(&migrate, &order("finish", json!({}))).await;
    assert_eq!(
        finishing["finishing"].as_array().map(Vec::len),
        Some(1),
        "{finishing}"
    );
    let moved = server
        .post(&migrate, &order("move", json!({"pause": "short"})))
        .await;
    let moved_run = format!("/api/runs/{}", text(&moved["moved"][0]));
    let done = eventually("the moved run completes on the new version", async || {
        let run = server.get(&moved_run).await;
        (run["status"] == "completed").then_some(run)
    })
    .await;
    assert_eq!(done["version"], 2);
    let shown = &done["version_moves"][0];
    assert_eq!((&shown["from"], &shown["to"]), (&json!(1), &json!(2)), "{done}");
    assert_eq!(shown["landing"], json!({"pause": "short"}));

    let restarted = server.post(&migrate, &order("restart", json!({}))).await;
    let restarted = &restarted["restarted"][0];
    server.restart().await;
    let new_run = format!("/api/runs/{}", text(&restarted["new_run_id"]));
    eventually("the new run completes", async || {
        (server.get(&new_run).await["status"] == "completed").then_some(())
    })
    .await;
    let old = server
        .get(&format!("/api/runs/{}", text(&restarted["run_id"])))
        .await;
    assert_eq!(old["status"], "cancelled");
    assert!(text(&old["error"]).contains("started over on version 2"), "{old}");
    let tasks = server.items("/api/tasks").await;
    let titles: Vec<_> = tasks.iter().map(|task| text(&task["title"])).collect();
    assert_eq!(titles, ["New", "New"]);
    let rest = server
        .post(&format!("{path}/versions/2/preview"), &Value::Null)
        .await;
    assert_eq!(rest["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_too_late_is_told_who_was_faster() {
    let server = Server::start(Options::serve()).await;
    let person = json!({"email": "bea@example.com", "password": "a long password", "role": "admin"});
    server.post("/api/users", &person).await;
    let signed_in = ask(
        &server,
        Method::POST,
        "/api/auth/login",
        "",
        Some(person_of(&person)),
    )
    .await;
    let bea = text(&signed_in.body["access_token"]).to_owned();
    let made = server
        .post("/api/workflows", &waiting_workflow("3d", "First"))
        .await;
    let path = format!("/api/workflows/{}", text(&made["id"]));
    let shown = http()
        .get(server.at(&path))
        .bearer_auth(&server.ready().access_token)
        .send()
        .await
        .expect("the server answers");
    let tag = shown.headers()["etag"].to_str().expect("a tag").to_owned();
    assert_eq!(tag, "\"1\"");

    let renamed = ask(
        &server,
        Method::PATCH,
        &path,
        &bea,
        Some(json!({"name": "Bea's"})),
    )
    .await;
    assert_eq!(renamed.status, StatusCode::OK, "{}", renamed.body);
    let mine = Some(json!({"name": "Mine"}));
    for (method, door, body) in [
        (Method::PATCH, path.clone(), mine),
        (Method::POST, format!("{path}/publish"), None),
        (Method::POST, format!("{path}/versions/1/restore"), None),
        (Method::DELETE, path.clone(), None),
    ] {
        let late = if_match(&server, method.clone(), &door, &tag, body).await;
        assert_eq!(
            late.status,
            StatusCode::CONFLICT,
            "{method} {door}: {}",
            late.body
        );
        let detail = text(&late.body["detail"]);
        assert!(
            detail.contains("bea@example.com") && detail.contains("updateWorkflow"),
            "{method} {door}: {detail}"
        );
    }
    let deleted = http()
        .delete(server.at(&path))
        .bearer_auth(&server.ready().access_token)
        .header("If-Match", "\"2\"")
        .send()
        .await
        .expect("the server answers");
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
}

fn person_of(person: &Value) -> Value {
    json!({"email": person["email"], "password": person["password"]})
}
