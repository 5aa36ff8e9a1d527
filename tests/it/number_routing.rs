//! Where calls to a number go: to one telephone, a room, a recording, or whoever of the agents is free.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    eventually::eventually,
    server::{Options, Server},
    twilio::call_sid,
};

const CALLER: &str = "+14155550101";
const OURS: &str = "+15550001111";

/// The answer to a call to `to`.
async fn ring(server: &Server, call: &str, to: &str) -> String {
    let params = [
        ("CallSid", call),
        ("From", CALLER),
        ("To", to),
        ("Direction", "inbound"),
        ("CallStatus", "ringing"),
    ];
    let answer = server.webhook("/twilio/voice", &params).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.text().await.expect("TwiML")
}

/// The answer after the leg to an agent ended.
async fn dialled(server: &Server, twiml: &str, call: &str, status: &str) -> String {
    let action = twiml
        .split("action=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let action = action
        .unwrap_or_else(|| panic!("no action in {twiml}"))
        .replace("&amp;", "&");
    let path = action.strip_prefix(server.url()).expect("our own address");
    let params = [
        ("CallSid", call),
        ("From", CALLER),
        ("To", OURS),
        ("Direction", "inbound"),
        ("CallStatus", "in-progress"),
        ("DialCallSid", "CAdd"),
        ("DialCallStatus", status),
    ];
    let answer = server.webhook(path, &params).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.text().await.expect("TwiML")
}

async fn route(server: &Server, number: &Value, routing: Value) {
    let path = format!("/api/numbers/{}", number["id"].as_str().expect("an id"));
    let changed = server
        .request(Method::PATCH, &path, Some(&json!({"routing": routing})))
        .await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
}

async fn agent(server: &Server, name: &str, phone: &str, skills: &[&str]) -> String {
    let agent = json!({"name": name, "phone": phone, "skills": skills});
    let made = server.post("/api/agents", &agent).await;
    format!("/api/agents/{}", made["id"].as_str().expect("an id"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_numbers_routing_replaces_the_configurations() {
    let server = Server::start(Options::dev()).await;
    let number = json!({"phone": OURS, "routing": {"type": "dial", "to": "+14155550190"}});
    let number = server.post("/api/numbers", &number).await;
    let twice = server
        .request(
            Method::POST,
            "/api/numbers",
            Some(&json!({"phone": OURS, "routing": {"type": "record"}})),
        )
        .await;
    assert_eq!(twice.status, StatusCode::CONFLICT, "{}", twice.body);
    let twiml = ring(&server, &call_sid(1), OURS).await;
    assert!(
        twiml.contains("<Start>") && twiml.contains(">+14155550190</Number>"),
        "{twiml}"
    );
    route(&server, &number, json!({"type": "record"})).await;
    let twiml = ring(&server, &call_sid(3), OURS).await;
    assert!(twiml.contains("<Record") && !twiml.contains("<Dial"), "{twiml}");
    let elsewhere = ring(&server, &call_sid(4), "+15550002222").await;
    let path = format!("/api/numbers/{}", number["id"].as_str().expect("an id"));
    assert_eq!(
        server.request(Method::DELETE, &path, None).await.status,
        StatusCode::NO_CONTENT
    );
    let by_default = ring(&server, &call_sid(5), OURS).await;
    assert_eq!(
        elsewhere.contains("<Record"),
        by_default.contains("<Record"),
        "both go where the configuration says: {by_default}"
    );
    for (slip, field) in [
        (
            json!({"phone": OURS, "routing": {"type": "dial", "to": OURS}}),
            "routing.to",
        ),
        (
            json!({"phone": OURS, "routing": {"type": "conference", "room": "agents"}}),
            "routing",
        ),
        (
            json!({"phone": OURS, "routing": {"type": "agents", "skill": "Loud"}}),
            "routing.skill",
        ),
    ] {
        let refused = server.request(Method::POST, "/api/numbers", Some(&slip)).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{slip}");
        assert_eq!(refused.body["errors"][0]["field"], field, "{}", refused.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_to_free_agents_in_turn_and_on_to_the_next_when_nobody_answers() {
    let server = Server::start(Options::dev()).await;
    let routing = json!({"type": "agents", "choice": "round_robin"});
    let number = server
        .post("/api/numbers", &json!({"phone": OURS, "routing": routing}))
        .await;
    let alone = ring(&server, &call_sid(1), OURS).await;
    assert!(alone.contains("<Record"), "nobody is there: {alone}");
    let ann = agent(&server, "Ann", "+14155550191", &["spanish"]).await;
    agent(&server, "Bob", "+14155550192", &[]).await;

    let first = ring(&server, &call_sid(2), OURS).await;
    let second = ring(&server, &call_sid(3), OURS).await;
    assert!(
        first.contains("+14155550191") && second.contains("+14155550192"),
        "{first} {second}"
    );
    let busy = ring(&server, &call_sid(4), OURS).await;
    assert!(busy.contains("<Record"), "both are on a call: {busy}");
    assert_eq!(server.get(&ann).await["on_call"], call_sid(2));

    // Ann does not answer, Bob has hung up: the caller is on to Bob, then leaves a message.
    let after = dialled(&server, &second, &call_sid(3), "completed").await;
    assert!(after.contains("<Hangup"), "{after}");
    let next = dialled(&server, &first, &call_sid(2), "no-answer").await;
    assert!(next.contains("+14155550192"), "{next}");
    let next = dialled(&server, &next, &call_sid(2), "no-answer").await;
    assert!(next.contains("+14155550191"), "Ann is free again: {next}");
    let last = dialled(&server, &next, &call_sid(2), "busy").await;
    assert!(last.contains("<Record"), "three were asked: {last}");

    route(
        &server,
        &number,
        json!({"type": "agents", "skill": "spanish", "choice": "longest_idle"}),
    )
    .await;
    let spanish = ring(&server, &call_sid(5), OURS).await;
    assert!(spanish.contains("+14155550191"), "{spanish}");
    dialled(&server, &spanish, &call_sid(5), "completed").await;
    let away = server
        .request(Method::PATCH, &ann, Some(&json!({"status": "away"})))
        .await;
    assert_eq!(away.status, StatusCode::OK, "{}", away.body);
    let nobody = ring(&server, &call_sid(6), OURS).await;
    assert!(nobody.contains("<Record"), "{nobody}");
    assert_eq!(server.items("/api/agents?status=away").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_dial_callback_never_comes_is_free_when_the_call_is_over() {
    // Nothing is heard of a call for a second: its record is closed, as when no callback comes at all.
    let options = Options::dev().with("PATCHCORD_CALLS__LOST_AFTER_S", "2");
    let server = Server::start(options).await;
    let number = json!({"phone": OURS, "routing": {"type": "agents"}});
    server.post("/api/numbers", &number).await;
    let ann = agent(&server, "Ann", "+14155550191", &[]).await;
    let first = ring(&server, &call_sid(1), OURS).await;
    assert!(first.contains("+14155550191"), "{first}");
    let params = [
        ("CallSid", call_sid(1)),
        ("From", CALLER.to_owned()),
        ("To", OURS.to_owned()),
        ("Direction", "inbound".to_owned()),
        ("CallStatus", "completed".to_owned()),
    ];
    let params: Vec<(&str, &str)> = params
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let answer = server.webhook("/twilio/status", &params).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(server.get(&ann).await["on_call"].is_null(), "the call is over");

    let second = ring(&server, &call_sid(2), OURS).await;
    assert!(second.contains("+14155550191"), "{second}");
    eventually("the call's record is closed by itself", async || {
        let calls = server.items("/api/calls").await;
        let mut ours = calls.into_iter().filter(|call| call["sid"] == call_sid(2));
        ours.next().filter(|call| call["ended_at"].is_string())
    })
    .await;
    let third = ring(&server, &call_sid(3), OURS).await;
    assert!(
        third.contains("+14155550191"),
        "nobody said that the call was over: {third}"
    );
}
