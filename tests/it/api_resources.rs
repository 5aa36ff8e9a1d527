//! The resources over the wire: leads, workflows, runs, tasks, events, and how errors and repeats are answered.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{
    api::http,
    eventually::eventually,
    server::{Options, Server},
};

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("expected a text, found {value}"))
}

fn task_workflow(trigger: &str) -> Value {
    json!({
        "name": "Make a task",
        "trigger": {"type": trigger},
        "nodes": [{"id": "task", "type": "create_task", "params": {"title": "Look at it"}}],
        "edges": [{"from": "trigger", "to": "task"}],
    })
}

/// Sends a POST under an `Idempotency-Key` and returns status, body, and whether it was a replay.
async fn post_under(server: &Server, key: &str, path: &str, body: &Value) -> (StatusCode, Value, bool) {
    let response = http()
        .post(server.at(path))
        .bearer_auth(&server.ready().access_token)
        .header("Idempotency-Key", key)
        .json(body)
        .send()
        .await
        .expect("the server answers");
    let status = response.status();
    let replayed = response.headers().contains_key("idempotent-replayed");
    (status, response.json().await.expect("answers are JSON"), replayed)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_is_a_problem() {
    let server = Server::start(Options::serve()).await;
    let token = &server.ready().access_token;
    let to = |method: Method, path: &str| http().request(method, server.at(path)).bearer_auth(token);
    let big = "x".repeat(2 << 20);
    let cases = [
        (to(Method::GET, "/nowhere"), 404),
        (to(Method::GET, "/api/nowhere"), 404),
        (to(Method::DELETE, "/api/me"), 405),
        (to(Method::GET, "/api/leads/not-an-id"), 404),
        (to(Method::GET, "/api/leads/run_01h455vb4pex5vsknk084sn02q"), 404),
        (to(Method::GET, "/api/leads?limit=0"), 422),
        (to(Method::GET, "/api/leads?limit=many"), 422),
        (to(Method::GET, "/api/leads?cursor=forged"), 422),
        (to(Method::GET, "/api/leads?unknown=1"), 422),
        (to(Method::POST, "/api/leads").body("{}"), 415),
        (
            to(Method::POST, "/api/leads")
                .header("content-type", "application/json")
                .body("{"),
            400,
        ),
        (to(Method::POST, "/api/leads").json(&json!({"nmae": "typo"})), 422),
        (to(Method::POST, "/api/leads").json(&json!({"name": big})), 413),
        (http().get(server.at("/api/me")), 401),
        (
            http()
                .get(server.at("/api/me"))
                .bearer_auth("eyJhbGciOiJub25lIn0.e30."),
            401,
        ),
        (http().get(server.at("/ws/supervisor")), 400),
    ];
    for (request, status) in cases {
        let response = request.send().await.expect("the server answers");
        let url = response.url().clone();
        assert_eq!(response.status().as_u16(), status, "{url}");
        let kind = response.headers()["content-type"]
            .to_str()
            .expect("a header")
            .to_owned();
        assert_eq!(kind, "application/problem+json", "{url}");
        let problem: Value = response.json().await.expect("a problem is JSON");
        assert_eq!(problem["status"], status, "{url}");
        for member in ["type", "title", "detail", "code"] {
            assert!(!text(&problem[member]).is_empty(), "{url}: {problem}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_is_kept_changed_found_and_its_story_told() {
    let server = Server::start(Options::serve()).await;
    let wanted = json!({"name": "Ann Lee", "phone": "+1 (415) 555-0102", "email": "Ann@Example.com", "fields": {"tier": "gold"}});
    let lead = server.post("/api/leads", &wanted).await;
    assert_eq!(
        (&lead["phone"], &lead["email"]),
        (&json!("+14155550102"), &json!("ann@example.com"))
    );
    let path = format!("/api/leads/{}", text(&lead["id"]));
    let taken = server.request(Method::POST, "/api/leads", Some(&wanted)).await;
    assert_eq!(taken.status, StatusCode::CONFLICT, "{}", taken.body);
    let change =
        json!({"score": 90, "email": null, "opted_out": true, "fields": {"tier": null, "plan": "b"}});
    let changed = server.request(Method::PATCH, &path, Some(&change)).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    assert_eq!(changed.body["fields"], json!({"plan": "b"}));
    assert_eq!(
        (&changed.body["email"], &changed.body["score"]),
        (&Value::Null, &json!(90))
    );
    assert_eq!(server.items("/api/leads?phone=%2B14155550102").await.len(), 1);
    let story: Vec<Value> = server.items(&format!("{path}/timeline")).await;
    let mut kinds: Vec<_> = story
        .iter()
        .map(|entry| text(&entry["type"]).to_owned())
        .collect();
    kinds.sort();
    assert_eq!(kinds, ["lead.created", "lead.opted_out", "lead.updated"]);
    let gone = server.request(Method::DELETE, &path, None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(
        server.request(Method::GET, &path, None).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_everything_once() {
    let server = Server::start(Options::serve()).await;
    for number in 0..7 {
        server
            .post("/api/tasks", &json!({"title": format!("task {number}")}))
            .await;
    }
    let mut seen = Vec::new();
    let mut path = "/api/tasks?limit=3".to_owned();
    loop {
        let page = server.get(&path).await;
        let items = page["items"].as_array().expect("items");
        assert!(items.len() <= 3);
        seen.extend(items.iter().map(|item| text(&item["title"]).to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/tasks?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    let expected: Vec<_> = (0..7).rev().map(|number| format!("task {number}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one story from begin to end")]
async fn a_workflow_goes_from_draft_to_run_to_history() {
    let server = Server::start(Options::serve()).await;
    let mut definition = task_workflow("manual");
    definition["enabled"] = json!(false);
    let draft = server.post("/api/workflows/create", &definition).await;
    let path = format!("/api/workflows/{}", text(&draft["id"]));
    assert_eq!(draft["published_version"], Value::Null);
    let early = server
        .request(Method::POST, &format!("{path}/execute"), None)
        .await;
    assert_eq!(
        (early.status, &early.body["code"]),
        (StatusCode::CONFLICT, &json!("not_published"))
    );

    let broken = json!({"nodes": [{"id": "task", "type": "create_tsak", "params": {}}]});
    let broken = server.request(Method::PATCH, &path, Some(&broken)).await;
    assert_eq!(
        broken.status,
        StatusCode::OK,
        "a draft may be broken: {}",
        broken.body
    );
    let check = server.post(&format!("{path}/validate"), &Value::Null).await;
    assert_eq!(check["valid"], false);
    assert!(
        check.to_string().contains("create_task"),
        "the nearest kind is named: {check}"
    );
    let refused = server
        .request(Method::POST, &format!("{path}/publish"), None)
        .await;
    assert_eq!(
        refused.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        refused.body
    );

    let repaired =
        json!({"nodes": definition["nodes"], "enabled": true, "revision": broken.body["revision"]});
    let stale = json!({"name": "late", "revision": 1});
    assert_eq!(
        server.request(Method::PATCH, &path, Some(&stale)).await.status,
        StatusCode::CONFLICT
    );
    let published = {
        let fixed = json!({"nodes": repaired["nodes"]});
        assert_eq!(
            server.request(Method::PATCH, &path, Some(&fixed)).await.status,
            StatusCode::OK
        );
        let published = server
            .request(Method::POST, &format!("{path}/publish"), None)
            .await;
        assert_eq!(published.status, StatusCode::OK, "{}", published.body);
        let on = server
            .request(Method::PATCH, &path, Some(&json!({"enabled": true})))
            .await;
        assert_eq!(on.status, StatusCode::OK, "{}", on.body);
        on.body
    };
    assert_eq!(
        (&published["published_version"], &published["enabled"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(server.items(&format!("{path}/versions")).await.len(), 1);

    let started = server
        .request(
            Method::POST,
            &format!("{path}/execute"),
            Some(&json!({"data": {"a": 1}})),
        )
        .await;
    assert_eq!(started.status, StatusCode::ACCEPTED, "{}", started.body);
    let run = format!("/api/runs/{}", text(&started.body["run_id"]));
    let done = eventually("the run completes", async || {
        let run = server.get(&run).await;
        (run["status"] == "completed").then_some(run)
    })
    .await;
    let step = &done["steps"][0];
    assert_eq!(
        (&step["node"], &step["kind"], &step["status"]),
        (&json!("task"), &json!("create_task"), &json!("done"))
    );
    assert_eq!(step["input"]["title"], "Look at it", "{step}");
    assert_eq!(
        step["effect"]["attempts"].as_array().map(Vec::len),
        Some(1),
        "{step}"
    );
    let ended = server.request(Method::POST, &format!("{run}/cancel"), None).await;
    assert_eq!(
        (ended.status, &ended.body["code"]),
        (StatusCode::CONFLICT, &json!("ended"))
    );
    let history = server.get(&format!("{path}/history")).await;
    assert_eq!(
        (&history["counts"]["completed"], &history["items"][0]["id"]),
        (&json!(1), &done["id"])
    );
    assert_eq!(server.items("/api/runs?status=completed").await.len(), 1);
    assert_eq!(server.items("/api/runs?status=failed").await.len(), 0);
    let task = &server.items("/api/tasks").await[0];
    let finish = format!("/api/tasks/{}", text(&task["id"]));
    let finished = server
        .request(Method::PATCH, &finish, Some(&json!({"status": "done"})))
        .await;
    assert!(finished.body["done_at"].is_string(), "{}", finished.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_starts_its_workflow_once_however_often_it_is_sent() {
    let server = Server::start(Options::serve()).await;
    let workflow = server.post("/api/workflows", &task_workflow("quote.sent")).await;
    let event = json!({"type": "quote.sent", "id": "q-17", "subject": {"phone": "+14155550103"}, "data": {"amount": 5}});
    let first = server.request(Method::POST, "/api/events", Some(&event)).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.body);
    for _ in 0..3 {
        let again = server.post("/api/events", &event).await;
        assert_eq!(
            (&again["event_id"], &again["duplicate"]),
            (&first.body["event_id"], &json!(true))
        );
    }
    let history = format!("/api/workflows/{}/history", text(&workflow["id"]));
    eventually("the run completes", async || {
        (server.get(&history).await["counts"]["completed"] == 1).then_some(())
    })
    .await;
    assert_eq!(server.items(&history).await.len(), 1);
    let lead = &server.items("/api/leads?phone=%2B14155550103").await[0];
    let story = server
        .items(&format!("/api/leads/{}/timeline", text(&lead["id"])))
        .await;
    assert!(
        story.iter().any(|entry| entry["type"] == "quote.sent"),
        "{story:?}"
    );
    let reserved = server
        .request(Method::POST, "/api/events", Some(&json!({"type": "manual"})))
        .await;
    assert_eq!(reserved.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_under_a_key_is_carried_out_once() {
    let mut server = Server::start(Options::serve()).await;
    let task = json!({"title": "Once"});
    let (status, first, replayed) = post_under(&server, "k1", "/api/tasks", &task).await;
    assert_eq!((status, replayed), (StatusCode::CREATED, false), "{first}");
    server.restart().await;
    let (status, again, replayed) = post_under(&server, "k1", "/api/tasks", &task).await;
    assert_eq!((status, replayed), (StatusCode::CREATED, true), "{again}");
    assert_eq!(again["id"], first["id"]);
    assert_eq!(server.items("/api/tasks").await.len(), 1);
    let (status, other, _) = post_under(&server, "k1", "/api/tasks", &json!({"title": "Twice"})).await;
    assert_eq!(
        (status, &other["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("idempotency_key_reused"))
    );

    let key = json!({"name": "crm"});
    let (status, made, _) = post_under(&server, "k2", "/api/keys", &key).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let (status, repeat, _) = post_under(&server, "k2", "/api/keys", &key).await;
    assert_eq!(
        (status, &repeat["code"]),
        (StatusCode::CONFLICT, &json!("answer_not_kept"))
    );
    assert_eq!(server.items("/api/keys").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_client_hangs_up_is_made_logged_and_kept_for_a_repeat() {
    let server = Server::start(Options::serve()).await;
    let person = json!({"email": "agent@example.com", "password": "agent password", "role": "agent"});
    let body = person.to_string();
    let address = server.url().strip_prefix("http://").expect("an address");
    let request = format!(
        "POST /api/users HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\nidempotency-key: hung-up\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        server.ready().access_token,
        body.len(),
    );
    let mut client = tokio::net::TcpStream::connect(address).await.expect("it listens");
    client.write_all(request.as_bytes()).await.expect("sent");
    // It asks for the body once it is at work: of a request that was never begun nothing has to come.
    let mut go_on = [0; 12];
    client.read_exact(&mut go_on).await.expect("an answer");
    assert_eq!(&go_on, b"HTTP/1.1 100");
    client.write_all(body.as_bytes()).await.expect("sent");
    drop(client);
    let logged = eventually("the change is in the log", async || {
        let entries = server.items("/api/audit").await;
        entries.into_iter().find(|entry| entry["action"] == "createUser")
    })
    .await;
    // Its answer is kept right after; a repeat before that is told so.
    let again = eventually("the answer is kept", async || {
        let (status, again, replayed) = post_under(&server, "hung-up", "/api/users", &person).await;
        assert!(replayed || again["code"] == "in_flight", "{status} {again}");
        replayed.then_some(again)
    })
    .await;
    assert_eq!(again["id"], logged["subject"]);
    assert_eq!(server.items("/api/users").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_how_it_stands_and_describes_itself_offline() {
    let server = Server::start(Options::serve()).await;
    for path in ["/livez", "/readyz", "/healthz", "/openapi.json"] {
        let response = http()
            .get(server.at(path))
            .send()
            .await
            .expect("the server answers");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let _: Value = response.json().await.expect("JSON");
    }
    let metrics = http()
        .get(server.at("/metrics"))
        .send()
        .await
        .expect("the server answers");
    let metrics = metrics.text().await.expect("text");
    assert!(metrics.contains("patchcord_http_requests_total"), "{metrics}");
    assert!(!metrics.contains("01h455vb4pex5vsknk084sn02q"));
    for path in ["/", "/setup", "/docs/"] {
        let response = http()
            .get(server.at(path))
            .send()
            .await
            .expect("the server answers");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let page = response.text().await.expect("text");
        assert!(page.contains("<html"), "{path}");
        assert!(!page.contains("https://"), "{path} loads from elsewhere: {page}");
    }
    assert!(
        server.get("/openapi.json").await["openapi"]
            .as_str()
            .is_some_and(|it| it.starts_with("3.1"))
    );
}
