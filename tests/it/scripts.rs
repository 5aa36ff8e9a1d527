//! Scripts as a client sees them: what they return, how they fail, and that one which never ends disturbs nobody.

use std::path::PathBuf;

use reqwest::{Method, StatusCode};
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

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_runs_scripts_and_ends_one_that_does_not() {
    let server = Server::start(Options::serve()).await;
    let code = "if (trigger.data.ever) for (;;) {}\nreturn { title: trigger.data.names.join(' and ') };";
    let params = json!({"code": code, "timeout": "1s"});
    let id = workflow(&server, "Tried out", params).await;
    let path = format!("/api/workflows/{id}/dry-run");
    let run = server
        .post(&path, &json!({"data": {"names": ["Ada", "Bob"]}}))
        .await;
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(run["effects"][1]["text"], "Ada and Bob", "{run}");
    let supposed = json!({"answers": {"compute": {"output": {"title": "Eve"}}}});
    let run = server.post(&path, &json!({"script": supposed})).await;
    assert_eq!(run["effects"][1]["text"], "Eve", "{run}");
    let run = server.post(&path, &json!({"data": {"ever": true}})).await;
    assert_eq!(run["status"], "failed", "{run}");
    assert!(
        run["error"]
            .as_str()
            .is_some_and(|error| error.contains("longer than 1000 ms")),
        "{run}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_cannot_be_read_is_a_problem_with_line_and_column_and_is_not_published() {
    let server = Server::start(Options::serve()).await;
    let draft = |code: &str| {
        json!({"name": "Slip", "enabled": false, "trigger": {"type": "manual"},
            "nodes": [{"id": "compute", "type": "script", "params": {"code": code}}],
            "edges": [{"from": "trigger", "to": "compute"}]})
    };
    let made = server
        .post("/api/workflows", &draft("const a = 1;\nreturn a +* 2;"))
        .await;
    let path = format!("/api/workflows/{}", made["id"].as_str().expect("an id"));
    let validate = format!("{path}/validate");
    let checked = server.post(&validate, &json!(null)).await;
    assert_eq!(checked["valid"], false);
    let problem = &checked["problems"][0];
    assert_eq!(
        (&problem["path"], &problem["code"]),
        (&json!("nodes[0].params.code"), &json!("script_syntax"))
    );
    assert!(
        problem["message"]
            .as_str()
            .expect("words")
            .starts_with("line 2: SyntaxError"),
        "{problem}"
    );
    assert!(
        problem["fix"].as_str().expect("words").contains("line 2, column"),
        "{problem}"
    );
    let refused = server
        .request(Method::POST, &format!("{path}/publish"), Some(&json!({})))
        .await;
    assert_eq!(
        refused.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        refused.body
    );
    assert_eq!(refused.body["errors"][0]["field"], "nodes[0].params.code");
    let mut enabled = draft("return (");
    enabled["enabled"] = json!(true);
    let refused = server
        .request(Method::POST, "/api/workflows", Some(&enabled))
        .await;
    assert_eq!(
        refused.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        refused.body
    );
    // A check runs nothing: one that would never end is fine.
    let checked = server.post(&validate, &draft("for (;;) {}")).await;
    assert_eq!(checked["valid"], true, "{checked}");
}

/// The processes that run the server's scripts.
fn runners(server: &Server) -> Vec<PathBuf> {
    let tasks = PathBuf::from(format!("/proc/{}/task", server.process_id()));
    let children = std::fs::read_dir(tasks)
        .expect("the server lives")
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    let children: String = children.collect();
    let runner = |id: &str| {
        let process = PathBuf::from(format!("/proc/{id}"));
        let line = std::fs::read_to_string(process.join("cmdline")).ok()?;
        line.contains("script-runner").then_some(process)
    };
    children.split_whitespace().filter_map(runner).collect()
}

/// The runner that has computed for half a second: one that is kept warm, or has read a script before it was published, has not.
fn busy_runner(server: &Server) -> Option<PathBuf> {
    /// Half a second: Linux counts in hundredths for everybody (`USER_HZ`).
    const TICKS: u64 = 50;
    runners(server).into_iter().find(|process| {
        let line = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
        // Field 14 of proc(5)'s stat, the twelfth behind the name in brackets.
        let fields = line.rsplit(')').next().unwrap_or_default();
        let used: Option<u64> = fields
            .split_whitespace()
            .nth(11)
            .and_then(|ticks| ticks.parse().ok());
        used.is_some_and(|used| used >= TICKS)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_has_no_descriptor_to_spare_and_its_memory_and_files_are_bounded() {
    let server = Server::start(Options::serve()).await;
    let quick = workflow(&server, "Quick", json!({"code": "return { title: 'x' };"})).await;
    ended(&server, &execute(&server, &quick, json!({})).await).await;
    let runner = runners(&server).pop().expect("one is kept warm");
    let read = |file: &str| std::fs::read_to_string(runner.join(file)).expect("it lives");
    let limits = read("limits");
    for (name, most) in [
        ("Max open files", "3"),
        ("Max file size", "0"),
        ("Max processes", "0"),
        ("Max core file size", "0"),
        ("Max address space", "1073741824"),
        ("Max cpu time", "60"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(name)).expect(name);
        let values: Vec<&str> = line[name.len()..].split_whitespace().take(2).collect();
        assert_eq!(values, [most, most], "neither may it lift them: {line}");
    }
    let descriptors = std::fs::read_dir(runner.join("fd")).expect("it lives").count();
    assert_eq!(descriptors, 3);
    assert_eq!(read("environ"), "TZ=UTC\0");
    let too_much = "const a = []; while (true) { a.push('x'.repeat(100000) + a.length); }";
    let too_much = workflow(&server, "Too much", json!({ "code": too_much })).await;
    let failed = ended(&server, &execute(&server, &too_much, json!({})).await).await;
    assert_eq!(
        failed["steps"][0]["error"]["code"], "script_out_of_memory",
        "{failed}"
    );
    let fine = ended(&server, &execute(&server, &quick, json!({})).await).await;
    assert_eq!(fine["status"], "completed", "{fine}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_is_killed_is_replaced_and_its_neighbours_go_on() {
    let server = Server::start(Options::serve()).await;
    let endless = json!({
        "name": "Endless", "trigger": {"type": "manual"},
        "nodes": [{"id": "compute", "type": "script", "params": {"code": "for (;;) {}", "timeout": "10s"},
            "retry": {"max_attempts": 1}}],
        "edges": [{"from": "trigger", "to": "compute"}],
    });
    let made = server.post("/api/workflows", &endless).await;
    let endless = made["id"].as_str().expect("an id");
    let quick = "return { title: 'n' + trigger.data.number };";
    let quick = workflow(&server, "Quick", json!({ "code": quick })).await;
    let stopped = execute(&server, endless, json!({})).await;
    let victim = eventually("the script is at work", || async { busy_runner(&server) }).await;
    let mut neighbours = Vec::new();
    for number in 0..10 {
        neighbours.push(execute(&server, &quick, json!({ "number": number })).await);
    }
    let id = victim.file_name().and_then(|id| id.to_str()?.parse().ok());
    let id = id.and_then(rustix::process::Pid::from_raw).expect("a process");
    rustix::process::kill_process(id, rustix::process::Signal::KILL).expect("it is this test's server's own");
    // Noticed at once, long before the script's own limit, and its own doing it is not: a default policy would try again.
    let stopped = ended(&server, &stopped).await;
    assert_eq!(stopped["steps"][0]["error"]["code"], "script_runner", "{stopped}");
    for run in &neighbours {
        let run = ended(&server, run).await;
        assert_eq!(run["status"], "completed", "{run}");
    }
    assert!(!runners(&server).contains(&victim), "another has taken its place");
}
