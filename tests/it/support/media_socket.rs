//! Twilio's side of a media stream: opens it as Twilio does, and speaks whatever a test wants.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{SinkExt, StreamExt};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{
    eventually::DEADLINE,
    server::Server,
    twilio::{ACCOUNT_SID, AUTH_TOKEN, signature},
};

/// The stream every test socket calls itself, unless it says otherwise.
pub const STREAM_SID: &str = "MZ00000000000000000000000000000001";

/// One open media stream.
pub struct MediaSocket {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Server {
    /// Rings with an inbound call and returns the stream's address from the answer.
    pub async fn ring(&self, call: &str, from: &str) -> String {
        let params = [
            ("CallSid", call),
            ("From", from),
            ("To", "+15550001111"),
            ("Direction", "inbound"),
            ("CallStatus", "ringing"),
        ];
        let answer = self.webhook("/twilio/voice", &params).await;
        assert_eq!(answer.status(), StatusCode::OK);
        stream_address(&answer.text().await.expect("the answer can be read"))
    }

    /// Opens the stream at `address` with Twilio's signature; the status when it is refused.
    pub async fn open_media(&self, address: &str) -> Result<MediaSocket, StatusCode> {
        self.open_media_with_signature(address, Some(&signature(AUTH_TOKEN, address, &[])))
            .await
    }

    /// Opens the stream at `address` with whatever signature the test wants.
    pub async fn open_media_with_signature(
        &self,
        address: &str,
        signature: Option<&str>,
    ) -> Result<MediaSocket, StatusCode> {
        let mut request = address.into_client_request().expect("an address");
        if let Some(signature) = signature {
            let value = HeaderValue::from_str(signature).expect("a signature is a header value");
            request.headers_mut().insert("x-twilio-signature", value);
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(MediaSocket { socket }),
            Err(Error::Http(answer)) => {
                Err(StatusCode::from_u16(answer.status().as_u16()).expect("a status"))
            }
            Err(error) => panic!("the media door answers: {error}"),
        }
    }
}

/// Returns the address of the stream that a TwiML document starts.
pub fn stream_address(twiml: &str) -> String {
    let (_, rest) = twiml
        .split_once("<Stream url=\"")
        .unwrap_or_else(|| panic!("no stream in {twiml}"));
    rest.split('"').next().unwrap_or_default().to_owned()
}

/// Returns the media token that an address ends with.
pub fn token_of(address: &str) -> &str {
    address.rsplit('/').next().unwrap_or_default()
}

impl MediaSocket {
    pub async fn send(&mut self, message: &Value) {
        self.send_text(message.to_string()).await;
    }

    pub async fn send_text(&mut self, text: String) {
        self.socket
            .send(Message::text(text))
            .await
            .expect("the stream is open");
    }

    /// Sends whatever may be too much for the other side, without minding whether it is taken.
    pub async fn try_send_text(&mut self, text: String) {
        let _ = self.socket.send(Message::text(text)).await;
    }

    pub async fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.socket
            .send(Message::binary(bytes))
            .await
            .expect("the stream is open");
    }

    /// Says `connected` and `start`, as Twilio does for the call `call`.
    pub async fn start(&mut self, call: &str, token: &str) {
        self.send(&json!({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
            .await;
        self.send(&start_message(call, token)).await;
    }

    /// Says the same of the stream `stream`.
    pub async fn start_as(&mut self, stream: &str, call: &str, token: &str) {
        let mut start = start_message(call, token);
        start["streamSid"] = stream.into();
        start["start"]["streamSid"] = stream.into();
        self.send(&start).await;
    }

    /// Sends 20 ms of silence of one track. `chunk` counts from 1.
    pub async fn silence(&mut self, track: &str, chunk: u64) {
        self.sound(track, chunk, &[0xff_u8; 160]).await;
    }

    /// Sends 20 ms of one track in mu-law. `chunk` counts from 1.
    pub async fn sound(&mut self, track: &str, chunk: u64, mulaw: &[u8]) {
        self.send(&json!({
            "event": "media",
            "sequenceNumber": (chunk + 1).to_string(),
            "streamSid": STREAM_SID,
            "media": {
                "track": track, "chunk": chunk.to_string(), "timestamp": ((chunk - 1) * 20).to_string(),
                "payload": STANDARD.encode(mulaw),
            },
        }))
        .await;
    }

    pub async fn stop(&mut self, call: &str) {
        let stop = json!({"accountSid": ACCOUNT_SID, "callSid": call});
        self.send(&json!({"event": "stop", "sequenceNumber": "9", "streamSid": STREAM_SID, "stop": stop}))
            .await;
    }

    /// Waits until the other side closes; returns its code and reason.
    pub async fn closed(&mut self) -> (u16, String) {
        self.closed_within(DEADLINE).await
    }

    pub async fn closed_within(&mut self, limit: Duration) -> (u16, String) {
        loop {
            let message = timeout(limit, self.socket.next())
                .await
                .expect("the other side closes in time");
            match message {
                Some(Ok(Message::Close(Some(frame)))) => {
                    return (frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(_)) => (),
                other => panic!("closed without a reason: {other:?}"),
            }
        }
    }

    /// Breaks the connection off without a word, as a network does.
    pub fn cut(self) {
        drop(self.socket);
    }
}

/// The message that opens a stream.
pub fn start_message(call: &str, token: &str) -> Value {
    json!({
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": STREAM_SID,
        "start": {
            "accountSid": ACCOUNT_SID,
            "callSid": call,
            "streamSid": STREAM_SID,
            "tracks": ["inbound", "outbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"t": token, "role_inbound": "customer"},
        },
    })
}
