//! Supervisors on live calls: a call put through in a room of its own, who listens, whispers and barges in, and what becomes of it when
//! the provider refuses, fails or forgets to answer.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    api::{Answer, ask, http},
    eventually::eventually,
    rooms::{Answers, Asked, Rooms},
    server::{Options, Server},
    twilio::call_sid,
};

const CALLER: &str = "+14155550101";
const OURS: &str = "+15550001111";
const AGENT: &str = "+14155550190";
const SUPERVISOR: &str = "+14155550177";
const ROOM: &str = "CF00000000000000000000000000000001";

/// A supervised call to a server whose provider these rooms are.
struct Floor {
    rooms: Rooms,
    server: Server,
    /// The customer's call.
    sid: String,
    /// Where the room reports to.
    room_door: String,
    /// Reports so far.
    sequence: u32,
}

impl Floor {
    /// The customer has called, and waits in the room if `supervision` is on.
    async fn ring(supervision: bool) -> Self {
        let rooms = Rooms::start().await;
        let options = Options::serve()
            .with("PATCHCORD_TWILIO__API_BASE", rooms.url())
            .with("PATCHCORD_TWILIO__ROUTING", "dial")
            .with("PATCHCORD_TWILIO__DIAL_TO", AGENT)
            .with("PATCHCORD_TWILIO__SUPERVISION", &supervision.to_string());
        let server = Server::start(options).await;
        let mut floor = Self {
            rooms,
            server,
            sid: call_sid(1),
            room_door: String::new(),
            sequence: 0,
        };
        let sid = floor.sid.clone();
        let answer = floor
            .server
            .webhook("/twilio/voice", &inbound(&sid, "ringing"))
            .await;
        let twiml = answer.text().await.expect("TwiML");
        assert_eq!(
            twiml.contains(&format!(">{sid}</Conference>")),
            supervision,
            "{twiml}"
        );
        if supervision {
            let door = twiml
                .split("statusCallback=\"")
                .nth(2)
                .and_then(|rest| rest.split('"').next());
            let door = door.expect("the room reports").replace("&amp;", "&");
            let door = door.split('#').next().expect("an address");
            floor.room_door = door.strip_prefix(floor.server.url()).expect("our own").to_owned();
            floor.tells("participant-join", "customer", &sid, &[]).await;
        }
        floor
    }

    /// Customer and agent talk.
    async fn talking() -> Self {
        let mut floor = Self::ring(true).await;
        let agent = floor.agent();
        floor.tells("participant-join", "agent-1", &agent, &[]).await;
        floor
            .call_where("an agent is on it", |call| call["supervision"] == "ready")
            .await;
        floor
    }

    fn agent(&self) -> String {
        self.rooms.leg("agent-1").expect("the agent was dialled")
    }

    /// The room reports, as Twilio does.
    async fn tells(&mut self, event: &str, label: &str, sid: &str, more: &[(&str, &str)]) {
        self.sequence += 1;
        let sequence = self.sequence.to_string();
        self.tells_as(&sequence, event, label, sid, more).await;
    }

    async fn tells_as(&self, sequence: &str, event: &str, label: &str, sid: &str, more: &[(&str, &str)]) {
        let mut params = vec![
            ("ConferenceSid", ROOM),
            ("FriendlyName", self.sid.as_str()),
            ("StatusCallbackEvent", event),
            ("SequenceNumber", sequence),
            ("ParticipantLabel", label),
            ("CallSid", sid),
        ];
        params.extend(more);
        let answer = self.server.webhook(&self.room_door, &params).await;
        assert_eq!(answer.status(), StatusCode::OK, "{event} of {label}");
    }

    /// A leg reports how far it has come.
    async fn leg_is(&self, asked: &Asked, sid: &str, status: &str) -> StatusCode {
        let door = asked.field("StatusCallback");
        let door = door.split('#').next().expect("an address");
        let door = door.strip_prefix(self.server.url()).expect("our own");
        let params = [
            ("CallSid", sid),
            ("CallStatus", status),
            ("Direction", "outbound-api"),
        ];
        self.server.webhook(door, &params).await.status()
    }

    async fn call(&self) -> Option<Value> {
        let calls = self.server.items("/api/calls").await;
        calls.into_iter().find(|call| call["sid"] == self.sid)
    }

    async fn call_where(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || self.call().await.filter(&is_it)).await
    }

    async fn monitor(&self, method: Method, body: Value) -> Answer {
        let token = self.server.ready().access_token.clone();
        self.monitor_as(&token, method, body).await
    }

    async fn monitor_as(&self, token: &str, method: Method, body: Value) -> Answer {
        let call = self.call_where("it is known", |_| true).await;
        let path = format!("/api/calls/{}/monitor", call["id"].as_str().expect("an id"));
        ask(&self.server, method, &path, token, Some(body)).await
    }
}

