//! Agents in a call's room: who is dialled once, and what becomes of a caller for whom nobody comes.

use reqwest::StatusCode;
use serde_json::Value;

use crate::support::{
    api::http,
    eventually::eventually,
    floor::{Floor, inbound},
    rooms::Answers,
    twilio::call_sid,
};

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
