//! JSON values in params whose texts are templates.

use serde_json::Value;

use super::{
    kind::{NodeError, Scene},
    source::{Source, SourceKind},
};
use crate::workflows::expression;

/// Adds the texts inside a JSON value, each with its path.
pub(super) fn texts_of<'a>(path: &str, value: &'a Value, sources: &mut Vec<Source<'a>>) {
    match value {
        Value::String(text) => {
            sources.push(Source {
                path: path.to_owned(),
                kind: SourceKind::Template,
                text,
            });
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                texts_of(&format!("{path}[{at}]"), item, sources);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                texts_of(&format!("{path}.{name}"), field, sources);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns the value with every text in it rendered.
///
/// # Errors
/// What an expression in it lacks.
pub(super) fn rendered(value: &Value, scene: &Scene<'_>) -> Result<Value, NodeError> {
    Ok(match value {
        Value::String(text) => Value::String(expression::render(text, scene.scope)?),
        Value::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| rendered(item, scene))
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, field)| Ok((name.clone(), rendered(field, scene)?)))
                .collect::<Result<_, NodeError>>()?,
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}
