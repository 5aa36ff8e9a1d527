//! `alert`: something the supervisors should look at now, with the evidence that led to it.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read},
    source::{Source, Template, given},
};
use crate::{
    domain::alert::Severity,
    workflows::{effect::Request, problem::Problem},
};

/// What of the trigger's data is evidence.
const EVIDENCE: &[&str] = &["excerpt", "score", "rule", "start_ms", "end_ms"];

pub(super) struct Alert;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    title: Template,
    #[serde(default = "workflow")]
    kind: String,
    #[serde(default = "warning")]
    severity: Severity,
    details: Option<Template>,
}

fn workflow() -> String {
    "workflow".to_owned()
}

const fn warning() -> Severity {
    Severity::Warning
}

impl NodeKind for Alert {
    fn name(&self) -> &'static str {
        "alert"
    }

    fn title(&self) -> &'static str {
        "Alert supervisors"
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false, "required": ["title"],
            "properties": {
                "title": {"type": "string", "minLength": 1, "maxLength": 500, "title": "Title", "format": "template"},
                "severity": {"type": "string", "enum": ["info", "warning", "critical"], "default": "warning",
                    "title": "Severity"},
                "kind": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$", "default": "workflow",
                    "title": "Kind", "description": "A word to filter alerts by"},
                "details": {"type": "string", "title": "Details", "format": "template"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        Ok(Box::new(read::<Params>(params)?))
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        let mut sources = vec![self.title.source("title")];
        sources.extend(given(&[("details", &self.details)]));
        sources
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let title = self.title.render_filled(scene, "title")?;
        let details = self
            .details
            .as_ref()
            .map(|details| details.render(scene))
            .transpose()?;
        let mut evidence = evidence_of(scene.trigger);
        if let Some(details) = &details {
            evidence.insert("details".to_owned(), json!(details));
        }
        let input = json!({"title": title, "severity": self.severity, "kind": self.kind, "details": details});
        let request = Request::RaiseAlert {
            alert: self.kind.clone(),
            severity: self.severity,
            title,
            evidence: Value::Object(evidence),
        };
        Ok(Entered {
            input,
            action: Action::Act(request),
        })
    }
}

fn evidence_of(trigger: &Value) -> Map<String, Value> {
    let fact = |name: &str| {
        trigger
            .get("data")
            .and_then(|data| data.get(name))
            .or_else(|| trigger.get(name))
    };
    let known = EVIDENCE
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), fact(name)?.clone())));
    let kind = trigger
        .get("type")
        .map(|kind| ("trigger".to_owned(), kind.clone()));
    kind.into_iter().chain(known).collect()
}
