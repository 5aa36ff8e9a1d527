//! Whether the variables an expression reads can be there.

use std::collections::BTreeSet;

use super::{
    expression::{self, ExpressionError},
    nodes::SourceKind,
    problem::Problem,
    scope::{ACCOUNT_FIELDS, CALL_FIELDS, EVENT_ROOT, LEAD_FIELDS, LOOP_ROOTS, ROOTS, TRIGGER_FIELDS},
};

/// Where an expression stands.
pub(super) struct Place<'a> {
    /// The node it belongs to; none for the trigger's filter.
    pub node: Option<&'a str>,
    /// Nodes a run may have been through before it.
    pub upstream: &'a BTreeSet<&'a str>,
    /// All nodes.
    pub known: &'a [&'a str],
    /// Whether every way here leads through a loop's body: whether `item` and `index` are there.
    pub in_loop: bool,
}

/// Checks one expression; adds the steps it reads to `read_steps`.
pub(super) fn check(
    path: &str,
    kind: SourceKind,
    text: &str,
    place: &Place<'_>,
    read_steps: &mut BTreeSet<String>,
    problems: &mut Vec<Problem>,
) {
    let variables = match kind {
        SourceKind::Template => expression::template_variables(text),
        SourceKind::Condition | SourceKind::Filter | SourceKind::Value => {
            expression::condition_variables(text)
        }
    };
    match variables {
        Err(error) => problems.push(Problem::new(
            path,
            error.code(),
            error.to_string(),
            fix_of(&error),
        )),
        Ok(variables) => {
            for variable in variables {
                match check_variable(path, kind, &variable, place) {
                    Ok(Some(step)) => {
                        read_steps.insert(step);
                    }
                    Ok(None) => {}
                    Err(problem) => problems.push(problem),
                }
            }
            let slips = match kind {
                SourceKind::Template => expression::template_slips(text),
                SourceKind::Condition | SourceKind::Filter | SourceKind::Value => {
                    expression::condition_slips(text)
                }
            };
            let slips = slips.into_iter();
            problems.extend(slips.map(|slip| Problem::new(path, "type_mismatch", slip.message, slip.fix)));
        }
    }
}

fn fix_of(error: &ExpressionError) -> &'static str {
    match error {
        ExpressionError::Syntax(_) => "see docs/workflows.md for what expressions can do",
        ExpressionError::TooLong => "shorten it",
        ExpressionError::UnknownVariable { .. }
        | ExpressionError::NotText(_)
        | ExpressionError::TooMuchWork
        | ExpressionError::Failed(_) => "simplify it",
    }
}

/// Checks one dotted variable. Returns the step whose output it reads, if it reads one.
fn check_variable(
    path: &str,
    kind: SourceKind,
    variable: &str,
    place: &Place<'_>,
) -> Result<Option<String>, Problem> {
    let mut parts = variable.split('.');
    let root = parts.next().unwrap_or_default();
    let field = parts.next();
    let within = |known: &[&str]| match field {
        Some(field) if !known.contains(&field) => {
            let mut problem = Problem::unknown(path, "unknown_variable", "variable", variable, &[]);
            problem.fix = Problem::unknown(path, "", "", field, known).fix;
            Err(problem)
        }
        _ => Ok(None),
    };
    match root {
        "trigger" => within(TRIGGER_FIELDS),
        "lead" => within(LEAD_FIELDS),
        "call" if place.node.is_none() && field == Some("summary") => {
            let message = "a call has no summary while a trigger is decided";
            let fix = "read `call.summary` in a node";
            Err(Problem::new(path, "unknown_variable", message, fix))
        }
        "call" => within(CALL_FIELDS),
        "account" => within(ACCOUNT_FIELDS),
        "now" => within(&[]),
        "steps" => check_step(path, variable, field, parts.next(), place).map(Some),
        EVENT_ROOT if kind == SourceKind::Filter => within(TRIGGER_FIELDS),
        name if LOOP_ROOTS.contains(&name) => check_loop_root(path, name, place).map(|()| None),
        other if expression::is_global(other) => Ok(None),
        other => Err(Problem::unknown(
            path,
            "unknown_variable",
            "variable",
            other,
            ROOTS,
        )),
    }
}

fn check_loop_root(path: &str, name: &str, place: &Place<'_>) -> Result<(), Problem> {
    if place.in_loop {
        return Ok(());
    }
    let message = format!("`{name}` is known only where every way leads through a for_each's `item` port");
    Err(Problem::new(
        path,
        "unknown_variable",
        message,
        "read it inside the loop",
    ))
}

fn check_step(
    path: &str,
    variable: &str,
    step: Option<&str>,
    part: Option<&str>,
    place: &Place<'_>,
) -> Result<String, Problem> {
    let (Some(step), Some("output")) = (step, part) else {
        let message = format!("`{variable}` does not name a step's output");
        return Err(Problem::new(
            path,
            "unknown_variable",
            message,
            "write steps.<id>.output",
        ));
    };
    if !place.known.contains(&step) {
        return Err(Problem::unknown(path, "unknown_step", "step", step, place.known));
    }
    if !place.upstream.contains(step) {
        let reader = place.node.unwrap_or("the trigger");
        let message = format!("`{step}` does not come before `{reader}`");
        return Err(Problem::new(
            path,
            "step_not_upstream",
            message,
            "read a step the run has been through",
        ));
    }
    Ok(step.to_owned())
}
