//! Who the caller is.

use axum::extract::State;
use serde::Serialize;

use super::users::UserView;
use crate::{
    domain::ids::AccountId,
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
}

/// A tenant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Account)]
pub struct AccountView {
    id: AccountId,
    name: String,
}

/// Show the caller
#[utoipa::path(get, path = "/api/me", tag = "auth", operation_id = "getMe",
    responses((status = 200, description = "The caller.", body = Me)))]
pub async fn me(State(context): State<Context>, caller: Caller) -> ApiResult<Json<Me>> {
    let user = context.store.accounts.user(caller.user_id).await?;
    let account = context.store.accounts.account(caller.account_id).await?;
    let account = AccountView {
        id: account.id,
        name: account.name,
    };
    Ok(Json(Me {
        user: user.into(),
        account,
        role: caller.role,
    }))
}
