//! `webhook`: an HTTP request to an address of the account's choosing.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read},
    source::{Source, Template},
    values,
};
use crate::workflows::{
    effect::{HttpMethod, Request},
    problem::Problem,
};

pub(super) struct Webhook;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    url: Template,
    #[serde(default)]
    method: HttpMethod,
    #[serde(default)]
    headers: BTreeMap<String, Template>,
    #[serde(default)]
    body: Value,
}

impl NodeKind for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn title(&self) -> &'static str {
        "Send webhook"
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false, "required": ["url"],
            "properties": {
                "url": {"type": "string", "minLength": 1, "maxLength": 2000, "title": "URL", "format": "template"},
                "method": {"type": "string", "enum": ["GET", "POST", "PUT", "PATCH", "DELETE"], "default": "POST",
                    "title": "Method"},
                "headers": {"type": "object", "title": "Headers", "maxProperties": 50,
                    "propertyNames": {"pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"},
                    "additionalProperties": {"type": "string", "format": "template"}},
                "body": {"title": "JSON body", "description": "Any JSON; texts in it are templates"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        let params: Params = read(params)?;
        if let Some(Err(error)) = params.url.plain().map(check_url) {
            return Err(vec![Problem::new(
                "url",
                error.code,
                error.message,
                "write it like https://example.com/hook",
            )]);
        }
        Ok(Box::new(params))
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        let mut sources = vec![self.url.source("url")];
        sources.extend(
            self.headers
                .iter()
                .map(|(name, header)| header.source(format!("headers.{name}"))),
        );
        values::texts_of("body", &self.body, &mut sources);
        sources
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let url = self.url.render_filled(scene, "url")?;
        check_url(&url)?;
        let mut headers = BTreeMap::new();
        for (name, header) in &self.headers {
            let value = header.render(scene)?;
            if value.contains(['\r', '\n', '\0']) {
                return Err(NodeError::new(
                    "bad_header",
                    format!("header `{name}` would hold a line break"),
                ));
            }
            headers.insert(name.clone(), value);
        }
        let body = values::rendered(&self.body, scene)?;
        // Header values stay out of the history: they are where tokens are.
        let input = json!({"method": self.method, "url": url, "headers": headers.keys().collect::<Vec<_>>(), "body": body});
        let request = Request::WebhookRequest {
            method: self.method,
            url,
            headers,
            body,
        };
        Ok(Entered {
            input,
            action: Action::Act(request),
        })
    }
}

fn check_url(text: &str) -> Result<(), NodeError> {
    let fitting = url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.is_empty())
    });
    if fitting {
        Ok(())
    } else {
        Err(NodeError::new(
            "bad_url",
            format!("`{text}` is not an http or https address"),
        ))
    }
}
