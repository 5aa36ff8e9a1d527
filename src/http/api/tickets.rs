//! Tickets for the live stream, for clients that cannot send a header or a first message.

use std::time::Duration;

use axum::{
    Extension,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    clock,
    http::{
        auth::{Caller, bearer, permission::Permission, token::Shown},
        context::Context,
        error::{ApiError, ApiResult, Created},
        idempotency::Keeping,
    },
};

/// How long a ticket can be used.
const TICKET_LIFE: Duration = Duration::from_secs(30);

/// A ticket.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LiveTicket {
    /// For `/ws/supervisor?ticket=…`; works once.
    ticket: String,
    /// Seconds until it ends.
    expires_in: u64,
}

/// Get a one-time ticket for the live stream
#[utoipa::path(post, path = "/api/ws-ticket", tag = "live", operation_id = "createLiveTicket",
    responses((status = 201, description = "The ticket.", body = LiveTicket)))]
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    headers: HeaderMap,
) -> ApiResult<Response> {
    caller.must(Permission::Read)?;
    let shown = bearer(&headers)
        .and_then(Shown::of)
        .ok_or(ApiError::Unauthenticated)?;
    let ticket = context
        .gate
        .issue_live_ticket(shown, clock::now(), TICKET_LIFE)
        .await?;
    let shown = LiveTicket {
        ticket: ticket.expose().to_owned(),
        expires_in: TICKET_LIFE.as_secs(),
    };
    Ok((Extension(Keeping::Needless), Created(shown)).into_response())
}
