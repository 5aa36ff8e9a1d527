//! Supervisors on live calls: a call put through in a room of its own, who listens, whispers and barges in, and what becomes of it when
//! the provider refuses, fails or forgets to answer.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    api::{Answer, http},
    eventually::eventually,
    floor::{AGENT, Floor, OURS, ROOM, inbound},
    rooms::Answers,
    server::Server,
};

const SUPERVISOR: &str = "+14155550177";

fn shown(call: &Value) -> (&str, &str) {
    let monitor = &call["monitors"][0];
    (
        monitor["mode"].as_str().unwrap_or_default(),
        monitor["state"].as_str().unwrap_or_default(),
    )
}

fn refused(answer: &Answer, status: StatusCode, code: &str) {
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (status, &json!(code)),
        "{}",
        answer.body
    );
}

/// A supervisor is dialled, muted and without a sound; returns the label and the leg.
async fn begins_to_listen(floor: &Floor) -> (String, String) {
    let agent = &floor.rooms.dialled("agent")[0];
    assert_eq!(
        (
            agent.field("To"),
            agent.field("From"),
            agent.field("EndConferenceOnExit"),
            agent.field("Muted")
        ),
        (AGENT, OURS, "true", "false")
    );
    let joined = floor.monitor(Method::POST, json!({"phone": SUPERVISOR})).await;
    assert_eq!(
        (joined.status, shown(&joined.body)),
        (StatusCode::ACCEPTED, ("listen", "calling"))
    );
    let dialled = floor.rooms.dialled("monitor");
    let [leg] = dialled.as_slice() else {
        panic!("{dialled:?}")
    };
    assert!(
        leg.path
            .ends_with(&format!("Conferences/{ROOM}/Participants.json")),
        "{}",
        leg.path
    );
    let fields = [
        "To",
        "From",
        "Muted",
        "Coaching",
        "Beep",
        "EarlyMedia",
        "EndConferenceOnExit",
    ];
    assert_eq!(
        fields.map(|name| leg.field(name)),
        [SUPERVISOR, OURS, "true", "", "false", "false", "false"]
    );
    let label = leg.field("Label").to_owned();
    let own = floor.rooms.leg(&label).expect("it was dialled");
    let twice = floor.monitor(Method::POST, json!({"phone": SUPERVISOR})).await;
    refused(&twice, StatusCode::CONFLICT, "already_monitoring");
    (label, own)
}

/// Each mode is asked of the provider as what it stands for.
async fn changes_the_mode(floor: &Floor, own: &str) {
    for (mode, muted, coaching, coached) in [
        ("whisper", "false", "true", floor.agent()),
        ("barge", "false", "false", String::new()),
        ("listen", "true", "", String::new()),
        ("whisper", "false", "true", floor.agent()),
    ] {
        let changed = floor.monitor(Method::PATCH, json!({"mode": mode})).await;
        assert_eq!(
            (changed.status, shown(&changed.body).0),
            (StatusCode::OK, mode),
            "{}",
            changed.body
        );
        let asked = floor.rooms.asked().pop().expect("it was asked for");
        assert!(
            asked.path.ends_with(&format!("/Participants/{own}.json")),
            "{}",
            asked.path
        );
        assert_eq!(
            ["Muted", "Coaching", "CallSidToCoach"].map(|name| asked.field(name).to_owned()),
            [muted.to_owned(), coaching.to_owned(), coached]
        );
    }
}

/// What the provider reports holds, in whatever order and however often it is told.
async fn hears_what_the_room_reports(floor: &Floor, label: &str, own: &str) {
    let reports = [
        ("7", "false", "false"),
        ("9", "true", "true"),
        ("8", "false", "true"),
        ("9", "true", "true"),
    ];
    for (sequence, muted, coaching) in reports {
        let more = [("Muted", muted), ("Coaching", coaching)];
        floor
            .tells_as(sequence, "participant-modify", label, own, &more)
            .await;
    }
    floor
        .call_where("the last report holds", |call| shown(call) == ("listen", "on"))
        .await;
}

