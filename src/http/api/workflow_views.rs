//! How workflows look from outside: what may be sent, what is shown, and how a definition's problems are told.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::runs::RunSummary;
use crate::{
    domain::{
        ids::{RunId, WorkflowId},
        time::Timestamp,
    },
    http::{
        error::{ApiError, ApiResult, FieldError},
        resources::Revised,
    },
    store::{
        Page,
        runs::{RunCounts, RunHead},
        workflows::{WorkflowRow, WorkflowVersion},
    },
    workflows::{Definition, Problem},
};

/// Longest name of a workflow.
const NAME_CHARS_MAX: usize = 200;

/// A workflow as its author writes it.
///
/// Only describes the body: it is read as JSON and checked by the workflow core, which names every problem with its place.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Definition, example = json!({
    "name": "Negative feedback alert",
    "enabled": true,
    "trigger": {"type": "call.sentiment_negative", "filter": "call.direction == 'inbound'"},
    "nodes": [{"id": "tell", "type": "slack_message", "params": {"channel": "#managers", "text": "{{ trigger.excerpt }}"}}],
    "edges": [{"from": "trigger", "to": "tell"}],
}))]
pub struct DefinitionBody {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Whether it acts; true when left out.
    enabled: Option<bool>,
    /// What starts a run: `type`, `filter` and what the type takes besides.
    #[schema(value_type = Object)]
    trigger: Map<String, Value>,
    /// Enrolment, time zone, quiet hours, exit conditions.
    #[schema(value_type = Option<Object>)]
    settings: Option<Map<String, Value>>,
    /// The steps: `id`, `type`, `params`, `retry`, `on_error`, `audience`.
    #[schema(value_type = Option<Vec<Object>>)]
    nodes: Option<Vec<Map<String, Value>>>,
    /// The ways between them: `from`, `port`, `to`.
    #[schema(value_type = Option<Vec<Object>>)]
    edges: Option<Vec<Map<String, Value>>>,
    /// Where an editor draws the nodes: `[x, y]` by id.
    #[schema(value_type = Option<Object>)]
    layout: Option<Map<String, Value>>,
    /// Words for people beside the steps: `id`, `text` and `at`, as in `layout`.
    #[schema(value_type = Option<Vec<Object>>)]
    notes: Option<Vec<Map<String, Value>>>,
}

/// What to change about a workflow; what is left out stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkflowChange {
    /// The revision that was read; the change is refused when it is no longer that one.
    pub revision: Option<u64>,
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    pub enabled: Option<bool>,
    #[schema(value_type = Option<Object>)]
    trigger: Option<Value>,
    #[schema(value_type = Option<Object>)]
    settings: Option<Value>,
    #[schema(value_type = Option<Vec<Object>>)]
    nodes: Option<Value>,
    #[schema(value_type = Option<Vec<Object>>)]
    edges: Option<Value>,
    #[schema(value_type = Option<Object>)]
    layout: Option<Value>,
    #[schema(value_type = Option<Vec<Object>>)]
    notes: Option<Value>,
}

/// A workflow in a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WorkflowSummary {
    id: WorkflowId,
    name: String,
    /// Whether its published version acts.
    enabled: bool,
    /// The type of the published trigger; of the draft's before the first publish.
    #[schema(example = "call.no_answer")]
    trigger: String,
    /// The newest published version; null before the first.
    published_version: Option<u32>,
    /// Counts changes.
    revision: u64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A workflow with its draft.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Workflow)]
pub struct WorkflowView {
    #[serde(flatten)]
    summary: WorkflowSummary,
    /// The draft.
    #[schema(value_type = Object)]
    definition: Value,
}

/// A published version.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = WorkflowVersion)]
pub struct VersionView {
    version: u32,
    #[schema(value_type = String, format = DateTime)]
    published_at: Timestamp,
    #[schema(value_type = Object)]
    definition: Value,
}

/// What a check found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Validation {
    /// Whether it can be published.
    pub valid: bool,
    pub problems: Vec<Problem>,
}

/// The run that was started.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ExecuteAccepted {
    pub run_id: RunId,
}

/// How a workflow's runs went.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WorkflowHistory {
    counts: RunCounts,
    items: Vec<RunSummary>,
    /// Give it back as `cursor` for the next part; null at the end.
    next_cursor: Option<String>,
}

impl From<WorkflowRow> for WorkflowSummary {
    fn from(row: WorkflowRow) -> Self {
        let WorkflowRow {
            id,
            account_id: _,
            name,
            enabled,
            draft: _,
            published,
            trigger,
            created_at,
            updated_at,
            revision,
        } = row;
        let published_version = (published > 0).then_some(published);
        let enabled = enabled && published > 0;
        Self {
            id,
            name,
            enabled,
            trigger,
            published_version,
            revision,
            created_at,
            updated_at,
        }
    }
}

