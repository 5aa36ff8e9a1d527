//! What going live needs, each step with its check, against a Twilio that answers as its description says.

use std::{
    process::Command,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::support::{
    api::ask,
    eventually::eventually,
    prism::Prism,
    server::{Options, PROGRAM, Server, database},
    twilio,
};

const OURS: &str = "+14155550100";
const LISTED: &str = "+14155550177";

/// What the account has at Twilio.
#[derive(Clone, Default)]
struct Console(Arc<Mutex<Vec<Value>>>);

impl Console {
    fn set(&self, numbers: Vec<Value>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = numbers;
    }
}

/// Twilio, as far as it is asked for the account and its numbers. Stops with the value.
struct Vendor {
    base: String,
    console: Console,
    task: JoinHandle<()>,
}

impl Vendor {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("it is bound"));
        let console = Console::default();
        let account = format!("/2010-04-01/Accounts/{}", twilio::ACCOUNT_SID);
        let router = Router::new()
            .route(
                &format!("{account}.json"),
                get(|headers: HeaderMap| async move {
                    signed_in(&headers, json!({"status": "active", "type": "Full"}))
                }),
            )
            .route(&format!("{account}/IncomingPhoneNumbers.json"), get(numbers))
            .with_state(console.clone());
        let task = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("it serves until it is dropped");
        });
        Self { base, console, task }
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn signed_in(headers: &HeaderMap, answer: Value) -> Response {
    // Basic, of the account and its token.
    let given = headers.get("authorization").and_then(|given| given.to_str().ok());
    if given.is_some_and(|given| given.starts_with("Basic ")) {
        return Json(answer).into_response();
    }
    let refusal = json!({"code": 20003, "message": "Authenticate", "status": 401});
    (StatusCode::UNAUTHORIZED, Json(refusal)).into_response()
}

#[derive(serde::Deserialize)]
struct Wanted {
    #[serde(rename = "PhoneNumber")]
    phone: String,
}

async fn numbers(
    State(console): State<Console>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let all = console.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let found: Vec<Value> = all
        .into_iter()
        .filter(|number| number["phone_number"] == wanted.phone)
        .collect();
    signed_in(
        &headers,
        json!({"incoming_phone_numbers": found, "page": 0, "page_size": 50}),
    )
}

/// A number whose doors lead to `url`.
fn number(phone: &str, url: &str) -> Value {
    json!({"phone_number": phone, "voice_url": format!("{url}/twilio/voice"), "voice_method": "POST",
        "voice_application_sid": "", "trunk_sid": null, "status_callback": format!("{url}/twilio/status"),
        "status_callback_method": "POST", "sms_url": format!("{url}/twilio/sms"), "sms_method": "POST",
        "sms_application_sid": "", "capabilities": {"voice": true, "sms": true, "mms": false, "fax": false}})
}

/// The check of a step.
async fn step(server: &Server, step: &str) -> Value {
    let report = server.get("/api/setup/checks").await;
    assert_eq!(
        report["ready"],
        json!(false),
        "nothing outside this machine reaches a test: {report}"
    );
    let checks = report["checks"].as_array().expect("a list");
    let found = checks.iter().find(|check| check["step"] == step);
    found.unwrap_or_else(|| panic!("no {step} in {report}")).clone()
}

