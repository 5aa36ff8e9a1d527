//! Calls that a run places: what happens when one is answered, and what happens to a second one.

use patchcord::integrations::twilio::callback_token;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    eventually::eventually,
    prism::Prism,
    provider::Provider,
    server::{Options, Server},
    twilio::call_sid,
};

const CALLED: &str = "+14155550133";

/// A workflow that places one call.
fn ring(plan: &Value) -> Value {
    json!({"name": "Ring", "trigger": {"type": "manual"},
        "nodes": [{"id": "ring", "type": "place_call", "params": plan, "audience": "staff"}],
        "edges": [{"from": "trigger", "to": "ring"}]})
}

/// Starts a workflow for a person with this number who was not known. Returns the run.
async fn start(server: &Server, workflow: &Value, phone: &str) -> String {
    let lead = server
        .post("/api/leads", &json!({"name": "Ann Lee", "phone": phone}))
        .await;
    let id = server.post("/api/workflows", workflow).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    server
        .post(&format!("/api/workflows/{id}/publish"), &json!({}))
        .await;
    let run = server
        .post(
            &format!("/api/workflows/{id}/execute"),
            &json!({"lead_id": lead["id"]}),
        )
        .await;
    run["run_id"].as_str().expect("an id").to_owned()
}

/// Lets a run place a call to the lead. Returns the run and the call's record.
async fn placed(server: &Server, plan: &Value) -> (String, Value) {
    let run = start(server, &ring(plan), CALLED).await;
    let record = eventually("the call is written down", async || {
        let messages = server.items("/api/messages").await;
        messages.into_iter().find(|message| message["channel"] == "call")
    })
    .await;
    (run, record)
}

fn token_of(server: &Server, record: &Value) -> String {
    let id = record["id"].as_str().and_then(|id| id.parse().ok());
    let now = patchcord::clock::now();
    callback_token::seal(&server.signing_keys(), id.expect("a message id"), now)
}

async fn answered(server: &Server, door: &str, sid: &str, answered_by: Option<&str>) -> String {
    let mut params = vec![
        ("CallSid", sid),
        ("From", "+15550001111"),
        ("To", CALLED),
        ("Direction", "outbound-api"),
        ("CallStatus", "in-progress"),
    ];
    params.extend(answered_by.map(|word| ("AnsweredBy", word)));
    let response = server.webhook(door, &params).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.text().await.expect("TwiML")
}

#[tokio::test]
async fn the_first_call_under_a_token_is_answered_and_a_second_one_hung_up() {
    let server = Server::start(Options::dev()).await;
    let plan = json!({"say": "Hello {{ lead.first_name }}", "connect_to": "+14155550177"});
    let (run, record) = placed(&server, &plan).await;
    assert_eq!(record["to"], CALLED);
    let door = format!("/twilio/placed?e={}", token_of(&server, &record));
    for _ in 0..2 {
        let twiml = answered(&server, &door, &call_sid(41), None).await;
        let say = twiml.find("<Say>Hello Ann</Say>").expect("it is said");
        let dial = twiml.find("+14155550177</Number>").expect("then connected");
        assert!(
            twiml.find("<Stream").is_some_and(|stream| stream < say) && say < dial,
            "{twiml}"
        );
    }
    let second = answered(&server, &door, &call_sid(42), None).await;
    assert!(second.ends_with("<Response><Hangup /></Response>"), "{second}");
    let status = format!("/twilio/status?e={}", token_of(&server, &record));
    for (sid, word) in [(41, "no-answer"), (42, "completed")] {
        let sid = call_sid(sid);
        let params = [
            ("CallSid", sid.as_str()),
            ("CallStatus", word),
            ("From", "+15550001111"),
            ("To", CALLED),
            ("Direction", "outbound-api"),
        ];
        assert_eq!(server.webhook(&status, &params).await.status(), StatusCode::OK);
    }
    let messages = server.items("/api/messages").await;
    let bound = messages.iter().find(|message| message["id"] == record["id"]);
    let bound = bound.expect("it is still there");
    assert_eq!(bound["provider_id"], call_sid(41));
    assert_ne!(bound["status"], "outbox");
    let lead_id = bound["lead_id"].as_str().expect("a lead").to_owned();
    let fact = eventually("what became of the call is the run's doing", async || {
        let timeline = server.items(&format!("/api/leads/{lead_id}/timeline")).await;
        timeline
            .into_iter()
            .find(|fact| fact["caused_by"] == json!(run) && fact["type"] != "call.started")
    })
    .await;
    assert!(fact["call_id"].is_string());
}

#[tokio::test]
async fn a_machine_gets_its_message_and_a_forged_token_nothing() {
    let server = Server::start(Options::dev()).await;
    let plan = json!({"say": "Hello", "on_machine": "leave_message", "machine_text": "Call us back"});
    let (_, record) = placed(&server, &plan).await;
    let door = format!("/twilio/placed?e={}", token_of(&server, &record));
    let twiml = answered(&server, &door, &call_sid(43), Some("machine_end_beep")).await;
    assert!(
        twiml.ends_with("<Response><Say>Call us back</Say><Hangup /></Response>"),
        "{twiml}"
    );
    let forged = "/twilio/placed?e=msg_01h455vb4pex5vsknk084sn02q.AAAA";
    let params = [("CallSid", "CA1"), ("CallStatus", "in-progress")];
    for door in [forged, "/twilio/placed"] {
        assert_eq!(
            server.webhook(door, &params).await.status(),
            StatusCode::FORBIDDEN
        );
    }
}

