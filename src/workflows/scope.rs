//! What expressions can see: `trigger`, `lead`, `call`, `steps`, `account`, `now`.
//!
//! The lead and the call are read fresh for every transition by the shell and handed in as [`World`]; the run itself keeps
//! only its trigger and its steps' outputs. A field that is not known is absent, so that reading it is an error: a null or
//! an empty name must not end up in a message.

use std::{collections::BTreeMap, sync::Arc};

use minijinja::{
    Value,
    value::{Enumerator, Object, merge_maps},
};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use super::{local_time::WORKFLOW_ZONE, snapshot::Kept};
use crate::domain::{
    call::Call,
    ids::{AccountId, LeadId},
    lead::Lead,
    time::Timestamp,
};

/// The names an expression may start with.
pub const ROOTS: &[&str] = &["trigger", "lead", "call", "steps", "account", "now"];
/// What expressions inside a loop's body see besides.
pub const LOOP_ROOTS: &[&str] = &["item", "index"];
/// What a filter over awaited events sees besides; it holds what `trigger` does.
pub const EVENT_ROOT: &str = "event";
/// What `trigger` holds.
pub const TRIGGER_FIELDS: &[&str] = &["type", "data", "excerpt", "score", "call_id", "lead_id", "at"];
/// What `lead` holds. The account's own fields are under `lead.fields`.
pub const LEAD_FIELDS: &[&str] = &[
    "id",
    "name",
    "first_name",
    "phone",
    "email",
    "score",
    "stage",
    "timezone",
    "opted_out",
    "opted_out_of",
    "consent",
    "assigned_to",
    "fields",
    "created_at",
    "updated_at",
];
/// What `call` holds.
pub const CALL_FIELDS: &[&str] = &[
    "id",
    "sid",
    "direction",
    "from",
    "to",
    "status",
    "dial_status",
    "answered_by",
    "duration_s",
    "sip_code",
    "recording_url",
    "voicemail",
    "gaps",
    "trend",
    "started_at",
    "answered_at",
    "ended_at",
    "summary",
];
/// What `account` holds.
pub const ACCOUNT_FIELDS: &[&str] = &["id", "name"];

/// The world around a run at one moment, read by the shell.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    pub now: Timestamp,
    pub account: AccountFacts,
    /// The lead the run is about.
    pub lead: Option<Lead>,
    /// The call that started the run.
    pub call: Option<Call>,
    /// What was said in it, in a few lines: where the plan reads it.
    pub call_summary: Option<String>,
}

/// The account as runs see it; what expressions may name of it is in [`ACCOUNT_FIELDS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountFacts {
    pub id: AccountId,
    pub name: String,
    /// For the gate: whether a person whose consent is not known may only be answered.
    pub require_consent: bool,
}

/// Everything an expression can name, ready to be read.
#[derive(Debug, Clone)]
pub struct Scope(minijinja::Value);

impl Scope {
    /// Puts a run's scope together. `outputs` are `steps.<id>.output`.
    #[must_use]
    pub fn new(world: &World, trigger: &Json, outputs: &BTreeMap<String, Json>) -> Self {
        let steps: Map<String, Json> = outputs
            .iter()
            .map(|(node, output)| {
                (
                    node.clone(),
                    Json::Object(Map::from_iter([("output".to_owned(), output.clone())])),
                )
            })
            .collect();
        let mut roots = facts_of(world, trigger);
        roots.insert("steps".to_owned(), Json::Object(steps));
        Self(minijinja::Value::from(minijinja::value::Serde(&roots)))
    }

    /// The scope of a run. `zone` is the workflow's own.
    pub(super) fn of(
        world: &World,
        zone: Option<&str>,
        trigger: &Json,
        outputs: &BTreeMap<String, Kept>,
    ) -> Self {
        let scope = Self::new(world, trigger, &BTreeMap::new());
        let steps = Value::from_object(Steps(outputs.clone()));
        let zone = named(WORKFLOW_ZONE, Value::from(zone));
        Self(merge_maps([scope.0, zone, named("steps", steps)]))
    }

