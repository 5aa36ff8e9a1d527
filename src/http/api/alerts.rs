//! Alerts: listed, and acknowledged by a person.

use axum::extract::State;
use serde::Deserialize;

use crate::{
    bus::live::LiveFact,
    clock,
    domain::{alert::Alert, ids::AlertId, redaction::redact},
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult},
        json::{Json, Path, Query},
        page::{PageQuery, Paged},
    },
    store::Recorded,
};

/// Longest note.
const NOTE_CHARS_MAX: usize = 2_000;

/// List alerts, newest first
#[utoipa::path(get, path = "/api/alerts", tag = "alerts", operation_id = "listAlerts", params(PageQuery),
    responses((status = 200, description = "A page of alerts.", body = Paged<Alert>)))]
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<Paged<Alert>>> {
    caller.must(Permission::Read)?;
    let alerts = &context.store.alerts;
    page.of(|page| alerts.list(caller.account_id, page)).await
}

/// Show an alert
#[utoipa::path(get, path = "/api/alerts/{id}", tag = "alerts", operation_id = "getAlert",
    params(("id" = AlertId, Path, description = "The alert.")),
    responses((status = 200, description = "The alert.", body = Alert)))]
pub async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<AlertId>,
) -> ApiResult<Json<Alert>> {
    caller.must(Permission::Read)?;
    Ok(Json(context.store.alerts.get(caller.account_id, id).await?))
}

/// Acknowledge an alert
///
/// The first person stays; doing it again changes nothing. Needs the role supervisor.
#[utoipa::path(post, path = "/api/alerts/{id}/ack", tag = "alerts", operation_id = "ackAlert",
    params(("id" = AlertId, Path, description = "The alert.")),
    responses((status = 200, description = "The acknowledged alert.", body = Alert)))]
pub async fn acknowledge(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<AlertId>,
) -> ApiResult<Json<Alert>> {
    caller.must(Permission::AckAlerts)?;
    acknowledge_as(&context, &caller, id).await.map(Json)
}

/// What to change about an alert; `null` takes the note away.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertChange {
    /// What whoever looks at it next should know.
    #[schema(max_length = 2_000)]
    note: Option<String>,
}

/// Write a note to an alert
///
/// It takes the place of the one before. Needs the role supervisor.
#[utoipa::path(patch, path = "/api/alerts/{id}", tag = "alerts", operation_id = "noteAlert",
    params(("id" = AlertId, Path, description = "The alert.")), request_body = AlertChange,
    responses((status = 200, description = "The alert as it is afterwards.", body = Alert)))]
pub async fn note(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<AlertId>,
    Json(change): Json<AlertChange>,
) -> ApiResult<Json<Alert>> {
    caller.must(Permission::AckAlerts)?;
    if change
        .note
        .as_ref()
        .is_some_and(|note| note.chars().count() > NOTE_CHARS_MAX)
    {
        return Err(ApiError::field(
            "note",
            format!("expected at most {NOTE_CHARS_MAX} characters"),
        ));
    }
    let note = change
        .note
        .filter(|note| !note.trim().is_empty())
        .map(|note| redact(&note));
    Ok(Json(
        context.store.alerts.annotate(caller.account_id, id, note).await?,
    ))
}

/// Marks an alert seen by the caller, who may, and tells the watchers when nobody had before.
///
/// # Errors
/// When the account has no such alert or the store does not answer.
pub async fn acknowledge_as(context: &Context, caller: &Caller, id: AlertId) -> ApiResult<Alert> {
    let now = clock::now();
    let acked = context
        .store
        .alerts
        .acknowledge(caller.account_id, id, caller.user_id, now)
        .await?;
    let (alert, recorded) = acked;
    if recorded == Recorded::Fresh {
        let fact = LiveFact::AlertAcked {
            alert_id: id,
            by: caller.user_id,
        };
        context.bus.publish(caller.account_id, now, fact);
    }
    Ok(alert)
}
