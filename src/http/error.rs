//! Which status an answer has: errors as `application/problem+json` (RFC 9457), and 201, 202 and 204 for what went well.
//!
//! In: what went wrong, in the words of the product. Out: a status, a stable code and a sentence that is safe to show.
//! The cause goes to the log and never to the client. No other file chooses a status.

use std::{any::Any, error::Error as StdError, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use crate::{
    actors::RunError,
    store::{StoreError, accounts::Role},
};

/// Content type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// When a client that met a full queue should try again.
const BUSY_RETRY: Duration = Duration::from_secs(1);
/// When a client should try again that met a shard between two owners.
const UNOWNED_RETRY: Duration = Duration::from_secs(3);

/// The body of every error.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ProblemDetails)]
pub struct Problem {
    /// Names the kind of problem; the last part is `code`.
    #[serde(rename = "type")]
    #[schema(example = "urn:patchcord:problem:not_found")]
    pub kind: String,
    /// The kind in a few words; the same for every problem of the kind.
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// Stable word for programs.
    #[schema(example = "not_found")]
    pub code: String,
    /// What is wrong with which field; empty unless the input did not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// One thing wrong with the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Path of the field, `nodes[2].params.to`; empty for the body as a whole.
    pub field: String,
    pub message: String,
    /// Stable word for programs, where there is one: `unknown_variable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What to do about it, where the message does not say so itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl FieldError {
    /// Says that `field` is wrong because of `message`.
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
            code: None,
            fix: None,
        }
    }

    /// The same with a word for programs and what to do.
    #[must_use]
    pub fn with_fix(self, code: String, fix: String) -> Self {
        Self {
            code: Some(code),
            fix: Some(fix).filter(|fix| !fix.is_empty()),
            ..self
        }
    }
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("the request carries no valid access token or API key")]
    Unauthenticated,
    #[error("the e-mail address or the password is wrong")]
    BadCredentials,
    /// The password was right.
    #[error("the person has a second factor: send its `code` too")]
    CodeNeeded,
    #[error("the code is wrong, over, or was used before")]
    WrongCode,
    #[error("this needs the role {needed:?} or a higher one")]
    RoleTooLow { needed: Role },
    /// The caller is known and still may not.
    #[error("{detail}")]
    Refused { code: &'static str, detail: String },
    #[error("there is no {what} with this id")]
    Missing { what: &'static str },
    /// A path parameter cannot name anything.
    #[error("{detail}")]
    BadPath { detail: String },
    #[error("there is nothing at this address")]
    NoRoute,
    #[error("this address does not know the method")]
    MethodNotAllowed,
    #[error("{detail}")]
    Conflict { code: &'static str, detail: String },
    /// Not readable at all.
    #[error("{detail}")]
    Malformed { detail: String },
    /// Readable, and wrong.
    #[error("the input does not hold")]
    Invalid(Vec<FieldError>),
    #[error("this Idempotency-Key was used with another request")]
    KeyReused,
    #[error("the body is larger than this address takes")]
    TooLarge,
    #[error("the body must be JSON: send `Content-Type: application/json`")]
    UnsupportedMedia,
    #[error("the body must be CSV: send `Content-Type: text/csv`")]
    NotCsv,
    #[error("too many attempts: try again later")]
    Throttled { retry_after: Duration },
    #[error("the server is busy: try again")]
    Busy,
    /// Between two owners of a shard.
    #[error("the node that does this is being replaced: try again")]
    Unowned,
    #[error("the request took too long and was given up")]
    TimedOut,
    /// A provider that was asked while the caller waits.
    #[error("{detail}")]
    ProviderFailed { detail: String },
    #[error("the store did not answer")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
    #[error("something went wrong on our side")]
    Internal(#[source] Box<dyn StdError + Send + Sync>),
}

/// Result of a handler.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// One field is wrong.
    #[must_use]
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(field, message)])
    }

    /// Status, stable code and title of the kind.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated", "Not signed in"),
            Self::BadCredentials => (
                StatusCode::UNAUTHORIZED,
                "bad_credentials",
                "Wrong e-mail or password",
            ),
            Self::CodeNeeded => (StatusCode::UNAUTHORIZED, "code_needed", "Code needed"),
            Self::WrongCode => (StatusCode::UNAUTHORIZED, "wrong_code", "Wrong code"),
            Self::RoleTooLow { .. } => (StatusCode::FORBIDDEN, "role_too_low", "Not allowed for this role"),
            Self::Refused { code, .. } => (StatusCode::FORBIDDEN, code, "Not allowed"),
            Self::Missing { .. } | Self::BadPath { .. } => (StatusCode::NOT_FOUND, "not_found", "Not found"),
            Self::NoRoute => (StatusCode::NOT_FOUND, "no_such_address", "No such address"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Method not allowed",
            ),
            Self::Conflict { code, .. } => (StatusCode::CONFLICT, code, "Conflict"),
            Self::Malformed { .. } => (StatusCode::BAD_REQUEST, "malformed", "Not readable"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Input does not hold"),
            Self::KeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "Key of another request",
            ),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "Body too large"),
            Self::UnsupportedMedia => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Not JSON",
            ),
            Self::NotCsv => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Not CSV",
            ),
            Self::Throttled { .. } => (StatusCode::TOO_MANY_REQUESTS, "throttled", "Too many attempts"),
            Self::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "timed_out", "Took too long"),
            Self::ProviderFailed { .. } => (StatusCode::BAD_GATEWAY, "provider_failed", "Provider failed"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy"),
            Self::Unowned => (StatusCode::SERVICE_UNAVAILABLE, "no_owner", "Being replaced"),
            Self::Unavailable(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "store_unavailable",
                "Store unavailable",
            ),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after } => Some(*retry_after),
            Self::Busy | Self::Unavailable(_) => Some(BUSY_RETRY),
            Self::Unowned => Some(UNOWNED_RETRY),
            _ => None,
        }
    }

    /// The body the client gets.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let (status, code, title) = self.kind();
        let errors = match self {
            Self::Invalid(errors) => errors.clone(),
            _ => Vec::new(),
        };
        let detail = match errors.as_slice() {
            [] => self.to_string(),
            [one] if one.field.is_empty() => one.message.clone(),
            [one] => format!("{}: {}", one.field, one.message),
            many => format!("{} fields are wrong", many.len()),
        };
        Problem {
            kind: format!("urn:patchcord:problem:{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail,
            code: code.to_owned(),
            errors,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, ..) = self.kind();
        if status.is_server_error() {
            let cause = causes(&self);
            tracing::error!(error = %self, cause, "request failed");
        }
        // A struct of strings and a number always becomes JSON.
        let body = serde_json::to_vec(&self.problem()).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"patchcord\""),
            );
        }
        response
    }
}

