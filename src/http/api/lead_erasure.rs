//! Erasing a lead: asked for here, carried out by `actors/erasures`.

use axum::extract::State;
use serde::Serialize;

use crate::{
    clock,
    domain::{
        erasure::{Erasure, ErasureCounts, ErasureStatus},
        ids::{AccountId, CallId, LeadId, UserId},
        time::Timestamp,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{Accepted, ApiError, ApiResult},
        json::{Json, Path},
    },
    store::{Store, StoreError, StoreResult, walking::Walk},
};

/// Calls of the account, the newest first, that are looked through for one that goes on.
const CALLS_MAX: usize = 1_000;

/// How far the erasure of a lead has come.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Erasure)]
pub struct ErasureView {
    lead_id: LeadId,
    status: ErasureStatus,
    /// Who asked for it.
    requested_by: UserId,
    /// How much was erased so far, by all attempts together. Counted after each page of at most 200 rows: of the page that was just being erased when
    /// a process died, what was erased by then is not in it.
    counts: ErasureCounts,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When nothing was left.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

impl From<Erasure> for ErasureView {
    fn from(erasure: Erasure) -> Self {
        let Erasure {
            lead_id,
            account_id: _,
            requested_by,
            status,
            phone: _,
            email: _,
            merged: _,
            counts,
            created_at,
            finished_at,
        } = erasure;
        Self {
            lead_id,
            status,
            requested_by,
            counts,
            created_at,
            finished_at,
        }
    }
}

/// Erase everything about a lead
///
/// For good: there is no way back, so export first what is to be kept. Ends the lead's runs, removes the record, its tasks, alerts,
/// appointments, quotes and payments, and empties what must keep its place: calls (numbers, transcript, recording's address), messages
/// (text, addresses), facts, the history of runs, before and after in the audit log. The number stays opted out of everything, kept as a
/// hash; whoever calls or writes from it later is a fresh lead. Taken in for good when this is answered, and carried out within seconds,
/// also after a crash; `GET …/erasure` says how far it is. The same again is answered the same. While a call with the lead goes on: 409.
/// Needs the role admin.
#[utoipa::path(post, path = "/api/leads/{id}/erase", tag = "leads", operation_id = "eraseLead",
    params(("id" = LeadId, Path, description = "The lead.")),
    responses((status = 202, description = "It is being erased.", body = ErasureView)))]
pub async fn erase(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<LeadId>,
) -> ApiResult<Accepted<ErasureView>> {
    caller.must(Permission::DeleteLeads)?;
    let account_id = caller.account_id;
    let lead = match context.store.leads.get(account_id, id).await {
        Ok(lead) => lead,
        Err(missing @ StoreError::Missing { .. }) => {
            // It may be gone because it was erased, or is just being.
            return Ok(Accepted(erasure_of(&context, account_id, id, missing).await?));
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(call) = call_under_way(&context.store, account_id, &lead.ids()).await? {
        return Err(ApiError::Conflict {
            code: "call_under_way",
            detail: format!("a call with the lead goes on ({call}): end it first"),
        });
    }
    let erasure = Erasure::of(lead, caller.user_id, clock::now());
    let kept = context.erasures.take_in(erasure).await?;
    tracing::info!(lead_id = %id, by = %caller.user_id, "a lead is being erased");
    Ok(Accepted(kept.into()))
}

/// Show how far the erasure of a lead has come
///
/// Needs the role admin.
#[utoipa::path(get, path = "/api/leads/{id}/erasure", tag = "leads", operation_id = "getErasure",
    params(("id" = LeadId, Path, description = "The lead that is, or was, erased.")),
    responses((status = 200, description = "The erasure.", body = ErasureView)))]
pub async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<LeadId>,
) -> ApiResult<Json<ErasureView>> {
    caller.must(Permission::DeleteLeads)?;
    let missing = StoreError::Missing {
        what: "lead",
        id: id.to_string(),
    };
    Ok(Json(erasure_of(&context, caller.account_id, id, missing).await?))
}

/// The erasure of a lead, or `missing`.
async fn erasure_of(
    context: &Context,
    account_id: AccountId,
    id: LeadId,
    missing: StoreError,
) -> ApiResult<ErasureView> {
    match context.erasures.get(account_id, id).await {
        Ok(erasure) => Ok(erasure.into()),
        Err(StoreError::Missing { .. }) => Err(missing.into()),
        Err(error) => Err(error.into()),
    }
}

/// A call with the lead that goes on.
async fn call_under_way(store: &Store, account_id: AccountId, ids: &[LeadId]) -> StoreResult<Option<CallId>> {
    let (mut walk, mut looked_at) = (Walk::default(), 0);
    while looked_at < CALLS_MAX {
        let page = walk.next(|page| store.calls.list(account_id, page)).await?;
        let Some(page) = page else { break };
        looked_at += page.len();
        let live = page
            .iter()
            .find(|call| call.lead_id.is_some_and(|id| ids.contains(&id)) && !call.status.is_terminal());
        if let Some(call) = live {
            return Ok(Some(call.id));
        }
    }
    Ok(None)
}
