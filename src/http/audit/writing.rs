//! Writes an entry for every change that went well, before the caller is told that it did.
//!
//! In: any request to the API that may change something. Out: the same answer. The entry says who (the caller, or whoever signs in
//! by it), what (the operation of the API description), and the thing before and after, secrets left out. A change whose
//! entry cannot be written is answered 503: what was answered 2xx is in the log.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State},
    http::{Method, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use utoipa::openapi::{HttpMethod, OpenApi};

use super::looking;
use crate::{
    clock,
    domain::{
        audit::{Actor, Deed, Details},
        secret::Secret,
    },
    http::{
        auth::{Caller, Via, token},
        context::Context,
        error::{ApiError, ApiResult},
        openapi::operations,
    },
};

/// Operations that are no `GET` and leave no entry.
const UNLOGGED: [&str; 10] = [
    // They change nothing.
    "validateWorkflow",
    "dryRunWorkflow",
    "backtestWorkflow",
    "previewMigration",
    "previewDraftMigration",
    // Facts are a log of their own, with who reported them; there are thousands a second of them.
    "reportEvent",
    "postToWebhook",
    // A demonstration.
    "simulateCall",
    // Goes on with a session whose beginning is logged; a ticket opens what the session opens.
    "refresh",
    "createLiveTicket",
];
/// Operations that only read and leave an entry all the same: they take a person's data out of the account.
const LOGGED_READS: [&str; 1] = ["exportLead"];
/// Largest answer to a change.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Longest id of a request that is kept.
pub const REQUEST_ID_CHARS_MAX: usize = 128;

/// Operation ids by method and route.
type Actions = BTreeMap<(String, String), String>;

/// What a handler says that there was before it changed several things at once: an extension of its answer.
#[derive(Debug, Clone)]
pub struct Before(pub Value);

/// What the middleware works with.
#[derive(Clone)]
pub struct Auditing {
    context: Context,
    /// The API without this log, to look at things with.
    reader: Router,
    actions: Arc<Actions>,
}

impl Auditing {
    /// `reader` serves the API that `description` describes.
    #[must_use]
    pub fn new(context: Context, reader: Router, mut description: OpenApi) -> Self {
        let mut actions = Actions::new();
        for (path, item) in &mut description.paths.paths {
            for (method, operation) in operations(item) {
                let id = operation.operation_id.clone().unwrap_or_default();
                let reads = LOGGED_READS.contains(&id.as_str()).then_some("GET");
                let Some(name) = changing(&method).or(reads) else {
                    continue;
                };
                if !UNLOGGED.contains(&id.as_str()) {
                    actions.insert((name.to_owned(), path.clone()), id);
                }
            }
        }
        Self {
            context,
            reader,
            actions: Arc::new(actions),
        }
    }

    /// The operation of a request, where it is one that leaves an entry.
    fn action_of(&self, request: &Request) -> Option<String> {
        let route = request.extensions().get::<MatchedPath>()?;
        let key = (request.method().as_str().to_owned(), route.as_str().to_owned());
        self.actions.get(&key).cloned()
    }
}

/// The name of a method that may change something.
const fn changing(method: &HttpMethod) -> Option<&'static str> {
    match method {
        HttpMethod::Post => Some("POST"),
        HttpMethod::Put => Some("PUT"),
        HttpMethod::Patch => Some("PATCH"),
        HttpMethod::Delete => Some("DELETE"),
        HttpMethod::Get | HttpMethod::Head | HttpMethod::Options | HttpMethod::Trace => None,
    }
}

/// The middleware.
pub async fn audited(State(auditing): State<Auditing>, request: Request, next: Next) -> Response {
    match auditing.action_of(&request) {
        None => next.run(request).await,
        Some(action) => carry_out(&auditing, action, request, next)
            .await
            .unwrap_or_else(IntoResponse::into_response),
    }
}

