//! The audit log: read by those who manage the account, and checked.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    domain::{
        audit::{Actor, AuditRow, Details},
        hex::hex,
        ids::{AccountId, LeadId, UserId},
        time::Timestamp,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult},
        json::{Json, Query},
        page::{PageQuery, Paged},
    },
    store::{Store, StoreResult, audit::AuditFilter, kin},
};

/// Longest operation or id that is looked for.
const TEXT_CHARS_MAX: usize = 100;

/// Which entries are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Most entries to return.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(max_length = 512)]
    cursor: Option<String>,
    /// Only what this operation did, by its id in this description.
    #[param(max_length = 100, example = "updateLead")]
    action: Option<String>,
    /// Only what this person did, by themselves or by a key of theirs.
    user_id: Option<UserId>,
    /// Only entries that name this id, as their subject or anywhere in before and after; a lead's are those of its merged duplicates too.
    #[param(max_length = 100, example = "lead_01h455vb4pex5vsknk084sn02q")]
    about: Option<String>,
    /// Only what was done then or later.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Only what was done before then.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

/// Something that was done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// Counts the account's entries from 1.
    seq: u64,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who did it.
    actor: Actor,
    /// The operation, by its id in this description, or a command of the server.
    #[schema(example = "updateLead")]
    action: String,
    /// The id of what it was done to.
    subject: Option<String>,
    /// Other ids that before and after name.
    about: Vec<String>,
    /// The request's id, as in the server's log.
    request_id: Option<String>,
    /// Where the request came from.
    address: Option<String>,
    /// Whether before and after were erased, with the person they were about.
    erased: bool,
    /// The thing before, secrets left out; null for what was made or is not looked at.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// The thing after, or what the caller was answered, secrets left out; null for what was removed.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
    /// SHA-256 over this entry and the hash of the one before, in hex.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    hash: String,
}

/// What the check of the log found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AuditCheck {
    /// Whether every entry is as it was written.
    whole: bool,
    /// Entries that were followed, all of them when the log is whole.
    entries: u64,
    /// Of them, those whose before and after were erased.
    erased: u64,
    /// The hash of the last that was followed, in hex. Noted elsewhere it also shows later that nothing was cut off at the end.
    head: String,
    /// What is wrong with the next one.
    fault: Option<String>,
}

/// List what was changed, newest first
///
/// Every change that a person or a key made through the API, with who, when, from where, before and after. Reported events, dry runs
/// and checks leave no entry. A page may hold fewer entries than asked for and still have a next one. Needs the role admin.
#[utoipa::path(get, path = "/api/audit", tag = "people", operation_id = "listAudit", params(AuditQuery),
    responses((status = 200, description = "A page of entries.", body = Paged<AuditEntry>)))]
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Query(query): Query<AuditQuery>,
) -> ApiResult<Json<Paged<AuditEntry>>> {
    caller.must(Permission::ReadAudit)?;
    for (field, text) in [("action", &query.action), ("about", &query.about)] {
        if text
            .as_ref()
            .is_some_and(|text| text.chars().count() > TEXT_CHARS_MAX)
        {
            let message = format!("expected at most {TEXT_CHARS_MAX} characters");
            return Err(ApiError::field(field, message));
        }
    }
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let about = match query.about {
        Some(id) => every_id(&context.store, caller.account_id, id).await?,
        None => Vec::new(),
    };
    let filter = AuditFilter {
        action: query.action,
        user_id: query.user_id,
        about,
        since: query.from,
        until: query.to,
    };
    let audit = &context.store.audit;
    let page = audit.page(caller.account_id, &filter, page.request()?).await?;
    let items: Result<Vec<_>, _> = page.items.iter().map(shown).collect();
    Ok(Json(Paged {
        items: items.map_err(|error| ApiError::Internal(Box::new(error)))?,
        next_cursor: page.next_cursor,
    }))
}

/// Check the log
///
/// Follows the chain of hashes from the first entry to the last. Needs the role admin.
#[utoipa::path(get, path = "/api/audit/verify", tag = "people", operation_id = "verifyAudit",
    responses((status = 200, description = "What was found.", body = AuditCheck)))]
pub async fn verify(State(context): State<Context>, caller: Caller) -> ApiResult<Json<AuditCheck>> {
    caller.must(Permission::ReadAudit)?;
    let (chain, fault) = context.store.audit.verify(caller.account_id).await?;
    Ok(Json(AuditCheck {
        whole: fault.is_none(),
        entries: chain.entries,
        erased: chain.erased,
        head: hex(&chain.head),
        fault: fault.map(|fault| fault.to_string()),
    }))
}

/// The id, and when it is a lead's those of its duplicates.
async fn every_id(store: &Store, account_id: AccountId, id: String) -> StoreResult<Vec<String>> {
    let Ok(lead) = id.parse::<LeadId>() else {
        return Ok(vec![id]);
    };
    let ids = kin::ids_of(store, account_id, lead).await?;
    Ok(ids.iter().map(LeadId::to_string).collect())
}

/// The entry as people see it.
///
/// # Errors
/// When it is none of ours.
pub(super) fn shown(row: &AuditRow) -> serde_json::Result<AuditEntry> {
    let deed = row.read()?.deed;
    let details: Option<Details> = row.details.as_deref().map(serde_json::from_str).transpose()?;
    let erased = details.is_none();
    let (before, after) = details.map_or((None, None), |details| (details.before, details.after));
    Ok(AuditEntry {
        seq: row.seq,
        at: row.at,
        actor: deed.actor,
        action: deed.action,
        subject: deed.subject,
        about: deed.about,
        request_id: deed.request_id,
        address: deed.address,
        erased,
        before,
        after,
        hash: hex(&row.hash),
    })
}
