//! `send_sms`: a text message to the lead, or to a number.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read, sound},
    phone_params,
    source::{Source, Template, given},
};
use crate::workflows::{
    definition::Audience,
    effect::{InDoubt, Request},
    problem::Problem,
};

pub(super) struct SendSms;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    to: Option<Template>,
    body: Template,
    from: Option<Template>,
    #[serde(default)]
    in_doubt: InDoubt,
}

impl NodeKind for SendSms {
    fn name(&self) -> &'static str {
        "send_sms"
    }

    fn title(&self) -> &'static str {
        "Send SMS"
    }

    fn audience(&self) -> Audience {
        Audience::Lead
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false, "required": ["body"],
            "properties": {
                "to": {"type": "string", "minLength": 1, "title": "To", "format": "template",
                    "description": "Phone number in E.164 form. The lead's own when left out."},
                "body": {"type": "string", "minLength": 1, "maxLength": 16000, "title": "Text", "format": "template"},
                "from": {"type": "string", "minLength": 1, "title": "From", "format": "template",
                    "description": "Sender's number. The account's own when left out."},
                "in_doubt": {"type": "string", "enum": ["resend", "ask", "drop"], "default": "resend",
                    "title": "When nobody can say whether it was sent"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        let params: Params = read(params)?;
        let problems = phone_params::check(&[("to", &params.to), ("from", &params.from)]);
        sound(params, problems)
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        let mut sources = vec![self.body.source("body")];
        sources.extend(given(&[("to", &self.to), ("from", &self.from)]));
        sources
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let to = phone_params::receiver(self.to.as_ref(), scene)?;
        let from = phone_params::render(self.from.as_ref(), scene)?;
        let body = self.body.render_filled(scene, "body")?;
        let input = json!({"to": to, "body": body});
        Ok(Entered {
            input,
            action: Action::Act(Request::SendSms { to, body, from }),
        })
    }

    fn in_doubt(&self) -> InDoubt {
        self.in_doubt
    }
}
