//! `stop`: the run ends here, whatever else is under way.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read},
    source::{Source, Template},
};
use crate::{domain::run::RunStatus, workflows::problem::Problem};

pub(super) struct Stop;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(default)]
    status: Outcome,
    reason: Option<Template>,
}

/// How the run counts.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    #[default]
    Completed,
    Failed,
    Cancelled,
}

impl NodeKind for Stop {
    fn name(&self) -> &'static str {
        "stop"
    }

    fn title(&self) -> &'static str {
        "Stop"
    }

    fn ports(&self) -> &'static [&'static str] {
        &[]
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "status": {"type": "string", "enum": ["completed", "failed", "cancelled"], "default": "completed",
                    "title": "The run counts as"},
                "reason": {"type": "string", "minLength": 1, "maxLength": 1000, "title": "Reason", "format": "template"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        Ok(Box::new(read::<Params>(params)?))
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        self.reason.iter().map(|reason| reason.source("reason")).collect()
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let reason = self
            .reason
            .as_ref()
            .map(|reason| reason.render_filled(scene, "reason"))
            .transpose()?;
        let status = match self.status {
            Outcome::Completed => RunStatus::Completed,
            Outcome::Failed => RunStatus::Failed,
            Outcome::Cancelled => RunStatus::Cancelled,
        };
        Ok(Entered {
            input: json!({"status": status, "reason": reason}),
            action: Action::Stop { status, reason },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflows::{
        input::Input,
        tests::story::{Story, single},
    };

    #[test]
    fn ends_the_run_as_it_says_with_the_reason_and_nothing_behind_it() {
        for (word, status) in [
            ("completed", RunStatus::Completed),
            ("failed", RunStatus::Failed),
            ("cancelled", RunStatus::Cancelled),
        ] {
            let params = json!({"status": word, "reason": "{{ lead.first_name }} has had enough"});
            let mut story = Story::new(&single("stop", &params, &json!({})));
            let ended = story.give(Input::Started);
            assert_eq!(ended.run.status(), status);
            assert_eq!(ended.run.error().as_deref(), Some("Ada has had enough"));
        }
    }

    #[test]
    fn what_waits_elsewhere_ends_with_it() {
        let definition = json!({"name": "w", "trigger": {"type": "manual"},
            "nodes": [{"id": "wait", "type": "delay", "params": {"for": "3d"}}, {"id": "end", "type": "stop"}],
            "edges": [{"from": "trigger", "to": "wait"}, {"from": "trigger", "to": "end"}]});
        let mut story = Story::new(&definition);
        let ended = story.give(Input::Started);
        assert_eq!(ended.run.status(), RunStatus::Completed);
        assert!(ended.run.timers().is_empty() && ended.timers_set.is_empty());
    }
}
