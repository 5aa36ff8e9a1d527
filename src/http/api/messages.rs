//! Messages sent and received; with effects in outbox mode, what would have been sent.

use axum::extract::State;

use crate::{
    domain::{ids::MessageId, message::Message},
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::ApiResult,
        json::{Json, Path, Query},
        page::{PageQuery, Paged},
    },
};

/// List messages, newest first
#[utoipa::path(get, path = "/api/messages", tag = "messages", operation_id = "listMessages", params(PageQuery),
    responses((status = 200, description = "A page of messages.", body = Paged<Message>)))]
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<Paged<Message>>> {
    caller.must(Permission::Read)?;
    let messages = &context.store.messages;
    page.of(|page| messages.list(caller.account_id, page)).await
}

/// Show a message
#[utoipa::path(get, path = "/api/messages/{id}", tag = "messages", operation_id = "getMessage",
    params(("id" = MessageId, Path, description = "The message.")),
    responses((status = 200, description = "The message.", body = Message)))]
pub async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<MessageId>,
) -> ApiResult<Json<Message>> {
    caller.must(Permission::Read)?;
    Ok(Json(context.store.messages.get(caller.account_id, id).await?))
}
