//! Copies of a workflow: a clone beside it, a file to keep, and a file taken in.
//!
//! A copy never acts by itself: it starts as a draft that is switched off.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    workflow_views::{WorkflowView, read, value_of},
    workflows::keep_new,
};
use crate::{
    clock,
    domain::{ids::WorkflowId, time::Timestamp},
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult, Created},
        json::{Json, JsonOrDefault, Path, Query},
    },
};

/// What an exported file says it is.
const FORMAT: &str = "patchcord.workflow/1";
/// Longest name of a workflow.
const NAME_CHARS_MAX: usize = 200;

/// How the copy is called.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloneOptions {
    /// The original's name with `(copy)` when left out.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
}

/// What to export.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// A published version; the draft when left out.
    #[param(minimum = 1)]
    version: Option<u32>,
}

/// A workflow as a file.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ExportedWorkflow {
    /// Which layout this is.
    #[schema(example = "patchcord.workflow/1")]
    format: &'static str,
    #[schema(value_type = String, format = DateTime)]
    exported_at: Timestamp,
    /// The published version it is; null for a draft.
    version: Option<u32>,
    #[schema(value_type = Object)]
    definition: Value,
}

/// Copy a workflow
///
/// The copy has the draft of the original, no versions, and is switched off. Needs the role admin.
#[utoipa::path(post, path = "/api/workflows/{id}/clone", tag = "workflows", operation_id = "cloneWorkflow",
    params(("id" = WorkflowId, Path, description = "The workflow.")), request_body = Option<CloneOptions>,
    responses((status = 201, description = "The copy.", body = WorkflowView)))]
pub async fn clone(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WorkflowId>,
    JsonOrDefault(options): JsonOrDefault<CloneOptions>,
) -> ApiResult<Created<WorkflowView>> {
    caller.must(Permission::EditWorkflows)?;
    let row = context.store.workflows.get(caller.account_id, id).await?;
    let mut draft = value_of(&row.draft)?;
    draft["name"] = Value::String(options.name.unwrap_or_else(|| copy_name(&row.name)));
    keep_switched_off(&context, &caller, &draft).await
}

fn copy_name(name: &str) -> String {
    const MARK: &str = " (copy)";
    let kept: String = name.chars().take(NAME_CHARS_MAX - MARK.len()).collect();
    format!("{kept}{MARK}")
}

/// Export a workflow
///
/// What `POST /api/workflows/import` takes, here or on another server. Holds no ids, runs or secrets.
#[utoipa::path(get, path = "/api/workflows/{id}/export", tag = "workflows", operation_id = "exportWorkflow",
    params(("id" = WorkflowId, Path, description = "The workflow."), ExportQuery),
    responses((status = 200, description = "The file.", body = ExportedWorkflow)))]
pub async fn export(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WorkflowId>,
    Query(query): Query<ExportQuery>,
) -> ApiResult<Json<ExportedWorkflow>> {
    caller.must(Permission::Read)?;
    let row = context.store.workflows.get(caller.account_id, id).await?;
    let definition = match query.version {
        Some(version) => context.store.workflows.version(row.id, version).await?.definition,
        None => row.draft,
    };
    Ok(Json(ExportedWorkflow {
        format: FORMAT,
        exported_at: clock::now(),
        version: query.version,
        definition: value_of(&definition)?,
    }))
}

/// Import a workflow
///
/// Takes an exported file or a bare definition. It becomes a draft that is switched off; `…/validate` says what it still needs
/// here. Needs the role admin.
#[utoipa::path(post, path = "/api/workflows/import", tag = "workflows", operation_id = "importWorkflow",
    request_body(content = Object, description = "An exported file, or a definition."),
    responses((status = 201, description = "Taken in.", body = WorkflowView)))]
pub async fn import(
    State(context): State<Context>,
    caller: Caller,
    Json(file): Json<Value>,
) -> ApiResult<Created<WorkflowView>> {
    caller.must(Permission::EditWorkflows)?;
    keep_switched_off(&context, &caller, definition_in(&file)?).await
}

/// The definition in an imported file.
fn definition_in(file: &Value) -> ApiResult<&Value> {
    let Some(format) = file.get("format") else {
        return Ok(file);
    };
    if format != FORMAT {
        let message = format!("this server reads `{FORMAT}`, the file is {format}");
        return Err(ApiError::field("format", message));
    }
    file.get("definition")
        .ok_or_else(|| ApiError::field("definition", "the file holds no definition"))
}

async fn keep_switched_off(
    context: &Context,
    caller: &Caller,
    definition: &Value,
) -> ApiResult<Created<WorkflowView>> {
    let mut definition = read(definition)?;
    definition.enabled = false;
    keep_new(context, caller, WorkflowId::fresh(), &definition).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_copy_of_the_longest_name_still_has_a_name_that_fits() {
        assert_eq!(copy_name("Text back"), "Text back (copy)");
        assert_eq!(copy_name(&"ä".repeat(200)).chars().count(), 200);
    }

    #[test]
    fn a_file_and_a_bare_definition_are_both_read_and_another_format_is_not() {
        let bare = json!({"name": "a"});
        assert_eq!(definition_in(&bare).expect("a definition"), &bare);
        let file = json!({"format": FORMAT, "definition": bare});
        assert_eq!(definition_in(&file).expect("a definition"), &bare);
        for wrong in [
            json!({"format": "n8n", "definition": {}}),
            json!({"format": FORMAT}),
        ] {
            assert_eq!(definition_in(&wrong).expect_err("refused").problem().status, 422);
        }
    }
}
