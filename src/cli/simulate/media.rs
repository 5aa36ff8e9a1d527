//! Sends the audio of one call over Twilio's media WebSocket: <https://www.twilio.com/docs/voice/media-streams/websocket-messages>.
//!
//! In: the address from the TwiML and both sides. Out: 20 ms frames of both tracks on an absolute schedule, so that a
//! late frame does not delay those after it. Notes how late each frame left, which shows when the server stops reading.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use serde_json::json;
use tokio::{net::TcpStream, sync::watch, time::Instant};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{
    audio::{FRAME_MS, Side},
    doors::Doors,
    outcome::SimulateError,
};
use crate::http::twilio::signature::SIGNATURE_HEADER;

/// A frame that leaves this much after its time counts as late.
pub const LATE: Duration = Duration::from_millis(100);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Where the audio goes and whose it is.
#[derive(Debug, Clone)]
pub struct StreamTarget {
    /// `wss://…` as it stands in the TwiML.
    pub url: String,
    pub call_sid: String,
    pub stream_sid: String,
    pub parameters: BTreeMap<String, String>,
}

/// How the sending went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    pub frames: u64,
    /// Frames that left more than [`LATE`] after their time.
    pub late: u64,
    pub worst: Duration,
}

/// An open media stream.
pub struct MediaStream {
    sink: SplitSink<Socket, Message>,
    closed: watch::Receiver<Option<String>>,
    target: StreamTarget,
    /// Counts every message after `connected`, from 1.
    sequence: u64,
    /// When frame 0 was due.
    started: Instant,
}

impl MediaStream {
    /// Opens the socket and sends `connected` and `start`.
    ///
    /// # Errors
    /// [`SimulateError::MediaOpen`] when the server does not take the upgrade.
    pub async fn open(doors: &Doors, target: StreamTarget) -> Result<Self, SimulateError> {
        let url = doors.ws_at(&doors.path_of(&target.url)?);
        let failed = |source| SimulateError::MediaOpen {
            url: url.clone(),
            source: Box::new(source),
        };
        let mut request = url.as_str().into_client_request().map_err(failed)?;
        let signature =
            HeaderValue::from_str(&doors.sign_upgrade(&target.url)).map_err(|error| failed(error.into()))?;
        request.headers_mut().insert(SIGNATURE_HEADER, signature);
        let (socket, _) = connect_async(request).await.map_err(failed)?;
        let (sink, source) = socket.split();
        let (sender, closed) = watch::channel(None);
        tokio::spawn(notice_close(source, sender));
        let mut stream = Self {
            sink,
            closed,
            target,
            sequence: 0,
            started: Instant::now(),
        };
        stream
            .send(json!({"event": "connected", "protocol": "Call", "version": "1.0.0"}).to_string())
            .await?;
        stream.start(&doors.account().sid).await?;
        stream.started = Instant::now();
        Ok(stream)
    }

    /// When the first frame was due.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Sends both sides to the end of the longer one. `speed` 1 is real time.
    ///
    /// # Errors
    /// [`SimulateError::MediaClosed`] when the server hangs up in the middle.
    pub async fn play(&mut self, inbound: &Side, outbound: &Side, speed: f64) -> Result<Pace, SimulateError> {
        let mut pace = Pace::default();
        let frame = Duration::from_millis(FRAME_MS).div_f64(speed);
        for index in 0..inbound.len().max(outbound.len()) {
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            let due = self.started + frame * number;
            tokio::time::sleep_until(due).await;
            for (track, side) in [("inbound", inbound), ("outbound", outbound)] {
                let text = self.media(track, number, &STANDARD.encode(side.frame(index)));
                self.send(text).await?;
                pace.note(due.elapsed());
            }
        }
        Ok(pace)
    }

    /// Sends `stop` and closes the socket.
    ///
    /// # Errors
    /// [`SimulateError::MediaClosed`] when the server was gone before.
    pub async fn stop(mut self, account_sid: &str) -> Result<(), SimulateError> {
        let sequence = self.next_sequence();
        let stop = json!({
            "event": "stop", "sequenceNumber": sequence, "streamSid": self.target.stream_sid,
            "stop": {"accountSid": account_sid, "callSid": self.target.call_sid},
        });
        self.send(stop.to_string()).await?;
        // The server may close first: it has had the stop.
        drop(self.sink.close().await);
        Ok(())
    }

    async fn start(&mut self, account_sid: &str) -> Result<(), SimulateError> {
        let sequence = self.next_sequence();
        let start = json!({
            "event": "start", "sequenceNumber": sequence, "streamSid": self.target.stream_sid,
            "start": {
                "accountSid": account_sid, "streamSid": self.target.stream_sid, "callSid": self.target.call_sid,
                "tracks": ["inbound", "outbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": self.target.parameters,
            },
        });
        self.send(start.to_string()).await
    }

    /// One frame's message; written by hand because a thousand streams write a hundred thousand a second.
    fn media(&mut self, track: &str, index: u32, payload: &str) -> String {
        let sequence = self.next_sequence();
        let stream = &self.target.stream_sid;
        let chunk = u64::from(index) + 1;
        let timestamp = u64::from(index) * FRAME_MS;
        format!(
            r#"{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"{track}","chunk":"{chunk}","timestamp":"{timestamp}","payload":"{payload}"}},"streamSid":"{stream}"}}"#
        )
    }

    fn next_sequence(&mut self) -> String {
        self.sequence += 1;
        self.sequence.to_string()
    }

    async fn send(&mut self, text: String) -> Result<(), SimulateError> {
        if let Some(why) = self.closed.borrow().clone() {
            return Err(SimulateError::MediaClosed { why });
        }
        self.sink
            .send(Message::text(text))
            .await
            .map_err(|error| SimulateError::MediaClosed {
                why: error.to_string(),
            })
    }
}

impl Pace {
    fn note(&mut self, lateness: Duration) {
        self.frames += 1;
        self.late += u64::from(lateness > LATE);
        self.worst = self.worst.max(lateness);
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            frames: self.frames + other.frames,
            late: self.late + other.late,
            worst: self.worst.max(other.worst),
        }
    }
}

/// Reads until the server closes, and says why it did. A one-way stream brings nothing else.
async fn notice_close(mut source: SplitStream<Socket>, sender: watch::Sender<Option<String>>) {
    let why = loop {
        match source.next().await {
            Some(Ok(Message::Close(frame))) => {
                break frame.map_or_else(
                    || "without a reason".to_owned(),
                    |f| format!("{} {}", f.code, f.reason),
                );
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => break error.to_string(),
            None => break "the connection ended".to_owned(),
        }
    };
    // Nobody listens any more once the call is over.
    drop(sender.send(Some(why)));
}
