//! The built-in automations, on or off per account.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::{
    versions::publication,
    workflow_views::{read, value_of},
    workflows::keep_new,
};
use crate::{
    clock,
    domain::{
        ids::{AccountId, WorkflowId},
        time::Timestamp,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult},
        json::{Json, Path},
        page::Paged,
    },
    store::StoreError,
    workflows::automations::{self, Automation},
};

/// A built-in automation and how it stands in the account.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Automation)]
pub struct AutomationView {
    slug: &'static str,
    /// What it does.
    summary: &'static str,
    enabled: bool,
    /// Its workflow; null before it was first switched on.
    workflow_id: Option<WorkflowId>,
}

/// On or off.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AutomationChange {
    enabled: bool,
}

/// List the built-in automations
///
/// Always whole.
#[utoipa::path(get, path = "/api/automations", tag = "workflows", operation_id = "listAutomations",
    responses((status = 200, description = "Every automation and how it stands.", body = Paged<AutomationView>)))]
pub async fn list_automations(
    State(context): State<Context>,
    caller: Caller,
) -> ApiResult<Json<Paged<AutomationView>>> {
    caller.must(Permission::Read)?;
    let mut views = Vec::new();
    for automation in automations::ALL {
        views.push(standing(&context, caller.account_id, automation).await?);
    }
    Ok(Json(Paged::whole(views)))
}

/// Switch a built-in automation on or off
///
/// Switched on for the first time it becomes a workflow of the account, which can be edited like any other. Needs the role admin.
#[utoipa::path(patch, path = "/api/automations/{slug}", tag = "workflows", operation_id = "switchAutomation",
    params(("slug" = String, Path, description = "The automation's name.", example = "missed_call_text_back")),
    request_body = AutomationChange,
    responses((status = 200, description = "How it stands afterwards.", body = AutomationView)))]
pub async fn switch_automation(
    State(context): State<Context>,
    caller: Caller,
    Path(slug): Path<String>,
    Json(change): Json<AutomationChange>,
) -> ApiResult<Json<AutomationView>> {
    caller.must(Permission::EditWorkflows)?;
    let automation = automations::find(&slug).ok_or(ApiError::Missing { what: "automation" })?;
    let id = automation_id(caller.account_id, automation);
    match context.store.workflows.get(caller.account_id, id).await {
        Ok(mut row) => {
            let mut draft = value_of(&row.draft)?;
            draft["enabled"] = change.enabled.into();
            let definition = read(&draft)?;
            let version = if change.enabled && row.published == 0 {
                Some(publication(&context, &mut row, &definition).await?)
            } else {
                None
            };
            row.enabled = change.enabled;
            row.draft = definition.to_json();
            row.updated_at = clock::now();
            row.revision += 1;
            context.store.workflows.update(row, version).await?;
        }
        Err(StoreError::Missing { .. }) if change.enabled => {
            let definition = read(&value_of(automation.definition)?)?;
            keep_new(&context, &caller, id, &definition).await?;
        }
        // Off is what it is.
        Err(StoreError::Missing { .. }) => (),
        Err(error) => return Err(error.into()),
    }
    tracing::info!(automation = slug, enabled = change.enabled, by = %caller.user_id, "automation switched");
    standing(&context, caller.account_id, automation).await.map(Json)
}

/// The id comes from the account and the automation: switching it on twice finds the first.
fn automation_id(account_id: AccountId, automation: &Automation) -> WorkflowId {
    let parts: [&[u8]; 2] = [account_id.as_bytes(), automation.slug.as_bytes()];
    WorkflowId::derived(Timestamp::default(), &parts)
}

async fn standing(
    context: &Context,
    account_id: AccountId,
    automation: &Automation,
) -> ApiResult<AutomationView> {
    let id = automation_id(account_id, automation);
    let row = match context.store.workflows.get(account_id, id).await {
        Ok(row) => Some(row),
        Err(StoreError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(AutomationView {
        slug: automation.slug,
        summary: automation.summary,
        enabled: row.as_ref().is_some_and(|row| row.enabled && row.published > 0),
        workflow_id: row.map(|row| row.id),
    })
}
