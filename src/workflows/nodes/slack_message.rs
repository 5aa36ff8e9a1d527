//! `slack_message`: a message to a Slack channel.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read},
    source::{Source, Template},
};
use crate::workflows::{
    effect::{InDoubt, Request},
    problem::Problem,
};

pub(super) struct SlackMessage;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    channel: Template,
    text: Template,
    #[serde(default)]
    in_doubt: InDoubt,
}

impl NodeKind for SlackMessage {
    fn name(&self) -> &'static str {
        "slack_message"
    }

    fn title(&self) -> &'static str {
        "Slack message"
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false, "required": ["channel", "text"],
            "properties": {
                "channel": {"type": "string", "minLength": 1, "title": "Channel", "format": "template",
                    "description": "#name, or the channel's id"},
                "text": {"type": "string", "minLength": 1, "maxLength": 40000, "title": "Text", "format": "template"},
                "in_doubt": {"type": "string", "enum": ["resend", "ask", "drop"], "default": "resend",
                    "title": "When nobody can say whether it was sent"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        Ok(Box::new(read::<Params>(params)?))
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        vec![self.channel.source("channel"), self.text.source("text")]
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let channel = self.channel.render_filled(scene, "channel")?;
        let text = self.text.render_filled(scene, "text")?;
        let input = json!({"channel": channel, "text": text});
        Ok(Entered {
            input,
            action: Action::Act(Request::SlackMessage { channel, text }),
        })
    }

    fn in_doubt(&self) -> InDoubt {
        self.in_doubt
    }
}
