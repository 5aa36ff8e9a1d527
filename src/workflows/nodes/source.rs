//! Expressions as params hold them: read as text, rendered when a run comes by.

use serde::Deserialize;
use serde_json::Value;

use super::kind::{NodeError, Scene};
use crate::workflows::{
    expression::{self, ExpressionError},
    scope::Scope,
};

/// Text with `{{ … }}` in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Template(String);

/// An expression that holds or does not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Condition(String);

/// An expression whose value is used as it is: a list, a number, a text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ValueExpression(String);

/// A condition about an `event`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Filter(String);

/// Where an expression stands and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source<'a> {
    /// Relative to `params`.
    pub path: String,
    pub kind: SourceKind,
    pub text: &'a str,
}

/// Which form an expression has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    Template,
    Condition,
    /// A condition that sees `event` too.
    Filter,
    /// An expression that gives any value.
    Value,
}

impl Template {
    /// Returns the text it gives.
    ///
    /// # Errors
    /// What the expression lacks.
    pub fn render(&self, scene: &Scene<'_>) -> Result<String, ExpressionError> {
        expression::render(&self.0, scene.scope)
    }

    /// Returns the text it gives, which must say something.
    ///
    /// # Errors
    /// What the expression lacks, or `empty_text` naming `field`.
    pub fn render_filled(&self, scene: &Scene<'_>, field: &str) -> Result<String, NodeError> {
        let text = self.render(scene)?;
        if text.trim().is_empty() {
            return Err(NodeError::new("empty_text", format!("`{field}` came out empty")));
        }
        Ok(text)
    }

    /// The text itself when there is no expression in it.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        expression::is_plain(&self.0).then_some(self.0.as_str())
    }

    /// The template as a source at `path`.
    #[must_use]
    pub fn source(&self, path: impl Into<String>) -> Source<'_> {
        Source {
            path: path.into(),
            kind: SourceKind::Template,
            text: &self.0,
        }
    }
}

/// The templates that are given, each at its field.
pub(super) fn given<'a>(templates: &[(&str, &'a Option<Template>)]) -> Vec<Source<'a>> {
    let templates = templates.iter();
    templates
        .filter_map(|(field, template)| Some(template.as_ref()?.source(*field)))
        .collect()
}

impl Condition {
    /// Returns whether it holds.
    ///
    /// # Errors
    /// What the expression lacks.
    pub fn holds(&self, scene: &Scene<'_>) -> Result<bool, ExpressionError> {
        expression::evaluate(&self.0, scene.scope)
    }

    /// The expression's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The condition as a source at `path`.
    #[must_use]
    pub fn source(&self, path: impl Into<String>) -> Source<'_> {
        Source {
            path: path.into(),
            kind: SourceKind::Condition,
            text: &self.0,
        }
    }
}

impl ValueExpression {
    /// Returns the value it gives.
    ///
    /// # Errors
    /// What the expression lacks.
    pub fn value(&self, scene: &Scene<'_>) -> Result<Value, ExpressionError> {
        expression::value(&self.0, scene.scope)
    }

    /// The expression's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The expression as a source at `path`.
    #[must_use]
    pub fn source(&self, path: impl Into<String>) -> Source<'_> {
        Source {
            path: path.into(),
            kind: SourceKind::Value,
            text: &self.0,
        }
    }
}

impl Filter {
    /// Returns whether it holds in a scope that has `event`.
    ///
    /// # Errors
    /// What the expression lacks.
    pub fn holds(&self, scope: &Scope) -> Result<bool, ExpressionError> {
        expression::evaluate(&self.0, scope)
    }

    /// The filter as a source at `path`.
    #[must_use]
    pub fn source(&self, path: impl Into<String>) -> Source<'_> {
        Source {
            path: path.into(),
            kind: SourceKind::Filter,
            text: &self.0,
        }
    }
}
