//! A server with Redis: what it shares, and that nothing breaks without it.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::support::{
    eventually::{DEADLINE, eventually},
    redis::Server as RedisServer,
    server::{Options, Server},
};

async fn health_of(server: &Server) -> Value {
    server.get("/healthz").await["dependencies"]["redis"]["status"].clone()
}

async fn until_health_is(server: &Server, status: &str) {
    eventually("the health of redis", || async {
        (health_of(server).await == status).then_some(())
    })
    .await;
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
async fn calls_and_watchers_go_on_while_redis_is_gone_and_are_told_after() {
    let mut redis = RedisServer::start().await;
    let options = Options::serve().with("PATCHCORD_REDIS__URL", &redis.url());
    let server = Server::start(options).await;
    assert_eq!(health_of(&server).await, "ok");
    let ticket = server.post("/api/ws-ticket", &json!({})).await;
    let path = format!(
        "/ws/supervisor?ticket={}",
        ticket["ticket"].as_str().expect("a ticket")
    );
    let (mut socket, _) = connect_async(server.ws_at(&path))
        .await
        .expect("the ticket opens the stream");
    assert!(connect_async(server.ws_at(&path)).await.is_err(), "once");
    let execute = format!("/api/workflows/{}/execute", workflow(&server).await);
    let mut next_of = async |kind: &str| loop {
        let message = tokio::time::timeout(DEADLINE, socket.next())
            .await
            .unwrap_or_else(|_| panic!("no {kind} in time"))
            .expect("the stream stays open")
            .expect("frames are whole");
        match message {
            Message::Text(text) => {
                let message: Value = serde_json::from_str(&text).expect("messages are JSON");
                if message["type"] == kind {
                    return message;
                }
            }
            Message::Ping(_) => socket.send(Message::Pong(Vec::new().into())).await.expect("sent"),
            _ => {}
        }
    };
    let run = server.post(&execute, &json!({})).await["run_id"].clone();
    let ended = next_of("run.ended").await;
    assert_eq!(ended["run_id"], run);
    assert!(
        ended["cursor"].as_str().expect("a cursor").starts_with('r'),
        "{ended}"
    );
    redis.kill().await;
    until_health_is(&server, "degraded").await;
    let run = server.post(&execute, &json!({})).await["run_id"].clone();
    assert_eq!(next_of("run.ended").await["run_id"], run, "its own facts go on");
    redis.start_again().await;
    next_of("gap").await;
    until_health_is(&server, "ok").await;
    let run = server.post(&execute, &json!({})).await["run_id"].clone();
    assert_eq!(next_of("run.ended").await["run_id"], run);
}
