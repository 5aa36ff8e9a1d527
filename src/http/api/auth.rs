//! Signing in, staying signed in, signing out, and the registration of an account.

use axum::extract::State;
use serde::Deserialize;

use crate::{
    clock,
    domain::secret::Secret,
    http::{
        auth::{
            Caller, Origin, Via, password, second_factor,
            session::{self, NewPerson, Tokens},
            throttle::Trying,
        },
        context::Context,
        error::{ApiError, ApiResult, Created, Done},
        json::Json,
    },
};

/// A new account and its owner.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    #[schema(format = "email", min_length = 3, max_length = 254)]
    email: String,
    /// At least 8 characters.
    #[schema(value_type = String, format = "password", min_length = 8, max_length = 256)]
    password: Secret,
    /// The owner's name.
    #[serde(default)]
    #[schema(max_length = 200)]
    name: String,
    /// The name of the account, a company for example.
    #[serde(default)]
    #[schema(max_length = 200)]
    account_name: String,
    /// What `patchcord serve` printed as `/setup?token=…`; needed for the first account of a server.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    setup_token: Option<Secret>,
}

/// E-mail and password.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    email: String,
    #[schema(value_type = String, format = "password")]
    password: Secret,
    /// What the person's authenticator shows, or a recovery code; only for who has a second factor.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "492039", max_length = 64)]
    code: Option<Secret>,
}

/// A refresh token to exchange.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    #[schema(value_type = String)]
    refresh_token: Secret,
}

/// A sign-in ticket to exchange.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TicketRequest {
    #[schema(value_type = String)]
    ticket: Secret,
}

/// Register an account
///
/// The first account of a server needs the setup token that `patchcord serve` printed. Later accounts can only be
/// registered when `server.open_registration` is on.
#[utoipa::path(post, path = "/api/auth/register", tag = "auth", operation_id = "register", security(()),
    request_body = Registration,
    responses((status = 201, description = "Registered and signed in.", body = Tokens)))]
pub async fn register(
    State(context): State<Context>,
    Origin(address): Origin,
    Json(wanted): Json<Registration>,
) -> ApiResult<Created<Tokens>> {
    context
        .gate
        .throttle()
        .take_address(Trying::SignIn, address)
        .await?;
    let used_setup = admit(&context, wanted.setup_token.as_ref()).await?;
    let person = NewPerson {
        email: wanted.email,
        name: wanted.name,
        password: wanted.password,
    };
    let made = session::create_owner(&context.store, &wanted.account_name, person).await;
    if let (Err(_), Some(setup)) = (&made, used_setup) {
        context.gate.setup.reopen(setup.expose());
    }
    let owner = made?;
    tracing::info!(user_id = %owner.id, account_id = %owner.account_id, "account registered");
    context
        .gate
        .sign_in(owner.id, owner.account_id)
        .await
        .map(Created)
}

/// Returns the setup token when it was what let the caller in. Once there is an account, however it came about, no setup token does.
async fn admit<'a>(context: &Context, setup: Option<&'a Secret>) -> ApiResult<Option<&'a Secret>> {
    let first = context.store.accounts.first_account().await?;
    let setup = setup.filter(|_| first.is_none());
    if let Some(setup) = setup.filter(|setup| context.gate.setup.enter(setup.expose())) {
        return Ok(Some(setup));
    }
    if context.settings.open_registration {
        return Ok(None);
    }
    let detail = match first {
        None => "the first account needs the setup token that the server printed when it started",
        Some(_) => "registration is closed: an administrator creates users",
    };
    Err(ApiError::Refused {
        code: "registration_closed",
        detail: detail.to_owned(),
    })
}

/// Sign in
///
/// Who has a second factor and sends no `code` is answered 401 with the code `code_needed`, once the password is right. A code works once.
#[utoipa::path(post, path = "/api/auth/login", tag = "auth", operation_id = "login", security(()),
    request_body = Credentials,
    responses((status = 200, description = "Signed in.", body = Tokens)))]
pub async fn login(
    State(context): State<Context>,
    Origin(address): Origin,
    Json(given): Json<Credentials>,
) -> ApiResult<Json<Tokens>> {
    let email = session::normal_email(&given.email);
    context
        .gate
        .throttle()
        .take(email.as_deref().unwrap_or_default(), address)
        .await?;
    let user = match &email {
        Some(email) => context.store.accounts.user_by_email(email).await?,
        None => None,
    };
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let is_right = password::matches(&given.password, hash).await?;
    let user = user.filter(|_| is_right).ok_or(ApiError::BadCredentials)?;
    second_factor::pass(&context.store, &context.sealing, &user, given.code.as_ref()).await?;
    context.gate.sign_in(user.id, user.account_id).await.map(Json)
}

/// Exchange a refresh token for the next pair
///
/// A refresh token works once. When one is used a second time the whole session ends, because somebody else has a copy.
#[utoipa::path(post, path = "/api/auth/refresh", tag = "auth", operation_id = "refresh", security(()),
    request_body = RefreshRequest,
    responses((status = 200, description = "The next pair.", body = Tokens)))]
pub async fn refresh(
    State(context): State<Context>,
    Origin(address): Origin,
    Json(given): Json<RefreshRequest>,
) -> ApiResult<Json<Tokens>> {
    context
        .gate
        .throttle()
        .take_address(Trying::Refresh, address)
        .await?;
    context.gate.refresh(given.refresh_token.expose()).await.map(Json)
}

/// Sign out
///
/// Ends the session of the access token; both its tokens stop working at once.
#[utoipa::path(post, path = "/api/auth/logout", tag = "auth", operation_id = "logout",
    responses((status = 204, description = "Signed out.")))]
pub async fn logout(State(context): State<Context>, caller: Caller) -> ApiResult<Done> {
    match caller.via {
        Via::Session(id) => context.gate.sign_out(id).await.map(|()| Done),
        Via::Key(_) => Err(ApiError::Refused {
            code: "not_a_session",
            detail: "an API key is not a session: delete it under /api/keys".to_owned(),
        }),
    }
}

/// Sign in with a one-time ticket
///
/// `patchcord dev` prints an address with such a ticket, so that the browser it opens is signed in.
#[utoipa::path(post, path = "/api/auth/ticket", tag = "auth", operation_id = "redeemTicket", security(()),
    request_body = TicketRequest,
    responses((status = 200, description = "Signed in.", body = Tokens)))]
pub async fn redeem_ticket(
    State(context): State<Context>,
    Origin(address): Origin,
    Json(given): Json<TicketRequest>,
) -> ApiResult<Json<Tokens>> {
    context
        .gate
        .throttle()
        .take_address(Trying::SignIn, address)
        .await?;
    let holder = context
        .gate
        .sign_in_tickets()
        .redeem(given.ticket.expose(), clock::now());
    let user_id = holder.ok_or(ApiError::Unauthenticated)?;
    let user = context.store.accounts.user(user_id).await?;
    context.gate.sign_in(user.id, user.account_id).await.map(Json)
}
