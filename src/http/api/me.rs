//! Who the caller is.

use axum::extract::State;
use serde::Serialize;

use super::{account::AccountView, users::UserView};
use crate::{
    http::{auth::Caller, context::Context, error::ApiResult, json::Json},
    store::accounts::Role,
};

/// The caller, and the account everything is done in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Me {
    user: UserView,
    account: AccountView,
    /// What this token may do: the person's role, or less for an API key.
    role: Role,
    /// Whether `POST /api/simulations` plays a demonstration call or text message.
    can_simulate: bool,
}

/// Show the caller
#[utoipa::path(get, path = "/api/me", tag = "auth", operation_id = "getMe",
    responses((status = 200, description = "The caller.", body = Me)))]
pub async fn me(State(context): State<Context>, caller: Caller) -> ApiResult<Json<Me>> {
    let user = context.store.accounts.user(caller.user_id).await?;
    let account = context.store.accounts.account(caller.account_id).await?;
    Ok(Json(Me {
        user: user.into(),
        account: account.into(),
        role: caller.role,
        can_simulate: context.simulator.get().is_some(),
    }))
}
