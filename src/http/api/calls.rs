//! Calls and what was said on them.

use axum::extract::State;

use crate::{
    domain::{call::Call, ids::CallId, transcript::Utterance},
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::ApiResult,
        json::{Json, Path, Query},
        page::{PageQuery, Paged},
    },
};

/// List calls, newest first
#[utoipa::path(get, path = "/api/calls", tag = "calls", operation_id = "listCalls", params(PageQuery),
    responses((status = 200, description = "A page of calls.", body = Paged<Call>)))]
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<Paged<Call>>> {
    caller.must(Permission::Read)?;
    let page = page.request()?;
    let page = context.store.calls.list(caller.account_id, page).await?;
    Ok(Json(Paged::of(page, |call| call.shown())))
}

/// Show a call
#[utoipa::path(get, path = "/api/calls/{id}", tag = "calls", operation_id = "getCall",
    params(("id" = CallId, Path, description = "The call.")),
    responses((status = 200, description = "The call.", body = Call)))]
pub async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<CallId>,
) -> ApiResult<Json<Call>> {
    caller.must(Permission::Read)?;
    let call = context.store.calls.get(caller.account_id, id).await?;
    Ok(Json(call.shown()))
}

/// Read what was said on a call
///
/// In the order it became final, both sides together, always whole. Grows while the call is on.
#[utoipa::path(get, path = "/api/calls/{id}/transcript", tag = "calls", operation_id = "getTranscript",
    params(("id" = CallId, Path, description = "The call.")),
    responses((status = 200, description = "Everything said.", body = Paged<Utterance>)))]
pub async fn transcript(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<CallId>,
) -> ApiResult<Json<Paged<Utterance>>> {
    caller.must(Permission::Read)?;
    // A call without words and no call at all are different answers.
    let call = context.store.calls.get(caller.account_id, id).await?;
    let utterances = context.store.calls.transcript(caller.account_id, call.id).await?;
    Ok(Json(Paged::whole(utterances)))
}
