//! API keys: how programs call.

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use crate::{
    clock,
    domain::{
        ids::{KeyId, UserId},
        time::Timestamp,
    },
    http::{
        auth::{
            Caller, Via,
            permission::Permission,
            token::{self, TokenKind},
        },
        context::Context,
        error::{ApiError, ApiResult, Created, Done},
        idempotency::Keeping,
        json::{Json, Path},
        page::Paged,
    },
    store::accounts::{ApiKey, Role},
};

/// Longest name of a key.
const NAME_CHARS_MAX: usize = 100;

/// A key, without its secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ApiKey)]
pub struct KeyView {
    id: KeyId,
    /// Who made it; the key never reaches further than this person.
    user_id: UserId,
    name: String,
    role: Role,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
}

/// A key to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Where it will be used.
    #[schema(min_length = 1, max_length = 100, pattern = r"\S")]
    name: String,
    /// What it may do; at most the maker's own role, which is also the default.
    role: Option<Role>,
}

/// A key that was just made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MadeKey {
    /// Goes into `Authorization: Bearer …`. Shown once, here.
    secret: String,
    key: KeyView,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        let ApiKey {
            id,
            account_id: _,
            user_id,
            name,
            role,
            hash: _,
            created_at,
            last_used_at,
        } = key;
        Self {
            id,
            user_id,
            name,
            role,
            created_at,
            last_used_at,
        }
    }
}

/// List the account's API keys
///
/// Always whole. Needs the role admin.
#[utoipa::path(get, path = "/api/keys", tag = "people", operation_id = "listKeys",
    responses((status = 200, description = "Every key, without its secret.", body = Paged<KeyView>)))]
pub async fn list(State(context): State<Context>, caller: Caller) -> ApiResult<Json<Paged<KeyView>>> {
    caller.must(Permission::ManagePeople)?;
    let keys = context.store.accounts.keys(caller.account_id).await?;
    Ok(Json(Paged::whole(keys.into_iter().map(KeyView::from).collect())))
}

/// Create an API key
///
/// Needs the role admin. The secret is in this answer and nowhere else, so it is also not repeated for an
/// `Idempotency-Key`: a repeat creates nothing and answers 409.
#[utoipa::path(post, path = "/api/keys", tag = "people", operation_id = "createKey",
    request_body = NewKey,
    responses((status = 201, description = "Created.", body = MadeKey)))]
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    Json(wanted): Json<NewKey>,
) -> ApiResult<Response> {
    caller.must(Permission::ManagePeople)?;
    let name = wanted.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(ApiError::field(
            "name",
            format!("expected 1 to {NAME_CHARS_MAX} characters"),
        ));
    }
    let role = wanted.role.unwrap_or(caller.role);
    caller.must_reach(role)?;
    let secret = token::draw(TokenKind::Key)?;
    let key = ApiKey {
        id: KeyId::fresh(),
        account_id: caller.account_id,
        user_id: caller.user_id,
        name,
        role,
        hash: token::hash(secret.expose()),
        created_at: clock::now(),
        last_used_at: None,
    };
    context.store.accounts.create_key(key.clone()).await?;
    tracing::info!(key_id = %key.id, by = %caller.user_id, "API key created");
    let made = MadeKey {
        secret: secret.expose().to_owned(),
        key: key.into(),
    };
    Ok((Extension(Keeping::Never), Created(made)).into_response())
}

/// Delete an API key
///
/// It stops working at once. Needs the role admin.
#[utoipa::path(delete, path = "/api/keys/{id}", tag = "people", operation_id = "deleteKey",
    params(("id" = KeyId, Path, description = "The key.")),
    responses((status = 204, description = "Gone.")))]
pub async fn delete(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<KeyId>,
) -> ApiResult<Done> {
    caller.must(Permission::ManagePeople)?;
    context.store.accounts.delete_key(caller.account_id, id).await?;
    context.gate.forget(Via::Key(id)).await;
    tracing::info!(key_id = %id, by = %caller.user_id, "API key deleted");
    Ok(Done)
}
