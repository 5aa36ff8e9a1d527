//! `create_task`: something for a team member to do.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read},
    source::{Source, Template, given},
};
use crate::{
    domain::{task::Priority, time::parse_span},
    workflows::{definition::span, effect::Request, problem::Problem},
};

pub(super) struct CreateTask;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    title: Template,
    notes: Option<Template>,
    #[serde(default = "normal")]
    priority: Priority,
    #[serde(default, deserialize_with = "optional_span")]
    due_in: Option<Duration>,
}

const fn normal() -> Priority {
    Priority::Normal
}

fn optional_span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    span::deserialize(deserializer).map(Some)
}

impl NodeKind for CreateTask {
    fn name(&self) -> &'static str {
        "create_task"
    }

    fn title(&self) -> &'static str {
        "Create task"
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false, "required": ["title"],
            "properties": {
                "title": {"type": "string", "minLength": 1, "maxLength": 500, "title": "Title", "format": "template"},
                "notes": {"type": "string", "title": "Notes", "format": "template"},
                "priority": {"type": "string", "enum": ["low", "normal", "high", "urgent"], "default": "normal",
                    "title": "Priority"},
                "due_in": {"type": "string", "title": "Due in", "format": "span", "description": "For example 2h"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        if let Some(Err(error)) = params.get("due_in").and_then(Value::as_str).map(parse_span) {
            return Err(vec![Problem::new(
                "due_in",
                "bad_span",
                error.to_string(),
                "write it like 2h",
            )]);
        }
        Ok(Box::new(read::<Params>(params)?))
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        let mut sources = vec![self.title.source("title")];
        sources.extend(given(&[("notes", &self.notes)]));
        sources
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let title = self.title.render_filled(scene, "title")?;
        let notes = self
            .notes
            .as_ref()
            .map(|notes| notes.render(scene))
            .transpose()?
            .unwrap_or_default();
        let due_at = self.due_in.map(|span| scene.now.plus(span));
        let priority = self.priority;
        let input = json!({"title": title, "notes": notes, "priority": priority, "due_at": due_at});
        Ok(Entered {
            input,
            action: Action::Act(Request::CreateTask {
                title,
                notes,
                priority,
                due_at,
            }),
        })
    }
}
