//! Incoming webhooks: the addresses that other systems post events to. The door itself is in `webhook_events`.

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use crate::{
    clock,
    domain::{
        ids::{UserId, WebhookId},
        time::Timestamp,
    },
    http::{
        auth::{
            Caller,
            permission::Permission,
            token::{self, TokenKind},
        },
        context::Context,
        error::{ApiError, ApiResult, Created, Done},
        idempotency::Keeping,
        json::{Json, Path},
        page::Paged,
    },
    store::webhooks::IncomingWebhook,
};

/// Longest name.
const NAME_CHARS_MAX: usize = 100;
/// Most webhooks of an account.
const WEBHOOKS_MAX: usize = 200;

/// A webhook, without its token.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Webhook)]
pub struct WebhookView {
    id: WebhookId,
    /// Who made it: a part of its address.
    user_id: UserId,
    name: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// A webhook to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// What its events are called that carry no `trigger`; the `webhook` trigger matches it.
    #[schema(min_length = 1, max_length = 100, pattern = r"\S")]
    name: String,
}

/// A webhook with a token that was just drawn.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MadeWebhook {
    #[serde(flatten)]
    webhook: WebhookView,
    /// Shown once, here.
    token: String,
    /// Where events are posted to: whoever knows it may.
    #[schema(format = "uri")]
    url: String,
}

impl From<IncomingWebhook> for WebhookView {
    fn from(webhook: IncomingWebhook) -> Self {
        let IncomingWebhook {
            id,
            account_id: _,
            user_id,
            name,
            token_hash: _,
            created_at,
        } = webhook;
        Self {
            id,
            user_id,
            name,
            created_at,
        }
    }
}

/// List the account's incoming webhooks
///
/// Always whole. Needs the role admin.
#[utoipa::path(get, path = "/api/webhooks", tag = "events", operation_id = "listWebhooks",
    responses((status = 200, description = "Every webhook, without its token.", body = Paged<WebhookView>)))]
pub async fn list(State(context): State<Context>, caller: Caller) -> ApiResult<Json<Paged<WebhookView>>> {
    caller.must(Permission::ManageWebhooks)?;
    let webhooks = context.store.webhooks.list(caller.account_id).await?;
    Ok(Json(Paged::whole(
        webhooks.into_iter().map(WebhookView::from).collect(),
    )))
}

/// Create an incoming webhook
///
/// Needs the role admin. The address with its token is in this answer and nowhere else, so it is also not repeated for an
/// `Idempotency-Key`: a repeat creates nothing and answers 409.
#[utoipa::path(post, path = "/api/webhooks", tag = "events", operation_id = "createWebhook",
    request_body = NewWebhook,
    responses((status = 201, description = "Created.", body = MadeWebhook)))]
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    Json(wanted): Json<NewWebhook>,
) -> ApiResult<Response> {
    caller.must(Permission::ManageWebhooks)?;
    let name = wanted.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        let message = format!("expected 1 to {NAME_CHARS_MAX} characters");
        return Err(ApiError::field("name", message));
    }
    if context.store.webhooks.list(caller.account_id).await?.len() >= WEBHOOKS_MAX {
        return Err(ApiError::Conflict {
            code: "too_many_webhooks",
            detail: format!("an account has at most {WEBHOOKS_MAX} webhooks: delete one that is not used"),
        });
    }
    let token = token::draw(TokenKind::Webhook)?;
    let webhook = IncomingWebhook {
        id: WebhookId::fresh(),
        account_id: caller.account_id,
        user_id: caller.user_id,
        name,
        token_hash: token::hash(token.expose()),
        created_at: clock::now(),
    };
    context.store.webhooks.create(webhook.clone()).await?;
    tracing::info!(webhook_id = %webhook.id, by = %caller.user_id, "incoming webhook created");
    let made = made(&context, webhook, token.expose());
    Ok((Extension(Keeping::Never), Created(made)).into_response())
}

/// Replace the token of an incoming webhook
///
/// The address before opens nothing any more. Needs the role admin. The new address is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/webhooks/{id}/rotate", tag = "events", operation_id = "rotateWebhook",
    params(("id" = WebhookId, Path, description = "The webhook.")),
    responses((status = 200, description = "With its new address.", body = MadeWebhook)))]
pub async fn rotate(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WebhookId>,
) -> ApiResult<Response> {
    caller.must(Permission::ManageWebhooks)?;
    let token = token::draw(TokenKind::Webhook)?;
    let hash = token::hash(token.expose());
    let webhook = context.store.webhooks.rotate(caller.account_id, id, hash).await?;
    context.gate.forget_webhook(id);
    tracing::info!(webhook_id = %id, by = %caller.user_id, "token of an incoming webhook replaced");
    let made = made(&context, webhook, token.expose());
    Ok((Extension(Keeping::Never), Json(made)).into_response())
}

/// Delete an incoming webhook
///
/// Its address opens nothing any more. Needs the role admin.
#[utoipa::path(delete, path = "/api/webhooks/{id}", tag = "events", operation_id = "deleteWebhook",
    params(("id" = WebhookId, Path, description = "The webhook.")),
    responses((status = 204, description = "Gone.")))]
pub async fn delete(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WebhookId>,
) -> ApiResult<Done> {
    caller.must(Permission::ManageWebhooks)?;
    context.store.webhooks.delete(caller.account_id, id).await?;
    context.gate.forget_webhook(id);
    context.webhooks.drop_all(caller.account_id, id).await?;
    tracing::info!(webhook_id = %id, by = %caller.user_id, "incoming webhook deleted");
    Ok(Done)
}

fn made(context: &Context, webhook: IncomingWebhook, token: &str) -> MadeWebhook {
    let public_url = &context.settings.public_url;
    MadeWebhook {
        url: format!("{public_url}/api/webhooks/user/{}/{token}", webhook.user_id),
        webhook: webhook.into(),
        token: token.to_owned(),
    }
}
