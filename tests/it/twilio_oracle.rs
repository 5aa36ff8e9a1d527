//! Twilio's official library as the judge: it signs what we must accept and builds the TwiML we must write.
//!
//! Skips, saying why, only where the library cannot be installed.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{
    api::http,
    media_socket::{stream_address, token_of},
    server::{Options, Server},
    twilio::{ACCOUNT_SID, AUTH_TOKEN, call_sid},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/twilio-oracle");
/// Exit status with which the script says that it cannot work on this machine.
const UNAVAILABLE: i32 = 77;
const SAY: &str = "Grüße & <kisses> to \"Tom's\"";

/// Asks the library; `None` where it cannot be had.
fn ask(questions: &Value) -> Option<Vec<Value>> {
    let child = Command::new(SCRIPT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: python3 is not here");
        return None;
    };
    let mut input = child.stdin.take().expect("stdin is piped");
    // The script may end before it reads anything: its exit status tells.
    let _ = input.write_all(questions.to_string().as_bytes());
    drop(input);
    let output = child.wait_with_output().expect("the script ends");
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(UNAVAILABLE) {
        eprintln!("skipped: {said}");
        return None;
    }
    assert!(output.status.success(), "{said}");
    Some(serde_json::from_slice(&output.stdout).expect("the script answers in JSON"))
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[tokio::test]
async fn accepts_what_the_library_signs() {
    let server = Server::start(Options::dev()).await;
    let call = call_sid(1);
    let address = server.at("/twilio/status?role_inbound=agent");
    let params = json!({
        "CallSid": call, "AccountSid": ACCOUNT_SID, "CallStatus": "ringing", "Direction": "inbound",
        "From": "+14155550101", "To": "+15550001111", "CallerName": "Zoë & 'Co' + more ", "Empty": "",
    });
    let body = params.to_string();
    let media = server.ws_at("/twilio/media/unknown");
    let questions = json!([
        {"ask": "sign", "token": AUTH_TOKEN, "address": address, "params": params},
        {"ask": "sign_body", "token": AUTH_TOKEN, "address": address, "body": body},
        {"ask": "sign", "token": AUTH_TOKEN, "address": media, "params": {}},
    ]);
    let Some(answers) = ask(&questions) else { return };
    let form = http()
        .post(&address)
        .header("X-Twilio-Signature", text(&answers[0]))
        .form(&params)
        .send()
        .await;
    assert_eq!(form.expect("an answer").status(), StatusCode::OK);
    let json = http()
        .post(text(&answers[1]["address"]))
        .header("X-Twilio-Signature", text(&answers[1]["signature"]))
        .header("Content-Type", "application/json")
        .body(body)
        .send()
        .await;
    assert_eq!(json.expect("an answer").status(), StatusCode::OK);
    let ours = patchcord::http::twilio::signature::sign(
        &patchcord::domain::secret::Secret::new(AUTH_TOKEN.to_owned()),
        &media,
        patchcord::http::twilio::signature::Payload::Nothing,
    );
    assert_eq!(text(&answers[2]), ours);
}

/// The answer to a call with the given settings, and the addresses in it.
async fn greeting(settings: &[(&str, &str)]) -> (Server, String) {
    // `dev` has its own routing.
    let options = settings
        .iter()
        .fold(Options::serve(), |options, (key, value)| options.with(key, value));
    let server = Server::start(options).await;
    let call = call_sid(2);
    let params = [
        ("CallSid", call.as_str()),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
    ];
    let answer = server.webhook("/twilio/voice", &params).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let twiml = answer.text().await.expect("text");
    (server, twiml)
}

fn stream_verb(server: &Server, twiml: &str) -> Value {
    let url = stream_address(twiml);
    json!({
        "verb": "stream",
        "url": url,
        "status_callback": server.at("/twilio/stream#rc=5&rp=ct,rt,5xx"),
        "parameters": [["t", token_of(&url)], ["role_inbound", "customer"]],
    })
}

fn record_verb(server: &Server) -> Value {
    let door = "/twilio/recording?voicemail=1";
    json!({
        "verb": "record",
        "action": server.at(door),
        "max_length": 180,
        "status_callback": server.at(&format!("{door}#rc=5&rp=ct,rt,5xx")),
    })
}

fn same(twiml: &str, verbs: &[Value]) {
    let Some(answers) = ask(&json!([{"ask": "same_twiml", "twiml": twiml, "verbs": verbs}])) else {
        return;
    };
    assert_eq!(
        answers[0]["same"], true,
        "ours: {twiml}\nTwilio's: {}",
        answers[0]["expected"]
    );
}

#[tokio::test]
async fn writes_a_dialled_call_as_the_library_does() {
    let settings = [
        ("PATCHCORD_TWILIO__ROUTING", "dial"),
        ("PATCHCORD_TWILIO__DIAL_TO", "+15550002222"),
        ("PATCHCORD_TWILIO__CONSENT_TEXT", SAY),
    ];
    let (server, twiml) = greeting(&settings).await;
    let dial = json!({
        "verb": "dial", "action": server.at("/twilio/dial"), "timeout": 20, "number": "+15550002222",
        "status_callback": server.at("/twilio/status#rc=5&rp=ct,rt,5xx"),
    });
    same(
        &twiml,
        &[
            json!({"verb": "say", "text": SAY}),
            stream_verb(&server, &twiml),
            dial,
        ],
    );
}

#[tokio::test]
async fn writes_a_conference_as_the_library_does() {
    let settings = [
        ("PATCHCORD_TWILIO__ROUTING", "dial"),
        ("PATCHCORD_TWILIO__DIAL_TO", "+15550002222"),
        ("PATCHCORD_TWILIO__SUPERVISION", "true"),
    ];
    let (server, twiml) = greeting(&settings).await;
    let dial = json!({
        "verb": "dial", "action": server.at("/twilio/dial?room=1"), "timeout": 20, "room": call_sid(2),
        "status_callback": server.at("/twilio/room?leg=agent-1&from=&to=%2B15550002222#rc=5&rp=ct,rt,5xx"),
    });
    same(&twiml, &[stream_verb(&server, &twiml), dial]);
}

#[tokio::test]
async fn writes_a_recorded_call_and_a_missed_one_as_the_library_does() {
    let settings = [
        ("PATCHCORD_TWILIO__ROUTING", "record"),
        ("PATCHCORD_TWILIO__SAY_TEXT", SAY),
    ];
    let (server, twiml) = greeting(&settings).await;
    let message = [
        json!({"verb": "say", "text": SAY}),
        record_verb(&server),
        json!({"verb": "hangup"}),
    ];
    let greeted: Vec<Value> = std::iter::once(stream_verb(&server, &twiml))
        .chain(message.clone())
        .collect();
    same(&twiml, &greeted);
    let call = call_sid(2);
    let missed = [
        ("CallSid", call.as_str()),
        ("CallStatus", "in-progress"),
        ("DialCallStatus", "no-answer"),
    ];
    let after = server
        .webhook("/twilio/dial", &missed)
        .await
        .text()
        .await
        .expect("text");
    same(&after, &message);
    let met = [
        ("CallSid", call.as_str()),
        ("CallStatus", "in-progress"),
        ("DialCallStatus", "completed"),
    ];
    let after = server
        .webhook("/twilio/dial", &met)
        .await
        .text()
        .await
        .expect("text");
    same(&after, &[json!({"verb": "hangup"})]);
}
