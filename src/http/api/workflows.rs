//! Workflows: a draft to edit, published versions that never change, and the runs they led to.

use axum::{Extension, extract::State};
use serde::Deserialize;
use serde_json::Value;

use super::{
    definition_checks::problems_of,
    versions::publication,
    workflow_revision,
    workflow_views::{
        DefinitionBody, ExecuteAccepted, Validation, WorkflowChange, WorkflowHistory, WorkflowSummary,
        WorkflowView, read, value_of,
    },
};
use crate::{
    actors::ManualStart,
    clock,
    domain::ids::{LeadId, WorkflowId},
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{Accepted, ApiError, ApiResult, Created, Done},
        idempotency::RequestKey,
        json::{Json, JsonOrDefault, Path, Query},
        page::{PageQuery, Paged},
        patch,
        resources::Tagged,
        revision::IfMatch,
    },
    store::{runs::RunFilter, workflows::WorkflowRow},
    telemetry::traces,
    workflows::Definition,
};

/// What a run is started with by hand.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Execution {
    /// Whom the run is about.
    lead_id: Option<LeadId>,
    /// What the run sees as `trigger.data`.
    #[serde(default)]
    #[schema(value_type = Object)]
    data: serde_json::Map<String, Value>,
}

/// List workflows, newest first
#[utoipa::path(get, path = "/api/workflows", tag = "workflows", operation_id = "listWorkflows", params(PageQuery),
    responses((status = 200, description = "A page of workflows.", body = Paged<WorkflowSummary>)))]
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<Paged<WorkflowSummary>>> {
    caller.must(Permission::Read)?;
    let page = context
        .store
        .workflows
        .list(caller.account_id, page.request()?)
        .await?;
    Ok(Json(Paged::of(page, WorkflowSummary::from)))
}

/// Show a workflow with its draft
#[utoipa::path(get, path = "/api/workflows/{id}", tag = "workflows", operation_id = "getWorkflow",
    params(("id" = WorkflowId, Path, description = "The workflow.")),
    responses((status = 200, description = "The workflow; its `ETag` is its revision.", body = WorkflowView)))]
pub async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WorkflowId>,
) -> ApiResult<Tagged<WorkflowView>> {
    caller.must(Permission::Read)?;
    let row = context.store.workflows.get(caller.account_id, id).await?;
    WorkflowView::of(row).map(Tagged)
}

/// Create a workflow
///
/// With `enabled` (the default) it must be free of problems; it is published as version 1 and starts to act at once.
/// With `"enabled": false` it is kept as a draft, problems and all. Needs the role admin.
#[utoipa::path(post, path = "/api/workflows", tag = "workflows", operation_id = "createWorkflow",
    request_body = DefinitionBody,
    responses((status = 201, description = "Created.", body = WorkflowView)))]
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    Json(body): Json<Value>,
) -> ApiResult<Created<WorkflowView>> {
    create_from(&context, &caller, &body).await
}

/// Create a workflow, at its other address
///
/// The same as `POST /api/workflows`.
#[utoipa::path(post, path = "/api/workflows/create", tag = "workflows", operation_id = "createWorkflowAt",
    request_body = DefinitionBody,
    responses((status = 201, description = "Created.", body = WorkflowView)))]
pub async fn create_at_contract_path(
    State(context): State<Context>,
    caller: Caller,
    Json(body): Json<Value>,
) -> ApiResult<Created<WorkflowView>> {
    create_from(&context, &caller, &body).await
}

async fn create_from(context: &Context, caller: &Caller, body: &Value) -> ApiResult<Created<WorkflowView>> {
    caller.must(Permission::EditWorkflows)?;
    keep_new(context, caller, WorkflowId::fresh(), &read(body)?).await
}

/// Keeps a workflow that is not there yet; publishes it when it is to act.
///
/// # Errors
/// When it is to act and has problems, or `id` is taken.
pub async fn keep_new(
    context: &Context,
    caller: &Caller,
    id: WorkflowId,
    definition: &Definition,
) -> ApiResult<Created<WorkflowView>> {
    let now = clock::now();
    let mut row = WorkflowRow {
        id,
        account_id: caller.account_id,
        name: definition.name.clone(),
        enabled: definition.enabled,
        draft: definition.to_json(),
        published: 0,
        trigger: definition.trigger.kind.as_str().to_owned(),
        created_at: now,
        updated_at: now,
        revision: 1,
    };
    let version = if definition.enabled {
        Some(publication(context, &mut row, definition).await?)
    } else {
        None
    };
    context.store.workflows.create(row.clone(), version).await?;
    tracing::info!(workflow_id = %row.id, published = row.published, by = %caller.user_id, "workflow created");
    WorkflowView::of(row).map(Created)
}

/// Change a workflow
///
/// Top-level parts of the draft that are given replace the old ones; the published version stays until the next publish.
/// `enabled` switches the published version on or off at once. With `If-Match` or `revision` the change is refused when
/// somebody else was faster, and told who. Needs the role admin.
#[utoipa::path(patch, path = "/api/workflows/{id}", tag = "workflows", operation_id = "updateWorkflow",
    params(("id" = WorkflowId, Path, description = "The workflow."),
        ("If-Match" = Option<String>, Header, description = "The revision that was read.")),
    request_body = WorkflowChange,
    responses((status = 200, description = "The workflow as it is afterwards.", body = WorkflowView)))]