/// The chain of causes below `error`, for the log.
fn causes(error: &dyn StdError) -> String {
    let mut words = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        words.push(cause.to_string());
        next = cause.source();
    }
    words.join(": ")
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing { what, .. } => Self::Missing { what },
            StoreError::Taken { field } => Self::Conflict {
                code: "taken",
                detail: format!("{field} is already in use"),
            },
            StoreError::Moved { what, .. } => Self::Conflict {
                code: "moved",
                detail: format!("the {what} was changed by somebody else: read it again"),
            },
            // Another node has taken over: it answers the next try.
            StoreError::Fenced { .. } => Self::Busy,
            StoreError::BadCursor => Self::field("cursor", "does not belong to this list"),
            StoreError::Busy => Self::Busy,
            StoreError::Unavailable(source) => Self::Unavailable(source),
        }
    }
}

impl From<RunError> for ApiError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Store(error) => error.into(),
            RunError::TimedOut => Self::TimedOut,
            RunError::Unowned(_) => Self::Unowned,
            other => Self::Conflict {
                code: other.code(),
                detail: other.to_string(),
            },
        }
    }
}

/// 201: the thing exists; it is the body.
#[derive(Debug)]
pub struct Created<T>(pub T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, axum::Json(self.0)).into_response()
    }
}

/// 202: taken in for good; what follows from it goes on by itself.
#[derive(Debug)]
pub struct Accepted<T>(pub T);

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, axum::Json(self.0)).into_response()
    }
}

/// 204: done, nothing to say.
#[derive(Debug)]
pub struct Done;

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// 200 when everything stands, 503 with the same body when something a request needs does not.
#[derive(Debug)]
pub struct Standing<T> {
    pub stands: bool,
    pub body: T,
}

impl<T: Serialize> IntoResponse for Standing<T> {
    fn into_response(self) -> Response {
        let status = if self.stands {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        (status, axum::Json(self.body)).into_response()
    }
}

/// An answer that was kept, given again.
#[must_use]
pub fn repeated(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    response
}

/// What a client gets when a handler panicked: nothing about the panic.
#[must_use]
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that tower-http's catch-panic layer asks for"
)]
pub fn panicked(payload: Box<dyn Any + Send + 'static>) -> Response {
    let words = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    ApiError::Internal(format!("a handler panicked: {words}").into()).into_response()
}

/// How long requests may take.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimits {
    pub request: Duration,
    /// For one that brings a file.
    pub upload: Duration,
}

/// Takes a file.
const UPLOAD: &str = "/api/leads/import";

/// Gives a request up when it takes longer than its limit.
pub async fn in_time(State(limits): State<TimeLimits>, request: Request, next: Next) -> Response {
    let limit = match request.uri().path() {
        UPLOAD => limits.upload,
        _ => limits.request,
    };
    tokio::time::timeout(limit, next.run(request))
        .await
        .unwrap_or_else(|_| ApiError::TimedOut.into_response())
}

/// The answer for an address without a route.
pub async fn no_route() -> ApiError {
    ApiError::NoRoute
}

/// The answer for a route that does not know the method.
pub async fn no_method() -> ApiError {
    ApiError::MethodNotAllowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_error_reaches_the_client_without_its_cause() {
        let cause: Box<dyn StdError + Send + Sync> = "disk I/O error at /var/lib/secret.db".into();
        let problem = ApiError::from(StoreError::Unavailable(cause)).problem();
        assert_eq!(problem.status, 503);
        assert_eq!(problem.code, "store_unavailable");
        let text = serde_json::to_string(&problem).expect("a problem is JSON");
        assert!(!text.contains("secret.db"), "{text}");
    }

    #[test]
    fn a_validation_problem_lists_its_fields() {
        let problem = ApiError::field("phone", "expected E.164").problem();
        assert_eq!((problem.status, problem.code.as_str()), (422, "invalid"));
        assert_eq!(problem.errors, [FieldError::new("phone", "expected E.164")]);
        assert_eq!(problem.detail, "phone: expected E.164");
    }

    #[test]
    fn a_panic_says_nothing_to_the_client() {
        let response = panicked(Box::new("index out of bounds: secret"));
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let kind = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        assert_eq!(kind, Some(PROBLEM_JSON));
    }
}
