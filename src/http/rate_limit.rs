//! How many requests a second one access token or API key may make, and the headers that say so.
//!
//! In: every request to the API. Out: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) on the answer, or 429 with
//! `Retry-After`. Each process counts for itself, second by second. Requests without a token are looked after where they are answered.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};

use super::{auth::bearer, error::ApiError};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");
const WINDOW: Duration = Duration::from_secs(1);
/// Callers that are counted at once. Full, the counts begin anew: for a second some may do more.
const CALLERS_MAX: usize = 100_000;

/// The limit; 0 is none. Cheap to clone.
#[derive(Clone)]
pub struct RateLimit {
    per_s: u32,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    since: Option<Instant>,
    requests: BTreeMap<[u8; 16], u32>,
}

/// What is left of a caller's second; `None` when it is used up.
type Left = Option<u32>;

impl RateLimit {
    #[must_use]
    pub fn new(per_s: u32) -> Self {
        Self {
            per_s,
            seen: Arc::default(),
        }
    }

    /// Counts a request of whoever shows this token.
    fn take(&self, token: &str, now: Instant) -> Left {
        let digest = Sha256::digest(token.as_bytes());
        let mut caller = [0; 16];
        caller.copy_from_slice(&digest[..16]);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = seen.since.is_none_or(|since| now.duration_since(since) >= WINDOW);
        if is_over || seen.requests.len() >= CALLERS_MAX {
            seen.since = Some(now);
            seen.requests.clear();
        }
        let requests = seen.requests.entry(caller).or_default();
        *requests = requests.saturating_add(1);
        self.per_s.checked_sub(*requests)
    }

    fn told(&self, mut response: Response, left: u32) -> Response {
        let headers = response.headers_mut();
        let policy = format!("\"default\";q={};w={}", self.per_s, WINDOW.as_secs());
        let state = format!("\"default\";r={left};t={}", WINDOW.as_secs());
        // Digits and quotes are header values.
        if let (Ok(policy), Ok(state)) = (HeaderValue::from_str(&policy), HeaderValue::from_str(&state)) {
            headers.insert(POLICY, policy);
            headers.insert(LEFT, state);
        }
        response
    }
}

/// The middleware.
pub async fn limited(State(limit): State<RateLimit>, request: Request, next: Next) -> Response {
    if limit.per_s == 0 {
        return next.run(request).await;
    }
    let Some(token) = bearer(request.headers()) else {
        return next.run(request).await;
    };
    match limit.take(token, Instant::now()) {
        Some(left) => limit.told(next.run(request).await, left),
        None => {
            let refused = ApiError::Throttled { retry_after: WINDOW };
            limit.told(refused.into_response(), 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_its_own_second() {
        let limit = RateLimit::new(2);
        let now = Instant::now();
        assert_eq!(
            [limit.take("a", now), limit.take("a", now), limit.take("a", now)],
            [Some(1), Some(0), None]
        );
        assert_eq!(limit.take("b", now), Some(1));
        assert_eq!(limit.take("a", now + WINDOW), Some(1));
    }
}
