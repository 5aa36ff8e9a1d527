//! The account everything is done in, and the rules it sets for itself.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{ids::AccountId, time::Timestamp},
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::ApiResult,
        json::Json,
    },
    store::accounts::Account,
};

/// A tenant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Account)]
pub struct AccountView {
    id: AccountId,
    name: String,
    /// Whether a lead whose consent is not written down may only be answered. The operator's `gate.require_consent` asks for it
    /// of every account.
    require_consent: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// What to change about the account; what is left out stays.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountChange {
    require_consent: Option<bool>,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        let Account {
            id,
            name,
            created_at,
            require_consent,
            signing: _,
        } = account;
        Self {
            id,
            name,
            require_consent,
            created_at,
        }
    }
}

/// Show the account
#[utoipa::path(get, path = "/api/account", tag = "people", operation_id = "getAccount",
    responses((status = 200, description = "The account.", body = AccountView)))]
pub async fn get(State(context): State<Context>, caller: Caller) -> ApiResult<Json<AccountView>> {
    caller.must(Permission::Read)?;
    let account = context.store.accounts.account(caller.account_id).await?;
    Ok(Json(account.into()))
}

/// Change the account's rules
///
/// They hold for every attempt that is made after the answer. Needs the role admin.
#[utoipa::path(patch, path = "/api/account", tag = "people", operation_id = "updateAccount", request_body = AccountChange,
    responses((status = 200, description = "The account.", body = AccountView)))]
pub async fn update(
    State(context): State<Context>,
    caller: Caller,
    Json(change): Json<AccountChange>,
) -> ApiResult<Json<AccountView>> {
    caller.must(Permission::EditAccount)?;
    let accounts = &context.store.accounts;
    if let Some(require_consent) = change.require_consent {
        accounts
            .set_require_consent(caller.account_id, require_consent)
            .await?;
        tracing::info!(account_id = %caller.account_id, require_consent, by = %caller.user_id, "account's rules changed");
    }
    Ok(Json(accounts.account(caller.account_id).await?.into()))
}
