//! `update_lead`: writes down what became known about the run's lead.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read, sound},
    source::{Source, Template},
    values,
};
use crate::{
    domain::{
        email,
        lead::{LeadEdit, LeadUpdate},
        phone::PhoneNumber,
        time::zone,
    },
    workflows::{effect::Request, problem::Problem},
};

pub(super) struct UpdateLead;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    name: Option<Template>,
    phone: Option<Template>,
    email: Option<Template>,
    stage: Option<Template>,
    timezone: Option<Template>,
    #[serde(default)]
    fields: BTreeMap<String, Value>,
}

impl NodeKind for UpdateLead {
    fn name(&self) -> &'static str {
        "update_lead"
    }

    fn title(&self) -> &'static str {
        "Update lead"
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false, "minProperties": 1,
            "properties": {
                "name": {"type": "string", "minLength": 1, "title": "Name", "format": "template"},
                "phone": {"type": "string", "minLength": 1, "title": "Phone", "format": "template"},
                "email": {"type": "string", "minLength": 1, "title": "E-mail", "format": "template"},
                "stage": {"type": "string", "minLength": 1, "maxLength": 500, "title": "Stage", "format": "template",
                    "description": "For example customer; qualified starts what waits for lead.qualified"},
                "timezone": {"type": "string", "minLength": 1, "title": "Time zone", "format": "template"},
                "fields": {"type": "object", "title": "Own fields", "maxProperties": 100,
                    "propertyNames": {"minLength": 1, "maxLength": 64},
                    "description": "Any JSON; texts in it are templates; null removes a field"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        let params: Params = read(params)?;
        let literal =
            |template: &Option<Template>| template.as_ref().and_then(Template::plain).map(str::to_owned);
        let mut problems = Vec::new();
        if literal(&params.phone).is_some_and(|text| text.parse::<PhoneNumber>().is_err()) {
            let fix = "write it like +14155550100";
            problems.push(Problem::new("phone", "bad_phone", "not a phone number", fix));
        }
        if literal(&params.email).is_some_and(|text| email::normal(&text).is_none()) {
            let fix = "write it like ann@example.com";
            problems.push(Problem::new("email", "bad_email", "not an e-mail address", fix));
        }
        if literal(&params.timezone).is_some_and(|text| zone(&text).is_none()) {
            let fix = "write it like America/New_York";
            problems.push(Problem::new(
                "timezone",
                "bad_timezone",
                "not an IANA time zone",
                fix,
            ));
        }
        sound(params, problems)
    }
}

impl Params {
    fn texts(&self) -> [(&'static str, Option<&Template>); 5] {
        [
            ("name", self.name.as_ref()),
            ("phone", self.phone.as_ref()),
            ("email", self.email.as_ref()),
            ("stage", self.stage.as_ref()),
            ("timezone", self.timezone.as_ref()),
        ]
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        let mut sources: Vec<_> = self
            .texts()
            .into_iter()
            .filter_map(|(field, template)| Some(template?.source(field)))
            .collect();
        for (name, value) in &self.fields {
            values::texts_of(&format!("fields.{name}"), value, &mut sources);
        }
        sources
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        scene.must_have_lead()?;
        let mut texts = BTreeMap::new();
        for (field, template) in self.texts() {
            if let Some(template) = template {
                texts.insert(field, template.render_filled(scene, field)?);
            }
        }
        let mut fields = BTreeMap::new();
        for (name, value) in &self.fields {
            fields.insert(name.clone(), values::rendered(value, scene)?);
        }
        let mut take = |field| texts.remove(field);
        let phone = take("phone")
            .map(|text| {
                text.parse::<PhoneNumber>()
                    .map_err(|_| NodeError::new("bad_phone", format!("`{text}` is not a phone number")))
            })
            .transpose()?;
        let update = LeadUpdate {
            name: take("name"),
            phone,
            email: take("email"),
            stage: take("stage"),
            timezone: take("timezone"),
            fields,
        };
        let input = serde_json::to_value(&update).unwrap_or_default();
        let edit = LeadEdit::Update(update);
        Ok(Entered {
            input,
            action: Action::Act(Request::EditLead { edit }),
        })
    }
}
