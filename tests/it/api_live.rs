//! The live stream over the wire: who may watch, what a reconnect sees, how a connection ends.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message},
};

use crate::support::{
    eventually::DEADLINE,
    server::{Options, Server},
};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn open(server: &Server, path: &str) -> Socket {
    connect_async(server.ws_at(path))
        .await
        .expect("the live stream accepts a connection")
        .0
}

async fn say(socket: &mut Socket, message: Value) {
    socket
        .send(Message::text(message.to_string()))
        .await
        .expect("the message can be sent");
}

/// The next message, or the code with which the server closed.
async fn next(socket: &mut Socket) -> Result<Value, u16> {
    loop {
        let message = tokio::time::timeout(DEADLINE, socket.next())
            .await
            .expect("an answer in time");
        match message
            .expect("an end is told before it happens")
            .expect("frames are whole")
        {
            Message::Text(text) => return Ok(serde_json::from_str(&text).expect("messages are JSON")),
            Message::Close(frame) => return Err(frame.expect("a close code").code.into()),
            _ => {}
        }
    }
}

async fn next_of(socket: &mut Socket, kind: &str) -> Value {
    loop {
        let message = next(socket)
            .await
            .unwrap_or_else(|code| panic!("closed with {code}, waiting for {kind}"));
        if message["type"] == kind {
            return message;
        }
    }
}

async fn signed_in(server: &Server, since: Option<&str>) -> Socket {
    let mut socket = open(server, "/ws/supervisor").await;
    say(
        &mut socket,
        json!({"type": "auth", "token": server.ready().access_token, "since": since}),
    )
    .await;
    socket
}

/// Makes a run start and end, which the stream shows.
async fn make_news(server: &Server, workflow: &str) -> String {
    let started = server
        .post(&format!("/api/workflows/{workflow}/execute"), &json!({}))
        .await;
    started["run_id"].as_str().expect("a run id").to_owned()
}

async fn workflow(server: &Server) -> String {
    let definition = json!({
        "name": "News",
        "trigger": {"type": "manual"},
        "nodes": [{"id": "tell", "type": "alert", "params": {"title": "Look here"}}],
        "edges": [{"from": "trigger", "to": "tell"}],
    });
    let made = server.post("/api/workflows", &definition).await;
    made["id"].as_str().expect("a workflow id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_known_token_opens_the_stream() {
    let server = Server::start(Options::serve()).await;
    for (message, code) in [
        (json!({"type": "auth", "token": "pca_wrong"}), 4401),
        (json!({"type": "ping"}), 4401),
        (json!({"type": "drop table"}), 4400),
    ] {
        let mut socket = open(&server, "/ws/supervisor").await;
        say(&mut socket, message.clone()).await;
        assert_eq!(next(&mut socket).await, Err(code), "{message}");
    }
    let refused = connect_async(server.ws_at("/ws/supervisor?ticket=pct_wrong")).await;
    let Err(tungstenite::Error::Http(response)) = refused else {
        panic!("a wrong ticket was let in")
    };
    assert_eq!(response.status().as_u16(), 401);
    let silent = next(&mut open(&server, "/ws/supervisor").await).await;
    assert_eq!(silent, Err(4401), "who says nothing is closed out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_stream() {
    let server = Server::start(Options::serve()).await;
    let ticket = server.post("/api/ws-ticket", &json!({})).await;
    let path = format!(
        "/ws/supervisor?ticket={}",
        ticket["ticket"].as_str().expect("a ticket")
    );
    assert_eq!(
        next(&mut open(&server, &path).await).await.expect("open")["type"],
        "ready"
    );
    assert!(
        connect_async(server.ws_at(&path)).await.is_err(),
        "the ticket is used"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconnect_sees_exactly_what_it_missed_or_is_told_of_the_gap() {
    let mut server = Server::start(Options::serve()).await;
    let workflow = workflow(&server).await;
    let mut first = signed_in(&server, None).await;
    let ready = next_of(&mut first, "ready").await;
    let since = ready["cursor"].as_str().expect("a cursor").to_owned();
    let run = make_news(&server, &workflow).await;
    let mut live = Vec::new();
    loop {
        let message = next(&mut first).await.expect("the stream stays open");
        let is_end = message["type"] == "run.ended";
        live.push(message);
        if is_end {
            break;
        }
    }
    assert!(
        live.iter()
            .all(|message| message["cursor"].is_string() && message["at"].is_string()),
        "{live:?}"
    );
    assert!(
        live.iter().any(|message| message["type"] == "run.step"),
        "{live:?}"
    );
    assert!(
        live.iter()
            .filter(|message| message["run_id"].is_string())
            .all(|message| message["run_id"] == run.as_str())
    );

    let mut second = signed_in(&server, Some(&since)).await;
    next_of(&mut second, "ready").await;
    for expected in &live {
        assert_eq!(next(&mut second).await.as_ref(), Ok(expected));
    }
    let last = live.last().expect("news")["cursor"]
        .as_str()
        .expect("a cursor")
        .to_owned();
    server.restart().await;
    let mut third = signed_in(&server, Some(&last)).await;
    next_of(&mut third, "ready").await;
    assert_eq!(
        next(&mut third).await.expect("open")["type"],
        "gap",
        "another process keeps nothing of the first"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_narrows_acknowledges_and_pings() {
    let server = Server::start(Options::serve()).await;
    let workflow = workflow(&server).await;
    let mut socket = signed_in(&server, None).await;
    next_of(&mut socket, "ready").await;
    say(&mut socket, json!({"type": "ping"})).await;
    assert_eq!(next(&mut socket).await.expect("open")["type"], "pong");
    say(
        &mut socket,
        json!({"type": "subscribe", "types": ["alert.raised", "alert.acked"]}),
    )
    .await;
    assert_eq!(next(&mut socket).await.expect("open")["type"], "subscribed");
    make_news(&server, &workflow).await;
    let raised = next(&mut socket).await.expect("open");
    assert_eq!(
        (&raised["type"], &raised["alert"]["title"]),
        (&json!("alert.raised"), &json!("Look here"))
    );
    say(
        &mut socket,
        json!({"type": "ack", "alert_id": raised["alert"]["id"]}),
    )
    .await;
    assert_eq!(
        next(&mut socket).await.expect("open")["alert_id"],
        raised["alert"]["id"]
    );
    let path = format!("/api/alerts/{}", raised["alert"]["id"].as_str().expect("an id"));
    assert!(server.get(&path).await["acked_at"].is_string());
    say(
        &mut socket,
        json!({"type": "ack", "alert_id": "alert_01h455vb4pex5vsknk084sn02q"}),
    )
    .await;
    let refused = next(&mut socket).await.expect("open");
    assert_eq!(
        (&refused["type"], &refused["problem"]["code"]),
        (&json!("error"), &json!("not_found"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_says_so_to_whoever_watches() {
    let server = Server::start(Options::serve()).await;
    let mut watchers = Vec::new();
    for _ in 0..5 {
        watchers.push(signed_in(&server, None).await);
    }
    server.signal("TERM").await;
    for mut socket in watchers {
        let ended = loop {
            if let Err(code) = next(&mut socket).await {
                break code;
            }
        };
        assert_eq!(ended, 1001);
    }
}