async fn leaves(floor: &Floor, own: &str) {
    let left = floor.monitor(Method::DELETE, json!({})).await;
    assert_eq!(
        (left.status, &left.body["monitors"]),
        (StatusCode::OK, &json!([])),
        "{}",
        left.body
    );
    let asked = floor.rooms.asked().pop().expect("it was asked for");
    assert!(
        asked.path.ends_with(&format!("Calls/{own}.json")),
        "{}",
        asked.path
    );
    assert_eq!(asked.field("Status"), "completed");
    refused(
        &floor.monitor(Method::PATCH, json!({"mode": "barge"})).await,
        StatusCode::CONFLICT,
        "not_monitoring",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_listens_muted_whispers_to_the_agent_barges_in_and_leaves() {
    let mut floor = Floor::talking().await;
    let (label, own) = begins_to_listen(&floor).await;
    floor
        .tells("participant-join", &label, &own, &[("Muted", "true")])
        .await;
    floor
        .call_where("they are on it", |call| shown(call) == ("listen", "on"))
        .await;
    changes_the_mode(&floor, &own).await;
    hears_what_the_room_reports(&floor, &label, &own).await;
    leaves(&floor, &own).await;
    let log = floor.server.items("/api/audit?limit=6").await;
    let deeds: Vec<_> = log
        .iter()
        .rev()
        .map(|entry| {
            (
                entry["action"].as_str().unwrap_or_default(),
                shown(&entry["after"]).0,
            )
        })
        .collect();
    assert_eq!(
        deeds,
        [
            ("monitorCall", "listen"),
            ("changeMonitor", "whisper"),
            ("changeMonitor", "barge"),
            ("changeMonitor", "listen"),
            ("changeMonitor", "whisper"),
            ("leaveCall", "")
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens_to_a_call_without_a_room_or_an_agent_or_with_too_low_a_role() {
    let floor = Floor::ring(false).await;
    let wanted = json!({"phone": SUPERVISOR});
    let plain = floor.monitor(Method::POST, wanted.clone()).await;
    refused(&plain, StatusCode::CONFLICT, "not_supervised");
    let fix = plain.body["detail"].as_str().unwrap_or_default();
    assert!(fix.contains("supervision"), "it says what to do: {fix}");

    let mut floor = Floor::ring(true).await;
    refused(
        &floor.monitor(Method::POST, wanted.clone()).await,
        StatusCode::CONFLICT,
        "no_agent",
    );
    let agent = floor.agent();
    floor.tells("participant-join", "agent-1", &agent, &[]).await;
    for role in ["agent", "supervisor"] {
        let key = floor
            .server
            .post("/api/keys", &json!({"name": role, "role": role}))
            .await;
        let token = key["secret"].as_str().expect("a key").to_owned();
        for (method, body) in [
            (Method::POST, json!({"phone": SUPERVISOR, "mode": "barge"})),
            (Method::PATCH, json!({"mode": "listen"})),
            (Method::DELETE, json!({})),
        ] {
            let answer = floor.monitor_as(&token, method, body).await;
            if role == "agent" {
                refused(&answer, StatusCode::FORBIDDEN, "role_too_low");
            } else {
                assert!(answer.status.is_success(), "{}", answer.body);
            }
        }
    }
    for (wrong, field) in [
        (json!({}), "phone"),
        (json!({"phone": "a number"}), "phone"),
        (json!({"phone": SUPERVISOR, "mode": "shout"}), "mode"),
    ] {
        let answer = floor.monitor(Method::POST, wrong.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert_eq!(
            answer.body["errors"][0]["field"], field,
            "{wrong}: {}",
            answer.body
        );
    }
    assert_eq!(
        floor.rooms.dialled("monitor").len(),
        1,
        "only the supervisor's telephone rang"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_refuses_is_said_and_what_it_may_have_done_is_not_done_again() {
    let floor = Floor::talking().await;
    let wanted = json!({"phone": SUPERVISOR});
    floor.rooms.answer(Answers::Refused(400, 21_211));
    let bad_number = floor.monitor(Method::POST, wanted.clone()).await;
    assert_eq!(
        (bad_number.status, &bad_number.body["errors"][0]["field"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("phone"))
    );
    floor.rooms.answer(Answers::Refused(403, 20_003));
    let denied = floor.monitor(Method::POST, wanted.clone()).await;
    assert_eq!(denied.status, StatusCode::BAD_GATEWAY, "{}", denied.body);
    floor
        .call_where("nobody is called", |call| call["monitors"] == json!([]))
        .await;

    // Two are dialled of which nobody says so: 5xx, and no answer within the time-out.
    for (number, answers) in [(3, Answers::Broken), (4, Answers::Never)] {
        floor.rooms.answer(answers);
        let doubtful = floor.monitor(Method::POST, wanted.clone()).await;
        assert_eq!(
            (doubtful.status, shown(&doubtful.body)),
            (StatusCode::ACCEPTED, ("listen", "calling"))
        );
        floor.rooms.answer(Answers::Fine);
        let dialled = floor.rooms.dialled(&format!("monitor-{number}-"));
        let label = dialled[0].field("Label").to_owned();
        let sid = floor.rooms.leg(&label).expect("it was dialled");
        floor.rooms.forget(&label);
        refused(
            &floor.monitor(Method::POST, wanted.clone()).await,
            StatusCode::CONFLICT,
            "monitor_in_doubt",
        );
        refused(
            &floor.monitor(Method::DELETE, json!({})).await,
            StatusCode::CONFLICT,
            "monitor_in_doubt",
        );
        // Its own report proves that it rings; that it ended lets the next one be dialled.
        assert_eq!(floor.leg_is(&dialled[0], &sid, "ringing").await, StatusCode::OK);
        // A report is answered once it is kept, which may be before it is folded in.
        eventually("it is known to ring", async || {
            let again = floor.monitor(Method::POST, wanted.clone()).await;
            assert_eq!(again.status, StatusCode::CONFLICT, "{}", again.body);
            (again.body["code"] == "already_monitoring").then_some(())
        })
        .await;
        assert_eq!(floor.leg_is(&dialled[0], &sid, "no-answer").await, StatusCode::OK);
        assert_eq!(dialled.len(), 1);
        floor
            .call_where("nobody is called", |call| call["monitors"] == json!([]))
            .await;
    }
    floor.rooms.answer(Answers::Fine);
    assert_eq!(
        floor.monitor(Method::POST, wanted).await.status,
        StatusCode::ACCEPTED
    );
    floor.rooms.answer(Answers::Refused(404, 20_404));
    let gone = floor.monitor(Method::PATCH, json!({"mode": "whisper"})).await;
    refused(&gone, StatusCode::CONFLICT, "not_monitoring");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_call_ends_who_listens_and_who_is_still_called() {
    let mut floor = Floor::talking().await;
    let joined = floor
        .monitor(Method::POST, json!({"phone": SUPERVISOR, "mode": "whisper"}))
        .await;
    assert_eq!(
        (joined.status, shown(&joined.body).0),
        (StatusCode::ACCEPTED, "whisper")
    );
    let leg = floor.rooms.dialled("monitor").remove(0);
    assert_eq!(
        (
            leg.field("Coaching"),
            leg.field("CallSidToCoach"),
            leg.field("Muted")
        ),
        ("true", floor.agent().as_str(), "false")
    );
    let ringing = floor.rooms.leg(leg.field("Label")).expect("it rings");
    floor.tells("conference-end", "", "", &[]).await;
    floor
        .call_where("nobody listens", |call| call["monitors"] == json!([]))
        .await;
    let ended = floor.rooms.asked().pop().expect("its telephone is let go of");
    assert!(
        ended.path.ends_with(&format!("Calls/{ringing}.json")),
        "{}",
        ended.path
    );
    let sid = floor.sid.clone();
    let over = [&inbound(&sid, "completed")[..], &[("SequenceNumber", "3")]].concat();
    assert_eq!(
        floor.server.webhook("/twilio/status", &over).await.status(),
        StatusCode::OK
    );
    // A report that comes late brings nobody back.
    let label = leg.field("Label").to_owned();
    floor.tells("participant-join", &label, &ringing, &[]).await;
    let call = floor
        .call_where("it is over", |call| call["status"] == "completed")
        .await;
    assert_eq!(call["monitors"], json!([]));
    for (method, body) in [
        (Method::POST, json!({"phone": SUPERVISOR})),
        (Method::DELETE, json!({})),
    ] {
        refused(
            &floor.monitor(method, body).await,
            StatusCode::CONFLICT,
            "call_over",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_intent_and_answer_and_repeats_of_the_request_dial_once() {
    let mut floor = Floor::talking().await;
    let call = floor.call_where("it is known", |_| true).await;
    let path = format!("/api/calls/{}/monitor", call["id"].as_str().expect("an id"));
    let order = |server: &Server| {
        http()
            .post(server.at(&path))
            .bearer_auth(&server.ready().access_token)
            .header("Idempotency-Key", "listen-1")
            .json(&json!({"phone": SUPERVISOR}))
    };
    floor.rooms.answer(Answers::Never);
    let lost = tokio::spawn(order(&floor.server).send());
    eventually("the telephone is dialled", async || {
        (!floor.rooms.dialled("monitor").is_empty()).then_some(())
    })
    .await;
    floor.server.kill9().await;
    assert!(lost.await.expect("it ends").is_err(), "no answer came");
    floor.rooms.answer(Answers::Fine);
    floor.server.start_again().await;
    for _ in 0..3 {
        let again = order(&floor.server).send().await.expect("an answer");
        assert_eq!(again.status(), StatusCode::ACCEPTED);
        let call: Value = again.json().await.expect("JSON");
        assert_eq!(shown(&call), ("listen", "calling"));
    }
    assert_eq!(floor.rooms.dialled("monitor").len(), 1);
    // Without the key it is looked up: it rings.
    let other = floor.monitor(Method::POST, json!({"phone": SUPERVISOR})).await;
    refused(&other, StatusCode::CONFLICT, "already_monitoring");
    assert_eq!(floor.rooms.dialled("monitor").len(), 1);
}
