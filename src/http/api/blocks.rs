//! What workflows are built from: every kind of node with its schema, every type of trigger.

use serde::Serialize;

use crate::{
    http::{
        auth::{Caller, permission::Permission},
        error::ApiResult,
        json::Json,
    },
    workflows::{
        nodes::{self, KindInfo},
        trigger::{self, TriggerInfo},
    },
};

/// What workflows are built from.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Blocks {
    /// In the order a palette shows them.
    nodes: Vec<KindInfo>,
    triggers: Vec<TriggerInfo>,
}

/// List what workflows are built from
///
/// Every kind of node with its ports and the JSON Schema of its params, and every type of trigger. The whole at once.
#[utoipa::path(get, path = "/api/workflows/blocks", tag = "workflows", operation_id = "listBlocks",
    responses((status = 200, description = "Nodes and triggers.", body = Blocks)))]
pub async fn list(caller: Caller) -> ApiResult<Json<Blocks>> {
    caller.must(Permission::Read)?;
    Ok(Json(Blocks {
        nodes: nodes::catalogue(),
        triggers: trigger::catalogue(),
    }))
}
