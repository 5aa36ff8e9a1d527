//! Watches a server's live stream as a supervisor does.
//!
//! In: who signs in. Out: every message with the moment it arrived, or why the stream ended.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use super::{doors::Doors, outcome::SimulateError};
use crate::domain::secret::Secret;

/// Messages read but not yet shown. The reader waits when it is full; the server marks a gap if that takes too long.
const QUEUE_MESSAGES_MAX: usize = 10_000;
/// From the first message to the server's first answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// How to get in.
#[derive(Debug, Clone)]
pub enum SignIn {
    Token(Secret),
    Password { email: String, password: Secret },
}

/// One message of the live stream.
#[derive(Debug, Clone)]
pub struct Heard {
    pub at: Instant,
    pub message: Value,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A supervisor's seat.
#[derive(Debug)]
pub struct Live {
    messages: mpsc::Receiver<Result<Heard, SimulateError>>,
    token: Secret,
}

impl Live {
    /// The next message.
    ///
    /// # Errors
    /// [`SimulateError::Live`] when the stream has ended.
    pub async fn next(&mut self) -> Result<Heard, SimulateError> {
        let ended = || SimulateError::Live {
            why: "it ended".to_owned(),
        };
        self.messages.recv().await.unwrap_or_else(|| Err(ended()))
    }

    /// What we are signed in with.
    #[must_use]
    pub fn token(&self) -> &Secret {
        &self.token
    }
}

/// Signs in and starts to watch. Returns when the server has taken the subscription, so that nothing is missed.
///
/// # Errors
/// [`SimulateError::SignIn`] when the server does not let us in.
pub async fn watch(doors: &Doors, sign_in: &SignIn) -> Result<Live, SimulateError> {
    let token = match sign_in {
        SignIn::Token(token) => token.clone(),
        SignIn::Password { email, password } => log_in(doors, email, password).await?,
    };
    let url = doors.ws_at("/ws/supervisor");
    let (mut socket, _) = connect_async(url.as_str())
        .await
        .map_err(|error| refused(&format!("{url}: {error}")))?;
    let hello = json!({"type": "auth", "token": token.expose()});
    socket
        .send(Message::text(hello.to_string()))
        .await
        .map_err(|error| refused(&error.to_string()))?;
    // The first answer, `ready`, comes when the subscription is in place.
    let first = timeout(ANSWER_DEADLINE, next(&mut socket))
        .await
        .map_err(|_| refused("the live stream does not get ready"))?;
    let first = first.map_err(|error| refused(&error.to_string()))?;
    let (sender, messages) = mpsc::channel(QUEUE_MESSAGES_MAX);
    tokio::spawn(async move {
        let mut heard = Ok(first);
        loop {
            let ended = heard.is_err();
            if sender.send(heard).await.is_err() || ended {
                return;
            }
            heard = next(&mut socket).await;
        }
    });
    Ok(Live { messages, token })
}

async fn next(socket: &mut Socket) -> Result<Heard, SimulateError> {
    let ended = |why: String| SimulateError::Live { why };
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let message = serde_json::from_str(&text).map_err(|error| ended(error.to_string()))?;
                return Ok(Heard {
                    at: Instant::now(),
                    message,
                });
            }
            Some(Ok(Message::Close(frame))) => {
                return Err(ended(frame.map_or_else(
                    || "closed".to_owned(),
                    |f| format!("{} {}", f.code, f.reason),
                )));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(ended(error.to_string())),
            None => return Err(ended("the connection ended".to_owned())),
        }
    }
}

async fn log_in(doors: &Doors, email: &str, password: &Secret) -> Result<Secret, SimulateError> {
    let url = doors.at("/api/auth/login");
    let body = json!({"email": email, "password": password.expose()});
    let response = doors
        .client()
        .post(&url)
        .json(&body)
        .send()
        .await
        .map_err(|source| SimulateError::Unreachable { url, source })?;
    let status = response.status();
    let answer: Value = response.json().await.unwrap_or_default();
    match answer["access_token"].as_str() {
        Some(token) if status.is_success() => Ok(Secret::new(token.to_owned())),
        _ => Err(refused(&format!(
            "{status} {}",
            answer["detail"].as_str().unwrap_or_default()
        ))),
    }
}

fn refused(why: &str) -> SimulateError {
    SimulateError::SignIn {
        why: why.trim().to_owned(),
    }
}
