//! The people of an account.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::{
    clock,
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
        error::{ApiError, ApiResult, Created, Done},
        json::{Json, Path},
        page::Paged,
    },
    store::accounts::{Role, Staffing, User, UserChange},
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
    /// Whether each sign-in asks for a code.
    second_factor: bool,
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

/// What is to be changed about a person; what is left out stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserEdit {
    #[schema(max_length = 200)]
    name: Option<String>,
    role: Option<Role>,
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
            second_factor,
            created_at,
        } = user;
        Self {
            id,
            account_id,
            email,
            name,
            role,
            second_factor: second_factor.is_some_and(|factor| factor.is_confirmed),
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
    caller.must_reach(wanted.role)?;
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

/// Change a person's role or name
///
/// Counts from the next request on, also for their API keys. Needs the role admin; nobody can change somebody above their own role,
/// nor give such a role. The last owner of an account stays one.
#[utoipa::path(patch, path = "/api/users/{id}", tag = "people", operation_id = "updateUser",
    params(("id" = UserId, Path, description = "The person.")), request_body = UserEdit,
    responses((status = 200, description = "The person as they are afterwards.", body = UserView)))]
pub async fn update(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<UserId>,
    Json(edit): Json<UserEdit>,
) -> ApiResult<Json<UserView>> {
    within_reach(&context, &caller, id).await?;
    if let Some(role) = edit.role {
        caller.must_reach(role)?;
    }
    let name = edit.name.map(|name| name.trim().to_owned());
    if name
        .as_ref()
        .is_some_and(|name| name.chars().count() > session::NAME_CHARS_MAX)
    {
        let message = format!("expected at most {} characters", session::NAME_CHARS_MAX);
        return Err(ApiError::field("name", message));
    }
    let change = UserChange {
        name,
        role: edit.role,
        at: clock::now(),
    };
    let changed = context
        .store
        .accounts
        .change_user(caller.account_id, id, change)
        .await;
    let user = settled(changed?)?;
    context.gate.forget_everybody().await;
    tracing::info!(user_id = %user.id, role = ?user.role, by = %caller.user_id, "user changed");
    Ok(Json(user.into()))
}

/// Remove a person
///
/// Their sessions and API keys stop working at once, and their e-mail address is free again. What they did stays, and so do the
/// incoming webhooks they made. Needs the role admin, and a role not below theirs; the last owner of an account stays.
#[utoipa::path(delete, path = "/api/users/{id}", tag = "people", operation_id = "deleteUser",
    params(("id" = UserId, Path, description = "The person.")),
    responses((status = 204, description = "Gone.")))]
pub async fn delete(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> ApiResult<Done> {
    within_reach(&context, &caller, id).await?;
    let removed = context
        .store
        .accounts
        .delete_user(caller.account_id, id, clock::now())
        .await;
    settled(removed?)?;
    context.gate.forget_everybody().await;
    tracing::info!(user_id = %id, by = %caller.user_id, "user removed");
    Ok(Done)
}

/// A person of the caller's account whom the caller may change.
async fn within_reach(context: &Context, caller: &Caller, id: UserId) -> ApiResult<()> {
    caller.must_reach(managed(context, caller, id).await?.role)
}

/// A person of the caller's account, for a caller who manages its people.
pub(super) async fn managed(context: &Context, caller: &Caller, id: UserId) -> ApiResult<User> {
    caller.must(Permission::ManagePeople)?;
    let person = context.store.accounts.user(id).await?;
    if person.account_id != caller.account_id {
        return Err(ApiError::Missing { what: "user" });
    }
    Ok(person)
}

fn settled(staffing: Staffing) -> ApiResult<User> {
    match staffing {
        Staffing::Changed(user) => Ok(user),
        Staffing::LastOwner => Err(ApiError::Conflict {
            code: "last_owner",
            detail: "nobody else owns the account: make somebody an owner first".to_owned(),
        }),
    }
}
