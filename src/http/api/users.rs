//! The people of an account.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        ids::{AccountId, UserId},
        secret::Secret,
        time::Timestamp,
    },
    http::{
        auth::{
            Caller,
            permission::Permission,
            session::{self, NewPerson},
        },
        context::Context,
        error::{ApiError, ApiResult, Created},
        json::Json,
        page::Paged,
    },
    store::accounts::{Role, User},
};

/// A person who signs in.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = User)]
pub struct UserView {
    id: UserId,
    account_id: AccountId,
    email: String,
    name: String,
    role: Role,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// A person to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    #[schema(format = "email", min_length = 3, max_length = 254)]
    email: String,
    /// At least 8 characters.
    #[schema(value_type = String, format = "password", min_length = 8, max_length = 256)]
    password: Secret,
    #[serde(default)]
    #[schema(max_length = 200)]
    name: String,
    role: Role,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        let User {
            id,
            account_id,
            email,
            name,
            role,
            password_hash: _,
            created_at,
        } = user;
        Self {
            id,
            account_id,
            email,
            name,
            role,
            created_at,
        }
    }
}

/// List the account's people
///
/// Oldest first, always whole. Needs the role admin.
#[utoipa::path(get, path = "/api/users", tag = "people", operation_id = "listUsers",
    responses((status = 200, description = "Everybody.", body = Paged<UserView>)))]
pub async fn list(State(context): State<Context>, caller: Caller) -> ApiResult<Json<Paged<UserView>>> {
    caller.must(Permission::ManagePeople)?;
    let users = context.store.accounts.users(caller.account_id).await?;
    Ok(Json(Paged::whole(
        users.into_iter().map(UserView::from).collect(),
    )))
}

/// Create a person
///
/// Needs the role admin; nobody can give a role above their own.
#[utoipa::path(post, path = "/api/users", tag = "people", operation_id = "createUser",
    request_body = NewUser,
    responses((status = 201, description = "Created.", body = UserView)))]
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    Json(wanted): Json<NewUser>,
) -> ApiResult<Created<UserView>> {
    caller.must(Permission::ManagePeople)?;
    if wanted.role > caller.role {
        return Err(ApiError::RoleTooLow { needed: wanted.role });
    }
    let person = NewPerson {
        email: wanted.email,
        name: wanted.name,
        password: wanted.password,
    };
    let user = session::new_user(caller.account_id, person, wanted.role).await?;
    context.store.accounts.create_user(user.clone()).await?;
    tracing::info!(user_id = %user.id, by = %caller.user_id, "user created");
    Ok(Created(user.into()))
}
