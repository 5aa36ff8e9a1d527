//! Versions of a workflow: published from the draft, never changed, and taken back as the draft.

use axum::extract::State;
use serde::Deserialize;

use super::{
    definition_checks::problems_of,
    workflow_revision,
    workflow_views::{VersionView, WorkflowView, definition_errors, definition_of, read, value_of},
};
use crate::{
    clock,
    domain::ids::WorkflowId,
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::ApiResult,
        json::{Json, Path},
        page::Paged,
        resources::Tagged,
        revision::IfMatch,
    },
    store::workflows::{WorkflowRow, WorkflowVersion},
    workflows::Definition,
};

/// The part of an address that names a version.
#[derive(Debug, Deserialize)]
pub struct VersionPath {
    pub id: WorkflowId,
    pub version: u32,
}

/// Publish the draft as the next version
///
/// Refused while it has problems. Runs that are under way keep their version; `…/versions/{version}/preview` shows where they
/// would land. Needs the role admin.
#[utoipa::path(post, path = "/api/workflows/{id}/publish", tag = "workflows", operation_id = "publishWorkflow",
    params(("id" = WorkflowId, Path, description = "The workflow."),
        ("If-Match" = Option<String>, Header, description = "The revision that was read.")),
    responses((status = 200, description = "Published, or nothing had changed.", body = WorkflowView)))]
pub async fn publish(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WorkflowId>,
    read_at: IfMatch,
) -> ApiResult<Tagged<WorkflowView>> {
    caller.must(Permission::EditWorkflows)?;
    let mut row = context.store.workflows.get(caller.account_id, id).await?;
    workflow_revision::check(&context, &caller, (read_at, None), &row).await?;
    let definition = read(&value_of(&row.draft)?)?;
    if row.published > 0 {
        let current = context.store.workflows.version(id, row.published).await?;
        if current.definition == definition.to_json() {
            return WorkflowView::of(row).map(Tagged);
        }
    }
    let version = publication(&context, &mut row, &definition).await?;
    row.updated_at = version.published_at;
    row.revision += 1;
    workflow_revision::write(&context, &caller, row.clone(), Some(version)).await?;
    tracing::info!(workflow_id = %id, version = row.published, by = %caller.user_id, "workflow published");
    WorkflowView::of(row).map(Tagged)
}

/// Makes the row's next version of `definition`.
///
/// # Errors
/// [`ApiError::Invalid`] with every problem of the definition; [`ApiError::Busy`] when its scripts could not be checked.
pub async fn publication(
    context: &Context,
    row: &mut WorkflowRow,
    definition: &Definition,
) -> ApiResult<WorkflowVersion> {
    let problems = problems_of(context, row, definition).await?;
    if !problems.is_empty() {
        return Err(definition_errors(problems));
    }
    row.published += 1;
    definition.trigger.kind.as_str().clone_into(&mut row.trigger);
    Ok(WorkflowVersion {
        workflow_id: row.id,
        version: row.published,
        definition: definition.to_json(),
        published_at: clock::now(),
    })
}

/// List the published versions of a workflow
///
/// Newest first, always whole.
#[utoipa::path(get, path = "/api/workflows/{id}/versions", tag = "workflows", operation_id = "listVersions",
    params(("id" = WorkflowId, Path, description = "The workflow.")),
    responses((status = 200, description = "Every version.", body = Paged<VersionView>)))]
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WorkflowId>,
) -> ApiResult<Json<Paged<VersionView>>> {
    caller.must(Permission::Read)?;
    let row = context.store.workflows.get(caller.account_id, id).await?;
    let versions = context
        .store
        .workflows
        .versions(caller.account_id, row.id)
        .await?;
    let views = versions
        .into_iter()
        .map(VersionView::of)
        .collect::<ApiResult<Vec<_>>>()?;
    Ok(Json(Paged::whole(views)))
}

/// Show a published version
#[utoipa::path(get, path = "/api/workflows/{id}/versions/{version}", tag = "workflows", operation_id = "getVersion",
    params(("id" = WorkflowId, Path, description = "The workflow."),
        ("version" = u32, Path, description = "The version's number.")),
    responses((status = 200, description = "The version.", body = VersionView)))]
pub async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path(path): Path<VersionPath>,
) -> ApiResult<Json<VersionView>> {
    caller.must(Permission::Read)?;
    let row = context.store.workflows.get(caller.account_id, path.id).await?;
    let version = context.store.workflows.version(row.id, path.version).await?;
    VersionView::of(version).map(Json)
}

/// Take a version back as the draft
///
/// The draft becomes what the version says; nothing is published by it, and the workflow stays switched on or off as it is. Needs
/// the role admin.
#[utoipa::path(post, path = "/api/workflows/{id}/versions/{version}/restore", tag = "workflows", operation_id = "restoreVersion",
    params(("id" = WorkflowId, Path, description = "The workflow."),
        ("version" = u32, Path, description = "The version's number."),
        ("If-Match" = Option<String>, Header, description = "The revision that was read.")),
    responses((status = 200, description = "The workflow with its draft.", body = WorkflowView)))]
pub async fn restore(
    State(context): State<Context>,
    caller: Caller,
    Path(path): Path<VersionPath>,
    read_at: IfMatch,
) -> ApiResult<Tagged<WorkflowView>> {
    caller.must(Permission::EditWorkflows)?;
    let mut row = context.store.workflows.get(caller.account_id, path.id).await?;
    workflow_revision::check(&context, &caller, (read_at, None), &row).await?;
    let version = context.store.workflows.version(row.id, path.version).await?;
    let mut definition = definition_of(&version)?;
    definition.enabled = row.enabled;
    row.name.clone_from(&definition.name);
    row.draft = definition.to_json();
    row.updated_at = clock::now();
    row.revision += 1;
    workflow_revision::write(&context, &caller, row.clone(), None).await?;
    tracing::info!(workflow_id = %row.id, version = version.version, by = %caller.user_id, "version taken back as draft");
    WorkflowView::of(row).map(Tagged)
}
