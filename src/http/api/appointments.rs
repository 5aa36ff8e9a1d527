//! Appointments: who comes when, and who did not.

use axum::{Extension, extract::State, response::Response};
use serde::Deserialize;

use crate::{
    clock,
    domain::{
        appointment::{Appointment, AppointmentStatus},
        ids::{AppointmentId, LeadId},
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
        resources::{self, Fields, NOTES_CHARS_MAX, TEXT_CHARS_MAX, Tagged},
        revision::IfMatch,
    },
};

/// Which appointments are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AppointmentQuery {
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
    status: Option<AppointmentStatus>,
}

/// An appointment to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAppointment {
    /// Whom it is about.
    lead_id: Option<LeadId>,
    /// What it is about.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"\S",
        example = "First consultation"
    )]
    title: String,
    #[schema(value_type = String, format = DateTime)]
    starts_at: Timestamp,
    /// Not before `starts_at`.
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<Timestamp>,
    #[schema(max_length = 500)]
    location: Option<String>,
    #[serde(default)]
    #[schema(max_length = 10_000)]
    notes: String,
    /// `booked` when left out.
    status: Option<AppointmentStatus>,
}

/// What to change about an appointment; what is left out stays, `null` empties.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppointmentChange {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    title: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "patch::present")]
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Patch<Timestamp>,
    #[serde(default, deserialize_with = "patch::present")]
    #[schema(value_type = Option<String>, max_length = 500)]
    location: Patch<String>,
    #[schema(max_length = 10_000)]
    notes: Option<String>,
    status: Option<AppointmentStatus>,
}

/// List appointments, newest first
#[utoipa::path(get, path = "/api/appointments", tag = "appointments", operation_id = "listAppointments", params(AppointmentQuery),
    responses((status = 200, description = "A page of appointments.", body = Paged<Appointment>)))]
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Query(query): Query<AppointmentQuery>,
) -> ApiResult<Json<Paged<Appointment>>> {
    caller.must(Permission::Read)?;
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let status = query.status.map(AppointmentStatus::as_str);
    resources::list(&context, caller.account_id, (query.lead_id, status), page).await
}

/// Show an appointment
#[utoipa::path(get, path = "/api/appointments/{id}", tag = "appointments", operation_id = "getAppointment",
    params(("id" = AppointmentId, Path, description = "The appointment.")),
    responses((status = 200, description = "The appointment; its `ETag` is its revision.", body = Appointment)))]
pub async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<AppointmentId>,
) -> ApiResult<Tagged<Appointment>> {
    caller.must(Permission::Read)?;
    resources::find(&context, caller.account_id, *id.as_bytes())
        .await
        .map(Tagged)
}

/// Create an appointment
///
/// Workflows hear of it as `appointment.booked`. Under an `Idempotency-Key` it is made once, and heard of once, whatever happens.
#[utoipa::path(post, path = "/api/appointments", tag = "appointments", operation_id = "createAppointment", request_body = NewAppointment,
    responses((status = 201, description = "Created.", body = Appointment)))]
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    key: Option<Extension<RequestKey>>,
    Json(wanted): Json<NewAppointment>,
) -> ApiResult<Response> {
    caller.must(Permission::BookAppointments)?;
    let now = clock::now();
    let appointment = Appointment {
        id: resources::parts_of(&caller, key.as_deref()).map_or_else(AppointmentId::fresh, |parts| {
            // No time in it: a repeat comes later and must find the same id.
            AppointmentId::derived(Timestamp::default(), &parts)
        }),
        account_id: caller.account_id,
        lead_id: wanted.lead_id,
        title: wanted.title,
        starts_at: wanted.starts_at,
        ends_at: wanted.ends_at,
        location: wanted.location,
        notes: redact(&wanted.notes),
        status: wanted.status.unwrap_or(AppointmentStatus::Booked),
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    check(&appointment)?;
    resources::known_lead(&context, caller.account_id, wanted.lead_id).await?;
    resources::make(&context, appointment).await
}

/// Change an appointment
///
/// Workflows hear of a new `status` as `appointment.cancelled`, `appointment.no_show`, or again as `appointment.booked`. With `If-Match` the change is refused when somebody else was faster.
#[utoipa::path(patch, path = "/api/appointments/{id}", tag = "appointments", operation_id = "updateAppointment",
    params(("id" = AppointmentId, Path, description = "The appointment."),
        ("If-Match" = Option<String>, Header, description = "The revision that was read.")),
    request_body = AppointmentChange,
    responses((status = 200, description = "The appointment as it is afterwards.", body = Appointment)))]
pub async fn update(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<AppointmentId>,
    read_at: IfMatch,
    Json(change): Json<AppointmentChange>,
) -> ApiResult<Tagged<Appointment>> {
    caller.must(Permission::BookAppointments)?;
    resources::change(&context, &caller, *id.as_bytes(), read_at, |before| {
        let appointment = changed(before, change.clone());
        check(&appointment)?;
        Ok(appointment)
    })
    .await
}

/// Remove an appointment
///
/// What the lead's timeline says of it stays. Needs the role admin.
#[utoipa::path(delete, path = "/api/appointments/{id}", tag = "appointments", operation_id = "deleteAppointment",
    params(("id" = AppointmentId, Path, description = "The appointment.")),
    responses((status = 204, description = "Gone.")))]
pub async fn delete(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<AppointmentId>,
) -> ApiResult<Done> {
    caller.must(Permission::DeleteRecords)?;
    resources::remove::<Appointment>(&context, caller.account_id, *id.as_bytes()).await?;
    Ok(Done)
}

fn changed(before: Appointment, change: AppointmentChange) -> Appointment {
    Appointment {
        title: change.title.unwrap_or(before.title),
        starts_at: change.starts_at.unwrap_or(before.starts_at),
        ends_at: change.ends_at.over(before.ends_at),
        location: change.location.over(before.location),
        notes: change.notes.map_or(before.notes, |notes| redact(&notes)),
        status: change.status.unwrap_or(before.status),
        ..before
    }
}

fn check(appointment: &Appointment) -> ApiResult<()> {
    let mut fields = Fields::default();
    fields.title("title", &appointment.title);
    fields.text("notes", &appointment.notes, NOTES_CHARS_MAX);
    fields.text(
        "location",
        appointment.location.as_deref().unwrap_or_default(),
        TEXT_CHARS_MAX,
    );
    if appointment.ends_at.is_some_and(|end| end < appointment.starts_at) {
        fields.wrong("ends_at", "expected a moment that is not before `starts_at`");
    }
    fields.checked()
}
