//! Appointments, quotes and payments over the wire: what workflows hear of them, once, whatever breaks off.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

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

async fn lead(server: &Server) -> String {
    let lead = server
        .post("/api/leads", &json!({"name": "Ann", "phone": "+14155550111"}))
        .await;
    text(&lead["id"]).to_owned()
}

/// A published workflow that makes a task of each event of a kind.
async fn on(server: &Server, event: &str) -> String {
    let workflow = json!({"name": event, "enabled": true, "trigger": {"type": event},
        "nodes": [{"id": "task", "type": "create_task", "params": {"title": format!("{event} {{{{ trigger.data.id }}}}")}}],
        "edges": [{"from": "trigger", "to": "task"}]});
    let made = server.post("/api/workflows", &workflow).await;
    text(&made["id"]).to_owned()
}

async fn runs(server: &Server, workflow: &str, count: usize) {
    eventually("the runs", async || {
        let runs = server.items(&format!("/api/runs?workflow_id={workflow}")).await;
        (runs.len() == count).then_some(())
    })
    .await;
}

/// The kinds of a lead's timeline, oldest first, without those about the lead itself.
async fn timeline(server: &Server, lead: &str) -> Vec<String> {
    let mut kinds: Vec<String> = server
        .items(&format!("/api/leads/{lead}/timeline"))
        .await
        .iter()
        .map(|entry| text(&entry["type"]).to_owned())
        .filter(|kind| !kind.starts_with("lead."))
        .collect();
    kinds.reverse();
    kinds
}

#[tokio::test(flavor = "multi_thread")]
async fn workflows_hear_of_appointments_quotes_and_payments() {
    let server = Server::start(Options::serve()).await;
    let lead = lead(&server).await;
    let (booked, missed) = (
        on(&server, "appointment.booked").await,
        on(&server, "appointment.no_show").await,
    );
    let paid = on(&server, "payment.received").await;

    let meeting = json!({"title": "First", "starts_at": "2027-03-01T10:00:00Z", "lead_id": lead});
    let meeting = server.post("/api/appointments", &meeting).await;
    assert_eq!(
        (&meeting["status"], &meeting["revision"]),
        (&json!("booked"), &json!(1))
    );
    let at = format!("/api/appointments/{}", text(&meeting["id"]));
    let moved = json!({"location": "Main office", "ends_at": "2027-03-01T11:00:00Z"});
    let change = |body: Value| {
        let (server, at) = (&server, &at);
        async move { server.request(Method::PATCH, at, Some(&body)).await }
    };
    assert_eq!(change(moved).await.body["revision"], 2);
    assert_eq!(change(json!({"status": "no_show"})).await.body["revision"], 3);
    assert_eq!(
        change(json!({"status": "no_show"})).await.body["revision"],
        3,
        "nothing changed"
    );
    let backwards = change(json!({"ends_at": "2027-02-01T11:00:00Z"})).await;
    assert_eq!(
        backwards.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        backwards.body
    );

    let quote = json!({"title": "Roof", "amount": 125_000, "currency": "usd", "lead_id": lead});
    let quote = server.post("/api/quotes", &quote).await;
    let quote = text(&quote["id"]);
    let sent = server
        .request(
            Method::PATCH,
            &format!("/api/quotes/{quote}"),
            Some(&json!({"status": "sent"})),
        )
        .await;
    assert_eq!(sent.status, StatusCode::OK, "{}", sent.body);
    let money = json!({"amount": 125_000, "currency": "usd", "lead_id": lead, "quote_id": quote, "status": "received"});
    let payment = server.post("/api/payments", &money).await;
    assert_eq!(payment["quote_id"], quote);

    for workflow in [&booked, &missed, &paid] {
        runs(&server, workflow, 1).await;
    }
    assert_eq!(
        timeline(&server, &lead).await,
        [
            "appointment.booked",
            "appointment.no_show",
            "quote.sent",
            "payment.received"
        ]
    );
    let missed = server
        .items(&format!("/api/appointments?status=no_show&lead_id={lead}"))
        .await;
    assert_eq!(missed.len(), 1);
    assert!(server.items("/api/appointments?status=booked").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_revision_is_refused_and_a_repeated_post_is_one_payment() {
    let server = Server::start(Options::serve()).await;
    let lead = lead(&server).await;
    let paid = on(&server, "payment.received").await;
    let body = json!({"amount": 500, "currency": "usd", "lead_id": lead, "status": "received"});
    let post = async || {
        http()
            .post(server.at("/api/payments"))
            .bearer_auth(&server.ready().access_token)
            .header("Idempotency-Key", "order-17")
            .json(&body)
            .send()
            .await
            .expect("the server answers")
    };
    let (first, second) = (post().await, post().await);
    assert_eq!(first.headers()["etag"], "\"1\"");
    let (first, second): (Value, Value) = (
        first.json().await.expect("JSON"),
        second.json().await.expect("JSON"),
    );
    assert_eq!(first["id"], second["id"]);
    runs(&server, &paid, 1).await;
    assert_eq!(timeline(&server, &lead).await, ["payment.received"]);

    let at = format!("/api/payments/{}", text(&first["id"]));
    let change = async |tag: &str, status: &str| {
        http()
            .patch(server.at(&at))
            .bearer_auth(&server.ready().access_token)
            .header("If-Match", tag)
            .json(&json!({"status": status}))
            .send()
            .await
            .expect("the server answers")
            .status()
    };
    assert_eq!(change("\"1\"", "failed").await, StatusCode::OK);
    assert_eq!(change("\"1\"", "refunded").await, StatusCode::CONFLICT);
    assert_eq!(change("\"2\"", "refunded").await, StatusCode::OK);
    assert_eq!(
        timeline(&server, &lead).await,
        ["payment.received", "payment.failed"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_before_a_crash_is_heard_of_once_after_it() {
    let mut server = Server::start(Options::serve()).await;
    let lead = lead(&server).await;
    let booked = on(&server, "appointment.booked").await;
    for number in 0..20 {
        let meeting = json!({"title": format!("Meeting {number}"), "starts_at": "2027-03-01T10:00:00Z", "lead_id": lead});
        server.post("/api/appointments", &meeting).await;
    }
    server.restart().await;
    runs(&server, &booked, 20).await;
    assert_eq!(timeline(&server, &lead).await.len(), 20);
}
