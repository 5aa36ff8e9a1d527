//! The media door over the wire: who may open a stream, and what becomes of one that goes wrong.
//!
//! Whatever ends a stream, the call goes on and its record comes to an end.

use std::time::Duration;

use patchcord::{
    domain::{
        audio::Speaker,
        ids::{AccountSid, CallSid},
        time::Timestamp,
    },
    integrations::twilio::media_pass::{MediaPass, PASS_LIFE},
};
use reqwest::StatusCode;
use serde_json::Value;

use crate::support::{
    eventually::eventually,
    media_socket::{MediaSocket, start_message, token_of},
    server::{Options, Server},
    twilio::{ACCOUNT_SID, call_sid},
};

const CALLER: &str = "+14155550101";

/// A server, one ringing call, and its started stream.
async fn streaming(number: u32) -> (Server, String, MediaSocket) {
    let server = Server::start(Options::dev()).await;
    let call = call_sid(number);
    let address = server.ring(&call, CALLER).await;
    let mut socket = server.open_media(&address).await.expect("the pass is good");
    socket.start(&call, token_of(&address)).await;
    for chunk in 1..=5 {
        socket.silence("inbound", chunk).await;
        socket.silence("outbound", chunk).await;
    }
    call_where(&server, &call, "it is streamed", |record| {
        record["stream"].is_string()
    })
    .await;
    (server, call, socket)
}

/// Waits until the record of `call` is as wanted, and returns it.
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

/// Ends `call` as Twilio does and waits until its record says so.
async fn ends_well(server: &Server, call: &str) -> Value {
    let params = [
        ("CallSid", call),
        ("From", CALLER),
        ("To", "+15550001111"),
        ("Direction", "inbound"),
        ("CallStatus", "completed"),
        ("SequenceNumber", "3"),
        ("CallDuration", "7"),
    ];
    assert!(
        server
            .webhook("/twilio/status", &params)
            .await
            .status()
            .is_success()
    );
    let record = call_where(server, call, "the call has ended", |record| {
        record["status"] == "completed"
    })
    .await;
    assert!(
        record["ended_at"].is_string() && record["stream"].is_null(),
        "{record}"
    );
    record
}

/// Waits until the stream is gone from the call that goes on.
async fn goes_on_with_a_gap(server: &Server, call: &str) {
    let record = call_where(server, call, "the stream is over", |record| {
        record["stream"].is_null()
    })
    .await;
    assert_eq!(
        (&record["gaps"], &record["status"]),
        (&1.into(), &"in_progress".into()),
        "{record}"
    );
    ends_well(server, call).await;
}

#[tokio::test]
async fn a_stopped_stream_leaves_no_gap() {
    let (server, call, mut socket) = streaming(1).await;
    socket.stop(&call).await;
    assert_eq!(socket.closed().await.0, 1000);
    call_where(&server, &call, "the stream is over", |record| {
        record["stream"].is_null()
    })
    .await;
    assert_eq!(ends_well(&server, &call).await["gaps"], 0);
}

#[tokio::test]
async fn a_socket_cut_without_stop_is_a_gap_and_no_stuck_call() {
    let (server, call, socket) = streaming(2).await;
    socket.cut();
    goes_on_with_a_gap(&server, &call).await;
}

