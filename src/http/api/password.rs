//! A person's own password.

use axum::extract::State;
use serde::Deserialize;

use crate::{
    domain::secret::Secret,
    http::{
        auth::{Caller, Origin, Via, password},
        context::Context,
        error::{ApiError, ApiResult, Done},
        json::Json,
    },
};

/// The password that is, and the one that is to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    #[schema(value_type = String, format = "password")]
    current_password: Secret,
    /// At least 8 characters.
    #[schema(value_type = String, format = "password", min_length = 8, max_length = 256)]
    new_password: Secret,
}

/// Change one's own password
///
/// Ends every other session of the person; API keys stay. Not for API keys.
#[utoipa::path(post, path = "/api/auth/password", tag = "auth", operation_id = "changePassword",
    request_body = PasswordChange,
    responses((status = 204, description = "Changed.")))]
pub async fn change(
    State(context): State<Context>,
    Origin(address): Origin,
    caller: Caller,
    Json(wanted): Json<PasswordChange>,
) -> ApiResult<Done> {
    let Via::Session(current) = caller.via else {
        return Err(ApiError::Refused {
            code: "not_a_session",
            detail: "an API key has no password: sign in as the person".to_owned(),
        });
    };
    let user = context.store.accounts.user(caller.user_id).await?;
    context.gate.throttle().take(&user.email, address).await?;
    if let Some(flaw) = password::flaw(&wanted.new_password, &user.email) {
        return Err(ApiError::field("new_password", flaw));
    }
    if !password::matches(&wanted.current_password, Some(user.password_hash)).await? {
        return Err(ApiError::field("current_password", "is not the present password"));
    }
    let hash = password::hash(&wanted.new_password).await?;
    context.store.accounts.set_password(user.id, hash).await?;
    context.gate.end_other_sessions(user.id, current).await?;
    tracing::info!(user_id = %user.id, "password changed");
    Ok(Done)
}
