//! Everything that keeps a definition from being published: what validation finds, scripts that the engine cannot read, and
//! workflows to be run that there are not.
//!
//! Scripts are read by a runner, a process of its own: nothing that an author writes is parsed in the server, and no thread that
//! serves others waits for it.

use crate::{
    http::{
        context::Context,
        error::{ApiError, ApiResult},
    },
    store::{StoreError, workflows::WorkflowRow},
    workflows::{
        Definition, Problem,
        nodes::{scripts_of, workflows_named},
        validate,
    },
};

/// Returns every problem of a definition; none means it can run.
///
/// # Errors
/// [`ApiError::Busy`] when no runner could look at a script; when the store fails.
pub async fn problems_of(
    context: &Context,
    row: &WorkflowRow,
    definition: &Definition,
) -> ApiResult<Vec<Problem>> {
    let mut problems = validate(definition);
    for (path, target) in workflows_named(definition) {
        match context.store.workflows.get(row.account_id, target).await {
            Ok(_) => (),
            Err(StoreError::Missing { .. }) => problems.push(Problem::new(
                path,
                "unknown_workflow",
                format!("there is no workflow {target}"),
                "choose one of `GET /api/workflows`",
            )),
            Err(error) => return Err(error.into()),
        }
    }
    for (path, code) in scripts_of(definition) {
        let checked = context.scripts.check(row.id, code).await.map_err(|error| {
            tracing::warn!(workflow_id = %row.id, %error, "a script could not be checked");
            ApiError::Busy
        })?;
        let Some(failure) = checked else { continue };
        let fix = match (failure.line, failure.column) {
            (Some(line), Some(column)) => format!("look at line {line}, column {column}"),
            (Some(line), None) => format!("look at line {line}"),
            (None, _) => "look whether every bracket and quote is closed".to_owned(),
        };
        problems.push(Problem::new(path, failure.kind.code(), failure.message, fix));
    }
    Ok(problems)
}
