//! `find_leads`: the leads that are like this, for a `for_each` to go through.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read},
    source::{Source, Template},
    values,
};
use crate::{
    domain::{
        lead::{LeadFilter, rules::SCORE_MAX},
        time::{parse_span, zone},
    },
    workflows::{definition::span, effect::Request, problem::Problem},
};

/// Most leads one node gives.
pub const FOUND_MAX: u32 = 5_000;
/// Largest output, in bytes of JSON: 5,000 leads with long names and addresses.
const OUTPUT_BYTES_MAX: usize = 2 * 1024 * 1024;

pub(super) struct FindLeads;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    stage: Option<Stages>,
    score_min: Option<i32>,
    score_max: Option<i32>,
    #[serde(default)]
    fields: BTreeMap<String, Value>,
    birthday: Option<Birthday>,
    #[serde(default = "utc")]
    timezone: String,
    #[serde(default, deserialize_with = "optional_span")]
    created_within: Option<Duration>,
    #[serde(default)]
    include_opted_out: bool,
    #[serde(default = "most")]
    limit: u32,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Stages {
    One(Template),
    Several(Vec<Template>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Birthday {
    Today,
}

fn utc() -> String {
    "UTC".to_owned()
}

const fn most() -> u32 {
    FOUND_MAX
}

fn optional_span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    span::deserialize(deserializer).map(Some)
}

impl NodeKind for FindLeads {
    fn name(&self) -> &'static str {
        "find_leads"
    }

    fn title(&self) -> &'static str {
        "Find leads"
    }

    fn output_bytes_max(&self) -> usize {
        OUTPUT_BYTES_MAX
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "stage": {"title": "Stage", "format": "template", "description": "One stage, or a list of stages",
                    "anyOf": [{"type": "string", "minLength": 1},
                        {"type": "array", "maxItems": 20, "items": {"type": "string", "minLength": 1}}]},
                "score_min": {"type": "integer", "minimum": 0, "maximum": 100, "title": "Score at least"},
                "score_max": {"type": "integer", "minimum": 0, "maximum": 100, "title": "Score at most"},
                "fields": {"type": "object", "maxProperties": 20, "title": "Own fields equal",
                    "description": "Field and value; texts are templates"},
                "birthday": {"type": "string", "enum": ["today"], "title": "Birthday",
                    "description": "Field `birthday`, 1990-04-23 or 04-23, in the lead's own time zone"},
                "timezone": {"type": "string", "minLength": 1, "default": "UTC", "title": "Time zone",
                    "description": "For the birthday of leads whose own zone is not known"},
                "created_within": {"type": "string", "format": "span", "title": "Created within",
                    "description": "For example 7d"},
                "include_opted_out": {"type": "boolean", "default": false, "title": "Also who wants no messages"},
                "limit": {"type": "integer", "minimum": 1, "maximum": FOUND_MAX, "default": FOUND_MAX, "title": "At most",
                    "description": "The oldest leads come first"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        if let Some(Err(error)) = params
            .get("created_within")
            .and_then(Value::as_str)
            .map(parse_span)
        {
            let fix = "write it like 7d";
            return Err(vec![Problem::new(
                "created_within",
                "bad_span",
                error.to_string(),
                fix,
            )]);
        }
        let params: Params = read(params)?;
        if zone(&params.timezone).is_none() {
            let message = format!("`{}` is not an IANA time zone", params.timezone);
            let fix = "write it like America/New_York";
            return Err(vec![Problem::new("timezone", "bad_timezone", message, fix)]);
        }
        if params.score_min.unwrap_or(0) > params.score_max.unwrap_or(SCORE_MAX) {
            let message = "no score is at least `score_min` and at most `score_max`";
            return Err(vec![Problem::new(
                "score_min",
                "empty_range",
                message,
                "swap them",
            )]);
        }
        Ok(Box::new(params))
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        let mut sources = match &self.stage {
            None => Vec::new(),
            Some(Stages::One(stage)) => vec![stage.source("stage")],
            Some(Stages::Several(stages)) => {
                let stages = stages.iter().enumerate();
                stages
                    .map(|(at, stage)| stage.source(format!("stage[{at}]")))
                    .collect()
            }
        };
        for (name, value) in &self.fields {
            values::texts_of(&format!("fields.{name}"), value, &mut sources);
        }
        sources
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let stages = match &self.stage {
            None => Vec::new(),
            Some(Stages::One(stage)) => vec![stage.render_filled(scene, "stage")?],
            Some(Stages::Several(stages)) => stages
                .iter()
                .map(|stage| stage.render_filled(scene, "stage"))
                .collect::<Result<_, _>>()?,
        };
        let mut fields = BTreeMap::new();
        for (name, value) in &self.fields {
            fields.insert(name.clone(), values::rendered(value, scene)?);
        }
        let filter = LeadFilter {
            stages,
            score_min: self.score_min,
            score_max: self.score_max,
            fields,
            birthday_in: self.birthday.map(|Birthday::Today| self.timezone.clone()),
            created_within: self.created_within,
            with_opted_out: self.include_opted_out,
        };
        let limit = self.limit;
        let input = json!({"filter": filter, "limit": limit});
        Ok(Entered {
            input,
            action: Action::Act(Request::FindLeads { filter, limit }),
        })
    }
}
