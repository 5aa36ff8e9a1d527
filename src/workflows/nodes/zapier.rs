//! `zapier`: posts to one of Zapier's hooks, so that a Zap goes on from here.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read},
    source::{Source, Template},
    values,
};
use crate::workflows::{effect::Request, problem::Problem};

pub(super) struct Zapier;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    url: Template,
    data: Option<Map<String, Value>>,
}

impl NodeKind for Zapier {
    fn name(&self) -> &'static str {
        "zapier"
    }

    fn title(&self) -> &'static str {
        "Zapier"
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false, "required": ["url"],
            "properties": {
                "url": {"type": "string", "minLength": 1, "maxLength": 2000, "title": "Hook", "format": "template",
                    "description": "The address that Zapier's trigger “Catch Hook” shows"},
                "data": {"type": "object", "title": "Data",
                    "description": "Any fields; texts are templates. What started the run and the lead when left out."}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        let params: Params = read(params)?;
        if params.url.plain().is_some_and(|url| !is_hook(url)) {
            return Err(vec![Problem::new(
                "url",
                "bad_url",
                "not an https address",
                "copy it from Zapier: https://hooks.zapier.com/hooks/catch/…",
            )]);
        }
        Ok(Box::new(params))
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        let mut sources = vec![self.url.source("url")];
        for (name, value) in self.data.iter().flatten() {
            values::texts_of(&format!("data.{name}"), value, &mut sources);
        }
        sources
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let url = self.url.render_filled(scene, "url")?;
        if !is_hook(&url) {
            return Err(NodeError::new(
                "bad_url",
                format!("`{url}` is not an https address"),
            ));
        }
        let body = match &self.data {
            Some(data) => values::rendered(&Value::Object(data.clone()), scene)?,
            None => json!({"trigger": scene.trigger, "lead": scene.lead}),
        };
        let input = json!({"url": url, "data": body});
        Ok(Entered {
            input,
            action: Action::Act(Request::ZapierHook { url, body }),
        })
    }
}

/// Zapier's hooks are https; an address of this machine stands for one in tests and tunnels.
fn is_hook(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        let is_near = matches!(url.host_str(), Some("localhost" | "127.0.0.1"));
        url.host_str().is_some() && (url.scheme() == "https" || (url.scheme() == "http" && is_near))
    })
}
