//! The one expression language: templates `{{ … }}` and conditions, both MiniJinja.
//!
//! In: source and a scope. Out: text, a truth value, or an error that names what is wrong. An unknown variable is an error,
//! never an empty text. Work and memory are bounded by fuel, the result by its length.

use std::sync::LazyLock;

use minijinja::{Environment, ErrorKind, Output, State, UndefinedBehavior, Value, value::ValueKind};

use super::{
    local_time::local,
    scope::Scope,
    types::{self, Slip},
    words,
};

/// Budget of one rendering: MiniJinja counts about one per instruction and per 64 bytes made, so at most 3 MB.
const FUEL: u64 = 50_000;
/// Longest text a template may give, in bytes.
pub const RENDERED_BYTES_MAX: usize = 64 * 1024;
/// Longest source that is compiled, in bytes.
pub const SOURCE_BYTES_MAX: usize = 32 * 1024;

/// Why an expression has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    #[error("{0}")]
    Syntax(String),
    #[error("{variable} has no value here")]
    UnknownVariable { variable: String },
    /// A list, a map or nothing where text is wanted.
    #[error("{0}")]
    NotText(String),
    #[error("the result is longer than {RENDERED_BYTES_MAX} bytes")]
    TooLong,
    #[error("the expression takes too much work")]
    TooMuchWork,
    #[error("{0}")]
    Failed(String),
}

impl ExpressionError {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Syntax(_) => "expression_syntax",
            Self::UnknownVariable { .. } => "unknown_variable",
            Self::NotText(_) => "not_text",
            Self::TooLong => "result_too_long",
            Self::TooMuchWork => "too_much_work",
            Self::Failed(_) => "expression_failed",
        }
    }
}

/// Returns the text `template` gives in `scope`.
///
/// # Errors
/// [`ExpressionError`]; `UnknownVariable` for anything the scope lacks and the template does not give a `default` for.
pub fn render(template: &str, scope: &Scope) -> Result<String, ExpressionError> {
    if is_plain(template) {
        return Ok(template.to_owned());
    }
    check_length(template)?;
    let rendered = ENVIRONMENT
        .template_from_str(template)
        .and_then(|compiled| compiled.render(scope.value().clone()))
        .map_err(explain)?;
    if rendered.len() > RENDERED_BYTES_MAX {
        Err(ExpressionError::TooLong)
    } else {
        Ok(rendered)
    }
}

/// Returns whether `condition` holds in `scope`.
///
/// # Errors
/// [`ExpressionError`], as for [`render`].
pub fn evaluate(condition: &str, scope: &Scope) -> Result<bool, ExpressionError> {
    check_length(condition)?;
    let result = ENVIRONMENT
        .compile_expression(condition)
        .and_then(|compiled| compiled.eval(scope.value().clone()))
        .map_err(explain)?;
    if result.is_undefined() {
        return Err(ExpressionError::UnknownVariable {
            variable: format!("`{}`", condition.trim()),
        });
    }
    Ok(result.is_true())
}

/// Returns the value `expression` gives in `scope`, as JSON.
///
/// # Errors
/// [`ExpressionError`], as for [`render`].
pub fn value(expression: &str, scope: &Scope) -> Result<serde_json::Value, ExpressionError> {
    check_length(expression)?;
    let result = ENVIRONMENT
        .compile_expression(expression)
        .and_then(|compiled| compiled.eval(scope.value().clone()))
        .map_err(explain)?;
    if result.is_undefined() {
        return Err(ExpressionError::UnknownVariable {
            variable: format!("`{}`", expression.trim()),
        });
    }
    serde_json::to_value(&result).map_err(|error| ExpressionError::Failed(error.to_string()))
}

/// Returns the variables `template` reads, dotted (`lead.name`), in order.
///
/// # Errors
/// What keeps it from compiling, unknown filters, tests and functions included.
pub fn template_variables(template: &str) -> Result<Vec<String>, ExpressionError> {
    if is_plain(template) {
        return Ok(Vec::new());
    }
    check_length(template)?;
    let compiled = ENVIRONMENT.template_from_str(template).map_err(explain)?;
    refuse_unknown_words(
        PROBE
            .template_from_str(template)
            .and_then(|probe| probe.render(()))
            .err(),
    )?;
    words::check(template)?;
    Ok(in_order(compiled.undeclared_variables(true)))
}

/// Returns the variables `condition` reads, dotted, in order.
///
/// # Errors
/// As for [`template_variables`].
pub fn condition_variables(condition: &str) -> Result<Vec<String>, ExpressionError> {
    check_length(condition)?;
    let compiled = ENVIRONMENT.compile_expression(condition).map_err(explain)?;
    refuse_unknown_words(
        PROBE
            .compile_expression(condition)
            .and_then(|probe| probe.eval(()))
            .err(),
    )?;
    words::check(&format!("{{{{ {condition} }}}}"))?;
    Ok(in_order(compiled.undeclared_variables(true)))
}

