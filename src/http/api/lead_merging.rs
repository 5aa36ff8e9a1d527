//! Duplicates of a lead: found by e-mail address, merged in the duplicate's turn by `actors/lead`.

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    domain::{
        erasure::ErasureStatus,
        ids::{AccountId, LeadId},
        lead::Lead,
    },
    http::{
        audit::Before,
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult},
        json::{Json, Path, Query},
        page::{PageQuery, Paged},
    },
    store::{StoreError, leads::SameEmail},
};

/// By what leads are duplicates. A number is one lead's: it makes no duplicates.
#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateKey {
    /// They have the same e-mail address, in whatever case.
    Email,
}

/// Leads that look like one person.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DuplicateGroup {
    by: DuplicateKey,
    /// What they share.
    #[schema(example = "ann@example.com")]
    value: String,
    /// The oldest first, at most 20.
    #[schema(max_items = 20)]
    leads: Vec<Lead>,
    /// How many more there are.
    more: u64,
}

impl From<SameEmail> for DuplicateGroup {
    fn from(group: SameEmail) -> Self {
        let SameEmail { email, leads, more } = group;
        Self {
            by: DuplicateKey::Email,
            value: email,
            leads,
            more,
        }
    }
}

/// Which lead goes.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MergeOrder {
    /// The lead that is merged into the one in the address, and is no lead of its own afterwards.
    #[schema(value_type = String, example = "lead_01h455vb4pex5vsknk084sn02q")]
    duplicate: LeadId,
}

/// List leads that look like one person
///
/// Leads with the same e-mail address, in the order of the newest of each group. A phone number belongs to one lead anyway. A page may hold
/// fewer groups than were asked for, even none, and still have a `next_cursor`.
#[utoipa::path(get, path = "/api/leads/duplicates", tag = "leads", operation_id = "listDuplicates", params(PageQuery),
    responses((status = 200, description = "A page of groups.", body = Paged<DuplicateGroup>)))]
pub async fn duplicates(
    State(context): State<Context>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<Paged<DuplicateGroup>>> {
    caller.must(Permission::Read)?;
    let page = context
        .store
        .leads
        .same_email(caller.account_id, page.request()?)
        .await?;
    Ok(Json(Paged::of(page, DuplicateGroup::from)))
}

/// Merge a duplicate into a lead
///
/// The lead takes what it lacks: name, phone, e-mail, time zone, who looks after it, fields of its own. Of opt-outs and refusals the stricter
/// stays, on each channel; a consent is taken over only with the number or address that it was given for. The duplicate's runs end with
/// the reason `lead merged into …`; everything that happened with it is on the lead's timeline, in its export and in its erasure, and
/// what went out to it counts for the lead's caps. Afterwards the duplicate's id, numbers and addresses are this lead's: `merged` lists
/// them. Workflows hear of it as `lead.updated`, and as `lead.opted_out` when that became true. Cut off half-way, it is brought to its end
/// by asking again; done already, it is answered the same. There is no way back. Needs the role admin.
#[utoipa::path(post, path = "/api/leads/{id}/merge", tag = "leads", operation_id = "mergeLead", request_body = MergeOrder,
    params(("id" = LeadId, Path, description = "The lead that is kept.")),
    responses((status = 200, description = "The lead as it is afterwards.", body = Lead)))]
pub async fn merge(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<LeadId>,
    Json(order): Json<MergeOrder>,
) -> ApiResult<Response> {
    caller.must(Permission::DeleteLeads)?;
    let (account_id, leads) = (caller.account_id, &context.store.leads);
    let kept = leads.get(account_id, id).await?;
    let duplicate = leads.get(account_id, order.duplicate).await?;
    if kept.merged.ids.contains(&order.duplicate) {
        return Ok(Json(kept).into_response());
    }
    let mut both = kept.clone();
    both.absorb(&duplicate)
        .map_err(|refusal| ApiError::field("duplicate", refusal.to_string()))?;
    for lead in [&kept, &duplicate] {
        refuse_erased(&context, account_id, lead.id).await?;
    }
    context.leads.merge(account_id, duplicate.id, kept.id).await?;
    let merged = leads.get(account_id, kept.id).await?;
    let before = Before(json!({"kept": kept, "duplicate": duplicate}));
    Ok((Extension(before), Json(merged)).into_response())
}

/// A lead that is being erased takes nothing in and goes nowhere.
async fn refuse_erased(context: &Context, account_id: AccountId, id: LeadId) -> ApiResult<()> {
    match context.erasures.get(account_id, id).await {
        Ok(erasure) if erasure.status == ErasureStatus::Erasing => Err(ApiError::Conflict {
            code: "being_erased",
            detail: format!("lead {id} is being erased"),
        }),
        Ok(_) | Err(StoreError::Missing { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