impl Revised for WorkflowView {
    fn revision(&self) -> u64 {
        self.summary.revision
    }
}

impl WorkflowView {
    /// Shows a row.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when its draft cannot be read.
    pub fn of(row: WorkflowRow) -> ApiResult<Self> {
        let definition = value_of(&row.draft)?;
        Ok(Self {
            summary: row.into(),
            definition,
        })
    }
}

impl VersionView {
    /// Shows a version.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when its definition cannot be read.
    pub fn of(version: WorkflowVersion) -> ApiResult<Self> {
        let definition = value_of(&version.definition)?;
        Ok(Self {
            version: version.version,
            published_at: version.published_at,
            definition,
        })
    }
}

impl WorkflowHistory {
    #[must_use]
    pub fn of(counts: RunCounts, page: Page<RunHead>) -> Self {
        let items = page.items.into_iter().map(RunSummary::from).collect();
        Self {
            counts,
            items,
            next_cursor: page.next_cursor,
        }
    }
}

impl WorkflowChange {
    /// Replaces the parts of `draft` that are given.
    pub fn lay_over(&self, draft: &mut Value) {
        let Some(draft) = draft.as_object_mut() else {
            return;
        };
        let parts = [
            ("name", self.name.clone().map(Value::from)),
            ("enabled", self.enabled.map(Value::from)),
            ("trigger", self.trigger.clone()),
            ("settings", self.settings.clone()),
            ("nodes", self.nodes.clone()),
            ("edges", self.edges.clone()),
            ("layout", self.layout.clone()),
            ("notes", self.notes.clone()),
        ];
        for (name, part) in parts {
            if let Some(part) = part {
                draft.insert(name.to_owned(), part);
            }
        }
    }
}

/// Reads a definition whose shape must hold.
///
/// # Errors
/// [`ApiError::Invalid`] with every problem of shape, and for a name that cannot be shown in a list.
pub fn read(value: &Value) -> ApiResult<Definition> {
    let definition = Definition::from_value(value).map_err(definition_errors)?;
    if !(1..=NAME_CHARS_MAX).contains(&definition.name.chars().count()) {
        return Err(ApiError::field(
            "name",
            format!("expected 1 to {NAME_CHARS_MAX} characters"),
        ));
    }
    Ok(definition)
}

/// Reads a definition that was stored.
///
/// # Errors
/// [`ApiError::Internal`] when it is not JSON.
pub fn value_of(text: &str) -> ApiResult<Value> {
    serde_json::from_str(text).map_err(|error| ApiError::Internal(Box::new(error)))
}

/// What a version that was published says.
///
/// # Errors
/// [`ApiError::Conflict`] when this program cannot read it.
pub fn definition_of(stored: &WorkflowVersion) -> ApiResult<Definition> {
    Definition::from_json(&stored.definition).map_err(|problems| unreadable(stored, &problems))
}

/// A published version that this program cannot read or run.
#[must_use]
pub fn unreadable(stored: &WorkflowVersion, problems: &[Problem]) -> ApiError {
    let (version, count) = (stored.version, problems.len());
    ApiError::Conflict {
        code: "broken",
        detail: format!("version {version} cannot be read by this version of the program: {count} problems"),
    }
}

/// Tells a definition's problems as wrong fields.
#[must_use]
pub fn definition_errors(problems: Vec<Problem>) -> ApiError {
    let told = |problem: Problem| {
        let message = match problem.fix.as_str() {
            "" => problem.message,
            fix => format!("{}; {fix}", problem.message),
        };
        FieldError::new(problem.path, message).with_fix(problem.code, problem.fix)
    };
    ApiError::Invalid(problems.into_iter().map(told).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_replaces_only_what_it_names() {
        let mut draft = json!({"name": "a", "enabled": true, "nodes": [1], "edges": [2]});
        let change: WorkflowChange =
            serde_json::from_value(json!({"name": "b", "nodes": []})).expect("a change");
        change.lay_over(&mut draft);
        assert_eq!(
            draft,
            json!({"name": "b", "enabled": true, "nodes": [], "edges": [2]})
        );
    }

    #[test]
    fn problems_become_fields_with_their_fix() {
        let problem = Problem::new(
            "nodes[0].type",
            "unknown_kind",
            "unknown kind `sms`",
            "did you mean `send_sms`?",
        );
        let shown = definition_errors(vec![problem]).problem();
        let field = FieldError {
            code: Some("unknown_kind".into()),
            fix: Some("did you mean `send_sms`?".into()),
            ..FieldError::new("nodes[0].type", "unknown kind `sms`; did you mean `send_sms`?")
        };
        assert_eq!(shown.errors, [field]);
    }
}
