//! Numbers: where calls to each of the account's telephone numbers go.

use axum::{extract::State, response::Response};
use serde::Deserialize;

use super::agents::is_skill;
use crate::{
    clock,
    domain::{
        ids::NumberId,
        number::{Number, NumberRouting},
        phone::PhoneNumber,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult, Done},
        json::{self, Json, Path, Query},
        page::{PageQuery, Paged},
        resources::{self, Fields, Tagged},
        revision::IfMatch,
    },
    store::Recorded,
};

/// A number to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNumber {
    #[schema(value_type = String, example = "+14155550100", pattern = r"^\+[1-9][0-9]{6,14}$")]
    phone: PhoneNumber,
    #[serde(default)]
    #[schema(max_length = 200)]
    name: String,
    #[serde(deserialize_with = "json::object_if_given")]
    routing: NumberRouting,
    /// Whether supervisors can listen to its calls, whisper and barge in: agents are brought into a room of each call's own then.
    #[serde(default)]
    supervision: bool,
}

/// What to change about a number; what is left out stays.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberChange {
    #[schema(max_length = 200)]
    name: Option<String>,
    #[serde(default, deserialize_with = "json::object")]
    routing: Option<NumberRouting>,
    supervision: Option<bool>,
}

/// List numbers, newest first
#[utoipa::path(get, path = "/api/numbers", tag = "numbers", operation_id = "listNumbers", params(PageQuery),
    responses((status = 200, description = "A page of numbers.", body = Paged<Number>)))]
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<Paged<Number>>> {
    caller.must(Permission::Read)?;
    resources::list(&context, caller.account_id, (None, None), page).await
}

/// Show a number
#[utoipa::path(get, path = "/api/numbers/{id}", tag = "numbers", operation_id = "getNumber",
    params(("id" = NumberId, Path, description = "The number.")),
    responses((status = 200, description = "The number; its `ETag` is its revision.", body = Number)))]
pub async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<NumberId>,
) -> ApiResult<Tagged<Number>> {
    caller.must(Permission::Read)?;
    resources::find(&context, caller.account_id, *id.as_bytes())
        .await
        .map(Tagged)
}

/// Add a number with its routing
///
/// Calls to it go where its routing says; calls to numbers that are not listed go where the configuration says (`twilio.routing`). Needs
/// the role admin.
#[utoipa::path(post, path = "/api/numbers", tag = "numbers", operation_id = "createNumber", request_body = NewNumber,
    responses((status = 201, description = "Created.", body = Number)))]
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    Json(wanted): Json<NewNumber>,
) -> ApiResult<Response> {
    caller.must(Permission::EditNumbers)?;
    let now = clock::now();
    let number = Number {
        id: Number::id_of(caller.account_id, &wanted.phone),
        account_id: caller.account_id,
        phone: wanted.phone,
        name: wanted.name,
        routing: wanted.routing,
        supervision: wanted.supervision,
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    check(&number)?;
    resources::room_for::<Number>(&context, caller.account_id).await?;
    match resources::make_new(&context, &number).await? {
        Recorded::Fresh => Ok(resources::made(number)),
        Recorded::Duplicate => Err(ApiError::Conflict {
            code: "taken",
            detail: "the number is listed already: change it under its id".to_owned(),
        }),
    }
}

/// Change where calls to a number go
///
/// Holds for the next call. With `If-Match` the change is refused when somebody else was faster. Needs the role admin.
#[utoipa::path(patch, path = "/api/numbers/{id}", tag = "numbers", operation_id = "updateNumber",
    params(("id" = NumberId, Path, description = "The number."),
        ("If-Match" = Option<String>, Header, description = "The revision that was read.")),
    request_body = NumberChange,
    responses((status = 200, description = "The number as it is afterwards.", body = Number)))]
pub async fn update(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<NumberId>,
    read_at: IfMatch,
    Json(change): Json<NumberChange>,
) -> ApiResult<Tagged<Number>> {
    caller.must(Permission::EditNumbers)?;
    resources::change(&context, &caller, *id.as_bytes(), read_at, |before: Number| {
        let change = change.clone();
        let number = Number {
            name: change.name.unwrap_or(before.name),
            routing: change.routing.unwrap_or(before.routing),
            supervision: change.supervision.unwrap_or(before.supervision),
            ..before
        };
        check(&number)?;
        Ok(number)
    })
    .await
}

/// Remove a number
///
/// Calls to it go where the configuration says. Needs the role admin.
#[utoipa::path(delete, path = "/api/numbers/{id}", tag = "numbers", operation_id = "deleteNumber",
    params(("id" = NumberId, Path, description = "The number.")),
    responses((status = 204, description = "Gone.")))]
pub async fn delete(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<NumberId>,
) -> ApiResult<Done> {
    caller.must(Permission::EditNumbers)?;
    resources::remove::<Number>(&context, caller.account_id, *id.as_bytes()).await?;
    Ok(Done)
}

fn check(number: &Number) -> ApiResult<()> {
    let mut fields = Fields::default();
    fields.text("name", &number.name, resources::TITLE_CHARS_MAX);
    match &number.routing {
        NumberRouting::Agents {
            skill: Some(skill), ..
        } if !is_skill(skill) => fields.wrong("routing.skill", "expected 1 to 50 characters in lower case"),
        NumberRouting::Dial { to } if *to == number.phone => {
            fields.wrong("routing.to", "the number would call itself: give another one");
        }
        NumberRouting::Dial { .. } | NumberRouting::Record {} | NumberRouting::Agents { .. } => {}
    }
    fields.checked()
}
