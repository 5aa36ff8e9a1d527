//! `patchcord simulate` against `patchcord dev`: whole calls over the real doors.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::Value;
use tokio::process::Command;

use crate::support::{
    eventually::eventually,
    server::{Options, PROGRAM, Server, models_dir},
};

/// What a simulation printed.
pub(crate) struct Played {
    lines: Vec<Value>,
    summary: Value,
}

impl Played {
    pub(crate) fn of_type(&self, kind: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["type"] == kind).collect()
    }

    /// What one side said, in lower case.
    fn words_of(&self, speaker: &str) -> String {
        let finals = self
            .of_type("transcript.final")
            .into_iter()
            .filter(|line| line["speaker"] == speaker);
        finals
            .filter_map(|line| line["text"].as_str())
            .collect::<Vec<_>>()
            .join(" ")
            .to_lowercase()
    }
}

/// Plays a call into `server` and expects the program to succeed.
pub(crate) async fn simulate(server: &Server, arguments: &[&str]) -> Played {
    let output = Command::new(PROGRAM)
        .args([
            "simulate",
            "--json",
            "--server",
            server.url(),
            "--token",
            &server.ready().access_token,
        ])
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .expect("the program starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "simulate {arguments:?}: {stderr}\n{stdout}\nserver:\n{}",
        server.log()
    );
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("every line is JSON"))
        .collect();
    let summary = lines
        .iter()
        .find(|line| line["type"] == "simulate.summary")
        .cloned()
        .expect("a summary is printed");
    Played { lines, summary }
}

