//! `place_call`: calls the lead, or a number, and says something or connects somebody.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read},
    phone_params,
    source::{Source, Template},
};
use crate::{
    domain::{
        call::{CallPlan, OnMachine},
        time::parse_span,
    },
    workflows::{
        definition::{Audience, PORT_ERROR, PORT_OK},
        effect::{InDoubt, Request},
        problem::Problem,
    },
};

const RING_MIN: Duration = Duration::from_secs(5);
const RING_MAX: Duration = Duration::from_secs(600);

pub(super) struct PlaceCall;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    to: Option<Template>,
    from: Option<Template>,
    say: Option<Template>,
    connect_to: Option<Template>,
    #[serde(default)]
    on_machine: Machine,
    machine_text: Option<Template>,
    #[serde(default = "half_a_minute")]
    timeout: String,
    #[serde(default = "ask")]
    in_doubt: InDoubt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Machine {
    #[default]
    Continue,
    HangUp,
    LeaveMessage,
}

fn half_a_minute() -> String {
    "30s".to_owned()
}

/// A phone that rings twice for one reason is worse than a call that somebody has to look at.
const fn ask() -> InDoubt {
    InDoubt::Ask
}

impl NodeKind for PlaceCall {
    fn name(&self) -> &'static str {
        "place_call"
    }

    fn title(&self) -> &'static str {
        "Place call"
    }

    fn ports(&self) -> &'static [&'static str] {
        &[PORT_OK, PORT_ERROR]
    }

    fn audience(&self) -> Audience {
        Audience::Lead
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "to": {"type": "string", "minLength": 1, "title": "To", "format": "template",
                    "description": "Phone number in E.164 form. The lead's own when left out."},
                "say": {"type": "string", "minLength": 1, "maxLength": 3000, "title": "Say", "format": "template",
                    "description": "Read out when somebody answers"},
                "connect_to": {"type": "string", "minLength": 1, "title": "Connect to", "format": "template",
                    "description": "The number of whoever talks then, after what is said"},
                "on_machine": {"type": "string", "enum": ["continue", "hang_up", "leave_message"], "default": "continue",
                    "title": "When a machine answers", "description": "continue: nobody looks whether it is one"},
                "machine_text": {"type": "string", "minLength": 1, "maxLength": 3000, "title": "Message for a machine",
                    "format": "template"},
                "timeout": {"type": "string", "default": "30s", "format": "span", "title": "Rings for",
                    "description": "5s to 10m"},
                "from": {"type": "string", "minLength": 1, "title": "From", "format": "template",
                    "description": "The number shown. The account's own when left out."},
                "in_doubt": {"type": "string", "enum": ["ask", "resend", "drop"], "default": "ask",
                    "title": "When nobody can say whether it was placed"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        let params: Params = read(params)?;
        let mut problems = phone_params::check(&[
            ("to", &params.to),
            ("from", &params.from),
            ("connect_to", &params.connect_to),
        ]);
        let mut wrong = |field: &str, code: &str, message: String, fix: &str| {
            problems.push(Problem::new(field, code, message, fix));
        };
        if params.say.is_none() && params.connect_to.is_none() {
            let message = "nothing happens when the call is answered".to_owned();
            wrong("say", "bad_params", message, "give `say`, `connect_to` or both");
        }
        if (params.on_machine == Machine::LeaveMessage) != params.machine_text.is_some() {
            let message = "`machine_text` is what `on_machine: leave_message` reads out".to_owned();
            wrong("machine_text", "bad_params", message, "give both or neither");
        }
        if ring_of(&params.timeout).is_none() {
            let message = format!("`{}` is not a span from 5s to 10m", params.timeout);
            wrong("timeout", "bad_span", message, "write it like 30s");
        }
        if problems.is_empty() {
            Ok(Box::new(params))
        } else {
            Err(problems)
        }
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        [
            ("to", &self.to),
            ("from", &self.from),
            ("say", &self.say),
            ("connect_to", &self.connect_to),
            ("machine_text", &self.machine_text),
        ]
        .into_iter()
        .filter_map(|(field, template)| Some(template.as_ref()?.source(field)))
        .collect()
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let to = phone_params::receiver(self.to.as_ref(), scene)?;
        let text = |template: &Option<Template>, field| {
            template
                .as_ref()
                .map(|template| template.render_filled(scene, field))
                .transpose()
        };
        let on_machine = match (self.on_machine, text(&self.machine_text, "machine_text")?) {
            (Machine::Continue, _) => OnMachine::Continue,
            (Machine::HangUp, _) | (Machine::LeaveMessage, None) => OnMachine::HangUp,
            (Machine::LeaveMessage, Some(text)) => OnMachine::LeaveMessage(text),
        };
        let plan = CallPlan {
            say: text(&self.say, "say")?,
            connect_to: phone_params::render(self.connect_to.as_ref(), scene)?,
            on_machine,
            timeout_s: ring_of(&self.timeout).unwrap_or(30),
        };
        let from = phone_params::render(self.from.as_ref(), scene)?;
        let input = json!({"to": to, "plan": plan});
        Ok(Entered {
            input,
            action: Action::Act(Request::PlaceCall { to, from, plan }),
        })
    }

    fn in_doubt(&self) -> InDoubt {
        self.in_doubt
    }
}

/// Whole seconds of a span within the bounds.
fn ring_of(text: &str) -> Option<u32> {
    let span = parse_span(text).ok()?;
    let is_fit = (RING_MIN..=RING_MAX).contains(&span);
    is_fit.then(|| u32::try_from(span.as_secs()).ok()).flatten()
}