#[tokio::test]
async fn broken_json_closes_the_stream_and_not_the_call() {
    let (server, call, mut socket) = streaming(3).await;
    socket
        .send_text(r#"{"event":"media","media":{"track":"#.to_owned())
        .await;
    let (code, reason) = socket.closed().await;
    assert_eq!(code, 1007);
    assert!(reason.contains("JSON"), "{reason}");
    goes_on_with_a_gap(&server, &call).await;
}

#[tokio::test]
async fn a_message_of_a_megabyte_closes_the_stream_and_not_the_call() {
    let (server, call, mut socket) = streaming(4).await;
    socket
        .try_send_text(format!(
            r#"{{"event":"media","payload":"{}"}}"#,
            "A".repeat(1_000_000)
        ))
        .await;
    assert_eq!(socket.closed().await.0, 1009);
    goes_on_with_a_gap(&server, &call).await;
}

#[tokio::test]
async fn bytes_and_a_second_start_close_the_stream() {
    let (server, call, mut socket) = streaming(5).await;
    socket.send_bytes(vec![0; 160]).await;
    assert_eq!(socket.closed().await.0, 1003);
    let again = server.ring(&call, CALLER).await;
    let mut second = server
        .open_media(&again)
        .await
        .expect("a call may be streamed again");
    second.start(&call, token_of(&again)).await;
    second.send(&start_message(&call, token_of(&again))).await;
    assert_eq!(second.closed().await.0, 1002);
    ends_well(&server, &call).await;
}

#[tokio::test]
async fn a_media_token_opens_one_stream_only() {
    let server = Server::start(Options::dev()).await;
    let address = server.ring(&call_sid(6), CALLER).await;
    let first = server.open_media(&address).await;
    assert!(first.is_ok());
    assert_eq!(
        server.open_media(&address).await.err(),
        Some(StatusCode::FORBIDDEN)
    );
    drop(first);
    assert_eq!(
        server.open_media(&address).await.err(),
        Some(StatusCode::FORBIDDEN),
        "not after its end either"
    );
}

#[tokio::test]
async fn an_expired_forged_or_foreign_media_token_opens_nothing() {
    let server = Server::start(Options::dev()).await;
    let keys = server.signing_keys();
    let pass = |account: &str, now| {
        let call = CallSid::new(call_sid(7));
        MediaPass::fresh(AccountSid::new(account), call, Speaker::Customer, now).seal(&keys, now)
    };
    let now = patchcord::clock::now();
    let life_ago = Timestamp::from_unix_millis(
        now.as_unix_millis() - u64::try_from(PASS_LIFE.as_millis()).expect("small"),
    );
    let at = |token: &str| server.ws_at(&format!("/twilio/media/{token}"));
    let expired = at(&pass(ACCOUNT_SID, life_ago));
    assert_eq!(
        server.open_media(&expired).await.err(),
        Some(StatusCode::FORBIDDEN)
    );
    let foreign = at(&pass("AC00000000000000000000000000000002", now));
    assert_eq!(
        server.open_media(&foreign).await.err(),
        Some(StatusCode::FORBIDDEN)
    );
    assert_eq!(
        server.open_media(&at("nonsense")).await.err(),
        Some(StatusCode::FORBIDDEN)
    );
    let good = at(&pass(ACCOUNT_SID, now));
    assert_eq!(
        server.open_media_with_signature(&good, None).await.err(),
        Some(StatusCode::FORBIDDEN)
    );
    let wrong = Some("AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    assert_eq!(
        server.open_media_with_signature(&good, wrong).await.err(),
        Some(StatusCode::FORBIDDEN)
    );
    assert!(
        server.open_media(&good).await.is_ok(),
        "a refused attempt must not use the token up"
    );
    assert_eq!(server.items("/api/calls").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_stream_of_another_call_is_refused() {
    let server = Server::start(Options::dev()).await;
    let (call, other) = (call_sid(8), call_sid(9));
    let address = server.ring(&call, CALLER).await;
    let mut socket = server.open_media(&address).await.expect("the pass is good");
    socket.start(&other, token_of(&address)).await;
    assert_eq!(socket.closed().await.0, 1008);
    let address = server.ring(&call, CALLER).await;
    let mut socket = server.open_media(&address).await.expect("the pass is good");
    socket.start(&call, "another token").await;
    assert_eq!(socket.closed().await.0, 1008);
    assert!(ends_well(&server, &call).await["stream"].is_null());
}

#[tokio::test]
async fn a_stream_that_never_starts_is_closed_after_five_seconds() {
    let server = Server::start(Options::dev()).await;
    let call = call_sid(10);
    let address = server.ring(&call, CALLER).await;
    let mut idle = server.open_media(&address).await.expect("the pass is good");
    let hasty_address = server.ring(&call, CALLER).await;
    let mut hasty = server.open_media(&hasty_address).await.expect("the pass is good");
    hasty.silence("inbound", 1).await;
    assert_eq!(hasty.closed().await.0, 1002);
    assert_eq!(idle.closed_within(Duration::from_secs(20)).await.0, 1008);
    ends_well(&server, &call).await;
}
