//! How an operation can fail by its shape: what it reads and who may call it. Added to every description here, once.

use utoipa::openapi::{
    Content, HttpMethod, Ref, RefOr, Response, ResponseBuilder,
    path::{Operation, ParameterIn},
    security::SecurityRequirement,
};

use super::doors;
use crate::http::error::PROBLEM_JSON;

/// Addresses that answer in plain words about the server itself.
const OPERATING: [&str; 4] = ["/livez", "/readyz", "/healthz", "/metrics"];
const STREAM: &str = "/ws/supervisor";
const REGISTER: &str = "/api/auth/register";
/// Takes what other services sign.
const WEBHOOK: &str = "/api/webhooks/user/{user_id}/{webhook_token}";
/// Where a password or a code may be guessed.
const GUESSED: [&str; 4] = [
    "/api/auth/password",
    "/api/auth/second-factor",
    "/api/auth/second-factor/confirm",
    "/api/auth/second-factor/disable",
];
/// Asks for one person of the account by query.
const SESSIONS: &str = "/api/sessions";

/// Adds the failures to an operation; a status that it describes itself stays.
pub fn complete(path: &str, method: &HttpMethod, operation: &mut Operation) {
    if path.starts_with(doors::PREFIX) {
        return;
    }
    for (status, description) in failures(path, method, operation) {
        let response = problem_response(description);
        operation
            .responses
            .responses
            .entry(status.to_string())
            .or_insert(response);
    }
}

fn failures(path: &str, method: &HttpMethod, operation: &Operation) -> Vec<(u16, &'static str)> {
    let open = SecurityRequirement::default();
    let is_open = operation.security.as_ref().is_some_and(|all| all.contains(&open));
    let has_body = operation.request_body.is_some();
    let (has_path, has_query) = (
        has(operation, &ParameterIn::Path),
        has(operation, &ParameterIn::Query),
    );
    let has_header = has(operation, &ParameterIn::Header);
    let is_post = *method == HttpMethod::Post;
    let takes_key = is_post && !is_open;
    let is_guessable = is_post && (is_open || GUESSED.contains(&path));
    let is_stream = path == STREAM;
    let works = !OPERATING.contains(&path);
    let changes = *method != HttpMethod::Get;
    [
        (400, has_body || takes_key || is_stream, "Not readable."),
        (401, !is_open || is_guessable || is_stream, "Not signed in."),
        (
            403,
            !is_open || path == REGISTER || path == WEBHOOK,
            "Not allowed.",
        ),
        (
            404,
            has_path || path == SESSIONS,
            "There is no such thing in the account.",
        ),
        (
            409,
            changes,
            "In conflict with what is there, or a repeat that came too early.",
        ),
        (413, has_body, "The body is too large."),
        (415, has_body, "The body is not JSON."),
        (
            422,
            has_body || has_query || has_header || takes_key,
            "The input does not hold; `errors` says where.",
        ),
        (
            429,
            is_guessable || !is_open,
            "Too many attempts or requests; `Retry-After` says when to go on.",
        ),
        (500, works, "Our fault; it is in the log."),
        (
            503,
            works,
            "Busy, or the store does not answer; `Retry-After` says when to go on.",
        ),
        (504, works && !is_stream, "It took too long and was given up."),
    ]
    .into_iter()
    .filter(|(_, applies, _)| *applies)
    .map(|(status, _, description)| (status, description))
    .collect()
}

fn has(operation: &Operation, place: &ParameterIn) -> bool {
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    parameters
        .iter()
        .any(|one| matches!(one, RefOr::T(parameter) if parameter.parameter_in == *place))
}

fn problem_response(description: &str) -> RefOr<Response> {
    let schema = RefOr::Ref(Ref::from_schema_name("ProblemDetails"));
    ResponseBuilder::new()
        .description(description)
        .content(PROBLEM_JSON, Content::new(Some(schema)))
        .build()
        .into()
}
