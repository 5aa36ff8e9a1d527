//! `GET /ws/supervisor`: the live stream to people and programs that watch.
//!
//! In: an access token or a ticket, then `subscribe`, `ack` and `ping`. Out: every live fact of the caller's account, those
//! missed since a cursor first. Bounded everywhere: a reader that falls behind is told so (`gap`) and dropped when it stays
//! behind; nothing is buffered for it. The words of the protocol are in `live/protocol.rs`.

pub mod protocol;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use serde::Deserialize;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, interval, timeout, timeout_at},
};

use self::protocol::{ClientMessage, Closing, Filter, ServerMessage};
use super::{
    api::alerts,
    auth::{Caller, permission::Permission, token::Shown},
    context::Context,
    error::{ApiError, ApiResult},
    json::Query,
};
use crate::{
    bus::local::{Next, Subscription},
    clock,
};

/// How long a client may take to say who it is.
const AUTH_WITHIN: Duration = Duration::from_secs(5);
/// Between two pings; the token is looked at again as often.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// Silence after which a client is taken for gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long one message may take to leave; a reader this slow is dropped.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// Times a client may fall behind before it is dropped.
const GAPS_MAX: u32 = 3;
/// Largest message a client may send.
const CLIENT_MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// Watchers at a time.
const WATCHERS_MAX: usize = 2_000;

static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(WATCHERS_MAX)));

/// Waits, at most `patience`, until every watcher has heard that the server stops.
pub async fn everybody_left(patience: Duration) {
    let all = u32::try_from(WATCHERS_MAX).unwrap_or(u32::MAX);
    if timeout(patience, PLACES.acquire_many(all)).await.is_err() {
        tracing::warn!("some watchers did not hear that the server stops");
    }
}

/// How the stream may be opened without a first message.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LiveQuery {
    /// From `POST /api/ws-ticket`; works once. Without it the first message must be `auth`.
    ticket: Option<String>,
    /// With a ticket: the cursor of the last message seen.
    since: Option<String>,
}

/// Watch what happens, live
///
/// A WebSocket. The first message says who is there: `{"type":"auth","token":"…","since":"<cursor>"}`, within 5 seconds;
/// or the address carries a one-time `ticket`. The server answers `{"type":"ready","cursor":"…"}`, sends what was missed
/// after `since` (or `{"type":"gap"}` when that is no longer known) and then everything as it happens:
/// `{"type","cursor","at",…}` with the types `call.started`, `call.updated`, `transcript.partial`, `transcript.final`,
/// `sentiment.trend`, `alert.raised`, `alert.acked`, `call.ended`, `run.started`, `run.step` and `run.ended`.
///
/// A client may send `{"type":"subscribe","types":[…],"calls":[…]}` to see less (empty lists: everything),
/// `{"type":"ack","alert_id":"…"}`, `{"type":"ping"}` and, before its token ends, `auth` again.
///
/// Close codes: 4400 a message that cannot be read, 4401 not signed in or no longer, 4408 silent for too long,
/// 4429 too slow, 1001 the server stops.
#[utoipa::path(get, path = "/ws/supervisor", tag = "live", operation_id = "watch", security(()), params(LiveQuery),
    responses((status = 101, description = "The stream is open.")))]
