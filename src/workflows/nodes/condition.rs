//! `condition`: two ways on, by whether an expression holds.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read},
    source::{Condition, Source},
};
use crate::workflows::problem::Problem;

pub(super) struct ConditionKind;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    r#if: Condition,
}

impl NodeKind for ConditionKind {
    fn name(&self) -> &'static str {
        "condition"
    }

    fn title(&self) -> &'static str {
        "Condition"
    }

    fn ports(&self) -> &'static [&'static str] {
        &["true", "false"]
    }

    fn fallback(&self) -> &'static str {
        "false"
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false, "required": ["if"],
            "properties": {
                "if": {"type": "string", "minLength": 1, "title": "If", "format": "expression",
                    "description": "For example lead.score > 80"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        Ok(Box::new(read::<Params>(params)?))
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        vec![self.r#if.source("if")]
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let holds = self.r#if.holds(scene)?;
        let action = Action::Leave {
            port: if holds { "true" } else { "false" }.into(),
            output: json!({"result": holds}),
        };
        Ok(Entered {
            input: json!({"if": self.r#if.as_str()}),
            action,
        })
    }
}
