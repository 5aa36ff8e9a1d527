//! What came last to an incoming webhook, and the same once more.

use axum::extract::State;

use super::{events::EventAccepted, webhook_events};
use crate::{
    domain::{
        ids::{DeliveryId, WebhookId},
        webhook_rule::Delivery,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{Accepted, ApiError, ApiResult},
        json::{Json, Path},
        page::Paged,
    },
    store::webhooks::IncomingWebhook,
};

/// List the last deliveries of a webhook, newest first
///
/// The last ten requests that came to its address, refused ones too, and what became of each. Always whole. Needs the role admin.
#[utoipa::path(get, path = "/api/webhooks/{id}/deliveries", tag = "events", operation_id = "listDeliveries",
    params(("id" = WebhookId, Path, description = "The webhook.")),
    responses((status = 200, description = "The last ten.", body = Paged<Delivery>)))]
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WebhookId>,
) -> ApiResult<Json<Paged<Delivery>>> {
    caller.must(Permission::ManageWebhooks)?;
    open_webhook(&context, &caller, id).await?;
    let deliveries = context.webhooks.deliveries(caller.account_id, id).await?;
    Ok(Json(Paged::whole(deliveries)))
}

/// Replay a delivery
///
/// Takes the same request in once more, as a new event, with the mapping as it is. What was not signed when it came, by a service that signs, is
/// refused (409, `not_signed`). Needs the role admin.
#[utoipa::path(post, path = "/api/webhooks/{id}/deliveries/{delivery_id}/replay", tag = "events",
    operation_id = "replayDelivery",
    params(("id" = WebhookId, Path, description = "The webhook."),
        ("delivery_id" = DeliveryId, Path, description = "One of the last ten.")),
    responses((status = 202, description = "Taken in for good.", body = EventAccepted)))]
pub async fn replay(
    State(context): State<Context>,
    caller: Caller,
    Path((id, delivery_id)): Path<(WebhookId, DeliveryId)>,
) -> ApiResult<Accepted<EventAccepted>> {
    caller.must(Permission::ManageWebhooks)?;
    let webhook = open_webhook(&context, &caller, id).await?;
    let deliveries = context.webhooks.deliveries(caller.account_id, id).await?;
    let Some(delivery) = deliveries.into_iter().find(|delivery| delivery.id == delivery_id) else {
        return Err(ApiError::Missing { what: "delivery" });
    };
    if !delivery.is_whole {
        return Err(ApiError::Conflict {
            code: "not_whole",
            detail: "only the beginning of this request was kept: let the sender post it again".to_owned(),
        });
    }
    webhook_events::again(&context, &webhook, delivery)
        .await
        .map(Accepted)
}

/// The account's webhook with this id.
///
/// # Errors
/// [`ApiError::Missing`] when it has none.
pub async fn open_webhook(context: &Context, caller: &Caller, id: WebhookId) -> ApiResult<IncomingWebhook> {
    let all = context.store.webhooks.list(caller.account_id).await?;
    all.into_iter()
        .find(|webhook| webhook.id == id)
        .ok_or(ApiError::Missing { what: "webhook" })
}
