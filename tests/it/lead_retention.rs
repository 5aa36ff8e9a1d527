//! What an account does not keep any longer is taken away, and what it keeps stays.

use reqwest::{Method, StatusCode};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{
    eventually::eventually,
    server::{Options, Server, database},
    twilio,
};

const DAY_MS: i64 = 24 * 3_600_000;

async fn change(server: &Server, retention: Value) -> (StatusCode, Value) {
    let body = json!({ "retention": retention });
    let answer = server.request(Method::PATCH, "/api/account", Some(&body)).await;
    (answer.status, answer.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_things_are_kept_is_set_and_checked() {
    let server = Server::start(Options::dev()).await;
    let kept = server.get("/api/account").await;
    let nothing = json!({"transcripts_days": null, "messages_days": null, "runs_days": null});
    assert_eq!(kept["retention"], nothing, "everything is kept unless told");
    let (status, body) = change(&server, json!({"messages_days": 30, "runs_days": 60})).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let (_, body) = change(&server, json!({"messages_days": null, "transcripts_days": 3_650})).await;
    let expected = json!({"transcripts_days": 3_650, "messages_days": null, "runs_days": 60});
    assert_eq!(body["retention"], expected);
    for wrong in [
        json!({"runs_days": 0}),
        json!({"runs_days": 3_651}),
        json!({"runs_days": -1}),
        json!({"runs_days": 1.5}),
        json!({"runs_days": "90"}),
        json!({"days": 90}),
        json!(90),
    ] {
        let (status, body) = change(&server, wrong.clone()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}: {body}");
        assert!(body["errors"][0]["field"].is_string(), "{wrong}: {body}");
    }
    assert_eq!(server.get("/api/account").await["retention"], expected);
}

/// A message, a call and an ended run; returns the run.
async fn live(server: &Server, number: u32) -> String {
    let sid = format!("SM{number}");
    let message = [
        ("MessageSid", sid.as_str()),
        ("From", "+14155550188"),
        ("To", "+15550001111"),
        ("Body", "words of old"),
    ];
    let taken = server.webhook("/twilio/sms", &message).await;
    assert!(taken.status().is_success(), "{}", taken.status());
    server
        .report_no_answer(&twilio::call_sid(number), "+14155550188")
        .await;
    let workflow = json!({"name": "Note", "enabled": true, "trigger": {"type": "manual"},
        "nodes": [{"id": "task", "type": "create_task", "params": {"title": "Call back"}}],
        "edges": [{"from": "trigger", "to": "task"}]});
    let workflow = server.post("/api/workflows", &workflow).await;
    let path = format!("/api/workflows/{}", workflow["id"].as_str().expect("an id"));
    server.post(&format!("{path}/publish"), &json!({})).await;
    let run = server.post(&format!("{path}/execute"), &json!({})).await;
    let run = run["run_id"].as_str().expect("an id").to_owned();
    eventually("the run is done and the call is over", async || {
        let is_done = server.get(&format!("/api/runs/{run}")).await["status"] == "completed";
        let calls = server.items("/api/calls").await;
        let is_over = calls.iter().all(|call| call["status"] == "no_answer") && !calls.is_empty();
        (is_done && is_over).then_some(())
    })
    .await;
    run
}

/// Makes everything forty days older, and lets words be said on every call.
fn grow_old(server: &Server) {
    let db = Connection::open(database(server.data_dir())).expect("the file");
    let by = 40 * DAY_MS;
    for sql in [
        "UPDATE messages SET at = at - ?1",
        "UPDATE calls SET started_at = started_at - ?1",
        "UPDATE runs SET started_at = started_at - ?1, updated_at = updated_at - ?1, ended_at = ended_at - ?1",
    ] {
        assert!(
            db.execute(sql, [by]).expect("the file can be written") > 0,
            "{sql}"
        );
    }
    let said = json!({"ordinal": 0, "speaker": "customer", "text": "words of old", "start_ms": 0, "end_ms": 900, "sentiment": null});
    db.execute(
        "INSERT INTO utterances (call, ordinal, body) SELECT id, 0, ?1 FROM calls",
        [said.to_string()],
    )
    .expect("the file can be written");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_is_kept_is_taken_away_and_written_down() {
    let mut server = Server::start(Options::serve()).await;
    let old = live(&server, 1).await;
    server.kill9().await;
    grow_old(&server);
    server.start_again().await;
    let fresh = live(&server, 2).await;
    let retention = json!({"transcripts_days": 30, "messages_days": 30, "runs_days": 30});
    assert_eq!(change(&server, retention).await.0, StatusCode::OK);
    let entry = eventually("the sweep is written down", async || {
        let entries = server.items("/api/audit?action=retentionSwept").await;
        entries.into_iter().next()
    })
    .await;
    assert_eq!(
        entry["after"]["taken"],
        json!({"transcripts": 1, "messages": 1, "runs": 1}),
        "{entry}"
    );
    assert_eq!(entry["actor"], json!({"kind": "system"}));

    let bodies: Vec<Value> = server.items("/api/messages").await;
    let texts: Vec<&Value> = bodies.iter().map(|message| &message["body"]).collect();
    assert_eq!(
        texts,
        [&json!("words of old"), &json!("")],
        "the newest stays: {bodies:?}"
    );
    assert_eq!(bodies[1]["from"], "+14155550188", "whose it was is kept");
    let run = server.get(&format!("/api/runs/{old}")).await;
    assert_eq!((&run["status"], &run["steps"]), (&json!("completed"), &json!([])));
    let run = server.get(&format!("/api/runs/{fresh}")).await;
    assert_eq!(run["steps"].as_array().map(Vec::len), Some(1), "{run}");
    for call in server.items("/api/calls").await {
        let id = call["id"].as_str().expect("an id");
        let said = server.get(&format!("/api/calls/{id}/transcript")).await;
        assert!(!said.to_string().contains("words of old"), "{said}");
    }
}
