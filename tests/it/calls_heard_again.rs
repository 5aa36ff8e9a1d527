//! A live call whose listener died, or whose stream broke off, is streamed to us again by a request to the provider.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::support::{
    eventually::{a_moment, eventually},
    media_socket::{MediaSocket, token_of},
    provider::Provider,
    server::{Options, Server},
    twilio::call_sid,
};

const CALLER: &str = "+14155550101";
const MASTER_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// What was asked of the provider about streams: the fields of each request.
pub fn streams_asked(provider: &Provider) -> Vec<BTreeMap<String, String>> {
    let asked = provider.webhooks();
    let of_streams = asked
        .iter()
        .filter(|((path, _), _)| path.ends_with("/Streams.json"));
    of_streams
        .flat_map(|(_, bodies)| bodies)
        .map(|body| {
            let fields = reqwest::Url::parse(&format!("http://127.0.0.1/?{body}")).expect("a form");
            fields.query_pairs().into_owned().collect()
        })
        .collect()
}

async fn record_where(server: &Server, call: &str, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || async {
        let calls = server.items("/api/calls").await;
        calls
            .into_iter()
            .find(|record| record["sid"] == call && is_it(record))
    })
    .await
}

/// A server that asks this provider, with one call that is streamed.
async fn streamed(provider: &Provider, number: u32) -> (Server, String, MediaSocket) {
    let options = Options::serve()
        .with("PATCHCORD_TWILIO__API_BASE", &provider.at(""))
        .with("PATCHCORD_SECURITY__MASTER_KEY", MASTER_KEY);
    let server = Server::start(options).await;
    let call = call_sid(number);
    let address = server.ring(&call, CALLER).await;
    let mut socket = server.open_media(&address).await.expect("the pass is good");
    socket.start(&call, token_of(&address)).await;
    record_where(&server, &call, "it is streamed", |record| {
        record["stream"].is_string()
    })
    .await;
    (server, call, socket)
}

/// The address of the only stream that was asked for.
async fn asked_once(provider: &Provider) -> String {
    eventually("a stream is asked for", || async {
        let asked = streams_asked(provider);
        assert!(asked.len() < 2, "one is enough: {asked:?}");
        asked.into_iter().next()
    })
    .await
    .remove("Url")
    .expect("it has an address")
}

#[tokio::test]
async fn a_call_goes_on_being_heard_after_its_process_was_killed() {
    let provider = Provider::start(0, 1).await;
    let (mut server, call, socket) = streamed(&provider, 1).await;
    server.restart().await;
    drop(socket);
    let address = asked_once(&provider).await;
    // Twilio opens what it was asked to, on the port of the process that asked.
    let mut again = server.open_media(&address).await.expect("the pass is good");
    again.start_as("MZ2", &call, token_of(&address)).await;
    let record = record_where(&server, &call, "it is streamed again", |record| {
        record["stream"] == "MZ2"
    })
    .await;
    assert_eq!(
        (&record["gaps"], &record["status"]),
        (&1.into(), &"in_progress".into())
    );
    again.stop(&call).await;
    assert_eq!(again.closed().await.0, 1_000);
    record_where(&server, &call, "the stream is over", |record| {
        record["stream"].is_null()
    })
    .await;
    assert_eq!(streams_asked(&provider).len(), 1);
}

#[tokio::test]
async fn a_call_whose_socket_broke_off_is_heard_again_and_one_that_has_ended_is_not() {
    let provider = Provider::start(0, 1).await;
    let (server, call, socket) = streamed(&provider, 2).await;
    socket.cut();
    asked_once(&provider).await;
    let ended = [
        ("CallSid", call.as_str()),
        ("From", CALLER),
        ("To", "+15550001111"),
        ("Direction", "inbound"),
        ("CallStatus", "completed"),
        ("SequenceNumber", "3"),
    ];
    assert!(
        server
            .webhook("/twilio/status", &ended)
            .await
            .status()
            .is_success()
    );
    record_where(&server, &call, "the call has ended", |record| {
        record["status"] == "completed"
    })
    .await;
    let (second, call) = (server.ring(&call_sid(3), CALLER).await, call_sid(3));
    let mut socket = server.open_media(&second).await.expect("the pass is good");
    socket.start_as("MZ3", &call, token_of(&second)).await;
    record_where(&server, &call, "it is streamed", |record| {
        record["stream"].is_string()
    })
    .await;
    socket.stop(&call).await;
    assert_eq!(socket.closed().await.0, 1_000);
    record_where(&server, &call, "the provider ended it", |record| {
        record["stream"].is_null()
    })
    .await;
    // It would be asked for after two seconds.
    a_moment(Duration::from_secs(3)).await;
    assert_eq!(streams_asked(&provider).len(), 1, "its word counts");
}
