//! Everything that keeps a definition from being published: what validation finds, and scripts that the engine cannot read.
//!
//! Scripts are read by a runner, a process of its own: nothing that an author writes is parsed in the server, and no thread that
//! serves others waits for it.

use crate::{
    domain::ids::WorkflowId,
    http::{
        context::Context,
        error::{ApiError, ApiResult},
    },
    workflows::{Definition, Problem, nodes::scripts_of, validate},
};

/// Returns every problem of a definition; none means it can run.
///
/// # Errors
/// [`ApiError::Busy`] when no runner could look at a script.
pub async fn problems_of(
    context: &Context,
    id: WorkflowId,
    definition: &Definition,
) -> ApiResult<Vec<Problem>> {
    let mut problems = validate(definition);
    for (path, code) in scripts_of(definition) {
        let checked = context.scripts.check(id, code).await.map_err(|error| {
            tracing::warn!(workflow_id = %id, %error, "a script could not be checked");
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
