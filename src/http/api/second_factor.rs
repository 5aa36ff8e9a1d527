//! A person's second factor: codes of an authenticator (RFC 6238), asked for at each sign-in.

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use crate::{
    domain::{ids::UserId, secret::Secret},
    http::{
        auth::{Caller, Origin, Via, password, permission::Permission, second_factor},
        context::Context,
        error::{ApiError, ApiResult, Done},
        idempotency::Keeping,
        json::{Json, Path},
    },
    store::accounts::User,
};

/// The person's own password.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnPassword {
    /// The present one.
    #[schema(value_type = String, format = "password")]
    password: Secret,
}

/// What an authenticator shows.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShownCode {
    /// Six digits.
    #[schema(value_type = String, example = "492039", min_length = 6, max_length = 64)]
    code: Secret,
}

/// A second factor to be.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BegunSecondFactor {
    /// For typing into an authenticator; shown once, here.
    #[schema(example = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")]
    secret: String,
    /// The same for a QR code.
    #[schema(
        example = "otpauth://totp/My%20team:ann%40example.com?secret=JBSWY3DPEHPK3PXP&issuer=My%20team"
    )]
    otpauth_url: String,
}

/// What opens the door when the authenticator is lost.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RecoveryCodes {
    /// Each works once in place of a code; shown once, here.
    recovery_codes: Vec<String>,
}

/// Begin to set up a second factor
///
/// Nothing is asked for at sign-in before a code was confirmed. Beginning again forgets the secret before. For people who are signed
/// in, not for API keys.
#[utoipa::path(post, path = "/api/auth/second-factor", tag = "auth", operation_id = "beginSecondFactor",
    request_body = OwnPassword,
    responses((status = 200, description = "The secret.", body = BegunSecondFactor)))]
pub async fn begin(
    State(context): State<Context>,
    Origin(address): Origin,
    caller: Caller,
    Json(given): Json<OwnPassword>,
) -> ApiResult<Response> {
    let user = own(&context, &caller, Origin(address)).await?;
    know(&user, &given.password).await?;
    let account = context.store.accounts.account(user.account_id).await?;
    let issuer = if account.name.is_empty() {
        "patchcord"
    } else {
        &account.name
    };
    let begun = second_factor::begin(&context.store, &context.sealing, &user, issuer).await?;
    let shown = BegunSecondFactor {
        secret: begun.secret.expose().to_owned(),
        otpauth_url: begun.otpauth_url,
    };
    Ok((Extension(Keeping::Never), Json(shown)).into_response())
}

/// Confirm the second factor
///
/// From then on each sign-in asks for a code.
#[utoipa::path(post, path = "/api/auth/second-factor/confirm", tag = "auth", operation_id = "confirmSecondFactor",
    request_body = ShownCode,
    responses((status = 200, description = "It is on.", body = RecoveryCodes)))]
pub async fn confirm(
    State(context): State<Context>,
    Origin(address): Origin,
    caller: Caller,
    Json(given): Json<ShownCode>,
) -> ApiResult<Response> {
    let user = own(&context, &caller, Origin(address)).await?;
    let codes = second_factor::confirm(&context.store, &context.sealing, &user, given.code.expose()).await?;
    tracing::info!(user_id = %user.id, "second factor on");
    let shown = RecoveryCodes {
        recovery_codes: codes,
    };
    Ok((Extension(Keeping::Never), Json(shown)).into_response())
}

/// Take one's own second factor off
#[utoipa::path(post, path = "/api/auth/second-factor/disable", tag = "auth", operation_id = "disableSecondFactor",
    request_body = OwnPassword,
    responses((status = 204, description = "It is off.")))]
pub async fn disable(
    State(context): State<Context>,
    Origin(address): Origin,
    caller: Caller,
    Json(given): Json<OwnPassword>,
) -> ApiResult<Done> {
    let user = own(&context, &caller, Origin(address)).await?;
    know(&user, &given.password).await?;
    second_factor::take_off(&context.store, &user).await?;
    tracing::info!(user_id = %user.id, "second factor off");
    Ok(Done)
}

/// Take a person's second factor off
///
/// For who has lost authenticator and recovery codes. Ends the person's sessions. Needs the role owner.
#[utoipa::path(delete, path = "/api/users/{id}/second-factor", tag = "people", operation_id = "removeSecondFactor",
    params(("id" = UserId, Path, description = "The person.")),
    responses((status = 204, description = "It is off.")))]
pub async fn remove(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> ApiResult<Done> {
    caller.must(Permission::RemoveSecondFactors)?;
    let user = context.store.accounts.user(id).await?;
    if user.account_id != caller.account_id {
        return Err(ApiError::Missing { what: "user" });
    }
    second_factor::take_off(&context.store, &user).await?;
    context.gate.end_sessions_of(user.id).await?;
    tracing::info!(user_id = %user.id, by = %caller.user_id, "second factor taken off");
    Ok(Done)
}

/// The person who is signed in, with one try taken from what they may guess.
async fn own(context: &Context, caller: &Caller, Origin(address): Origin) -> ApiResult<User> {
    let Via::Session(_) = caller.via else {
        return Err(ApiError::Refused {
            code: "not_a_session",
            detail: "an API key has no second factor: sign in as the person".to_owned(),
        });
    };
    let user = context.store.accounts.user(caller.user_id).await?;
    context.gate.throttle().take(&user.email, address).await?;
    Ok(user)
}

async fn know(user: &User, password: &Secret) -> ApiResult<()> {
    if password::matches(password, Some(user.password_hash.clone())).await? {
        Ok(())
    } else {
        Err(ApiError::field("password", "is not the present password"))
    }
}
