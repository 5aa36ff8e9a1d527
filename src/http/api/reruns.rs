//! What a person does with one run besides ending it: taking it up again, and bringing it a signal.

use axum::{Extension, extract::State};
use serde::Deserialize;
use serde_json::Value;

use super::{
    runs::{RunView, show},
    workflow_views::ExecuteAccepted,
};
use crate::{
    actors::OnVersion,
    domain::{
        ids::{ObservationId, RunId},
        time::Timestamp,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{Accepted, ApiError, ApiResult},
        idempotency::RequestKey,
        json::{Json, JsonOrDefault, Path},
    },
    workflows::rerun::BeginAt,
};

/// Longest name of a signal.
const NAME_CHARS_MAX: usize = 64;
/// What `from` says for the beginning.
const START: &str = "start";

/// How a run is taken up again.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// `start`, or the id of a node: what the steps before it gave is taken over.
    #[schema(example = "start", max_length = 64)]
    from: Option<String>,
    #[serde(default)]
    version: RetryVersion,
}

/// On which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryVersion {
    /// The one it ran on.
    #[default]
    Pinned,
    /// The one that is published.
    Newest,
}

/// A signal to one run.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// A wait for `signal.<name>` takes it.
    #[schema(
        pattern = "^[a-z][a-z0-9_]*$",
        min_length = 1,
        max_length = 64,
        example = "approved"
    )]
    name: String,
    /// What the wait gives as `data`.
    #[serde(default)]
    #[schema(value_type = Object)]
    data: serde_json::Map<String, Value>,
}

/// Take a run up again
///
/// Makes a new run with the same trigger, from the start or from a node, on the version it ran on or the published one. The old
/// run stays as it is, and either shows the other. Only for runs that have ended. Needs the role supervisor.
#[utoipa::path(post, path = "/api/runs/{id}/retry", tag = "runs", operation_id = "retryRun",
    params(("id" = RunId, Path, description = "The run.")), request_body = Option<Retry>,
    responses((status = 202, description = "The new run is started.", body = ExecuteAccepted)))]
pub async fn retry(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<RunId>,
    key: Option<Extension<RequestKey>>,
    JsonOrDefault(wanted): JsonOrDefault<Retry>,
) -> ApiResult<Accepted<ExecuteAccepted>> {
    caller.must(Permission::SteerRuns)?;
    let begin_at = match wanted.from {
        None => BeginAt::Start,
        Some(from) if from == START => BeginAt::Start,
        Some(node) => BeginAt::Node(node),
    };
    let on = match wanted.version {
        RetryVersion::Pinned => OnVersion::Pinned,
        RetryVersion::Newest => OnVersion::Newest,
    };
    let new_id = match key {
        // The same request again finds the run it made.
        Some(Extension(RequestKey(key))) => {
            RunId::derived(Timestamp::default(), &[b"retry", id.as_bytes(), key.as_bytes()])
        }
        None => RunId::fresh(),
    };
    let run_id = context
        .runs
        .take_up(caller.account_id, id, new_id, begin_at, on)
        .await?;
    tracing::info!(%run_id, retry_of = %id, by = %caller.user_id, "run taken up again");
    Ok(Accepted(ExecuteAccepted { run_id }))
}

/// Bring a signal to a run
///
/// A wait for `signal.<name>` goes on with it; one that comes before its wait is kept for it. It is on disk when this is
/// answered. Needs the role supervisor.
#[utoipa::path(post, path = "/api/runs/{id}/signal", tag = "runs", operation_id = "signalRun",
    params(("id" = RunId, Path, description = "The run.")), request_body = Signal,
    responses((status = 200, description = "The run with the signal.", body = RunView)))]
pub async fn signal(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<RunId>,
    key: Option<Extension<RequestKey>>,
    Json(signal): Json<Signal>,
) -> ApiResult<Json<RunView>> {
    caller.must(Permission::SteerRuns)?;
    if !is_name(&signal.name) {
        let message = format!("expected 1 to {NAME_CHARS_MAX} of a-z, 0-9 and _, a letter first");
        return Err(ApiError::field("name", message));
    }
    let signal_id = match key {
        Some(Extension(RequestKey(key))) => {
            ObservationId::derived(Timestamp::default(), &[b"signal", id.as_bytes(), key.as_bytes()])
        }
        None => ObservationId::fresh(),
    };
    let data = Value::Object(signal.data);
    context
        .runs
        .signal(caller.account_id, id, signal_id, &signal.name, data)
        .await?;
    tracing::info!(run_id = %id, by = %caller.user_id, "run signalled");
    show(&context, &caller, id).await
}

fn is_name(name: &str) -> bool {
    let is_word = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    name.len() <= NAME_CHARS_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_plain_name() {
        for good in ["approved", "step_2", "a"] {
            assert!(is_name(good), "{good}");
        }
        for wrong in ["", "2nd", "Approved", "a.b", "a b", &"a".repeat(65)] {
            assert!(!is_name(wrong), "{wrong:?}");
        }
    }
}