pub async fn open(
    State(context): State<Context>,
    Query(query): Query<LiveQuery>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> ApiResult<Response> {
    let upgrade = upgrade.map_err(|error| ApiError::Malformed {
        detail: format!("this address speaks WebSocket: {error}"),
    })?;
    let shown = match query.ticket {
        None => None,
        Some(ticket) => Some(context.gate.redeem_live_ticket(&ticket, clock::now()).await?),
    };
    let place = Arc::clone(&PLACES)
        .try_acquire_owned()
        .map_err(|_| ApiError::Busy)?;
    let hello = shown.map(|shown| Hello {
        shown,
        since: query.since,
    });
    Ok(upgrade
        .max_message_size(CLIENT_MESSAGE_BYTES_MAX)
        .max_frame_size(CLIENT_MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| serve(context, socket, hello, place)))
}

/// Who wants to watch, and from where on.
struct Hello {
    shown: Shown,
    since: Option<String>,
}

/// One watcher's connection.
struct Watcher {
    context: Context,
    socket: WebSocket,
    caller: Caller,
    shown: Shown,
    filter: Filter,
    gaps: u32,
    heard_at: Instant,
}

async fn serve(context: Context, mut socket: WebSocket, hello: Option<Hello>, place: OwnedSemaphorePermit) {
    metrics::gauge!("patchcord_live_watchers").increment(1.0);
    let closing = match admit(&context, &mut socket, hello).await {
        Ok((caller, hello)) => {
            let subscription = context
                .bus
                .subscribe(caller.account_id, hello.since.as_deref())
                .await;
            let mut watcher = Watcher {
                context,
                socket,
                caller,
                shown: hello.shown,
                filter: Filter::default(),
                gaps: 0,
                heard_at: Instant::now(),
            };
            let closing = watcher.run(subscription).await;
            socket = watcher.socket;
            closing
        }
        Err(closing) => closing,
    };
    if let Some(frame) = closing.frame() {
        let frame = CloseFrame {
            code: frame.0,
            reason: frame.1.into(),
        };
        // A client that is gone does not hear why.
        let _ = timeout(SEND_WITHIN, socket.send(Message::Close(Some(frame)))).await;
    }
    metrics::gauge!("patchcord_live_watchers").decrement(1.0);
    drop(place);
}

/// Finds out who is there.
async fn admit(
    context: &Context,
    socket: &mut WebSocket,
    hello: Option<Hello>,
) -> Result<(Caller, Hello), Closing> {
    let hello = match hello {
        Some(hello) => hello,
        None => first_message(socket).await?,
    };
    let caller = context
        .gate
        .caller_by(hello.shown)
        .await
        .map_err(|_| Closing::Unauthenticated)?;
    caller
        .must(Permission::Read)
        .map_err(|_| Closing::Unauthenticated)?;
    Ok((caller, hello))
}

async fn first_message(socket: &mut WebSocket) -> Result<Hello, Closing> {
    let until = Instant::now() + AUTH_WITHIN;
    loop {
        let received = timeout_at(until, socket.recv())
            .await
            .map_err(|_| Closing::Unauthenticated)?;
        match received {
            Some(Ok(Message::Text(text))) => {
                return match ClientMessage::read(text.as_str()) {
                    Ok(ClientMessage::Auth { token, since }) => {
                        let shown = Shown::of(token.expose()).ok_or(Closing::Unauthenticated)?;
                        Ok(Hello { shown, since })
                    }
                    Ok(_) => Err(Closing::Unauthenticated),
                    Err(_) => Err(Closing::Unreadable),
                };
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_))) => return Err(Closing::Unreadable),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Closing::Gone),
        }
    }
}

impl Watcher {
    /// Sends what happens until there is a reason to stop.
    async fn run(&mut self, mut subscription: Subscription) -> Closing {
        match self.greet(&subscription).await {
            Ok(()) => {}
            Err(closing) => return closing,
        }
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stopping = self.context.stopping.clone();
        let stopped = async { drop(stopping.wait_for(|is_stopping| *is_stopping).await) };
        let mut stopped = std::pin::pin!(stopped);
        loop {
            let went = tokio::select! {
                () = &mut stopped => Err(Closing::Stopping),
                next = subscription.next() => self.pass_on(next).await,
                received = self.socket.recv() => self.answer(received).await,
                _ = heartbeat.tick() => self.beat().await,
            };
            if let Err(closing) = went {
                return closing;
            }
        }
    }

