//! A supervised call: customer and agent in a room of their own, at a provider that the test plays.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{
    api::{Answer, ask},
    eventually::eventually,
    rooms::{Asked, Rooms},
    server::{Options, Server},
    twilio::call_sid,
};

const CALLER: &str = "+14155550101";
pub const OURS: &str = "+15550001111";
pub const AGENT: &str = "+14155550190";
pub const ROOM: &str = "CF00000000000000000000000000000001";

/// A supervised call to a server whose provider these rooms are.
pub struct Floor {
    pub rooms: Rooms,
    pub server: Server,
    /// The customer's call.
    pub sid: String,
    /// Where the room reports to.
    pub room_door: String,
    /// Reports so far.
    sequence: u32,
}

impl Floor {
    /// The customer has called, and waits in the room if `supervision` is on.
    pub async fn ring(supervision: bool) -> Self {
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
    pub async fn talking() -> Self {
        let mut floor = Self::ring(true).await;
        let agent = floor.agent();
        floor.tells("participant-join", "agent-1", &agent, &[]).await;
        floor
            .call_where("an agent is on it", |call| call["supervision"] == "ready")
            .await;
        floor
    }

    pub fn agent(&self) -> String {
        self.rooms.leg("agent-1").expect("the agent was dialled")
    }

    /// The room reports, as Twilio does.
    pub async fn tells(&mut self, event: &str, label: &str, sid: &str, more: &[(&str, &str)]) {
        self.sequence += 1;
        let sequence = self.sequence.to_string();
        self.tells_as(&sequence, event, label, sid, more).await;
    }

    pub async fn tells_as(&self, sequence: &str, event: &str, label: &str, sid: &str, more: &[(&str, &str)]) {
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
    pub async fn leg_is(&self, asked: &Asked, sid: &str, status: &str) -> StatusCode {
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

    pub async fn call(&self) -> Option<Value> {
        let calls = self.server.items("/api/calls").await;
        calls.into_iter().find(|call| call["sid"] == self.sid)
    }

    pub async fn call_where(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || self.call().await.filter(&is_it)).await
    }

    pub async fn monitor(&self, method: Method, body: Value) -> Answer {
        let token = self.server.ready().access_token.clone();
        self.monitor_as(&token, method, body).await
    }

    pub async fn monitor_as(&self, token: &str, method: Method, body: Value) -> Answer {
        let call = self.call_where("it is known", |_| true).await;
        let path = format!("/api/calls/{}/monitor", call["id"].as_str().expect("an id"));
        ask(&self.server, method, &path, token, Some(body)).await
    }
}

pub fn inbound<'a>(sid: &'a str, status: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("CallSid", sid),
        ("From", CALLER),
        ("To", OURS),
        ("Direction", "inbound"),
        ("CallStatus", status),
    ]
}
