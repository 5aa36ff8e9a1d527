//! One trace from what happened to what was done about it: through a kill in the middle of a wait, to a mail server, and from a word on a
//! call to the provider's request.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    simulate::{has_speech_model, simulate},
    support::{
        api::http,
        collector::{Collector, Span},
        eventually::{eventually, eventually_within},
        figures::tell,
        mail::MailServer,
        server::{Options, Server},
        sink::Sink,
    },
};

/// A machine that does other things too.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(90);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "00f067aa0ba902b7";
const SERVING: i32 = 2;
const ASKING: i32 = 3;

fn traced(collector: &Collector) -> Options {
    Options::serve()
        .with("PATCHCORD_TELEMETRY__OTLP_ENDPOINT", collector.url())
        .with("PATCHCORD_SECURITY__ALLOW_PRIVATE_TARGETS", "127.0.0.1")
}

/// A workflow that is started by `trigger` and tells the sink, after these nodes.
fn telling(trigger: &str, sink: &Sink, first: &[Value]) -> Value {
    let mut nodes = first.to_vec();
    nodes.push(
        json!({"id": "hook", "type": "webhook", "params": {"url": sink.at("/hook"), "body": {"a": 1}}}),
    );
    let names: Vec<&Value> = nodes.iter().map(|node| &node["id"]).collect();
    let trigger_name = json!("trigger");
    let from = std::iter::once(&trigger_name).chain(names.iter().copied());
    let edges: Vec<Value> = from
        .zip(&names)
        .map(|(from, to)| json!({"from": from, "to": to}))
        .collect();
    json!({"name": "Tell", "enabled": true, "trigger": {"type": trigger}, "nodes": nodes, "edges": edges})
}

async fn publish(server: &Server, workflow: &Value) {
    let made = server.post("/api/workflows", workflow).await;
    let path = format!("/api/workflows/{}/publish", made["id"].as_str().expect("an id"));
    server.post(&path, &json!({})).await;
}

/// A client that traces reports a payment.
async fn pay(server: &Server, trace: &str, flags: &str, data: Value) {
    let posted = http()
        .post(server.at("/api/events"))
        .bearer_auth(&server.ready().access_token)
        .header("traceparent", format!("00-{trace}-{CLIENT}-{flags}"))
        .json(&json!({"type": "payment.received", "data": data}))
        .send()
        .await
        .expect("the server answers");
    assert_eq!(posted.status(), StatusCode::ACCEPTED);
}