    /// The scope of a loop's item, within that of the loop.
    pub(super) fn in_frame(
        &self,
        item: &Kept,
        index: u32,
        outputs: &BTreeMap<String, Kept>,
        lead: Option<&Lead>,
    ) -> Self {
        let outer = self.0.get_attr("steps").unwrap_or_default();
        let steps = merge_maps([outer, Value::from_object(Steps(outputs.clone()))]);
        let mut inner = BTreeMap::from([
            ("item", shared(item)),
            ("index", Value::from(index)),
            ("steps", steps),
        ]);
        if let Some(lead) = lead {
            inner.insert("lead", Value::from(minijinja::value::Serde(&lead_facts(lead))));
        }
        Self(merge_maps([self.0.clone(), Value::from(inner)]))
    }

    /// The scope with one more name in it.
    #[must_use]
    pub fn with(&self, name: &'static str, value: &Json) -> Self {
        let value = Value::from(minijinja::value::Serde(value));
        Self(merge_maps([self.0.clone(), named(name, value)]))
    }

    pub(super) const fn value(&self) -> &minijinja::Value {
        &self.0
    }
}

/// What expressions see before the first step: every name but `steps`.
#[must_use]
pub fn facts_of(world: &World, trigger: &Json) -> Map<String, Json> {
    let mut roots = Map::new();
    roots.insert("trigger".to_owned(), trigger.clone());
    roots.insert("account".to_owned(), known(&world.account, ACCOUNT_FIELDS));
    roots.insert("now".to_owned(), Json::String(world.now.to_string()));
    if let Some(lead) = &world.lead {
        roots.insert("lead".to_owned(), lead_facts(lead));
    }
    if let Some(call) = &world.call {
        let mut facts = known(call, CALL_FIELDS);
        if let (Some(facts), Some(summary)) = (facts.as_object_mut(), &world.call_summary) {
            facts.insert("summary".to_owned(), Json::String(summary.clone()));
        }
        roots.insert("call".to_owned(), facts);
    }
    roots
}

/// What a loop's item that is a lead tells of it, as a lead.
pub(super) fn lead_of_item(id: LeadId, account_id: AccountId, item: &Json, now: Timestamp) -> Option<Lead> {
    let mut facts = json!({"name": "", "score": 0, "stage": "", "opted_out": false, "fields": {},
        "created_at": now, "updated_at": now});
    let known = item.as_object()?.iter().filter(|(name, value)| {
        LEAD_FIELDS.contains(&name.as_str()) && *name != "first_name" && !value.is_null()
    });
    let facts_map = facts.as_object_mut()?;
    facts_map.extend(known.map(|(name, value)| (name.clone(), value.clone())));
    facts_map.insert("id".to_owned(), json!(id));
    facts_map.insert("account_id".to_owned(), json!(account_id));
    serde_json::from_value(facts).ok()
}

/// A map of one name.
fn named(name: &'static str, value: Value) -> Value {
    Value::from(BTreeMap::from([(name, value)]))
}

fn shared(value: &Kept) -> Value {
    Value::from(minijinja::value::Serde(&*value.0))
}

/// `steps`: each output is made ready only when an expression reads it, because a list of thousands costs milliseconds.
#[derive(Debug)]
struct Steps(BTreeMap<String, Kept>);

impl Object for Steps {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let output = self.0.get(key.as_str()?)?;
        Some(named("output", shared(output)))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.keys().map(Value::from).collect())
    }
}

fn lead_facts(lead: &Lead) -> Json {
    let mut facts = known(lead, LEAD_FIELDS);
    if let Some(facts) = facts.as_object_mut().filter(|_| !lead.first_name().is_empty()) {
        facts.insert(
            "first_name".to_owned(),
            Json::String(lead.first_name().to_owned()),
        );
    }
    facts
}

/// The fields of `facts` that are listed and have a value.
fn known(facts: &impl Serialize, fields: &[&str]) -> Json {
    let Ok(Json::Object(mut facts)) = serde_json::to_value(facts) else {
        return Json::Object(Map::new());
    };
    facts.retain(|field, value| {
        fields.contains(&field.as_str()) && !value.is_null() && value.as_str() != Some("")
    });
    Json::Object(facts)
}
