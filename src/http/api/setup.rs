//! What has to stand before real calls come in, each step with a check.

use axum::extract::State;
use serde::Serialize;

use crate::{
    clock,
    domain::time::Timestamp,
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::ApiResult,
        json::Json,
        setup::checks::{self, SetupCheck, SetupStatus},
    },
};

/// How far the server is from taking real calls.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SetupReport {
    /// Whether no check failed.
    ready: bool,
    /// In the order in which one goes live.
    checks: Vec<SetupCheck>,
    #[schema(value_type = String, format = DateTime)]
    checked_at: Timestamp,
}

/// Check what going live needs
///
/// Everything is looked at while you wait, for up to half a minute: Twilio is asked for the account and its numbers, the public address for its
/// health and for a media stream, which is let go at once. Nothing is changed. What whoever runs the server sees to is `skipped` for every account but the one
/// that the configured Twilio account belongs to. Needs the role admin.
#[utoipa::path(get, path = "/api/setup/checks", tag = "operating", operation_id = "checkSetup",
    responses((status = 200, description = "Each step and how it stands.", body = SetupReport)))]
pub async fn check(State(context): State<Context>, caller: Caller) -> ApiResult<Json<SetupReport>> {
    caller.must(Permission::EditAccount)?;
    let checks = checks::look(&context, caller.account_id).await?;
    Ok(Json(SetupReport {
        ready: checks.iter().all(|check| check.status != SetupStatus::Failed),
        checks,
        checked_at: clock::now(),
    }))
}