async fn carry_out(auditing: &Auditing, action: String, request: Request, next: Next) -> ApiResult<Response> {
    let (mut parts, body) = request.into_parts();
    // Nobody is let in or refused here: that is the handler's.
    let caller = Caller::from_request_parts(&mut parts, &auditing.context)
        .await
        .ok();
    let replaces = [Method::PATCH, Method::PUT, Method::DELETE].contains(&parts.method);
    let before = match &caller {
        Some(caller) if replaces => looking::at(&auditing.reader, caller, parts.uri.path()).await,
        Some(_) | None => None,
    };
    let asked = Asked::of(&parts);
    let is_read = parts.method == Method::GET;
    let response = next.run(Request::from_parts(parts, body)).await;
    if !response.status().is_success() {
        return Ok(response);
    }
    if let Some(caller) = caller.as_ref().filter(|_| is_read) {
        // What was read is not written down again.
        let nothing = Thing {
            before: None,
            after: None,
        };
        write(&auditing.context, caller, action, asked, nothing).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let told = parts.extensions.get::<Before>();
    let before = before.or_else(|| told.map(|Before(what)| what.clone()));
    let bytes = to_bytes(body, ANSWER_BYTES_MAX)
        .await
        .map_err(|error| ApiError::Internal(Box::new(error)))?;
    let after: Option<Value> = serde_json::from_slice(&bytes).ok();
    let caller = match caller {
        Some(caller) => Some(caller),
        None => signed_in(&auditing.context, after.as_ref()).await,
    };
    if let Some(caller) = caller {
        let thing = Thing { before, after };
        write(&auditing.context, &caller, action, asked, thing).await?;
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

/// Whoever an answer with a fresh pair of tokens signs in.
async fn signed_in(context: &Context, answer: Option<&Value>) -> Option<Caller> {
    let access = answer?.get("access_token")?.as_str()?;
    context.gate.caller_of(access).await.ok()
}

/// What is known of a request besides its caller.
struct Asked {
    /// The first id in its path.
    subject: Option<String>,
    request_id: Option<String>,
    address: Option<String>,
}

impl Asked {
    fn of(parts: &Parts) -> Self {
        let route = parts
            .extensions
            .get::<MatchedPath>()
            .map_or("", MatchedPath::as_str);
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let request_id = parts.headers.get("x-request-id").and_then(|id| id.to_str().ok());
        Self {
            subject: named_in(route, parts.uri.path()),
            request_id: request_id.map(|id| id.chars().take(REQUEST_ID_CHARS_MAX).collect()),
            address: peer.map(|ConnectInfo(peer)| peer.ip().to_canonical().to_string()),
        }
    }
}

/// What stands in `path` where `route` has its first parameter.
fn named_in(route: &str, path: &str) -> Option<String> {
    let mut pairs = route.split('/').zip(path.split('/'));
    pairs
        .find(|(part, _)| part.starts_with('{'))
        .map(|(_, named)| named.to_owned())
}

/// A thing before and after it was changed.
struct Thing {
    before: Option<Value>,
    after: Option<Value>,
}

async fn write(
    context: &Context,
    caller: &Caller,
    action: String,
    asked: Asked,
    thing: Thing,
) -> ApiResult<()> {
    let (before, after) = (thing.before.map(looking::kept), thing.after.map(looking::kept));
    let mut about = Vec::new();
    for value in [&before, &after].into_iter().flatten() {
        looking::ids_in(value, &mut about);
    }
    let subject = asked.subject.or_else(|| made(after.as_ref()));
    about.retain(|id| Some(id) != subject.as_ref());
    let deed = Deed {
        account_id: caller.account_id,
        at: clock::now(),
        actor: actor_of(caller),
        action,
        subject,
        about,
        request_id: asked.request_id,
        address: asked.address,
    };
    let details = Details {
        salt: salt()?.expose().to_owned(),
        before,
        after,
    };
    context.store.audit.append(deed, details).await?;
    Ok(())
}

/// The id of what a creation made.
fn made(after: Option<&Value>) -> Option<String> {
    let after = after?;
    let id = after.get("id").or_else(|| after.get("run_id"));
    let id = id.or_else(|| after.as_object()?.values().find_map(|part| part.get("id")));
    id?.as_str().map(ToOwned::to_owned)
}

/// Who a caller is in the log.
#[must_use]
pub const fn actor_of(caller: &Caller) -> Actor {
    let user_id = caller.user_id;
    match caller.via {
        Via::Session(_) => Actor::User { user_id },
        Via::Key(key_id) => Actor::Key { key_id, user_id },
    }
}

/// Random letters that nobody can guess.
fn salt() -> ApiResult<Secret> {
    token::draw_password()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_subject_is_named_by_the_path_or_by_what_was_made() {
        assert_eq!(
            named_in("/api/leads/{id}/erase", "/api/leads/lead_1/erase").as_deref(),
            Some("lead_1")
        );
        assert_eq!(named_in("/api/leads", "/api/leads"), None);
        assert_eq!(made(Some(&json!({"id": "lead_1"}))).as_deref(), Some("lead_1"));
        assert_eq!(
            made(Some(&json!({"key": {"id": "key_1"}, "secret": "***"}))).as_deref(),
            Some("key_1")
        );
        assert_eq!(made(Some(&json!({"run_id": "run_1"}))).as_deref(), Some("run_1"));
        assert_eq!(made(Some(&json!([1]))), None);
    }
}