fn inbound<'a>(sid: &'a str, status: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("CallSid", sid),
        ("From", CALLER),
        ("To", OURS),
        ("Direction", "inbound"),
        ("CallStatus", status),
    ]
}

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

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_brought_in_once_and_a_caller_they_do_not_answer_is_sent_on() {
    let mut floor = Floor::ring(true).await;
    let sid = floor.sid.clone();
    for _ in 0..3 {
        floor
            .tells_as("1", "participant-join", "customer", &sid, &[])
            .await;
        // The same once more under another number, as another process would hear it.
        floor.tells("participant-join", "customer", &sid, &[]).await;
    }
    let dialled = floor.rooms.dialled("agent");
    assert_eq!(dialled.len(), 1, "{dialled:?}");
    let agent = floor.agent();
    assert_eq!(floor.leg_is(&dialled[0], &agent, "ringing").await, StatusCode::OK);
    floor.rooms.answer(Answers::Broken);
    // What cannot be passed on is told again.
    assert_eq!(
        floor.leg_is(&dialled[0], &agent, "no-answer").await,
        StatusCode::SERVICE_UNAVAILABLE
    );
    floor.rooms.answer(Answers::Fine);
    assert_eq!(
        floor.leg_is(&dialled[0], &agent, "no-answer").await,
        StatusCode::OK
    );
    let sent = floor.rooms.asked().pop().expect("the caller is sent on");
    assert!(sent.path.ends_with(&format!("Calls/{sid}.json")), "{}", sent.path);
    let door = sent.field("Url").split('#').next().expect("an address");
    let door = door.strip_prefix(floor.server.url()).expect("our own").to_owned();
    let twiml = floor.server.webhook(&door, &inbound(&sid, "in-progress")).await;
    let twiml = twiml.text().await.expect("TwiML");
    assert!(twiml.contains("<Record"), "they may leave a message: {twiml}");
    let missed = floor
        .call_where("it was missed", |call| call["dial_status"] == "no_answer")
        .await;
    assert_eq!(missed["answered_at"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_leg_in_doubt_after_a_kill_is_looked_up_and_not_dialled_again() {
    let mut floor = Floor::ring(true).await;
    // A second call, whose agent is dialled by a process that dies.
    floor.rooms.answer(Answers::Never);
    floor.sid = call_sid(2);
    let sid = floor.sid.clone();
    let answer = floor
        .server
        .webhook("/twilio/voice", &inbound(&sid, "ringing"))
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    let door = floor.server.at(&floor.room_door);
    let params = [
        ("AccountSid", crate::support::twilio::ACCOUNT_SID),
        ("ConferenceSid", "CF2"),
        ("FriendlyName", sid.as_str()),
        ("StatusCallbackEvent", "participant-join"),
        ("SequenceNumber", "1"),
        ("ParticipantLabel", "customer"),
        ("CallSid", sid.as_str()),
    ];
    let signature = crate::support::twilio::signature(crate::support::twilio::AUTH_TOKEN, &door, &params);
    let told = http()
        .post(door)
        .header("X-Twilio-Signature", signature)
        .form(&params);
    let lost = tokio::spawn(told.send());
    eventually("the agent is dialled", async || {
        (floor.rooms.dialled("agent").len() == 2).then_some(())
    })
    .await;
    floor.server.kill9().await;
    drop(lost.await);
    floor.rooms.answer(Answers::Fine);
    floor.server.start_again().await;
    // Twilio, which had no answer, tells again, on whatever address the server has by then.
    let answer = floor.server.webhook(&floor.room_door, &params).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(floor.rooms.dialled("agent").len(), 2, "one for each call");
    let agent = floor.agent();
    let joined = [
        ("ConferenceSid", "CF2"),
        ("FriendlyName", sid.as_str()),
        ("StatusCallbackEvent", "participant-join"),
        ("SequenceNumber", "2"),
        ("ParticipantLabel", "agent-1"),
        ("CallSid", agent.as_str()),
    ];
    assert_eq!(
        floor.server.webhook(&floor.room_door, &joined).await.status(),
        StatusCode::OK
    );
    floor
        .call_where("they talk", |call| call["supervision"] == "ready")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_for_whom_nobody_comes_after_a_kill_is_sent_on() {
    let mut floor = Floor::ring(true).await;
    let sid = floor.sid.clone();
    // The agent's leg is lost, and nobody ever tells of it.
    let asked = floor.rooms.dialled("agent").remove(0);
    floor.rooms.answer(Answers::Broken);
    let agent = floor.agent();
    assert_eq!(
        floor.leg_is(&asked, &agent, "busy").await,
        StatusCode::SERVICE_UNAVAILABLE
    );
    floor.server.kill9().await;
    floor.rooms.answer(Answers::Fine);
    floor.server.set("PATCHCORD_CALLS__LOST_AFTER_S", "1");
    floor.server.start_again().await;
    eventually("the customer is sent on", async || {
        let asked = floor.rooms.asked().pop()?;
        let is_sent = asked.path.ends_with(&format!("Calls/{sid}.json"))
            && asked.field("Url").contains("/twilio/missed");
        (floor.rooms.asked().len() > 2 && is_sent).then_some(())
    })
    .await;
}
