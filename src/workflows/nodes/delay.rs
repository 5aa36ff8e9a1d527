//! `delay`: nothing, for a span or until a moment.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read},
    source::{Source, Template},
};
use crate::{
    domain::time::{Timestamp, parse_span},
    workflows::{definition::PORT_OK, problem::Problem},
};

/// Longest wait: ten years. A slip in a unit should be an error, not a run nobody sees again.
pub const DELAY_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);

pub(super) struct Delay;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    r#for: Option<Template>,
    until: Option<Template>,
}

#[derive(Debug)]
enum Pause {
    For(Template),
    Until(Template),
}

impl NodeKind for Delay {
    fn name(&self) -> &'static str {
        "delay"
    }

    fn title(&self) -> &'static str {
        "Delay"
    }

    fn ports(&self) -> &'static [&'static str] {
        &[PORT_OK]
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
            "properties": {
                "for": {"type": "string", "minLength": 1, "title": "For", "format": "template",
                    "description": "A span like 90s, 2h, 3d or 1d12h"},
                "until": {"type": "string", "minLength": 1, "title": "Until", "format": "template",
                    "description": "A time like 2026-11-22T09:00:00Z; one that is past means at once"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        let Params { r#for, until } = read(params)?;
        let pause = match (r#for, until) {
            (Some(span), None) => Pause::For(span),
            (None, Some(moment)) => Pause::Until(moment),
            _ => {
                return Err(vec![Problem::new(
                    "",
                    "bad_params",
                    "give either `for` or `until`",
                    "keep one of the two",
                )]);
            }
        };
        let problem = match &pause {
            Pause::For(span) => span
                .plain()
                .map(read_span)
                .and_then(Result::err)
                .map(|error| ("for", error)),
            Pause::Until(moment) => moment
                .plain()
                .map(read_moment)
                .and_then(Result::err)
                .map(|error| ("until", error)),
        };
        match problem {
            Some((field, error)) => Err(vec![Problem::new(
                field,
                error.code,
                error.message,
                "see the field's description",
            )]),
            None => Ok(Box::new(pause)),
        }
    }
}

impl Node for Pause {
    fn sources(&self) -> Vec<Source<'_>> {
        vec![match self {
            Self::For(span) => span.source("for"),
            Self::Until(moment) => moment.source("until"),
        }]
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let (input, until) = match self {
            Self::For(span) => {
                let text = span.render(scene)?;
                (json!({"for": text}), scene.now.plus(read_span(&text)?))
            }
            Self::Until(moment) => {
                let text = moment.render(scene)?;
                (json!({"until": text}), read_moment(&text)?)
            }
        };
        if until.since(scene.now) > DELAY_MAX {
            return Err(too_long());
        }
        let action = if until <= scene.now {
            Action::Leave {
                port: PORT_OK.into(),
                output: json!({"until": until}),
            }
        } else {
            Action::Wait { until }
        };
        Ok(Entered { input, action })
    }

    fn takes_time(&self) -> bool {
        match self {
            Self::For(span) => span
                .plain()
                .is_some_and(|text| read_span(text).is_ok_and(|span| span > Duration::ZERO)),
            // It may lie in the past when the run comes by again.
            Self::Until(_) => false,
        }
    }
}

fn read_span(text: &str) -> Result<Duration, NodeError> {
    let span = parse_span(text).map_err(|error| NodeError::new("bad_span", format!("`{text}`: {error}")))?;
    if span > DELAY_MAX {
        Err(too_long())
    } else {
        Ok(span)
    }
}

fn read_moment(text: &str) -> Result<Timestamp, NodeError> {
    text.trim()
        .parse()
        .map_err(|error| NodeError::new("bad_time", format!("`{text}`: {error}")))
}

fn too_long() -> NodeError {
    NodeError::new("delay_too_long", "the wait is longer than ten years")
}
