//! Whether a change of a workflow was made from what it is now; when not, who was faster.

use crate::{
    domain::{audit::Actor, ids::WorkflowId},
    http::{
        auth::Caller,
        context::Context,
        error::{ApiError, ApiResult},
        revision::IfMatch,
    },
    store::{
        PageRequest, StoreError,
        audit::AuditFilter,
        workflows::{WorkflowRow, WorkflowVersion},
    },
};

/// Changes that a refusal names, newest first.
const NAMED_MAX: u32 = 3;

/// Refuses a change that was made from another revision than the stored one. `given` is the one in the body, if any.
///
/// # Errors
/// [`ApiError::Conflict`] naming who changed what.
pub async fn check(
    context: &Context,
    caller: &Caller,
    (read_at, given): (IfMatch, Option<u64>),
    row: &WorkflowRow,
) -> ApiResult<()> {
    match read_at.check(given, "workflow", row.revision) {
        Err(ApiError::Conflict { code, detail }) => {
            let changes = changes(context, caller, row.id).await;
            Err(ApiError::Conflict {
                code,
                detail: format!("{detail}{changes}"),
            })
        }
        checked => checked,
    }
}

/// Writes a change of the row that was read; with a new version, if there is one.
///
/// # Errors
/// [`ApiError::Conflict`] naming who changed what since it was read.
pub async fn write(
    context: &Context,
    caller: &Caller,
    row: WorkflowRow,
    version: Option<WorkflowVersion>,
) -> ApiResult<()> {
    let id = row.id;
    match context.store.workflows.update(row, version).await {
        Err(error @ StoreError::Moved { .. }) => {
            let changes = changes(context, caller, id).await;
            Err(ApiError::Conflict {
                code: "moved",
                detail: format!("{error}: read it again{changes}"),
            })
        }
        written => Ok(written?),
    }
}

/// The last changes of a workflow in words, or nothing when they cannot be read.
async fn changes(context: &Context, caller: &Caller, id: WorkflowId) -> String {
    let filter = AuditFilter {
        about: vec![id.to_string()],
        ..AuditFilter::default()
    };
    let page = PageRequest {
        limit: NAMED_MAX,
        cursor: None,
    };
    let rows = match context.store.audit.page(caller.account_id, &filter, page).await {
        Ok(page) => page.items,
        Err(error) => {
            tracing::warn!(%error, workflow_id = %id, "who changed a workflow cannot be read");
            return String::new();
        }
    };
    let mut said = Vec::new();
    for row in rows {
        let Ok(entry) = row.read() else { continue };
        let who = who(context, caller, &entry.deed.actor).await;
        said.push(format!("{who} at {} ({})", row.at, entry.deed.action));
    }
    if said.is_empty() {
        return String::new();
    }
    format!(". Changed last by {}", said.join(", "))
}

async fn who(context: &Context, caller: &Caller, actor: &Actor) -> String {
    let Some(id) = actor.user() else {
        return "the operator".to_owned();
    };
    let name = match context.store.accounts.user(id).await {
        Ok(user) if user.account_id == caller.account_id => user.email,
        Ok(_) | Err(_) => id.to_string(),
    };
    match actor {
        Actor::Key { .. } => format!("an API key of {name}"),
        Actor::User { .. } | Actor::Operator | Actor::System => name,
    }
}
