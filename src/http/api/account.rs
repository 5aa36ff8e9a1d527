//! The account everything is done in, and the rules it sets for itself.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        ids::AccountId,
        retention::{DAYS_MAX, Retention},
        time::Timestamp,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult, FieldError},
        json::{self, Json},
        patch::{self, Patch},
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
    /// How many days what was said and done is kept.
    retention: Retention,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// What to change about the account; what is left out stays.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountChange {
    /// Whether a lead whose consent is not written down may only be answered.
    require_consent: Option<bool>,
    /// How many days what was said and done is kept; what is left out stays, `null` keeps for good.
    #[serde(default, deserialize_with = "json::object")]
    retention: Option<RetentionChange>,
}

/// What to change about how long things are kept. What is older is taken away for good, within minutes of the change and daily from then on.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_field_names,
    reason = "the names are the API's, and each says its unit"
)]
pub struct RetentionChange {
    /// Days that transcripts of calls, and the addresses of their recordings, are kept.
    #[serde(default, deserialize_with = "patch::present")]
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 3650, example = 90)]
    transcripts_days: Patch<u16>,
    /// Days that the texts of messages are kept.
    #[serde(default, deserialize_with = "patch::present")]
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 3650, example = 365)]
    messages_days: Patch<u16>,
    /// Days that the steps of ended runs are kept.
    #[serde(default, deserialize_with = "patch::present")]
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 3650, example = 180)]
    runs_days: Patch<u16>,
}

impl RetentionChange {
    fn over(self, before: Retention) -> ApiResult<Retention> {
        let after = Retention {
            transcripts_days: self.transcripts_days.over(before.transcripts_days),
            messages_days: self.messages_days.over(before.messages_days),
            runs_days: self.runs_days.over(before.runs_days),
        };
        let fields = [
            ("retention.transcripts_days", after.transcripts_days),
            ("retention.messages_days", after.messages_days),
            ("retention.runs_days", after.runs_days),
        ];
        let wrong = fields
            .into_iter()
            .filter(|(_, days)| days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)));
        let errors: Vec<FieldError> = wrong
            .map(|(field, _)| {
                let message = format!("expected 1 to {DAYS_MAX} days, or null to keep it for good");
                FieldError::new(field, message)
            })
            .collect();
        if errors.is_empty() {
            Ok(after)
        } else {
            Err(ApiError::Invalid(errors))
        }
    }
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        let Account {
            id,
            name,
            created_at,
            require_consent,
            retention,
            signing: _,
        } = account;
        Self {
            id,
            name,
            require_consent,
            retention,
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
/// The rule about consent holds for every attempt that is made after the answer. `retention` takes what is older away for good: transcripts and
/// the addresses of recordings, texts of messages, steps of ended runs; calls, messages and runs themselves stay for the counts, and the audit
/// log says how many were emptied. Needs the role admin.
#[utoipa::path(patch, path = "/api/account", tag = "people", operation_id = "updateAccount", request_body = AccountChange,
    responses((status = 200, description = "The account.", body = AccountView)))]
pub async fn update(
    State(context): State<Context>,
    caller: Caller,
    Json(change): Json<AccountChange>,
) -> ApiResult<Json<AccountView>> {
    caller.must(Permission::EditAccount)?;
    let accounts = &context.store.accounts;
    let retention = match change.retention {
        Some(retention) => {
            let before = accounts.account(caller.account_id).await?.retention;
            Some(retention.over(before)?)
        }
        None => None,
    };
    if let Some(require_consent) = change.require_consent {
        accounts
            .set_require_consent(caller.account_id, require_consent)
            .await?;
        tracing::info!(account_id = %caller.account_id, require_consent, by = %caller.user_id, "account's rules changed");
    }
    if let Some(retention) = retention {
        context.retention.set(caller.account_id, retention).await?;
        tracing::info!(account_id = %caller.account_id, ?retention, by = %caller.user_id, "what is kept how long changed");
    }
    Ok(Json(accounts.account(caller.account_id).await?.into()))
}
