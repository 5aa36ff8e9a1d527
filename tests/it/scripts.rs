//! Scripts as a client sees them: what they return, how they fail, and that one which never ends disturbs nobody.

use serde_json::{Value, json};

use crate::support::{
    eventually::eventually,
    server::{Options, Server},
};

async fn workflow(server: &Server, name: &str, params: Value) -> String {
    let body = json!({
        "name": name, "trigger": {"type": "manual"},
        "nodes": [
            {"id": "compute", "type": "script", "params": params},
            {"id": "task", "type": "create_task", "params": {"title": "{{ steps.compute.output.title }}"}},
        ],
        "edges": [{"from": "trigger", "to": "compute"}, {"from": "compute", "to": "task"}],
    });
    let created = server.post("/api/workflows", &body).await;
    created["id"].as_str().expect("an id").to_owned()
}

async fn execute(server: &Server, workflow: &str, data: Value) -> String {
    let path = format!("/api/workflows/{workflow}/execute");
    let started = server.post(&path, &json!({ "data": data })).await;
    started["run_id"].as_str().expect("an id").to_owned()
}

async fn ended(server: &Server, run: &str) -> Value {
    eventually("the run ends", || async {
        let run = server.get(&format!("/api/runs/{run}")).await;
        let is_over = matches!(run["status"].as_str(), Some("completed" | "failed"));
        is_over.then_some(run)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_computes_and_its_failure_names_the_line() {
    let server = Server::start(Options::serve()).await;
    let code = "const names = trigger.data.names.map(name => name.toUpperCase());\nreturn { title: names.join(' and ') };";
    let fine = workflow(&server, "Fine", json!({ "code": code })).await;
    let run = ended(
        &server,
        &execute(&server, &fine, json!({"names": ["ada", "bob"]})).await,
    )
    .await;
    assert_eq!(run["status"], "completed", "{run}");
    assert!(run.to_string().contains("ADA and BOB"), "{run}");
    let run = ended(&server, &execute(&server, &fine, json!({})).await).await;
    assert_eq!(run["status"], "failed", "{run}");
    assert!(
        run["error"]
            .as_str()
            .is_some_and(|error| error.contains("line 1")),
        "{run}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_never_end_are_stopped_and_fifty_others_go_on_meanwhile() {
    let server = Server::start(Options::serve()).await;
    let endless = workflow(
        &server,
        "Endless",
        json!({"code": "for (;;) {}", "timeout": "10s"}),
    )
    .await;
    // A loop inside of the engine.
    let inner = "return Array.prototype.indexOf.call({ length: 9007199254740991 }, 1);";
    let inner = workflow(&server, "Inner", json!({"code": inner})).await;
    let quick = workflow(
        &server,
        "Quick",
        json!({"code": "return { title: 'n' + trigger.data.number };"}),
    )
    .await;
    let mut loops = Vec::new();
    for _ in 0..4 {
        loops.push(execute(&server, &endless, json!({})).await);
    }
    let inner = execute(&server, &inner, json!({})).await;
    let mut runs = Vec::new();
    for number in 0..50 {
        runs.push(execute(&server, &quick, json!({ "number": number })).await);
    }
    for run in &runs {
        let run = ended(&server, run).await;
        assert_eq!(run["status"], "completed", "{run}");
    }
    // Two of the four are still at it, or wait for their turn: they took nothing from the fifty.
    let last = server.get(&format!("/api/runs/{}", loops[3])).await;
    assert_eq!(last["status"], "running", "{last}");
    let inner = ended(&server, &inner).await;
    assert!(
        inner["error"]
            .as_str()
            .is_some_and(|error| error.contains("longer than 1000 ms")),
        "{inner}"
    );
    let first = ended(&server, &loops[0]).await;
    assert!(
        first["error"]
            .as_str()
            .is_some_and(|error| error.contains("longer than 10000 ms")),
        "{first}"
    );
}