#[tokio::test]
async fn a_step_that_waits_for_its_call_hears_its_end_through_kills_whoever_was_called() {
    let provider = Provider::start(0, 1).await;
    let options = Options::serve()
        .with("PATCHCORD_TWILIO__API_BASE", &provider.at(""))
        .with("PATCHCORD_TWILIO__FROM_NUMBER", "+15550001111");
    let mut server = Server::start(options).await;
    let ends = [
        (CALLED, "no-answer", "0", "no_answer"),
        ("+14155550188", "completed", "12", "answered"),
    ];
    for (number, (to, word, seconds, outcome)) in (1..).zip(ends) {
        let sid = call_sid(number);
        let workflow = ring(&json!({"say": "Hello", "to": to, "wait": true}));
        let run = start(&server, &workflow, &format!("+1415555017{number}")).await;
        let path = format!("/api/runs/{run}");
        eventually("the call is placed and waited for", async || {
            let run = server.get(&path).await;
            (run["status"] == "waiting" && run["steps"][0]["effect"]["provider_id"] == json!(sid))
                .then_some(())
        })
        .await;
        server.restart().await;
        let record = server.items("/api/messages").await;
        let record = record
            .into_iter()
            .find(|message| message["provider_id"] == json!(sid));
        let door = format!(
            "/twilio/status?e={}",
            token_of(&server, &record.expect("it is tied"))
        );
        let report = [
            ("CallSid", sid.as_str()),
            ("CallStatus", word),
            ("CallDuration", seconds),
            ("From", "+15550001111"),
            ("To", to),
            ("Direction", "outbound-api"),
        ];
        assert_eq!(server.webhook(&door, &report).await.status(), StatusCode::OK);
        // What was answered with 2xx is kept.
        server.restart().await;
        let run = eventually("the run goes on", async || {
            let run = server.get(&path).await;
            (run["status"] == "completed").then_some(run)
        })
        .await;
        let output = &run["steps"][0]["output"];
        assert_eq!(
            (&output["outcome"], &output["sid"]),
            (&json!(outcome), &json!(sid)),
            "{run}"
        );
        assert_eq!(output["duration_s"].to_string(), seconds);
    }
}

#[tokio::test]
async fn a_call_is_placed_and_ended_by_hand_as_twilios_description_asks() {
    let Some(prism) = Prism::start(None).await else {
        return;
    };
    let options = Options::serve()
        .with("PATCHCORD_TWILIO__API_BASE", prism.base())
        .with("PATCHCORD_TWILIO__FROM_NUMBER", "+15550001111");
    let server = Server::start(options).await;
    for (wrong, field) in [
        (json!({"say": "Hello"}), "to"),
        (json!({"to": CALLED}), "say"),
        (json!({"to": "a number", "say": "Hello"}), "to"),
        (
            json!({"lead_id": "lead_01h455vb4pex5vsknk084sn02q", "say": "Hello"}),
            "lead_id",
        ),
    ] {
        let refused = server.request(Method::POST, "/api/calls", Some(&wrong)).await;
        assert_eq!(
            (refused.status, &refused.body["errors"][0]["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)),
            "{wrong}"
        );
    }
    let mut runs = Vec::new();
    for wanted in [
        json!({"to": CALLED, "say": "Hello"}),
        json!({"to": "+14155550134", "connect_to": "+14155550177"}),
        json!({"to": "+14155550135", "say": "Hello", "connect_to": "+14155550177"}),
    ] {
        let run = server.post("/api/calls", &wanted).await;
        let run = run["run_id"].as_str().expect("an id").to_owned();
        let ended = eventually("the call is placed", async || {
            let run = server.get(&format!("/api/runs/{run}")).await;
            (run["status"] != "running" && run["status"] != "waiting").then_some(run)
        })
        .await;
        assert_eq!(ended["status"], "completed", "{ended}");
        runs.push(ended["workflow_id"].clone());
    }
    assert!(
        runs.iter().all(|workflow| *workflow == runs[0]),
        "one workflow for all: {runs:?}"
    );

    server.begin_call(&call_sid(71), "+14155550136").await;
    let call = eventually("the call is known", async || {
        let calls = server.items("/api/calls").await;
        calls.into_iter().find(|call| call["from"] == "+14155550136")
    })
    .await;
    let path = format!("/api/calls/{}/hangup", call["id"].as_str().expect("an id"));
    let ended = server.request(Method::POST, &path, None).await;
    assert_eq!(ended.status, StatusCode::ACCEPTED, "{}", ended.body);
    server.report_no_answer(&call_sid(71), "+14155550136").await;
    let over = eventually("the call is over", async || {
        let again = server.request(Method::POST, &path, None).await;
        (again.status == StatusCode::CONFLICT).then_some(again)
    })
    .await;
    assert_eq!(over.body["code"], "call_over");
}

#[tokio::test]
async fn nothing_is_ended_where_nothing_leaves() {
    let server = Server::start(Options::dev()).await;
    server.begin_call(&call_sid(72), "+14155550136").await;
    let call = eventually("the call is known", async || {
        let calls = server.items("/api/calls").await;
        calls.into_iter().find(|call| call["from"] == "+14155550136")
    })
    .await;
    let path = format!("/api/calls/{}/hangup", call["id"].as_str().expect("an id"));
    let refused = server.request(Method::POST, &path, None).await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (StatusCode::CONFLICT, &json!("no_provider"))
    );
}
