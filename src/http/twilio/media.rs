//! The door for live audio: `GET /twilio/media/{token}`, Twilio Media Streams.
//!
//! In: a socket that Twilio opened with a media pass. Out: frames on the call's audio line. A socket is handled by a task of
//! its own that never waits for anybody: a frame that finds its line full is dropped. Whatever ends a socket ends that
//! stream only; the call goes on.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Extension,
    extract::{
        OriginalUri, State,
        ws::{
            CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code,
            rejection::WebSocketUpgradeRejection,
        },
    },
    http::HeaderMap,
    response::Response,
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    lateness::Lateness,
    request::{account, check_account, check_signature, path_and_query, refused},
    signature::Payload,
    stream_message::{Media, MessageError, Start, StreamMessage},
};
use crate::{
    actors::{AudioFrame, AudioLine, LineOpening},
    clock,
    domain::ids::StreamSid,
    http::{
        context::Context,
        error::{ApiError, ApiResult},
        json::Path,
    },
    integrations::twilio::{
        addresses::Addresses,
        media_pass::{MediaPass, PASS_PARAMETER, PassError, UsedPasses},
    },
};

/// Largest message taken; a frame of 20 ms has about 400 bytes.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Read at once: eight frames. The library's own 128 KiB would be held by every socket and wiped before every read.
const READ_BYTES: usize = 4 * 1024;
/// How long a socket may be open before its stream starts.
const START_WITHIN: Duration = Duration::from_secs(5);
/// A stream that stays silent for one whole such period is cut off: audio comes 50 times a second, of silence too.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How long a refused socket stays open so that the other side can read why.
const LINGER: Duration = Duration::from_millis(500);

/// Why a socket is closed by us.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("unreadable message: {0}")]
    Unreadable(#[from] MessageError),
    #[error("text frames only")]
    Binary,
    #[error("message over 64 KiB")]
    TooLarge,
    #[error("text that is not UTF-8")]
    NotText,
    #[error("broken framing")]
    Framing,
    #[error("no start within 5 s")]
    NoStart,
    #[error("audio before the start")]
    AudioTooEarly,
    #[error("a second start")]
    SecondStart,
    #[error("the start names another call or token")]
    AnotherCall,
    #[error("audio other than 8 kHz mu-law")]
    AnotherFormat,
    #[error("no audio for too long")]
    Silent,
    #[error("the stream could not be recorded")]
    NotKept,
    #[error("the server stops")]
    Stopping,
}

impl Refusal {
    /// The close code of RFC 6455 7.4.1, and a word for the counter.
    const fn kind(&self) -> (u16, &'static str) {
        match self {
            Self::Unreadable(_) => (close_code::INVALID, "unreadable"),
            Self::NotText => (close_code::INVALID, "not_text"),
            Self::Binary => (close_code::UNSUPPORTED, "binary"),
            Self::AnotherFormat => (close_code::UNSUPPORTED, "another_format"),
            Self::TooLarge => (close_code::SIZE, "too_large"),
            Self::Framing => (close_code::PROTOCOL, "framing"),
            Self::AudioTooEarly => (close_code::PROTOCOL, "audio_too_early"),
            Self::SecondStart => (close_code::PROTOCOL, "second_start"),
            Self::NoStart => (close_code::POLICY, "no_start"),
            Self::AnotherCall => (close_code::POLICY, "another_call"),
            Self::Silent => (close_code::POLICY, "silent"),
            Self::NotKept => (close_code::ERROR, "not_kept"),
            Self::Stopping => (close_code::AWAY, "stopping"),
        }
    }
}

/// How a stream ended without our doing.
enum Ending {
    /// The provider said so.
    Stopped,
    /// The socket broke off.
    Cut,
}

/// Opens a call's stream for whoever holds its pass and Twilio's signature.
pub async fn media(
    State(context): State<Context>,
    Extension(used): Extension<Arc<UsedPasses>>,
    Path(token): Path<String>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> ApiResult<Response> {
    let address = Addresses(&context.settings.public_url).socket(path_and_query(&uri));
    check_signature(&context, &headers, &address, Payload::Nothing)?;
    let now = clock::now();
    let not_let_in = |error: PassError| refused("media_token", &error.to_string());
    let pass = MediaPass::open(&context.signing_keys.borrow(), &token, now).map_err(not_let_in)?;
    check_account(&context, &pass.account)?;
    let upgrade = upgrade.map_err(|_| ApiError::Malformed {
        detail: "this address takes WebSockets only".to_owned(),
    })?;
    used.claim(&pass, now).map_err(not_let_in)?;
    let upgrade = upgrade
        .read_buffer_size(READ_BYTES)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| serve(socket, context, pass, token)))
}

async fn serve(mut socket: WebSocket, context: Context, pass: MediaPass, token: String) {
    let open = metrics::gauge!("patchcord_media_streams_open");
    open.increment(1.0);
    let ended = follow(&mut socket, &context, &pass, &token).await;
    open.decrement(1.0);
    let call = &pass.call;
    match ended {
        Ok(Ending::Stopped) => close(socket, close_code::NORMAL, "").await,
        Ok(Ending::Cut) => {
            metrics::counter!("patchcord_media_streams_cut_total").increment(1);
            tracing::warn!(%call, "a media stream broke off");
        }
        Err(refusal) => {
            let (code, reason) = refusal.kind();
            metrics::counter!("patchcord_media_streams_refused_total", "reason" => reason).increment(1);
            tracing::warn!(%call, code, reason, "a media stream was closed");
            close(socket, code, &refusal.to_string()).await;
        }
    }
}

