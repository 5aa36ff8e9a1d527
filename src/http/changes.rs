//! Changes are carried out to their end, whether or not whoever asked for them still listens.
//!
//! In: every request to the API that may change something. Out: its answer. A client that hangs up, or one that was answered 504, ends the
//! waiting and not the work: what was changed gets its entry in the audit log, and its answer is kept for a repeat under its
//! `Idempotency-Key`. A body that is not there by then is not waited for: what asked for the change never wholly came. At most
//! [`AT_ONCE_MAX`] are carried out at once, others are answered 503; a stop of the server waits for them.

use std::{future::Future, panic::resume_unwind, pin::Pin, sync::Arc, task::Poll, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use tokio::sync::{Semaphore, oneshot};
use tracing::Instrument as _;

use super::error::ApiError;
use crate::telemetry::traces;

/// Changes that are carried out at one time.
const AT_ONCE_MAX: u16 = 20_000;

/// The changes under way. Cheap to clone; every clone counts the same ones.
#[derive(Clone)]
pub struct Changes {
    room: Arc<Semaphore>,
    /// What takes longer is given up.
    limit: Duration,
}

impl Changes {
    /// `limit` is the longest that one may take, also when nobody waits for it.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self {
            room: Arc::new(Semaphore::new(usize::from(AT_ONCE_MAX))),
            limit,
        }
    }

    /// Waits until nothing is under way. From then on no change is begun.
    pub async fn settled(&self) {
        // An error means that it was closed before, which is the same.
        let _ = self.room.acquire_many(u32::from(AT_ONCE_MAX)).await;
        self.room.close();
    }
}

/// The middleware.
pub async fn carried_out(State(changes): State<Changes>, request: Request, next: Next) -> Response {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) {
        return next.run(request).await;
    }
    let Ok(place) = Arc::clone(&changes.room).try_acquire_owned() else {
        return ApiError::Busy.into_response();
    };
    // Dropped with this future, when nobody waits for the answer any more.
    let (_listening, gone) = oneshot::channel();
    let request = request.map(|body| while_listening(body, gone));
    let work = async move {
        let _place = place;
        tokio::time::timeout(changes.limit, next.run(request))
            .await
            .unwrap_or_else(|_| ApiError::TimedOut.into_response())
    };
    match tokio::spawn(traces::carried(work).in_current_span()).await {
        Ok(response) => response,
        Err(broken) => match broken.try_into_panic() {
            // As if it had not left this task: what answers a panic is around it.
            Ok(panic) => resume_unwind(panic),
            Err(_cancelled) => ApiError::Busy.into_response(),
        },
    }
}

/// The body as far as it has come when whoever sends it stops to listen; an error then, so that no half is taken for the whole.
fn while_listening(body: Body, mut gone: oneshot::Receiver<()>) -> Body {
    let mut data = body.into_data_stream();
    Body::from_stream(stream::poll_fn(move |context| {
        if let Poll::Ready(next) = data.poll_next_unpin(context) {
            return Poll::Ready(next);
        }
        let left = Pin::new(&mut gone).poll(context);
        left.map(|_dropped| Some(Err(axum::Error::new(HungUp))))
    }))
}

/// Why a body ends before its end.
#[derive(Debug, thiserror::Error)]
#[error("whoever sends it does not wait for the answer any more")]
struct HungUp;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::{Router, body::Body, http::StatusCode, middleware, routing::post};
    use tokio::sync::Notify;
    use tower_service::Service;

    use super::*;

    /// A door whose work waits for `go`, and then counts itself.
    struct Door {
        changes: Changes,
        begun: Arc<Notify>,
        go: Arc<Notify>,
        done: Arc<AtomicU32>,
        router: Router,
    }

    fn door() -> Door {
        let changes = Changes::new(Duration::from_secs(600));
        let (begun, go, done) = (
            Arc::new(Notify::new()),
            Arc::new(Notify::new()),
            Arc::new(AtomicU32::new(0)),
        );
        let (telling, waiting, counting) = (Arc::clone(&begun), Arc::clone(&go), Arc::clone(&done));
        let work = move || async move {
            telling.notify_one();
            waiting.notified().await;
            counting.fetch_add(1, Ordering::SeqCst);
            "done"
        };
        let router = Router::new()
            .route("/work", post(work))
            .route("/panic", post(panicking))
            .layer(middleware::from_fn_with_state(changes.clone(), carried_out));
        Door {
            changes,
            begun,
            go,
            done,
            router,
        }
    }

    async fn panicking() -> &'static str {
        panic!("on purpose")
    }

    fn posted(path: &str) -> Request {
        axum::http::Request::post(path)
            .body(Body::empty())
            .expect("a request")
    }

    #[tokio::test]
    async fn a_change_is_carried_out_although_nobody_waits_for_it_and_a_stop_does() {
        let mut door = door();
        let asking = tokio::spawn(door.router.call(posted("/work")));
        door.begun.notified().await;
        asking.abort();
        assert!(asking.await.is_err(), "it hung up");
        let changes = door.changes.clone();
        let settled = tokio::spawn(async move { changes.settled().await });
        tokio::task::yield_now().await;
        assert!(!settled.is_finished());
        door.go.notify_one();
        settled.await.expect("it ends");
        assert_eq!(door.done.load(Ordering::SeqCst), 1);
        let late = door.router.call(posted("/work")).await.expect("an answer");
        assert_eq!(late.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn a_full_room_is_told_and_a_panic_is_passed_on() {
        let mut door = door();
        let panicked = tokio::spawn(door.router.call(posted("/panic"))).await;
        assert!(panicked.is_err_and(|broken| broken.is_panic()));
        let everything = door.changes.room.try_acquire_many(u32::from(AT_ONCE_MAX));
        let full = door.router.call(posted("/work")).await.expect("an answer");
        assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE);
        drop(everything);
    }
}
