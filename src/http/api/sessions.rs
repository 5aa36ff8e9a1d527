//! What people are signed in with: to look at, and to end.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::users;
use crate::{
    clock,
    domain::{
        ids::{SessionId, UserId},
        time::Timestamp,
    },
    http::{
        auth::{Caller, Via, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult, Done},
        json::{Json, Path, Query},
        page::Paged,
    },
    store::accounts::Session,
};

/// One sign-in: a browser, an app.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Session)]
pub struct SessionView {
    id: SessionId,
    user_id: UserId,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it ends unless it is used again.
    #[schema(value_type = String, format = DateTime)]
    ends_at: Timestamp,
    /// Whether this request came by it.
    is_current: bool,
}

/// Whose sessions.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionsQuery {
    /// Another person of the account, for the role admin; the caller when absent.
    user_id: Option<UserId>,
}

/// List sessions
///
/// The caller's own, or those of one person of the account for the role admin. Newest first, always whole.
#[utoipa::path(get, path = "/api/sessions", tag = "auth", operation_id = "listSessions", params(SessionsQuery),
    responses((status = 200, description = "Every session that has not ended.", body = Paged<SessionView>)))]
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Query(query): Query<SessionsQuery>,
) -> ApiResult<Json<Paged<SessionView>>> {
    let user_id = query.user_id.unwrap_or(caller.user_id);
    if user_id != caller.user_id {
        users::managed(&context, &caller, user_id).await?;
    }
    let now = clock::now();
    let sessions = context.store.accounts.sessions_of(user_id).await?;
    let shown = sessions
        .into_iter()
        .filter(|session| session.refresh_until > now)
        .map(|session| view(&session, &caller));
    Ok(Json(Paged::whole(shown.collect())))
}

/// End a session
///
/// Both its tokens stop working at once. One's own; those of others need the role admin, and a role not below theirs.
#[utoipa::path(delete, path = "/api/sessions/{id}", tag = "auth", operation_id = "endSession",
    params(("id" = SessionId, Path, description = "The session.")),
    responses((status = 204, description = "Ended.")))]
pub async fn end(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<SessionId>,
) -> ApiResult<Done> {
    let session = context.store.accounts.session(caller.account_id, id).await?;
    if session.user_id != caller.user_id {
        // Whoever may not see it learns nothing about it.
        caller
            .must(Permission::ManagePeople)
            .map_err(|_low| ApiError::Missing { what: "session" })?;
        let holder = context.store.accounts.user(session.user_id).await?;
        caller.must_reach(holder.role)?;
    }
    context.gate.sign_out(session.id).await?;
    tracing::info!(session_id = %session.id, user_id = %session.user_id, by = %caller.user_id, "session ended");
    Ok(Done)
}

fn view(session: &Session, caller: &Caller) -> SessionView {
    SessionView {
        id: session.id,
        user_id: session.user_id,
        created_at: session.created_at,
        ends_at: session.refresh_until,
        is_current: caller.via == Via::Session(session.id),
    }
}
