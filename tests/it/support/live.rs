//! A supervisor: watches `/ws/supervisor` and waits for what happens.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use super::{eventually::DEADLINE, server::Server};

/// One supervisor's connection and everything it has seen.
pub struct Supervisor {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    seen: Vec<Value>,
}

impl Server {
    /// Opens the live stream from this moment on, or after `since`.
    pub async fn supervise(&self, since: Option<&str>) -> Supervisor {
        let (mut socket, _) = connect_async(self.ws_at("/ws/supervisor"))
            .await
            .expect("the live stream accepts a connection");
        let hello = json!({"type": "auth", "token": self.ready().access_token, "since": since});
        socket
            .send(Message::text(hello.to_string()))
            .await
            .expect("the first message can be sent");
        Supervisor {
            socket,
            seen: Vec::new(),
        }
    }
}

impl Supervisor {
    /// Waits for the next message that `is_it`, and returns it.
    ///
    /// # Panics
    /// When it does not come; the message lists what came instead.
    pub async fn wait_for(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        self.wait_within(DEADLINE, what, is_it).await
    }

    /// Like [`Self::wait_for`], with its own deadline.
    pub async fn wait_within(
        &mut self,
        limit: Duration,
        what: &str,
        is_it: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + limit;
        loop {
            let Ok(message) = timeout_at(deadline, self.socket.next()).await else {
                panic!("{what}: not within {limit:?}; seen: {:#?}", self.kinds());
            };
            let message = message
                .expect("the live stream stays open")
                .expect("its frames are whole");
            let Message::Text(text) = message else { continue };
            let value: Value = serde_json::from_str(&text).expect("live messages are JSON");
            self.seen.push(value.clone());
            if is_it(&value) {
                return value;
            }
        }
    }

    /// Waits for the next message of the type `kind`.
    pub async fn wait_for_type(&mut self, kind: &str) -> Value {
        self.wait_for(kind, |message| message["type"] == kind).await
    }

    /// Everything seen so far.
    #[must_use]
    pub fn seen(&self) -> &[Value] {
        &self.seen
    }

    fn kinds(&self) -> Vec<String> {
        self.seen
            .iter()
            .map(|message| message["type"].to_string())
            .collect()
    }
}
