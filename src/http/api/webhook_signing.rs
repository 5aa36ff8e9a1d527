//! The secret that our own webhooks are signed with: receivers check them by it.

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    clock,
    domain::time::Timestamp,
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::ApiResult,
        idempotency::Keeping,
        json::Json,
    },
    integrations::webhook_signature::SigningSecrets,
    store::accounts::Account,
};

/// What receivers check the header `webhook-signature` by.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SigningSecretView {
    /// As the libraries of Standard Webhooks take it.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
    /// The one before, which signs too for a day after it was replaced.
    previous: Option<PreviousSecret>,
}

/// A secret that was replaced.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PreviousSecret {
    secret: String,
    /// When it signs no more.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

/// Show the secret that outgoing webhooks are signed with
///
/// Needs the role admin.
#[utoipa::path(get, path = "/api/webhooks/signing-secret", tag = "events", operation_id = "getSigningSecret",
    responses((status = 200, description = "The secret.", body = SigningSecretView)))]
pub async fn show(State(context): State<Context>, caller: Caller) -> ApiResult<Json<SigningSecretView>> {
    caller.must(Permission::ManageWebhooks)?;
    let account = context.store.accounts.account(caller.account_id).await?;
    Ok(Json(view(&context, &account)))
}

/// Replace the secret that outgoing webhooks are signed with
///
/// For a day webhooks carry a signature by the new secret and one by the one before: receivers have that long to take the new one
/// over. A second replacement within that day ends the first secret at once. Needs the role admin.
#[utoipa::path(post, path = "/api/webhooks/signing-secret/rotate", tag = "events", operation_id = "rotateSigningSecret",
    responses((status = 200, description = "The new secret.", body = SigningSecretView)))]
pub async fn rotate(State(context): State<Context>, caller: Caller) -> ApiResult<Response> {
    caller.must(Permission::ManageWebhooks)?;
    let accounts = &context.store.accounts;
    let now = clock::now();
    let key = context.signing_keys.borrow().current(now).name();
    let account = accounts.rotate_signing(caller.account_id, key, now).await?;
    tracing::info!(account_id = %account.id, by = %caller.user_id, "signing secret replaced");
    Ok((Extension(Keeping::Never), Json(view(&context, &account))).into_response())
}

fn view(context: &Context, account: &Account) -> SigningSecretView {
    let secrets = SigningSecrets::of(&context.signing_keys.borrow(), account, clock::now());
    SigningSecretView {
        secret: secrets.current.to_text().expose().to_owned(),
        previous: secrets.previous.map(|(secret, until)| PreviousSecret {
            secret: secret.to_text().expose().to_owned(),
            until,
        }),
    }
}
