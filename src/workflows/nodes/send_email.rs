//! `send_email`: a message by e-mail to the lead, or to addresses.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read, sound},
    source::{Source, Template, given},
};
use crate::{
    domain::email,
    workflows::{
        definition::Audience,
        effect::{EmailMessage, InDoubt, Request},
        problem::Problem,
    },
};

/// Most receivers of one message, copies included.
const RECEIVERS_MAX: usize = 50;

pub(super) struct SendEmail;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    to: Option<Template>,
    subject: Template,
    body: Template,
    html: Option<Template>,
    reply_to: Option<Template>,
    cc: Option<Template>,
    #[serde(default)]
    in_doubt: InDoubt,
}

impl NodeKind for SendEmail {
    fn name(&self) -> &'static str {
        "send_email"
    }

    fn title(&self) -> &'static str {
        "Send e-mail"
    }

    fn audience(&self) -> Audience {
        Audience::Lead
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false, "required": ["subject", "body"],
            "properties": {
                "to": {"type": "string", "minLength": 1, "title": "To", "format": "template",
                    "description": "Addresses, separated by commas. The lead's own when left out."},
                "subject": {"type": "string", "minLength": 1, "maxLength": 1000, "title": "Subject", "format": "template"},
                "body": {"type": "string", "minLength": 1, "title": "Text", "format": "template"},
                "html": {"type": "string", "minLength": 1, "title": "HTML", "format": "template",
                    "description": "Shown instead of the text by programs that can"},
                "reply_to": {"type": "string", "minLength": 1, "title": "Answers go to", "format": "template"},
                "cc": {"type": "string", "minLength": 1, "title": "Copies to", "format": "template",
                    "description": "Addresses, separated by commas"},
                "in_doubt": {"type": "string", "enum": ["resend", "skip", "ask"], "default": "resend",
                    "title": "When nobody can say whether it was sent",
                    "description": "resend uses the same Message-ID; skip goes on"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        let params: Params = read(params)?;
        let literals = [
            ("to", params.to.as_ref()),
            ("cc", params.cc.as_ref()),
            ("reply_to", params.reply_to.as_ref()),
        ];
        let problems: Vec<Problem> = literals
            .into_iter()
            .filter_map(|(field, template)| Some((field, email::normal_list(template?.plain()?).err()?)))
            .map(|(field, wrong)| {
                Problem::new(
                    field,
                    "bad_email",
                    format!("`{wrong}` is not an e-mail address"),
                    "write it like ann@example.com",
                )
            })
            .collect();
        sound(params, problems)
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        let mut sources = vec![self.subject.source("subject"), self.body.source("body")];
        sources.extend(given(&[
            ("to", &self.to),
            ("html", &self.html),
            ("reply_to", &self.reply_to),
            ("cc", &self.cc),
        ]));
        sources
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let to = match &self.to {
            Some(to) => addresses(&to.render(scene)?)?,
            None => {
                let own = scene.lead.and_then(|lead| lead.email.as_deref());
                let own = own.ok_or_else(|| NodeError::new("no_email", "the lead has no e-mail address"))?;
                addresses(own)?
            }
        };
        let cc = match &self.cc {
            Some(cc) => addresses(&cc.render(scene)?)?,
            None => Vec::new(),
        };
        if to.len() + cc.len() > RECEIVERS_MAX {
            return Err(NodeError::new(
                "too_many_receivers",
                format!(
                    "an e-mail goes to at most {RECEIVERS_MAX} addresses: send one to each with for_each"
                ),
            ));
        }
        let reply_to = match &self.reply_to {
            Some(reply_to) => addresses(&reply_to.render(scene)?)?.into_iter().next(),
            None => None,
        };
        // A line break would begin another header.
        let subject = self.subject.render_filled(scene, "subject")?;
        let subject = subject.split_whitespace().collect::<Vec<_>>().join(" ");
        let message = EmailMessage {
            to,
            cc,
            reply_to,
            subject,
            text: self.body.render_filled(scene, "body")?,
            html: self.html.as_ref().map(|html| html.render(scene)).transpose()?,
        };
        Ok(Entered {
            input: json!(message),
            action: Action::Act(Request::SendEmail(message)),
        })
    }

    fn in_doubt(&self) -> InDoubt {
        self.in_doubt
    }
}

fn addresses(text: &str) -> Result<Vec<String>, NodeError> {
    email::normal_list(text)
        .map_err(|wrong| NodeError::new("bad_email", format!("`{wrong}` is not an e-mail address")))
}