    async fn greet(&mut self, subscription: &Subscription) -> Result<(), Closing> {
        self.send(&ServerMessage::Ready {
            cursor: &subscription.cursor,
        })
        .await?;
        if subscription.gap {
            self.send(&ServerMessage::Gap { missed: None }).await?;
        }
        for message in &subscription.replay {
            self.send(&ServerMessage::Fact(message)).await?;
        }
        Ok(())
    }

    async fn pass_on(&mut self, next: Next) -> Result<(), Closing> {
        match next {
            Next::Fact(message) if self.filter.wants(&message.fact) => {
                self.send(&ServerMessage::Fact(&message)).await
            }
            Next::Fact(_) => Ok(()),
            Next::Gap(missed) => {
                metrics::counter!("patchcord_live_gaps_total").increment(1);
                self.gaps += 1;
                self.send(&ServerMessage::Gap { missed: Some(missed) }).await?;
                if self.gaps < GAPS_MAX {
                    Ok(())
                } else {
                    Err(Closing::TooSlow)
                }
            }
            Next::Lost => self.send(&ServerMessage::Gap { missed: None }).await,
            Next::Closed => Err(Closing::Stopping),
        }
    }

    async fn answer(&mut self, received: Option<Result<Message, axum::Error>>) -> Result<(), Closing> {
        self.heard_at = Instant::now();
        match received {
            Some(Ok(Message::Text(text))) => match ClientMessage::read(text.as_str()) {
                Ok(message) => self.obey(message).await,
                Err(_) => Err(Closing::Unreadable),
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
            Some(Ok(Message::Binary(_))) => Err(Closing::Unreadable),
            Some(Ok(Message::Close(_)) | Err(_)) | None => Err(Closing::Gone),
        }
    }

    async fn obey(&mut self, message: ClientMessage) -> Result<(), Closing> {
        match message {
            ClientMessage::Ping => self.send(&ServerMessage::Pong).await,
            ClientMessage::Subscribe { types, calls } => {
                self.filter = Filter::new(types, calls);
                self.send(&ServerMessage::Subscribed).await
            }
            ClientMessage::Auth { token, .. } => {
                let shown = Shown::of(token.expose()).ok_or(Closing::Unauthenticated)?;
                let caller = self.context.gate.caller_by(shown).await;
                let caller = caller.map_err(|_| Closing::Unauthenticated)?;
                if caller.account_id != self.caller.account_id {
                    return Err(Closing::Unauthenticated);
                }
                self.caller = caller;
                self.shown = shown;
                Ok(())
            }
            ClientMessage::Ack { alert_id } => {
                let acked = match self.caller.must(Permission::AckAlerts) {
                    Ok(()) => alerts::acknowledge_as(&self.context, &self.caller, alert_id)
                        .await
                        .map(drop),
                    Err(error) => Err(error),
                };
                match acked {
                    Ok(()) => Ok(()),
                    Err(error) => {
                        self.send(&ServerMessage::Error {
                            problem: &error.problem(),
                        })
                        .await
                    }
                }
            }
        }
    }

    /// Keeps the connection alive and sees whether it still may be.
    async fn beat(&mut self) -> Result<(), Closing> {
        if self.heard_at.elapsed() > SILENCE_MAX {
            return Err(Closing::Silent);
        }
        match self.context.gate.caller_by(self.shown).await {
            Ok(caller) => self.caller = caller,
            Err(ApiError::Unauthenticated) => return Err(Closing::Unauthenticated),
            // The store does not answer: nobody is thrown out for that.
            Err(error) => tracing::debug!(%error, "a watcher's token could not be looked at"),
        }
        self.send_raw(Message::Ping(Vec::new().into())).await
    }

    async fn send(&mut self, message: &ServerMessage<'_>) -> Result<(), Closing> {
        self.send_raw(Message::text(message.to_json())).await
    }

    async fn send_raw(&mut self, message: Message) -> Result<(), Closing> {
        match timeout(SEND_WITHIN, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Closing::Gone),
            Err(_) => {
                metrics::counter!("patchcord_live_dropped_total").increment(1);
                Err(Closing::TooSlow)
            }
        }
    }
}