/// Returns what in a template can never work.
pub(super) fn template_slips(template: &str) -> Vec<Slip> {
    if is_plain(template) {
        Vec::new()
    } else {
        types::of_template(template, &ENVIRONMENT)
    }
}

/// Returns what in a condition, or a value's expression, can never work.
pub(super) fn condition_slips(condition: &str) -> Vec<Slip> {
    types::of_expression(condition, &ENVIRONMENT)
}

/// Whether the source is text without any expression in it.
#[must_use]
pub fn is_plain(template: &str) -> bool {
    !["{{", "{%", "{#"].iter().any(|mark| template.contains(mark))
}

/// Whether the language has a filter (`{{ x | name }}`) or a test (`{{ x is name }}`) of that name.
pub(super) fn has_word(name: &str, kind: WordKind) -> bool {
    let (source, missing) = match kind {
        WordKind::Filter => (format!("'' | {name}"), ErrorKind::UnknownFilter),
        WordKind::Test => (format!("'' is {name}"), ErrorKind::UnknownTest),
    };
    // A word that exists may well fail on an empty text; one that does not says so.
    match ENVIRONMENT
        .compile_expression(&source)
        .and_then(|probe| probe.eval(()))
    {
        Ok(_) => true,
        Err(error) => error.kind() != missing,
    }
}

/// What a word does in an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WordKind {
    Filter,
    Test,
}

/// Whether the name is one of the language's own functions.
#[must_use]
pub fn is_global(name: &str) -> bool {
    ENVIRONMENT.globals().any(|(global, _)| global == name)
}

/// The language as runs use it.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| language(UndefinedBehavior::Strict));
/// The language as validation tries it without data: unknown variables pass, unknown words do not.
static PROBE: LazyLock<Environment<'static>> = LazyLock::new(|| language(UndefinedBehavior::Chainable));

fn language(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(undefined);
    environment.set_fuel(Some(FUEL));
    // Debug information is what lets an error name the variable that was missing.
    environment.set_debug(true);
    // It would print everything in scope.
    environment.remove_global("debug");
    environment.set_formatter(print);
    environment.add_filter("json", to_json);
    environment.add_filter("local", local);
    environment
}

/// Prints text, numbers and truth values; refuses what a reader would not want in a message.
fn print(output: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    let refuse = |what: &str| Err(minijinja::Error::new(ErrorKind::NonPrimitive, what.to_owned()));
    match value.kind() {
        ValueKind::None => refuse("the value is null: give it a default or test it first"),
        ValueKind::Map | ValueKind::Plain => {
            refuse("a map is not text: name one of its fields, or use `| json`")
        }
        ValueKind::Seq | ValueKind::Iterable => refuse("a list is not text: use `| join(', ')` or `| json`"),
        // As in JSON and in conditions, not as in Python.
        ValueKind::Bool => output
            .write_str(if value.is_true() { "true" } else { "false" })
            .map_err(Into::into),
        _ => minijinja::escape_formatter(output, state, value),
    }
}

fn to_json(value: &Value) -> Result<String, minijinja::Error> {
    serde_json::to_string(value)
        .map_err(|error| minijinja::Error::new(ErrorKind::BadSerialization, error.to_string()))
}

const fn check_length(source: &str) -> Result<(), ExpressionError> {
    if source.len() > SOURCE_BYTES_MAX {
        Err(ExpressionError::TooLong)
    } else {
        Ok(())
    }
}

/// A trial without data fails for many reasons; only a word that exists nowhere is the author's slip.
fn refuse_unknown_words(error: Option<minijinja::Error>) -> Result<(), ExpressionError> {
    match error {
        Some(error)
            if matches!(
                error.kind(),
                ErrorKind::UnknownFilter
                    | ErrorKind::UnknownTest
                    | ErrorKind::UnknownFunction
                    | ErrorKind::TemplateNotFound
            ) =>
        {
            Err(explain(error))
        }
        _ => Ok(()),
    }
}

fn in_order(variables: impl IntoIterator<Item = String>) -> Vec<String> {
    let ordered: std::collections::BTreeSet<String> = variables.into_iter().collect();
    ordered.into_iter().collect()
}

fn explain(error: minijinja::Error) -> ExpressionError {
    let detail = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.kind() {
        ErrorKind::UndefinedError => ExpressionError::UnknownVariable {
            variable: detail
                .strip_suffix(" is undefined")
                .unwrap_or("a variable")
                .to_owned(),
        },
        ErrorKind::NonPrimitive => ExpressionError::NotText(detail),
        ErrorKind::OutOfFuel => ExpressionError::TooMuchWork,
        ErrorKind::SyntaxError
        | ErrorKind::UnknownFilter
        | ErrorKind::UnknownTest
        | ErrorKind::UnknownFunction
        | ErrorKind::TemplateNotFound => ExpressionError::Syntax(detail),
        _ => ExpressionError::Failed(detail),
    }
}
