//! Calls placed and ended by hand.
//!
//! A call is placed by a run of a workflow that every account gets with its first one: so the gate, the sender's rate, the
//! look-up of what is in doubt and the history are those of every other call.

use axum::{Extension, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    workflow_views::{ExecuteAccepted, read, value_of},
    workflows::keep_new,
};
use crate::{
    actors::ManualStart,
    domain::{
        call::Call,
        ids::{AccountId, CallId, LeadId, WorkflowId},
        phone::PhoneNumber,
        time::Timestamp,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{Accepted, ApiError, ApiResult},
        idempotency::RequestKey,
        json::{Json, Path},
        patch,
    },
    integrations::line::LineAnswer,
    store::StoreError,
    telemetry::traces,
};

/// The workflow that places them.
const DEFINITION: &str = include_str!("../../workflows/calls_by_hand.json");
/// Longest text that is read out.
const SAY_CHARS_MAX: usize = 3_000;
/// How often the account's workflow may have been deleted.
const WORKFLOWS_MAX: u8 = 100;

/// A call to be placed.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCall {
    /// Whom to call.
    lead_id: Option<LeadId>,
    /// The number to call, in E.164; the lead's own when left out.
    #[schema(value_type = Option<String>, example = "+14155550100")]
    to: Option<PhoneNumber>,
    /// Read out when somebody answers.
    #[serde(default)]
    #[schema(max_length = 3000)]
    say: String,
    /// The number of whoever talks then, in E.164, after what is said.
    #[schema(value_type = Option<String>, example = "+14155550177")]
    connect_to: Option<PhoneNumber>,
}

/// Place a call
///
/// Answered after the order is on disk: a run of the account's workflow "Calls placed by hand" places it as soon as opt-out, consent,
/// quiet hours, caps and the sender's rate let it, and shows what came of it. Needs the role supervisor.
#[utoipa::path(post, path = "/api/calls", tag = "calls", operation_id = "placeCall", request_body = NewCall,
    responses((status = 202, description = "The run that places it.", body = ExecuteAccepted)))]
pub async fn place(
    State(context): State<Context>,
    caller: Caller,
    key: Option<Extension<RequestKey>>,
    Json(wanted): Json<NewCall>,
) -> ApiResult<Accepted<ExecuteAccepted>> {
    caller.must(Permission::HandleCalls)?;
    let say = wanted.say.trim();
    if say.chars().count() > SAY_CHARS_MAX {
        return Err(ApiError::field(
            "say",
            format!("expected at most {SAY_CHARS_MAX} characters"),
        ));
    }
    if say.is_empty() && wanted.connect_to.is_none() {
        let message = "nothing happens when the call is answered: give `say`, `connect_to` or both";
        return Err(ApiError::field("say", message));
    }
    let (lead_id, to) = called(&context, caller.account_id, wanted.lead_id, wanted.to).await?;
    let connect_to = wanted.connect_to.as_ref().map_or("", PhoneNumber::as_str);
    let start = ManualStart {
        account_id: caller.account_id,
        workflow_id: workflow(&context, &caller).await?,
        lead_id,
        data: json!({"to": to, "say": say, "connect_to": connect_to, "by": caller.user_id}),
        dedupe: key.map(|Extension(key)| key.0),
        trace: traces::current(),
    };
    let run_id = context.runs.execute(start).await?;
    tracing::info!(%run_id, by = %caller.user_id, "call ordered");
    Ok(Accepted(ExecuteAccepted { run_id }))
}

/// End a call
///
/// Answered when the provider has taken the order: the call's record ends with its callback. Needs the role supervisor.
#[utoipa::path(post, path = "/api/calls/{id}/hangup", tag = "calls", operation_id = "hangUpCall",
    params(("id" = CallId, Path, description = "The call.")),
    responses((status = 202, description = "It ends.", body = Call),
        (status = 502, description = "The provider failed; asking again does no harm.", body = crate::http::error::Problem,
            content_type = "application/problem+json")))]
pub async fn hang_up(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<CallId>,
) -> ApiResult<Accepted<Call>> {
    caller.must(Permission::HandleCalls)?;
    let call = context.store.calls.get(caller.account_id, id).await?;
    let sid = context.store.calls.sid(caller.account_id, id).await?;
    let Some(sid) = sid.filter(|_| !call.status.is_terminal()) else {
        return Err(over());
    };
    match context.line.hang_up(&sid).await {
        LineAnswer::Asked => {
            tracing::info!(call_id = %id, by = %caller.user_id, "call ended by hand");
            Ok(Accepted(call.shown()))
        }
        LineAnswer::Over => Err(over()),
        LineAnswer::NoProvider => Err(ApiError::Conflict {
            code: "no_provider",
            detail: "nobody carries calls for this server: nothing leaves it".to_owned(),
        }),
        LineAnswer::Failed(detail) => Err(ApiError::ProviderFailed { detail }),
    }
}

fn over() -> ApiError {
    ApiError::Conflict {
        code: "call_over",
        detail: "the call is over".to_owned(),
    }
}

/// Who is called, and at which number.
async fn called(
    context: &Context,
    account_id: AccountId,
    lead_id: Option<LeadId>,
    to: Option<PhoneNumber>,
) -> ApiResult<(Option<LeadId>, PhoneNumber)> {
    let leads = &context.store.leads;
    match (lead_id, to) {
        (Some(id), to) => {
            let lead = leads.get(account_id, id).await;
            let lead = lead.map_err(|error| patch::reference("lead_id", error))?;
            let to = to.or(lead.phone).ok_or_else(|| {
                ApiError::field(
                    "to",
                    "the lead has no phone number: give one, or add it to the lead",
                )
            })?;
            Ok((Some(id), to))
        }
        (None, Some(to)) => {
            let lead = leads.by_phone(account_id, &to).await?;
            Ok((lead.map(|lead| lead.id), to))
        }
        (None, None) => Err(ApiError::field("to", "expected a number, or `lead_id`")),
    }
}

/// The account's workflow for calls placed by hand, made with the first one; another one after it was deleted.
async fn workflow(context: &Context, caller: &Caller) -> ApiResult<WorkflowId> {
    let workflows = &context.store.workflows;
    for number in 0..WORKFLOWS_MAX {
        let parts: [&[u8]; 3] = [caller.account_id.as_bytes(), b"calls_by_hand", &[number]];
        let id = WorkflowId::derived(Timestamp::default(), &parts);
        match workflows.get(caller.account_id, id).await {
            Ok(row) if row.published > 0 => return Ok(id),
            // A draft that somebody made of it is theirs.
            Ok(_) => {}
            Err(StoreError::Missing { .. }) => {
                let definition: Value = value_of(DEFINITION)?;
                match keep_new(context, caller, id, &read(&definition)?).await {
                    Ok(_) => return Ok(id),
                    // Made by another request at this moment, or deleted for good: the next look tells.
                    Err(ApiError::Conflict { .. }) => {
                        if workflows.get(caller.account_id, id).await.is_ok() {
                            return Ok(id);
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Conflict {
        code: "no_workflow",
        detail: "the workflow for calls placed by hand was deleted too often: keep one".to_owned(),
    })
}
