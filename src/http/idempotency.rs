//! `Idempotency-Key`: a POST that is repeated under its key is carried out once and answered the same for 24 hours.
//!
//! In: any POST with the header from a known caller. Out: the first answer again, 422 when the key carries another request,
//! 409 while the first is still being carried out. Only what went well is kept: what was refused has changed nothing and
//! may be tried again. Answers that hold a secret are not kept; the fact that they were given is.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{FromRequest, Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use super::{
    auth::bearer,
    context::Context,
    error::{ApiError, ApiResult, repeated},
};
use crate::{
    clock,
    domain::{ids::AccountId, time::Timestamp},
    store::accounts::RememberedAnswer,
};

/// The header.
pub const HEADER: &str = "idempotency-key";
/// How long an answer is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// Longest key.
const KEY_CHARS_MAX: usize = 255;
/// Longest answer that is kept; ours are far smaller.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What a handler says about keeping its answer; without it the answer is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// The answer holds a secret: a repeat is told that it was given.
    Never,
    /// Carrying the request out again does no harm.
    Needless,
}

/// The key of the request, for handlers that derive an id from it.
#[derive(Debug, Clone)]
pub struct RequestKey(pub String);

/// What the middleware works with.
#[derive(Clone)]
pub struct Idempotency {
    context: Context,
    in_flight: Arc<Mutex<BTreeSet<InFlight>>>,
}

type InFlight = (AccountId, String);

impl Idempotency {
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self {
            context,
            in_flight: Arc::default(),
        }
    }

    /// Reserves a key for one request; `None` while another has it.
    fn reserve(&self, account_id: AccountId, key: &str) -> Option<Reservation> {
        let held = (account_id, key.to_owned());
        let is_free = self
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(held.clone());
        is_free.then(|| Reservation {
            in_flight: Arc::clone(&self.in_flight),
            held,
        })
    }
}

/// A key in use; free again when dropped, however the request ends.
struct Reservation {
    in_flight: Arc<Mutex<BTreeSet<InFlight>>>,
    held: InFlight,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.held);
    }
}

/// The middleware.
pub async fn idempotent(State(idempotency): State<Idempotency>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    match key_of(request.headers()) {
        Ok(None) => next.run(request).await,
        Ok(Some(key)) => once(&idempotency, key, request, next)
            .await
            .unwrap_or_else(IntoResponse::into_response),
        Err(error) => error.into_response(),
    }
}

async fn once(
    idempotency: &Idempotency,
    key: String,
    mut request: Request,
    next: Next,
) -> ApiResult<Response> {
    let context = &idempotency.context;
    // Without a caller there is no account to keep the answer under: sign-in and the like look after themselves.
    let Some(token) = bearer(request.headers()) else {
        return Ok(next.run(request).await);
    };
    let caller = context.gate.caller_of(token).await?;
    let account_id = caller.account_id;
    request.extensions_mut().insert(caller);
    request.extensions_mut().insert(RequestKey(key.clone()));
    if is_file(request.headers()) {
        // Too large to be held here: its handler makes the id of what comes of it from the key.
        return Ok(next.run(request).await);
    }

    let (parts, body) = request.into_parts();
    let whole = Request::from_parts(parts.clone(), body);
    let body = Bytes::from_request(whole, &())
        .await
        .map_err(|_| ApiError::TooLarge)?;
    let asked = parts
        .uri
        .path_and_query()
        .map_or_else(|| parts.uri.path(), |path| path.as_str());
    let request_hash = hash_of(asked, &body);

    let _reservation = idempotency.reserve(account_id, &key).ok_or(ApiError::Conflict {
        code: "in_flight",
        detail: "the first request under this Idempotency-Key is still being carried out".to_owned(),
    })?;
    let now = clock::now();
    if let Some(answer) = context.store.accounts.remembered_answer(account_id, &key).await?
        && answer.at >= kept_since(now)
    {
        return again(answer, request_hash);
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    keep(
        context,
        RememberedAnswer {
            account_id,
            key,
            request_hash,
            status: response.status().as_u16(),
            body: String::new(),
            at: now,
        },
        response,
    )
    .await
}

/// Keeps what went well and hands the answer on.
async fn keep(context: &Context, mut answer: RememberedAnswer, response: Response) -> ApiResult<Response> {
    let keeping = response.extensions().get::<Keeping>().copied();
    if !response.status().is_success() || keeping == Some(Keeping::Needless) {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, ANSWER_BYTES_MAX)
        .await
        .map_err(|error| ApiError::Internal(Box::new(error)))?;
    if keeping != Some(Keeping::Never) {
        answer.body = String::from_utf8_lossy(&body).into_owned();
    }
    if let Err(error) = context.store.accounts.remember_answer(answer).await {
        // The request was carried out: saying otherwise would be worse than carrying a repeat out.
        tracing::warn!(%error, "an answer could not be kept for its Idempotency-Key");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn again(answer: RememberedAnswer, request_hash: [u8; 32]) -> ApiResult<Response> {
    if answer.request_hash != request_hash {
        return Err(ApiError::KeyReused);
    }
    let was_secret = answer.body.is_empty() && !is_bodyless(answer.status);
    if was_secret {
        return Err(ApiError::Conflict {
            code: "answer_not_kept",
            detail: "this was done already; its answer held a secret and was shown once".to_owned(),
        });
    }
    Ok(repeated(answer.status, answer.body))
}

const fn is_bodyless(status: u16) -> bool {
    status == 204
}

fn is_file(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.starts_with("text/csv"))
}

fn key_of(headers: &HeaderMap) -> ApiResult<Option<String>> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(None);
    };
    let key = value.to_str().unwrap_or_default().trim();
    if key.is_empty() || key.len() > KEY_CHARS_MAX {
        return Err(ApiError::Malformed {
            detail: format!("`Idempotency-Key` must be 1 to {KEY_CHARS_MAX} visible ASCII characters"),
        });
    }
    Ok(Some(key.to_owned()))
}

fn hash_of(path: &str, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(path.as_bytes());
    hash.update([0]);
    hash.update(body);
    hash.finalize().into()
}

pub(super) fn kept_since(now: Timestamp) -> Timestamp {
    let kept_ms = crate::domain::time::millis_of(KEPT_FOR);
    Timestamp::from_unix_millis(now.as_unix_millis().saturating_sub(kept_ms))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_key_is_short_and_visible() {
        let mut headers = HeaderMap::new();
        assert_eq!(key_of(&headers).expect("no key"), None);
        headers.insert(HEADER, HeaderValue::from_static(" order-17 "));
        assert_eq!(key_of(&headers).expect("a key"), Some("order-17".to_owned()));
        for wrong in ["", "é", &"k".repeat(256)] {
            headers.insert(HEADER, HeaderValue::from_str(wrong).expect("a header value"));
            assert!(key_of(&headers).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn path_and_body_tell_requests_apart() {
        assert_ne!(hash_of("/api/a", b"b"), hash_of("/api/ab", b""));
        assert_ne!(hash_of("/api/a", b"b"), hash_of("/api/a", b"c"));
        assert_eq!(hash_of("/api/a", b"b"), hash_of("/api/a", b"b"));
    }
}
