//! What expressions can see: `trigger`, `lead`, `call`, `steps`, `account`, `now`.
//!
//! The lead and the call are read fresh for every transition by the shell and handed in as [`World`]; the run itself keeps
//! only its trigger and its steps' outputs. A field that is not known is absent, so that reading it is an error: a null or
//! an empty name must not end up in a message.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::domain::{call::Call, ids::AccountId, lead::Lead, time::Timestamp};

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
}

/// The account as expressions see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountFacts {
    pub id: AccountId,
    pub name: String,
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
        let mut roots = Map::new();
        roots.insert("trigger".to_owned(), trigger.clone());
        roots.insert("steps".to_owned(), Json::Object(steps));
        roots.insert("account".to_owned(), known(&world.account, ACCOUNT_FIELDS));
        roots.insert("now".to_owned(), Json::String(world.now.to_string()));
        if let Some(lead) = &world.lead {
            roots.insert("lead".to_owned(), lead_facts(lead));
        }
        if let Some(call) = &world.call {
            roots.insert("call".to_owned(), known(call, CALL_FIELDS));
        }
        Self(minijinja::Value::from(minijinja::value::Serde(&roots)))
    }

    pub(super) const fn value(&self) -> &minijinja::Value {
        &self.0
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
