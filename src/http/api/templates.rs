//! Templates to start a workflow from.

use axum::extract::State;
use serde::Deserialize;

use super::{
    workflow_views::{WorkflowView, read},
    workflows::keep_new,
};
use crate::{
    domain::ids::WorkflowId,
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult, Created},
        json::{Json, JsonOrDefault, Path},
        page::Paged,
    },
    workflows::templates::{self, Template},
};

/// How a template is used.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateUse {
    /// The template's own name when left out.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Whether it acts at once; it starts as a draft that is switched off when left out.
    #[serde(default)]
    enabled: bool,
}

/// List the templates
///
/// Always whole, each with its definition and what has to be connected.
#[utoipa::path(get, path = "/api/workflows/templates", tag = "workflows", operation_id = "listTemplates",
    responses((status = 200, description = "Every template.", body = Paged<Template>)))]
pub async fn list(caller: Caller) -> ApiResult<Json<Paged<Template>>> {
    caller.must(Permission::Read)?;
    Ok(Json(Paged::whole(templates::all().to_vec())))
}

/// Make a workflow from a template
///
/// Needs the role admin.
#[utoipa::path(post, path = "/api/workflows/templates/{slug}/use", tag = "workflows", operation_id = "useTemplate",
    params(("slug" = String, Path, description = "The template's name.", example = "lead_nurture")),
    request_body = Option<TemplateUse>,
    responses((status = 201, description = "The workflow.", body = WorkflowView)))]
pub async fn use_template(
    State(context): State<Context>,
    caller: Caller,
    Path(slug): Path<String>,
    JsonOrDefault(wanted): JsonOrDefault<TemplateUse>,
) -> ApiResult<Created<WorkflowView>> {
    caller.must(Permission::EditWorkflows)?;
    let template = templates::find(&slug).ok_or(ApiError::Missing { what: "template" })?;
    let mut definition = template.definition.clone();
    definition["enabled"] = wanted.enabled.into();
    if let Some(name) = wanted.name {
        definition["name"] = name.into();
    }
    keep_new(&context, &caller, WorkflowId::fresh(), &read(&definition)?).await
}
