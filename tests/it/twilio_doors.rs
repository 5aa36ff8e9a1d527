//! Twilio's webhooks over the wire: what is refused changes nothing, what is taken in survives any order and number.

use std::time::{Duration, Instant};

use patchcord::integrations::twilio::callback_token;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{
    api::http,
    eventually::eventually,
    server::{Options, Server, database},
    twilio::{ACCOUNT_SID, AUTH_TOKEN, call_sid, signature},
};

const CALLER: &str = "+14155550101";
const OURS: &str = "+15550001111";

fn voice_params(call: &str) -> Vec<(&str, &str)> {
    vec![
        ("CallSid", call),
        ("AccountSid", ACCOUNT_SID),
        ("From", CALLER),
        ("To", OURS),
        ("Direction", "inbound"),
        ("CallStatus", "ringing"),
        ("ApiVersion", "2010-04-01"),
    ]
}

async fn call_where(server: &Server, call: &str, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || async {
        server
            .items("/api/calls")
            .await
            .into_iter()
            .find(|record| record["sid"] == call && is_it(record))
    })
    .await
}

#[tokio::test]
async fn a_wrong_signature_is_refused_and_changes_nothing() {
    let server = Server::start(Options::dev()).await;
    let call = call_sid(1);
    let params = voice_params(&call);
    for door in [
        "voice",
        "status",
        "dial",
        "amd",
        "recording",
        "stream",
        "sms",
        "sms/status",
    ] {
        let path = format!("/twilio/{door}");
        let other_token = signature("another token", &server.at(&path), &params);
        let other_door = signature(AUTH_TOKEN, &server.at("/twilio/elsewhere"), &params);
        for wrong in [
            other_token.as_str(),
            &other_door,
            "AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "nonsense",
        ] {
            let answer = server.webhook_with_signature(&path, &params, wrong).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{door}");
        }
        let bare = http()
            .post(server.at(&path))
            .form(&params)
            .send()
            .await
            .expect("an answer");
        assert_eq!(bare.status(), StatusCode::FORBIDDEN, "{door} without a signature");
    }
    assert_eq!(server.items("/api/calls").await, Vec::<Value>::new());
    assert_eq!(server.items("/api/messages").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_foreign_account_is_refused_even_when_the_signature_fits() {
    let server = Server::start(Options::dev()).await;
    let call = call_sid(2);
    let mut params = voice_params(&call);
    params.retain(|(name, _)| *name != "AccountSid");
    let unnamed = signature(AUTH_TOKEN, &server.at("/twilio/voice"), &params);
    let answer = server
        .webhook_with_signature("/twilio/voice", &params, &unnamed)
        .await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    params.push(("AccountSid", "AC00000000000000000000000000000099"));
    let answer = server.webhook("/twilio/voice", &params).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(server.items("/api/calls").await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_address_is_the_configured_one_whatever_the_host_header_says() {
    let server = Server::start(Options::dev()).await;
    let call = call_sid(3);
    let params = voice_params(&call);
    let path = "/twilio/voice";
    let post = |signature: String, host: &'static str| {
        http()
            .post(server.at(path))
            .header("Host", host)
            .header("X-Forwarded-Host", host)
            .header("X-Twilio-Signature", signature)
            .form(&params)
            .send()
    };
    let evil = signature(AUTH_TOKEN, "http://evil.example/twilio/voice", &params);
    assert_eq!(
        post(evil, "evil.example").await.expect("an answer").status(),
        StatusCode::FORBIDDEN
    );
    let good = signature(AUTH_TOKEN, &server.at(path), &params);
    let answer = post(good, "evil.example").await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let twiml = answer.text().await.expect("text");
    assert!(!twiml.contains("evil.example"), "{twiml}");
}

#[tokio::test]
async fn a_signed_json_callback_is_taken_in() {
    let server = Server::start(Options::dev()).await;
    let call = call_sid(4);
    let body =
        json!({"CallSid": call, "AccountSid": ACCOUNT_SID, "CallStatus": "completed", "SequenceNumber": 3,
        "Direction": "outbound-api", "From": OURS, "To": CALLER, "CallDuration": 12})
        .to_string();
    let address =
        patchcord::http::twilio::signature::with_body_hash(&server.at("/twilio/status"), body.as_bytes());
    let post = |body: String| {
        http()
            .post(&address)
            .header("X-Twilio-Signature", signature(AUTH_TOKEN, &address, &[]))
            .header("Content-Type", "application/json")
            .body(body)
            .send()
    };
    let changed = post(body.replace("12", "13")).await.expect("an answer");
    assert_eq!(changed.status(), StatusCode::FORBIDDEN);
    assert!(post(body).await.expect("an answer").status().is_success());
    let record = call_where(&server, &call, "the call is known", |_| true).await;
    assert_eq!(
        (&record["status"], &record["duration_s"]),
        (&"completed".into(), &12.into())
    );
    assert_eq!(
        (&record["direction"], &record["to"]),
        (&"outbound".into(), &CALLER.into())
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_without_a_trace() {
    let server = Server::start(Options::dev()).await;
    let call = call_sid(5);
    for params in [
        vec![("CallStatus", "completed")],
        vec![("CallSid", call.as_str())],
        vec![("CallSid", call.as_str()), ("CallStatus", "teleported")],
        vec![("CallSid", "CA/../../1"), ("CallStatus", "completed")],
    ] {
        let answer = server.webhook("/twilio/status", &params).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{params:?}");
    }
    let long = "x".repeat(300 * 1024);
    let answer = server
        .webhook("/twilio/status", &[("CallSid", &call), ("Body", &long)])
        .await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(server.items("/api/calls").await, Vec::<Value>::new());
}

/// Numbers that look random and are the same on every run.
struct Shuffle(u64);

impl Shuffle {
    fn next(&mut self, below: usize) -> usize {
        // Knuth's MMIX multiplier; the high bits are good enough to shuffle with.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % below
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.next(last + 1));
        }
    }
}

/// One callback: its door and what it says.
type Callback = (&'static str, Vec<(String, String)>);

/// The callbacks of one call that ends in one of four ways.
fn history(number: u32) -> (String, &'static str, Vec<Callback>) {
    let call = call_sid(1_000 + number);
    let (direction, end) = match number % 4 {
        0 => ("inbound", "completed"),
        1 => ("outbound-api", "completed"),
        2 => ("outbound-api", "busy"),
        _ => ("outbound-api", "no-answer"),
    };
    let say = |door: &'static str, words: &[(&str, &str)]| -> Callback {
        let from = format!("+1415555{number:04}");
        let mut params = vec![
            ("CallSid", call.as_str()),
            ("Direction", direction),
            ("From", &from),
            ("To", OURS),
        ];
        params.extend(words);
        (
            door,
            params
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    };
    let mut told = vec![
        say(
            "/twilio/status",
            &[("CallStatus", "initiated"), ("SequenceNumber", "0")],
        ),
        say(
            "/twilio/status",
            &[("CallStatus", "ringing"), ("SequenceNumber", "1")],
        ),
        say(
            "/twilio/status",
            &[
                ("CallStatus", end),
                ("SequenceNumber", "3"),
                ("CallDuration", "31"),
            ],
        ),
    ];
    if end == "completed" {
        told.push(say(
            "/twilio/status",
            &[("CallStatus", "in-progress"), ("SequenceNumber", "2")],
        ));
    }
    if direction == "inbound" {
        told.push(say("/twilio/voice", &[("CallStatus", "ringing")]));
        told.push(say(
            "/twilio/dial",
            &[("CallStatus", "in-progress"), ("DialCallStatus", "no-answer")],
        ));
        let stopped = [("StreamSid", "MZ1"), ("StreamEvent", "stream-stopped")];
        told.push(say("/twilio/stream", &stopped));
    } else {
        told.push(say("/twilio/amd", &[("AnsweredBy", "human")]));
    }
    let recording = [
        ("RecordingSid", "RE1"),
        ("RecordingUrl", "https://r.example/1"),
        ("RecordingStatus", "completed"),
    ];
    told.push(say("/twilio/recording", &recording));
    (call, end, told)
}

#[tokio::test]
async fn callbacks_shuffled_and_tripled_give_the_same_records() {
    let server = Server::start(Options::dev()).await;
    let histories: Vec<_> = (0..24).map(history).collect();
    let once: Vec<&Callback> = histories.iter().flat_map(|(_, _, told)| told).collect();
    let mut storm: Vec<&Callback> = once.iter().copied().cycle().take(once.len() * 3).collect();
    Shuffle(42).shuffle(&mut storm);
    for batch in storm.chunks(16) {
        let deliveries = batch.iter().map(|(door, params)| {
            let params: Vec<_> = params
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            let server = &server;
            async move { server.webhook(door, &params).await.status() }
        });
        for status in futures_util::future::join_all(deliveries).await {
            assert_eq!(status, StatusCode::OK);
        }
    }
    for (call, end, _) in &histories {
        let wanted = end.replace('-', "_");
        let record = call_where(&server, call, "the call has ended", |record| {
            record["status"] == wanted.as_str() && record["recording_url"].is_string()
        })
        .await;
        assert!(
            record["ended_at"].is_string() && record["from"].as_str().is_some_and(|from| from.len() == 12),
            "{record}"
        );
        assert_eq!(
            (&record["duration_s"], &record["gaps"]),
            (&31.into(), &0.into()),
            "{record}"
        );
        if record["direction"] == "inbound" {
            assert_eq!(record["dial_status"], "no_answer", "{record}");
        } else {
            assert_eq!(record["answered_by"], "human", "{record}");
        }
    }
    let calls = server.items("/api/calls?limit=200").await;
    assert_eq!(calls.len(), histories.len(), "one record a call");
    assert!(
        calls.iter().all(|record| !record["ended_at"].is_null()),
        "no call is stuck"
    );
}

#[tokio::test]
async fn a_call_is_answered_while_the_store_stands_still_and_kept_afterwards() {
    let server = Server::start(Options::dev()).await;
    let known = call_sid(6);
    assert_eq!(
        server
            .webhook("/twilio/voice", &voice_params(&known))
            .await
            .status(),
        StatusCode::OK
    );
    let call = call_sid(7);
    let lock = rusqlite::Connection::open(database(server.data_dir())).expect("the database opens");
    lock.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
    let asked = Instant::now();
    let answer = server.webhook("/twilio/voice", &voice_params(&call)).await;
    let waited = asked.elapsed();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.text().await.expect("text").contains("<Stream "));
    // 500 ms by contract; the rest is for a busy machine.
    assert!(
        (Duration::from_millis(400)..Duration::from_millis(1_500)).contains(&waited),
        "{waited:?}"
    );
    lock.execute_batch("ROLLBACK").expect("the lock is given back");
    call_where(&server, &call, "the call is kept after all", |_| true).await;
}

/// Whether the one lead with the caller's number wants nothing from us.
async fn opted_out(server: &Server) -> Option<bool> {
    let mut leads = server.items("/api/leads").await;
    leads.retain(|lead| lead["phone"] == CALLER);
    assert_eq!(leads.len(), 1, "{leads:?}");
    leads[0]["opted_out"].as_bool()
}

#[tokio::test]
async fn stop_silences_a_lead_and_start_lifts_it_however_often_they_come() {
    let server = Server::start(Options::dev()).await;
    let send = async |sid: &str, body: &str, extra: &[(&str, &str)]| {
        let mut params = vec![
            ("MessageSid", sid),
            ("From", CALLER),
            ("To", OURS),
            ("Body", body),
            ("NumMedia", "0"),
        ];
        params.extend(extra);
        for _ in 0..3 {
            let answer = server.webhook("/twilio/sms", &params).await;
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()["content-type"], "text/xml; charset=utf-8");
            let twiml = answer.text().await.expect("text");
            assert!(twiml.ends_with("<Response></Response>"), "{twiml}");
        }
        opted_out(&server).await
    };
    assert_eq!(send("SM01", "Hello, is this the shop?", &[]).await, Some(false));
    assert_eq!(send("SM02", " Stop. ", &[]).await, Some(true));
    assert_eq!(send("SM03", "please stop by", &[]).await, Some(true));
    assert_eq!(send("SM04", "START", &[]).await, Some(false));
    assert_eq!(
        send("SM05", "arrêtez", &[("OptOutType", "STOP")]).await,
        Some(true)
    );
    let late = [
        ("MessageSid", "SM04"),
        ("From", CALLER),
        ("To", OURS),
        ("Body", "START"),
    ];
    assert_eq!(
        server.webhook("/twilio/sms", &late).await.status(),
        StatusCode::OK
    );
    assert_eq!(
        opted_out(&server).await,
        Some(true),
        "a late repeat changes nothing"
    );
    let messages = server.items("/api/messages").await;
    assert_eq!(messages.len(), 5, "{messages:?}");
    assert!(
        messages
            .iter()
            .all(|message| message["direction"] == "inbound" && message["status"] == "received")
    );
}

#[tokio::test]
async fn a_message_status_for_nobody_is_refused() {
    let server = Server::start(Options::dev()).await;
    let params = [("MessageSid", "SM06"), ("MessageStatus", "delivered")];
    assert_eq!(
        server.webhook("/twilio/sms/status", &params).await.status(),
        StatusCode::NOT_FOUND
    );
    let forged = "/twilio/sms/status?e=msg_01h455vb4pex5vsknk084sn02q.AAAA";
    assert_eq!(
        server.webhook(forged, &params).await.status(),
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn a_message_moves_up_by_its_callbacks_and_never_down() {
    let server = Server::start(Options::dev()).await;
    server.report_no_answer(&call_sid(8), CALLER).await;
    let message = eventually("a missed caller is texted", || async {
        let messages = server.items("/api/messages").await;
        messages
            .into_iter()
            .find(|message| message["direction"] == "outbound")
    })
    .await;
    let id = message["id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .expect("a message id");
    let token = callback_token::seal(&server.signing_keys(), id, patchcord::clock::now());
    let door = format!("/twilio/sms/status?{}={token}", callback_token::PARAMETER);
    for (word, stands) in [
        ("sent", "sent"),
        ("sending", "sent"),
        ("undelivered", "undelivered"),
        ("delivered", "delivered"),
        ("undelivered", "delivered"),
        ("queued", "delivered"),
    ] {
        let params = [("MessageSid", "SM07"), ("MessageStatus", word)];
        assert_eq!(server.webhook(&door, &params).await.status(), StatusCode::OK);
        let messages = server.items("/api/messages").await;
        let told = messages
            .iter()
            .find(|known| known["id"] == message["id"])
            .expect("it stays");
        assert_eq!(
            (&told["status"], &told["provider_id"]),
            (&stands.into(), &"SM07".into()),
            "after {word}"
        );
    }
}