/// Follows a stream to its end. Dropping the line without its stop tells the call that it was cut.
async fn follow(
    socket: &mut WebSocket,
    context: &Context,
    pass: &MediaPass,
    token: &str,
) -> Result<Ending, Refusal> {
    let started = timeout(START_WITHIN, await_start(socket))
        .await
        .map_err(|_| Refusal::NoStart)??;
    let Some(start) = started else {
        return Ok(Ending::Cut);
    };
    check_start(&start, pass, token)?;
    let account_id = account(context).await.map_err(|_| Refusal::NotKept)?;
    let opening = LineOpening {
        account_id,
        sid: pass.call.clone(),
        stream: StreamSid::new(start.stream),
        inbound: pass.inbound,
    };
    let line = context
        .calls
        .open_line(opening)
        .await
        .map_err(|_| Refusal::NotKept)?;
    metrics::counter!("patchcord_media_streams_total").increment(1);
    listen(socket, line, context.stopping.clone()).await
}

/// Waits for the message that opens the stream; `None` when the socket ends before.
async fn await_start(socket: &mut WebSocket) -> Result<Option<Start>, Refusal> {
    while let Some(text) = next_text(socket).await? {
        match StreamMessage::read(&text)? {
            StreamMessage::Start(start) => return Ok(Some(start)),
            StreamMessage::Media(_) => return Err(Refusal::AudioTooEarly),
            StreamMessage::Stop => return Ok(None),
            StreamMessage::Other => (),
        }
    }
    Ok(None)
}

fn check_start(start: &Start, pass: &MediaPass, token: &str) -> Result<(), Refusal> {
    // The pass is public to whoever reads the TwiML: it must open this call's stream only.
    let repeated = start.parameters.get(PASS_PARAMETER).map(String::as_str);
    if start.call != pass.call.as_str() || start.account != pass.account.as_str() || repeated != Some(token) {
        return Err(Refusal::AnotherCall);
    }
    if !start.is_telephone_audio {
        return Err(Refusal::AnotherFormat);
    }
    Ok(())
}

/// Hands frames on until the stream ends.
async fn listen(
    socket: &mut WebSocket,
    mut line: AudioLine,
    mut stopping: watch::Receiver<bool>,
) -> Result<Ending, Refusal> {
    let mut lateness = Lateness::starting(Instant::now());
    let mut period = interval(SILENCE_MAX);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The sender is gone only when the server is: a stop as well.
    let stopped = async { drop(stopping.wait_for(|is_stopping| *is_stopping).await) };
    let mut stopped = pin!(stopped);
    let mut is_heard = true;
    loop {
        let text = tokio::select! {
            biased;
            text = next_text(socket) => text?,
            _ = period.tick() => {
                if !is_heard {
                    return Err(Refusal::Silent);
                }
                is_heard = false;
                continue;
            }
            () = &mut stopped => return Err(Refusal::Stopping),
        };
        let Some(text) = text else { return Ok(Ending::Cut) };
        is_heard = true;
        match StreamMessage::read(&text)? {
            StreamMessage::Media(Media {
                track,
                chunk,
                timestamp_ms,
                payload,
            }) => {
                let received = Instant::now();
                let was_taken = line.push(AudioFrame {
                    track,
                    timestamp_ms,
                    chunk,
                    payload,
                    received,
                });
                lateness.note(timestamp_ms, received, was_taken);
            }
            StreamMessage::Stop => {
                line.stop();
                return Ok(Ending::Stopped);
            }
            StreamMessage::Start(_) => return Err(Refusal::SecondStart),
            StreamMessage::Other => (),
        }
    }
}

/// Returns the next text; `None` once the socket has ended. Cancel-safe: nothing is lost when it is dropped.
async fn next_text(socket: &mut WebSocket) -> Result<Option<axum::extract::ws::Utf8Bytes>, Refusal> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => return Ok(Some(text)),
            Some(Ok(Message::Binary(_))) => return Err(Refusal::Binary),
            // Pings are answered below us.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => (),
            Some(Ok(Message::Close(_))) | None => return Ok(None),
            Some(Err(error)) => return refusal_of(error).map_or(Ok(None), Err),
        }
    }
}

/// What was wrong with what was sent; `None` when the connection itself broke.
fn refusal_of(error: axum::Error) -> Option<Refusal> {
    let inner = error.into_inner().downcast::<tungstenite::Error>().ok()?;
    match *inner {
        tungstenite::Error::Capacity(_) => Some(Refusal::TooLarge),
        tungstenite::Error::Utf8(_) => Some(Refusal::NotText),
        tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => None,
        tungstenite::Error::Protocol(_) => Some(Refusal::Framing),
        _ => None,
    }
}

/// Says why, then lets the other side read it before the connection is gone.
async fn close(mut socket: WebSocket, code: u16, words: &str) {
    let reason = words.to_owned().into();
    if socket
        .send(Message::Close(Some(CloseFrame { code, reason })))
        .await
        .is_err()
    {
        return;
    }
    if code == close_code::SIZE {
        // The rest of the large message cannot be read, and an end with unread bytes would wipe out the reason.
        sleep(LINGER).await;
    } else {
        // An error or the end says the same: the other side is gone.
        let _ = timeout(LINGER, async { while let Some(Ok(_)) = socket.recv().await {} }).await;
    }
}
