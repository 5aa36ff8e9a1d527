//! `assign_lead`: gives the run's lead to somebody of the team, by name or by turn.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read},
    source::{Source, Template},
};
use crate::{
    domain::lead::{AssignRule, Assignee, LeadEdit},
    workflows::{effect::Request, problem::Problem},
};

pub(super) struct AssignLead;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    to: Option<Template>,
    rule: Option<AssignRule>,
    #[serde(default)]
    among: Vec<Template>,
    #[serde(default)]
    unless_assigned: bool,
}

impl NodeKind for AssignLead {
    fn name(&self) -> &'static str {
        "assign_lead"
    }

    fn title(&self) -> &'static str {
        "Assign lead"
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "to": {"type": "string", "minLength": 1, "title": "To", "format": "template",
                    "description": "A user's id or e-mail address"},
                "rule": {"type": "string", "enum": ["round_robin", "least_busy"], "title": "By rule",
                    "description": "In turn, or whoever looks after the fewest leads; instead of `to`"},
                "among": {"type": "array", "maxItems": 100, "title": "Among",
                    "items": {"type": "string", "minLength": 1, "format": "template"},
                    "description": "Ids or e-mail addresses the rule chooses from; everybody with the role agent when left out"},
                "unless_assigned": {"type": "boolean", "default": false, "title": "Only if nobody has it"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        let params: Params = read(params)?;
        if params.to.is_some() == params.rule.is_some() {
            let message = "expected either `to` or `rule`";
            let fix = "name a user in `to`, or choose `round_robin` or `least_busy`";
            return Err(vec![Problem::new("to", "bad_params", message, fix)]);
        }
        if params.rule.is_none() && !params.among.is_empty() {
            let message = "`among` is what a rule chooses from";
            return Err(vec![Problem::new("among", "bad_params", message, "set `rule`")]);
        }
        Ok(Box::new(params))
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        let among = self.among.iter().enumerate();
        let among = among.map(|(at, name)| name.source(format!("among[{at}]")));
        self.to.iter().map(|to| to.source("to")).chain(among).collect()
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        scene.must_have_lead()?;
        let to = match (&self.to, self.rule) {
            (Some(to), _) => Assignee::One(to.render_filled(scene, "to")?.trim().to_owned()),
            (None, rule) => Assignee::ByRule {
                rule: rule.unwrap_or(AssignRule::RoundRobin),
                among: self
                    .among
                    .iter()
                    .map(|name| Ok(name.render_filled(scene, "among")?.trim().to_owned()))
                    .collect::<Result<_, NodeError>>()?,
            },
        };
        let input = json!({"to": to, "unless_assigned": self.unless_assigned});
        let edit = LeadEdit::Assign {
            to,
            unless_assigned: self.unless_assigned,
        };
        Ok(Entered {
            input,
            action: Action::Act(Request::EditLead { edit }),
        })
    }
}
