//! `score_lead`: moves the score of the run's lead: sets it, adds to it, or adds the points of every rule that holds.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read},
    source::{Condition, Source, Template},
};
use crate::{
    domain::lead::{LeadEdit, ScoreChange},
    workflows::{effect::Request, problem::Problem},
};

pub(super) struct ScoreLead;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    set: Option<Points>,
    add: Option<Points>,
    #[serde(default)]
    rules: Vec<Rule>,
}

/// A number as such, or the template that gives it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Points {
    Fixed(i32),
    Computed(Template),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    #[serde(rename = "if")]
    condition: Condition,
    points: i32,
}

impl Points {
    fn value(&self, scene: &Scene<'_>, field: &str) -> Result<i32, NodeError> {
        match self {
            Self::Fixed(points) => Ok(*points),
            Self::Computed(template) => {
                let text = template.render(scene)?;
                text.trim().parse().map_err(|_| {
                    NodeError::new(
                        "not_a_number",
                        format!("`{field}` gave `{text}`, which is no whole number"),
                    )
                })
            }
        }
    }

    fn source(&self, path: &str) -> Option<Source<'_>> {
        match self {
            Self::Fixed(_) => None,
            Self::Computed(template) => Some(template.source(path)),
        }
    }
}

impl NodeKind for ScoreLead {
    fn name(&self) -> &'static str {
        "score_lead"
    }

    fn title(&self) -> &'static str {
        "Score lead"
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false, "minProperties": 1,
            "properties": {
                "set": {"title": "Set to", "format": "template", "description": "0 to 100",
                    "anyOf": [{"type": "integer", "minimum": 0, "maximum": 100}, {"type": "string", "minLength": 1}]},
                "add": {"title": "Add", "format": "template", "description": "-100 to 100",
                    "anyOf": [{"type": "integer", "minimum": -100, "maximum": 100}, {"type": "string", "minLength": 1}]},
                "rules": {"type": "array", "maxItems": 50, "title": "Rules",
                    "description": "The points of every rule that holds are added",
                    "items": {"type": "object", "additionalProperties": false, "required": ["if", "points"],
                        "properties": {
                            "if": {"type": "string", "minLength": 1, "title": "If", "format": "condition"},
                            "points": {"type": "integer", "minimum": -100, "maximum": 100, "title": "Points"}}}}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        Ok(Box::new(read::<Params>(params)?))
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        let rules = self.rules.iter().enumerate();
        let rules = rules.map(|(at, rule)| rule.condition.source(format!("rules[{at}].if")));
        let set = self.set.as_ref().and_then(|points| points.source("set"));
        let add = self.add.as_ref().and_then(|points| points.source("add"));
        set.into_iter().chain(add).chain(rules).collect()
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        scene.must_have_lead()?;
        let set = self
            .set
            .as_ref()
            .map(|points| points.value(scene, "set"))
            .transpose()?;
        let mut add = match &self.add {
            Some(points) => points.value(scene, "add")?,
            None => 0,
        };
        let mut held = Vec::new();
        for rule in &self.rules {
            if rule.condition.holds(scene)? {
                add = add.saturating_add(rule.points);
                held.push(json!({"if": rule.condition.as_str(), "points": rule.points}));
            }
        }
        let input = json!({"set": set, "add": add, "rules": held});
        let edit = LeadEdit::Score(ScoreChange { set, add });
        Ok(Entered {
            input,
            action: Action::Act(Request::EditLead { edit }),
        })
    }
}
