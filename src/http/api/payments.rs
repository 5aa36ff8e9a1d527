//! Payments: what came in, and what did not.

use axum::{Extension, extract::State, response::Response};
use serde::Deserialize;

use crate::{
    clock,
    domain::{
        ids::{LeadId, PaymentId, QuoteId},
        payment::{Payment, PaymentStatus},
        quote::Quote,
        time::Timestamp,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult, Done},
        idempotency::RequestKey,
        json::{Json, Path, Query},
        page::{PageQuery, Paged},
        patch::{self, Patch},
        resources::{self, Fields, TEXT_CHARS_MAX, Tagged},
        revision::IfMatch,
    },
};

/// Which payments are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PaymentQuery {
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
    status: Option<PaymentStatus>,
}

/// A payment to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPayment {
    /// Whom it is about.
    lead_id: Option<LeadId>,
    /// What is paid for.
    quote_id: Option<QuoteId>,
    /// In minor units: 1250 is 12.50.
    #[schema(minimum = 0, maximum = 1_000_000_000_000_i64)]
    amount: i64,
    /// ISO 4217, in lower case.
    #[schema(pattern = "^[a-z]{3}$", example = "usd")]
    currency: String,
    #[schema(max_length = 500, example = "card")]
    method: Option<String>,
    /// The number that others know it by.
    #[schema(max_length = 500)]
    reference: Option<String>,
    /// Why it failed.
    #[schema(max_length = 500)]
    reason: Option<String>,
    /// `pending` when left out.
    status: Option<PaymentStatus>,
}

/// What to change about a payment; what is left out stays, `null` empties.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentChange {
    #[serde(default, deserialize_with = "patch::present")]
    #[schema(value_type = Option<String>, max_length = 500)]
    method: Patch<String>,
    #[serde(default, deserialize_with = "patch::present")]
    #[schema(value_type = Option<String>, max_length = 500)]
    reference: Patch<String>,
    #[serde(default, deserialize_with = "patch::present")]
    #[schema(value_type = Option<String>, max_length = 500)]
    reason: Patch<String>,
    status: Option<PaymentStatus>,
}

/// List payments, newest first
#[utoipa::path(get, path = "/api/payments", tag = "payments", operation_id = "listPayments", params(PaymentQuery),
    responses((status = 200, description = "A page of payments.", body = Paged<Payment>)))]
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Query(query): Query<PaymentQuery>,
) -> ApiResult<Json<Paged<Payment>>> {
    caller.must(Permission::Read)?;
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let status = query.status.map(PaymentStatus::as_str);
    resources::list(&context, caller.account_id, (query.lead_id, status), page).await
}

/// Show a payment
#[utoipa::path(get, path = "/api/payments/{id}", tag = "payments", operation_id = "getPayment",
    params(("id" = PaymentId, Path, description = "The payment.")),
    responses((status = 200, description = "The payment; its `ETag` is its revision.", body = Payment)))]
pub async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<PaymentId>,
) -> ApiResult<Tagged<Payment>> {
    caller.must(Permission::Read)?;
    resources::find(&context, caller.account_id, *id.as_bytes())
        .await
        .map(Tagged)
}

/// Create a payment
///
/// With `status` `received` or `failed` workflows hear of it as `payment.received` or `payment.failed`. Under an `Idempotency-Key` it is made once, and heard of once, whatever happens. Needs the role supervisor.
#[utoipa::path(post, path = "/api/payments", tag = "payments", operation_id = "createPayment", request_body = NewPayment,
    responses((status = 201, description = "Created.", body = Payment)))]
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    key: Option<Extension<RequestKey>>,
    Json(wanted): Json<NewPayment>,
) -> ApiResult<Response> {
    caller.must(Permission::EditDeals)?;
    let now = clock::now();
    let payment = Payment {
        id: resources::parts_of(&caller, key.as_deref()).map_or_else(PaymentId::fresh, |parts| {
            // No time in it: a repeat comes later and must find the same id.
            PaymentId::derived(Timestamp::default(), &parts)
        }),
        account_id: caller.account_id,
        lead_id: wanted.lead_id,
        quote_id: wanted.quote_id,
        amount: wanted.amount,
        currency: wanted.currency,
        method: wanted.method,
        reference: wanted.reference,
        reason: wanted.reason,
        status: wanted.status.unwrap_or(PaymentStatus::Pending),
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    check(&payment)?;
    resources::known_lead(&context, caller.account_id, wanted.lead_id).await?;
    if let Some(quote_id) = wanted.quote_id {
        let quote = resources::find::<Quote>(&context, caller.account_id, *quote_id.as_bytes()).await;
        quote.map_err(|error| match error {
            ApiError::Missing { .. } => ApiError::field("quote_id", "there is no quote with this id"),
            other => other,
        })?;
    }
    resources::make(&context, payment).await
}

/// Change a payment
///
/// Workflows hear of the status `received` as `payment.received`, of `failed` as `payment.failed`. With `If-Match` the change is refused when somebody else was faster. Needs the role supervisor.
#[utoipa::path(patch, path = "/api/payments/{id}", tag = "payments", operation_id = "updatePayment",
    params(("id" = PaymentId, Path, description = "The payment."),
        ("If-Match" = Option<String>, Header, description = "The revision that was read.")),
    request_body = PaymentChange,
    responses((status = 200, description = "The payment as it is afterwards.", body = Payment)))]
pub async fn update(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<PaymentId>,
    read_at: IfMatch,
    Json(change): Json<PaymentChange>,
) -> ApiResult<Tagged<Payment>> {
    caller.must(Permission::EditDeals)?;
    resources::change(&context, &caller, *id.as_bytes(), read_at, |before| {
        let payment = changed(before, change.clone());
        check(&payment)?;
        Ok(payment)
    })
    .await
}

/// Remove a payment
///
/// What the lead's timeline says of it stays. Needs the role admin.
#[utoipa::path(delete, path = "/api/payments/{id}", tag = "payments", operation_id = "deletePayment",
    params(("id" = PaymentId, Path, description = "The payment.")),
    responses((status = 204, description = "Gone.")))]
pub async fn delete(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<PaymentId>,
) -> ApiResult<Done> {
    caller.must(Permission::DeleteRecords)?;
    resources::remove::<Payment>(&context, caller.account_id, *id.as_bytes()).await?;
    Ok(Done)
}

fn changed(before: Payment, change: PaymentChange) -> Payment {
    Payment {
        method: change.method.over(before.method),
        reference: change.reference.over(before.reference),
        reason: change.reason.over(before.reason),
        status: change.status.unwrap_or(before.status),
        ..before
    }
}

fn check(payment: &Payment) -> ApiResult<()> {
    let mut fields = Fields::default();
    fields.money(payment.amount, &payment.currency);
    for (field, text) in [
        ("method", &payment.method),
        ("reference", &payment.reference),
        ("reason", &payment.reason),
    ] {
        fields.text(field, text.as_deref().unwrap_or_default(), TEXT_CHARS_MAX);
    }
    fields.checked()
}