fn says(check: &Value, status: &str, words: &[&str]) {
    let text = check.to_string();
    assert_eq!(check["status"], status, "{text}");
    assert!(
        words.iter().all(|word| text.contains(word)),
        "{words:?} in {text}"
    );
    assert_eq!(check["fix"].is_string(), status == "failed", "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_at_twilio_is_looked_at() {
    let vendor = Vendor::start().await;
    let server = Server::start(
        Options::serve()
            .with("PATCHCORD_TWILIO__API_BASE", &vendor.base)
            .with("PATCHCORD_TWILIO__FROM_NUMBER", OURS),
    )
    .await;
    let listed = json!({"phone": LISTED, "routing": {"type": "record"}});
    server.post("/api/numbers", &listed).await;
    vendor
        .console
        .set(vec![number(OURS, server.url()), number(LISTED, server.url())]);
    says(&step(&server, "effects").await, "ok", &[]);
    says(&step(&server, "twilio_account").await, "ok", &["active, Full"]);
    for name in ["voice_webhook", "status_callback", "message_webhook"] {
        says(&step(&server, name).await, "ok", &[OURS, LISTED]);
    }
    says(&step(&server, "sms_sender").await, "ok", &[OURS]);

    // The listed number is not the account's, and the calls to ours go elsewhere.
    let mut elsewhere = number(OURS, server.url());
    elsewhere["voice_url"] = json!("https://demo.twilio.com/welcome/voice/");
    elsewhere["capabilities"]["sms"] = json!(false);
    vendor.console.set(vec![elsewhere]);
    let ours = server.at("/twilio/voice");
    let voice = step(&server, "voice_webhook").await;
    says(&voice, "failed", &["demo.twilio.com", LISTED, &ours]);
    says(&step(&server, "sms_sender").await, "failed", &["cannot send"]);

    // The stream is opened for good, and an address without TLS is what is wrong with it.
    says(&step(&server, "public_address").await, "failed", &["https://"]);
    says(
        &step(&server, "media_stream").await,
        "failed",
        &["takes a stream", "wss:"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_here_is_seen_and_others_see_theirs_alone() {
    // A port at which nobody answers.
    let server = Server::start(
        Options::serve()
            .with("PATCHCORD_TWILIO__API_BASE", "http://127.0.0.1:1")
            .with("PATCHCORD_SERVER__OPEN_REGISTRATION", "true"),
    )
    .await;
    says(
        &step(&server, "twilio_account").await,
        "failed",
        &["cannot be reached"],
    );
    says(&step(&server, "voice_webhook").await, "skipped", &["comes first"]);
    says(&step(&server, "master_key").await, "ok", &["its owner alone"]);

    says(&step(&server, "workflow").await, "failed", &["Templates"]);
    let workflow = json!({"name": "Hello", "enabled": true, "trigger": {"type": "manual"},
        "nodes": [{"id": "tell", "type": "alert", "params": {"title": "Hello"}}],
        "edges": [{"from": "trigger", "to": "tell"}]});
    let made = server.post("/api/workflows", &workflow).await;
    let id = made["id"].as_str().expect("an id");
    server
        .post(&format!("/api/workflows/{id}/publish"), &json!({}))
        .await;
    says(&step(&server, "workflow").await, "ok", &["Hello"]);

    says(&step(&server, "first_call").await, "failed", &["live page"]);
    server
        .report_no_answer(&twilio::call_sid(7), "+14155550133")
        .await;
    eventually("the call is listed", async || {
        (!server.items("/api/calls").await.is_empty()).then_some(())
    })
    .await;
    says(&step(&server, "first_call").await, "ok", &[]);

    says(&step(&server, "backups").await, "failed", &["patchcord backup"]);
    back_up(&server).await;
    says(&step(&server, "backups").await, "ok", &[]);

    let other = json!({"email": "b@example.com", "password": "b password", "account_name": "Other"});
    let other = ask(&server, Method::POST, "/api/auth/register", "", Some(other)).await;
    let token = other.body["access_token"].as_str().expect("a token");
    let seen = ask(&server, Method::GET, "/api/setup/checks", token, None).await;
    let checks = seen.body["checks"].as_array().expect("a list");
    let of = |name: &str| {
        checks
            .iter()
            .find(|check| check["step"] == name)
            .expect("it is listed")
    };
    for name in ["public_address", "twilio_account", "master_key", "backups"] {
        says(of(name), "skipped", &["whoever runs this server"]);
    }
    says(of("workflow"), "failed", &[]);
    says(of("first_call"), "failed", &[]);
}

async fn back_up(server: &Server) {
    let data = server.data_dir();
    let mut command = Command::new(PROGRAM);
    command
        .args(["backup", "copy.db"])
        .env(
            "PATCHCORD_STORE__URL",
            format!("sqlite:{}", database(data).display()),
        )
        .current_dir(data);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("the thread ends").expect("the program starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The account and its numbers are asked for as Twilio describes it: its own example is no number of ours.
#[tokio::test(flavor = "multi_thread")]
async fn twilios_own_description_takes_what_is_asked() {
    let Some(prism) = Prism::start(None).await else {
        return;
    };
    let server = Server::start(
        Options::serve()
            .with("PATCHCORD_TWILIO__API_BASE", prism.base())
            .with("PATCHCORD_TWILIO__FROM_NUMBER", OURS),
    )
    .await;
    says(&step(&server, "twilio_account").await, "ok", &["active"]);
    let voice = step(&server, "voice_webhook").await;
    says(&voice, "failed", &["no number of the Twilio account"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_server_asks_nobody() {
    let server = Server::start(Options::dev().with("PATCHCORD_TWILIO__API_BASE", "http://127.0.0.1:1")).await;
    says(&step(&server, "effects").await, "failed", &["patchcord serve"]);
    for name in ["twilio_account", "voice_webhook", "media_stream"] {
        says(&step(&server, name).await, "skipped", &["outbox"]);
    }
}