pub async fn update(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WorkflowId>,
    read_at: IfMatch,
    Json(change): Json<WorkflowChange>,
) -> ApiResult<Tagged<WorkflowView>> {
    caller.must(Permission::EditWorkflows)?;
    let mut row = context.store.workflows.get(caller.account_id, id).await?;
    workflow_revision::check(&context, &caller, (read_at, change.revision), &row).await?;
    let mut draft = value_of(&row.draft)?;
    change.lay_over(&mut draft);
    let definition = read(&draft)?;
    if definition.enabled && row.published == 0 && change.enabled == Some(true) {
        return Err(ApiError::Conflict {
            code: "not_published",
            detail: "publish the workflow before switching it on".to_owned(),
        });
    }
    row.name.clone_from(&definition.name);
    row.enabled = definition.enabled;
    row.draft = definition.to_json();
    if row.published == 0 {
        definition.trigger.kind.as_str().clone_into(&mut row.trigger);
    }
    row.updated_at = clock::now();
    row.revision += 1;
    workflow_revision::write(&context, &caller, row.clone(), None).await?;
    WorkflowView::of(row).map(Tagged)
}

/// Delete a workflow
///
/// Its runs stay and end as they would. With `If-Match` it is refused when somebody else has changed it since. Needs the role admin.
#[utoipa::path(delete, path = "/api/workflows/{id}", tag = "workflows", operation_id = "deleteWorkflow",
    params(("id" = WorkflowId, Path, description = "The workflow."),
        ("If-Match" = Option<String>, Header, description = "The revision that was read.")),
    responses((status = 204, description = "Gone.")))]
pub async fn delete(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WorkflowId>,
    read_at: IfMatch,
) -> ApiResult<Done> {
    caller.must(Permission::EditWorkflows)?;
    if read_at.0.is_some() {
        let row = context.store.workflows.get(caller.account_id, id).await?;
        workflow_revision::check(&context, &caller, (read_at, None), &row).await?;
    }
    context.store.workflows.delete(caller.account_id, id).await?;
    tracing::info!(workflow_id = %id, by = %caller.user_id, "workflow deleted");
    Ok(Done)
}

/// Check a workflow
///
/// Checks the definition in the body, or the draft when there is no body.
#[utoipa::path(post, path = "/api/workflows/{id}/validate", tag = "workflows", operation_id = "validateWorkflow",
    params(("id" = WorkflowId, Path, description = "The workflow.")), request_body(content = Option<Value>, description = "A definition, in any shape."),
    responses((status = 200, description = "Every problem there is.", body = Validation)))]
pub async fn validate(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WorkflowId>,
    JsonOrDefault(body): JsonOrDefault<Option<Value>>,
) -> ApiResult<Json<Validation>> {
    caller.must(Permission::Read)?;
    let row = context.store.workflows.get(caller.account_id, id).await?;
    let value = body.map_or_else(|| value_of(&row.draft), Ok)?;
    let problems = match Definition::from_value(&value) {
        Ok(definition) => problems_of(&context, &row, &definition).await?,
        Err(problems) => problems,
    };
    Ok(Json(Validation {
        valid: problems.is_empty(),
        problems,
    }))
}

/// Start a run by hand
///
/// Answered after the run is on disk. Needs the role supervisor.
#[utoipa::path(post, path = "/api/workflows/{id}/execute", tag = "workflows", operation_id = "executeWorkflow",
    params(("id" = WorkflowId, Path, description = "The workflow.")), request_body = Option<Execution>,
    responses((status = 202, description = "The run is started.", body = ExecuteAccepted)))]
pub async fn execute(
    State(context): State<Context>,
    caller: Caller,
    Path(workflow_id): Path<WorkflowId>,
    key: Option<Extension<RequestKey>>,
    JsonOrDefault(wanted): JsonOrDefault<Execution>,
) -> ApiResult<Accepted<ExecuteAccepted>> {
    caller.must(Permission::StartRuns)?;
    let account_id = caller.account_id;
    // Asked first, so that a missing workflow is not found rather than a wrong field.
    context.store.workflows.get(account_id, workflow_id).await?;
    if let Some(lead_id) = wanted.lead_id {
        let lead = context.store.leads.get(account_id, lead_id).await;
        lead.map_err(|error| patch::reference("lead_id", error))?;
    }
    let start = ManualStart {
        account_id,
        workflow_id,
        lead_id: wanted.lead_id,
        data: Value::Object(wanted.data),
        dedupe: key.map(|Extension(key)| key.0),
        trace: traces::current(),
    };
    let run_id = context.runs.execute(start).await?;
    Ok(Accepted(ExecuteAccepted { run_id }))
}

/// Read how a workflow's runs went, newest first
#[utoipa::path(get, path = "/api/workflows/{id}/history", tag = "workflows", operation_id = "getHistory",
    params(("id" = WorkflowId, Path, description = "The workflow."), PageQuery),
    responses((status = 200, description = "Counts, and a page of runs.", body = WorkflowHistory)))]
pub async fn history(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WorkflowId>,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<WorkflowHistory>> {
    caller.must(Permission::Read)?;
    let row = context.store.workflows.get(caller.account_id, id).await?;
    let counts = context.store.runs.counts(caller.account_id, row.id).await?;
    let filter = RunFilter {
        workflow_id: Some(row.id),
        ..RunFilter::default()
    };
    let page = context
        .store
        .runs
        .list(caller.account_id, filter, page.request()?)
        .await?;
    Ok(Json(WorkflowHistory::of(counts, page)))
}