/// Whether speech can be recognised here; says so when not.
pub(crate) fn has_speech_model() -> bool {
    let found = std::fs::read_dir(models_dir()).is_ok_and(|mut entries| entries.next().is_some());
    if !found {
        println!(
            "skipped: no speech model in {}; run `patchcord model fetch tiny.en`",
            models_dir().display()
        );
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_angry_call_raises_one_alert_while_it_is_on_and_its_run_acts() {
    if !has_speech_model() {
        return;
    }
    let server = Server::start(Options::dev()).await;
    let played = simulate(&server, &[]).await;
    let customer = played.words_of("customer");
    assert!(
        customer.contains("refund") && customer.contains("manager"),
        "{customer}"
    );
    assert!(
        played.words_of("agent").contains("thank you for your patience"),
        "{}",
        played.words_of("agent")
    );
    let negative: Vec<&Value> = played
        .of_type("alert.raised")
        .into_iter()
        .filter(|line| line["alert"]["kind"] == "negative_sentiment")
        .collect();
    assert_eq!(negative.len(), 1, "{negative:?}");
    let alerts = played.summary["alerts"]
        .as_array()
        .expect("the summary lists alerts");
    let during: Vec<&Value> = alerts
        .iter()
        .filter(|alert| alert["kind"] == "negative_sentiment")
        .collect();
    assert_eq!(during[0]["during_call"], true, "{during:?}");
    assert!(
        played
            .of_type("run.started")
            .iter()
            .any(|line| line["trigger"] == "call.sentiment_negative"),
        "no run: {}",
        played.summary
    );
    let messages = played.of_type("simulate.message");
    assert!(
        messages
            .iter()
            .any(|message| message["channel"] == "sms" && message["status"] == "outbox"),
        "{messages:?}"
    );
    println!(
        "end of speech to final: {}",
        played.summary["end_of_speech_to_final_ms"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_friendly_call_raises_none() {
    let Some((caller, agent)) = friendly_call() else {
        return;
    };
    if !has_speech_model() {
        return;
    }
    let server = Server::start(Options::dev()).await;
    let files = [
        "--caller",
        &caller.to_string_lossy(),
        "--agent",
        &agent.to_string_lossy(),
    ]
    .map(str::to_owned);
    let mut arguments: Vec<&str> = files.iter().map(String::as_str).collect();
    // Four minutes of a real call: the rule works on the call's own time, so a faster pace changes nothing but the wait.
    arguments.extend(["--speed", "2", "--settle", "120"]);
    let played = simulate(&server, &arguments).await;
    assert_eq!(
        played.summary["alerts"].as_array().map(Vec::len),
        Some(0),
        "{}",
        played.summary
    );
    assert!(
        played.summary["utterances_customer"].as_u64() > Some(10),
        "{}",
        played.summary
    );
    assert!(
        played.summary["utterances_agent"].as_u64() > Some(10),
        "{}",
        played.summary
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_nobody_answers_starts_its_run() {
    let server = Server::start(Options::dev()).await;
    let played = simulate(&server, &["--status", "no-answer"]).await;
    let runs = played.of_type("run.started");
    assert_eq!(runs.len(), 1, "{:?}", played.lines);
    assert_eq!(runs[0]["trigger"], "call.no_answer");
    let messages = played.of_type("simulate.message");
    assert_eq!(messages.len(), 1, "{messages:?}");
    println!("callback to run start: {}", played.summary["callback_to_run_ms"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_ending_leaves_a_closed_call() {
    let server = Server::start(Options::dev()).await;
    for status in ["no-answer", "busy", "failed", "voicemail"] {
        for direction in ["inbound", "outbound"] {
            let played = simulate(
                &server,
                &["--status", status, "--direction", direction, "--speed", "4"],
            )
            .await;
            assert_eq!(
                played.summary["calls_ended"], 1,
                "{status} {direction}: {}",
                played.summary
            );
        }
    }
    for call in server.items("/api/calls").await {
        assert!(!call["ended_at"].is_null(), "{call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_refused_and_said_so() {
    let server = Server::start(Options::dev()).await;
    let output = Command::new(PROGRAM)
        .args([
            "simulate",
            "--server",
            server.url(),
            "--token",
            &server.ready().access_token,
        ])
        .args(["--auth-token", "somebody-elses", "--status", "no-answer"])
        .output()
        .await
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("403") && stderr.contains("--auth-token"),
        "{stderr}"
    );
    assert!(
        server.items("/api/calls").await.is_empty(),
        "a refused request leaves nothing behind"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_said_so() {
    let output = Command::new(PROGRAM)
        .args([
            "simulate",
            "--server",
            "http://127.0.0.1:9",
            "--status",
            "no-answer",
        ])
        .output()
        .await
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("patchcord dev"), "{stderr}");
}

/// A real, friendly call of four minutes, which is not part of the repository.
fn friendly_call() -> Option<(PathBuf, PathBuf)> {
    let shared = std::env::var_os("PATCHCORD_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let side = |name: &str| shared.join("data").join(name);
    let (caller, agent) = (side("call-a-caller.wav"), side("call-a-agent.wav"));
    if caller.exists() && agent.exists() {
        return Some((caller, agent));
    }
    println!(
        "skipped: {} is not here; PATCHCORD_SHARED names the folder above `data`",
        caller.display()
    );
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_message_is_taken_in_and_its_answer_shown() {
    let server = Server::start(Options::dev()).await;
    let workflow = serde_json::json!({"name": "Answer", "enabled": true, "trigger": {"type": "sms.received"},
        "nodes": [{"id": "answer", "type": "send_sms", "params": {"body": "We heard: {{ trigger.data.body }}"}}],
        "edges": [{"from": "trigger", "to": "answer"}]});
    let made = server.post("/api/workflows", &workflow).await;
    let id = made["id"].as_str().expect("an id");
    server
        .post(&format!("/api/workflows/{id}/publish"), &serde_json::json!({}))
        .await;
    let output = Command::new(PROGRAM)
        .args([
            "simulate",
            "--json",
            "--server",
            server.url(),
            "--from",
            "+14155550144",
        ])
        .args([
            "--token",
            &server.ready().access_token,
            "--sms",
            "Call me tomorrow",
        ])
        .kill_on_drop(true)
        .output()
        .await
        .expect("the program starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("every line is JSON"))
        .collect();
    let bodies: Vec<&str> = lines.iter().filter_map(|line| line["body"].as_str()).collect();
    assert_eq!(bodies, ["We heard: Call me tomorrow"], "{stdout}");
    let taken = server.items("/api/messages").await;
    assert!(
        taken
            .iter()
            .any(|one| one["direction"] == "inbound" && one["from"] == "+14155550144")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_message_is_simulated_over_the_api() {
    let server = Server::start(Options::dev()).await;
    let order = serde_json::json!({"sms": "Is Tuesday still free?"});
    let started = server.post("/api/simulations", &order).await;
    assert_eq!(
        started,
        serde_json::json!({"ending": null, "sms": "Is Tuesday still free?"})
    );
    let message = eventually("the message is taken in", || async {
        let taken = server.items("/api/messages").await;
        taken
            .into_iter()
            .find(|one| one["direction"] == "inbound" && one["channel"] == "sms")
    })
    .await;
    assert_eq!(message["body"], "Is Tuesday still free?");
    assert_eq!(message["status"], "received");

    let both = serde_json::json!({"sms": "Hello", "ending": "busy"});
    let refused = server
        .request(Method::POST, "/api/simulations", Some(&both))
        .await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.body["errors"][0]["field"], "sms");
}
