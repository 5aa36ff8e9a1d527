//! Quotes: what was offered to whom, and what became of it.

use axum::{Extension, extract::State, response::Response};
use serde::Deserialize;

use crate::{
    clock,
    domain::{
        ids::{LeadId, QuoteId},
        quote::{Quote, QuoteStatus},
        redaction::redact,
        time::Timestamp,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiResult, Done},
        idempotency::RequestKey,
        json::{Json, Path, Query},
        page::{PageQuery, Paged},
        patch::{self, Patch},
        resources::{self, Fields, NOTES_CHARS_MAX, Tagged},
        revision::IfMatch,
    },
};

/// Which quotes are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct QuoteQuery {
    /// Most entries to return.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(max_length = 512)]
    cursor: Option<String>,
    /// Only those of this lead.
    lead_id: Option<LeadId>,
    /// Only those that stand like this.
    #[param(inline)]
    status: Option<QuoteStatus>,
}

/// A quote to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewQuote {
    /// Whom it is about.
    lead_id: Option<LeadId>,
    /// What is offered.
    #[schema(min_length = 1, max_length = 200, pattern = r"\S", example = "Roof repair")]
    title: String,
    /// In minor units: 1250 is 12.50.
    #[schema(minimum = 0, maximum = 1_000_000_000_000_i64)]
    amount: i64,
    /// ISO 4217, in lower case.
    #[schema(pattern = "^[a-z]{3}$", example = "usd")]
    currency: String,
    /// Where the lead sees it.
    #[schema(pattern = r"^https?://\S+$", max_length = 2_000)]
    url: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_until: Option<Timestamp>,
    #[serde(default)]
    #[schema(max_length = 10_000)]
    notes: String,
    /// `draft` when left out.
    status: Option<QuoteStatus>,
}

/// What to change about a quote; what is left out stays, `null` empties.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuoteChange {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    title: Option<String>,
    #[schema(minimum = 0, maximum = 1_000_000_000_000_i64)]
    amount: Option<i64>,
    #[schema(pattern = "^[a-z]{3}$")]
    currency: Option<String>,
    #[serde(default, deserialize_with = "patch::present")]
    #[schema(value_type = Option<String>, pattern = r"^https?://\S+$", max_length = 2_000)]
    url: Patch<String>,
    #[serde(default, deserialize_with = "patch::present")]
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_until: Patch<Timestamp>,
    #[schema(max_length = 10_000)]
    notes: Option<String>,
    status: Option<QuoteStatus>,
}

/// List quotes, newest first
#[utoipa::path(get, path = "/api/quotes", tag = "quotes", operation_id = "listQuotes", params(QuoteQuery),
    responses((status = 200, description = "A page of quotes.", body = Paged<Quote>)))]
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Query(query): Query<QuoteQuery>,
) -> ApiResult<Json<Paged<Quote>>> {
    caller.must(Permission::Read)?;
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let status = query.status.map(QuoteStatus::as_str);
    resources::list(&context, caller.account_id, (query.lead_id, status), page).await
}

/// Show a quote
#[utoipa::path(get, path = "/api/quotes/{id}", tag = "quotes", operation_id = "getQuote",
    params(("id" = QuoteId, Path, description = "The quote.")),
    responses((status = 200, description = "The quote; its `ETag` is its revision.", body = Quote)))]
pub async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<QuoteId>,
) -> ApiResult<Tagged<Quote>> {
    caller.must(Permission::Read)?;
    resources::find(&context, caller.account_id, *id.as_bytes())
        .await
        .map(Tagged)
}

/// Create a quote
///
/// With `status` `sent` workflows hear of it as `quote.sent`. Under an `Idempotency-Key` it is made once, and heard of once, whatever happens. Needs the role supervisor.
#[utoipa::path(post, path = "/api/quotes", tag = "quotes", operation_id = "createQuote", request_body = NewQuote,
    responses((status = 201, description = "Created.", body = Quote)))]
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    key: Option<Extension<RequestKey>>,
    Json(wanted): Json<NewQuote>,
) -> ApiResult<Response> {
    caller.must(Permission::EditDeals)?;
    let now = clock::now();
    let quote = Quote {
        id: resources::parts_of(&caller, key.as_deref()).map_or_else(QuoteId::fresh, |parts| {
            // No time in it: a repeat comes later and must find the same id.
            QuoteId::derived(Timestamp::default(), &parts)
        }),
        account_id: caller.account_id,
        lead_id: wanted.lead_id,
        title: wanted.title,
        amount: wanted.amount,
        currency: wanted.currency,
        url: wanted.url,
        valid_until: wanted.valid_until,
        notes: redact(&wanted.notes),
        status: wanted.status.unwrap_or(QuoteStatus::Draft),
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    check(&quote)?;
    resources::known_lead(&context, caller.account_id, wanted.lead_id).await?;
    resources::make(&context, quote).await
}

/// Change a quote
///
/// Workflows hear of the status `sent` as `quote.sent`; `quote.unpaid` waits after that for a payment that names the quote, or none. With `If-Match` the change is refused when somebody else was faster. Needs the role supervisor.
#[utoipa::path(patch, path = "/api/quotes/{id}", tag = "quotes", operation_id = "updateQuote",
    params(("id" = QuoteId, Path, description = "The quote."),
        ("If-Match" = Option<String>, Header, description = "The revision that was read.")),
    request_body = QuoteChange,
    responses((status = 200, description = "The quote as it is afterwards.", body = Quote)))]
pub async fn update(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<QuoteId>,
    read_at: IfMatch,
    Json(change): Json<QuoteChange>,
) -> ApiResult<Tagged<Quote>> {
    caller.must(Permission::EditDeals)?;
    resources::change(&context, &caller, *id.as_bytes(), read_at, |before| {
        let quote = changed(before, change.clone());
        check(&quote)?;
        Ok(quote)
    })
    .await
}

/// Remove a quote
///
/// What the lead's timeline says of it stays. Needs the role admin.
#[utoipa::path(delete, path = "/api/quotes/{id}", tag = "quotes", operation_id = "deleteQuote",
    params(("id" = QuoteId, Path, description = "The quote.")),
    responses((status = 204, description = "Gone.")))]
pub async fn delete(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<QuoteId>,
) -> ApiResult<Done> {
    caller.must(Permission::DeleteRecords)?;
    resources::remove::<Quote>(&context, caller.account_id, *id.as_bytes()).await?;
    Ok(Done)
}

fn changed(before: Quote, change: QuoteChange) -> Quote {
    Quote {
        title: change.title.unwrap_or(before.title),
        amount: change.amount.unwrap_or(before.amount),
        currency: change.currency.unwrap_or(before.currency),
        url: change.url.over(before.url),
        valid_until: change.valid_until.over(before.valid_until),
        notes: change.notes.map_or(before.notes, |notes| redact(&notes)),
        status: change.status.unwrap_or(before.status),
        ..before
    }
}

fn check(quote: &Quote) -> ApiResult<()> {
    let mut fields = Fields::default();
    fields.title("title", &quote.title);
    fields.text("notes", &quote.notes, NOTES_CHARS_MAX);
    fields.money(quote.amount, &quote.currency);
    fields.url("url", quote.url.as_ref());
    fields.checked()
}