async fn span(collector: &Collector, what: &str, is_it: impl Fn(&Span) -> bool) -> Span {
    eventually_within(PATIENCE, what, async || {
        collector.spans().into_iter().find(|span| is_it(span))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_trace_goes_on_through_a_wait_and_a_kill_to_the_request_that_is_sent() {
    let (collector, sink) = (Collector::start().await, Sink::start().await);
    let mut server = Server::start(traced(&collector)).await;
    let wait = json!({"id": "wait", "type": "delay", "params": {"for": "3s"}});
    publish(&server, &telling("payment.received", &sink, &[wait])).await;
    pay(&server, TRACE, "01", json!({"note": "personal words"})).await;
    let in_trace =
        async |name: &str| span(&collector, name, |span| span.trace == TRACE && span.name == name).await;
    let request = in_trace("POST /api/events").await;
    assert_eq!((request.parent.as_str(), request.kind), (CLIENT, SERVING));
    assert_eq!(request.attributes["http.response.status_code"], "202");
    let fact = in_trace("fact payment.received").await;
    assert_eq!(fact.parent, request.id);
    let started = in_trace("run started").await;
    assert_eq!(started.parent, fact.id);

    server.restart().await;
    let fired = in_trace("run timer_fired").await;
    assert_eq!(fired.parent, fact.id, "another process knows where it belongs");
    assert_eq!(
        fired.attributes["patchcord.run_id"],
        started.attributes["patchcord.run_id"]
    );
    let effect = in_trace("effect webhook").await;
    assert_eq!(effect.parent, fired.id);
    assert_eq!(effect.attributes["patchcord.outcome"], "confirmed");
    let sent = in_trace("request").await;
    assert_eq!((&sent.parent, sent.kind), (&effect.id, ASKING));
    assert_eq!(sent.attributes["server.address"], "127.0.0.1");
    let arrival = eventually("the webhook arrives", async || sink.arrivals().into_iter().next()).await;
    assert_eq!(
        arrival.headers["traceparent"],
        format!("00-{TRACE}-{}-01", sent.id)
    );

    let resources = collector.resources();
    assert!(
        resources
            .iter()
            .all(|resource| resource["service.name"] == "patchcord"),
        "{resources:?}"
    );
    let bytes = String::from_utf8_lossy(&collector.bytes()).into_owned();
    assert!(!bytes.contains("personal words") && !bytes.contains("/hook"));

    // A provider's callback tells its trace by the address that it was given.
    let door = format!("/twilio/sms/status?t=00-{TRACE}-{}-01", effect.id);
    let told = [("MessageSid", "SM77"), ("MessageStatus", "delivered")];
    assert_eq!(
        server.webhook(&door, &told).await.status(),
        StatusCode::NOT_FOUND,
        "no such message"
    );
    let back = in_trace("POST /twilio/sms/status").await;
    assert_eq!((back.parent, back.kind), (effect.id, SERVING));

    unsampled_is_not_recorded(&server, &collector, &sink).await;
}

/// Whoever sends a `traceparent` has chosen.
async fn unsampled_is_not_recorded(server: &Server, collector: &Collector, sink: &Sink) {
    let other = TRACE.replace("4bf9", "5cf9");
    let before = sink.count();
    for (trace, flags) in [(other.as_str(), "00"), (TRACE, "01")] {
        pay(server, trace, flags, json!({})).await;
    }
    eventually_within(PATIENCE, "both are told", async || {
        (sink.count() >= before + 2).then_some(())
    })
    .await;
    let hooks = async || {
        let spans = collector.spans();
        let sent = spans
            .iter()
            .filter(|span| span.trace == TRACE && span.name == "request");
        (sent.count() == 2).then_some(spans)
    };
    let spans = eventually_within(PATIENCE, "the recorded one arrives", hooks).await;
    assert!(spans.iter().all(|span| span.trace != other));
    let facts = spans.iter().filter(|span| span.name == "fact payment.received");
    assert!(
        facts.clone().all(|fact| fact.trace == TRACE),
        "none of its own either: {spans:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_handed_over_in_the_trace_of_its_run() {
    let (collector, mail) = (Collector::start().await, MailServer::start().await);
    let url = format!("smtp://127.0.0.1:{}?tls=never", mail.port());
    let options = traced(&collector)
        .with("PATCHCORD_EFFECTS__MODE", "live")
        .with("PATCHCORD_EMAIL__SMTP_URL", &url)
        .with("PATCHCORD_EMAIL__FROM", "Acme <hello@acme.example>");
    let server = Server::start(options).await;
    let write = json!({"id": "write", "type": "send_email", "audience": "staff",
        "params": {"to": "{{ trigger.data.to }}", "subject": "Personal words", "body": "More of them"}});
    let workflow = json!({"name": "Write", "enabled": true, "trigger": {"type": "payment.received"},
        "nodes": [write], "edges": [{"from": "trigger", "to": "write"}]});
    publish(&server, &workflow).await;
    for (place, to, failed) in [("5", "ann@example.com", ""), ("6", "gone@example.com", "refused")] {
        let trace = TRACE.replacen('4', place, 1);
        pay(&server, &trace, "01", json!({ "to": to })).await;
        let in_trace =
            async |name: &str| span(&collector, name, |span| span.trace == trace && span.name == name).await;
        let request = in_trace("request").await;
        assert_eq!((request.kind, request.failed.as_str()), (ASKING, failed), "{to}");
        let said = ["network.protocol.name", "server.address", "server.port"]
            .map(|name| request.attributes[name].as_str());
        assert_eq!(said, ["smtp", "127.0.0.1", mail.port().to_string().as_str()]);
        let effect = in_trace("effect email").await;
        assert_eq!(request.parent, effect.id);
        let run = in_trace("run started").await;
        assert_eq!(effect.parent, run.id);
        assert_eq!(run.parent, in_trace("fact payment.received").await.id);
    }
    let letters = mail.letters();
    assert!(
        letters.len() == 1 && letters[0].contains("Personal words"),
        "{letters:?}"
    );
    let bytes = String::from_utf8_lossy(&collector.bytes()).to_lowercase();
    for kept_out in ["personal words", "more of them", "@example.com"] {
        assert!(!bytes.contains(kept_out), "{kept_out} is in a trace");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_on_a_call_leads_to_the_providers_request_in_one_trace() {
    if !has_speech_model() {
        return;
    }
    let (collector, sink) = (Collector::start().await, Sink::start().await);
    let server = Server::start(traced(&collector)).await;
    publish(&server, &telling("call.sentiment_negative", &sink, &[])).await;
    let played = simulate(&server, &[]).await;
    assert_eq!(played.of_type("alert.raised").len(), 1);
    let sent = span(&collector, "the request", |span| {
        span.name == "request" && span.kind == ASKING
    })
    .await;
    // Each is sent when it is over, and the fact ends last.
    span(&collector, "the fact", |span| {
        span.trace == sent.trace && span.name == "fact call.sentiment_negative"
    })
    .await;
    let spans: Vec<Span> = collector
        .spans()
        .into_iter()
        .filter(|span| span.trace == sent.trace)
        .collect();
    let above = |span: &Span| spans.iter().find(|other| other.id == span.parent).cloned();
    let mut way = vec![sent];
    while let Some(parent) = way.last().and_then(above) {
        way.push(parent);
    }
    let names: Vec<&str> = way.iter().rev().map(|span| span.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "utterance",
            "fact call.sentiment_negative",
            "run started",
            "effect webhook",
            "request"
        ],
        "{spans:?}"
    );
    let utterance = way.last().expect("it has a beginning");
    assert_eq!(utterance.parent, "");
    assert_eq!(utterance.attributes["patchcord.speaker"], "customer");
    let alert = spans.iter().find(|span| span.name == "alert negative_sentiment");
    assert_eq!(alert.map(|span| &span.parent), Some(&utterance.id));
    let bytes = String::from_utf8_lossy(&collector.bytes()).to_lowercase();
    assert!(!bytes.contains("refund"), "nobody's words are in a trace");
    tell(&format!(
        "traces: {} spans of one call; from an utterance's last sound to the request: {} in one trace; the utterance's took {} ms",
        collector.spans().len(),
        names.join(" → "),
        utterance.took_ns / 1_000_000
    ));
}
