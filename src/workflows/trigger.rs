//! Triggers: which facts start a workflow, and what the run knows of them.

use serde_json::{Map, Value, json};

use super::{
    clockwork,
    definition::TriggerDefinition,
    expression::{ExpressionError, evaluate},
    problem::Problem,
    scope::{Scope, World},
};
use crate::domain::{
    ids::{LeadId, RunId},
    observation::{EventType, Observation},
    time::Timestamp,
};

/// Evidence in an observation's data that is reached without `data.` too.
const EVIDENCE: &[&str] = &["excerpt", "score"];

/// Where a run's trigger keeps the run that led to it.
const CAUSED_BY: &str = "caused_by";

/// What a type of trigger takes besides `type` and `filter`.
struct Takes {
    kind: EventType,
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

const TAKES: &[Takes] = &[
    Takes {
        kind: EventType::WEBHOOK,
        required: &["name"],
        optional: &[],
    },
    Takes {
        kind: EventType::SCHEDULE,
        required: &["cron"],
        optional: &["timezone", "catch_up"],
    },
    Takes {
        kind: EventType::QUOTE_UNPAID,
        required: &[],
        optional: &["after"],
    },
    Takes {
        kind: EventType::PURCHASE_COMPLETED,
        required: &[],
        optional: &["after"],
    },
];

/// Returns what `trigger` is in the run's expressions, for a run that a fact starts.
#[must_use]
pub fn value_of(observation: &Observation) -> Value {
    let mut value = Map::new();
    value.insert("type".to_owned(), json!(observation.kind));
    value.insert("at".to_owned(), json!(observation.at));
    if let Some(call_id) = observation.call_id {
        value.insert("call_id".to_owned(), json!(call_id));
    }
    if let Some(lead_id) = observation.lead_id {
        value.insert("lead_id".to_owned(), json!(lead_id));
    }
    if let Some(run_id) = observation.caused_by {
        value.insert(CAUSED_BY.to_owned(), json!(run_id));
    }
    for name in EVIDENCE {
        if let Some(evidence) = observation.data.get(*name).filter(|evidence| !evidence.is_null()) {
            value.insert((*name).to_owned(), evidence.clone());
        }
    }
    value.insert("data".to_owned(), observation.data.clone());
    Value::Object(value)
}

/// Returns the run that led to the fact behind `trigger`, when one did.
#[must_use]
pub fn cause_of(trigger: &Value) -> Option<RunId> {
    trigger.get(CAUSED_BY)?.as_str()?.parse().ok()
}

/// Returns what `trigger` is for a run that a person or the API starts with `data`.
#[must_use]
pub fn manual_value(lead_id: Option<LeadId>, data: Value, at: Timestamp) -> Value {
    let mut value = Map::from_iter([
        ("type".to_owned(), json!(EventType::MANUAL)),
        ("at".to_owned(), json!(at)),
        ("data".to_owned(), data),
    ]);
    if let Some(lead_id) = lead_id {
        value.insert("lead_id".to_owned(), json!(lead_id));
    }
    Value::Object(value)
}

/// Whether a fact starts the workflow: its type fits, its params fit, and the filter holds.
///
/// # Errors
/// When the filter cannot be decided, for example because it reads a field the lead does not have. No run is started
/// then, and the author should see why.
pub fn matches(
    trigger: &TriggerDefinition,
    observation: &Observation,
    world: &World,
) -> Result<bool, ExpressionError> {
    let named =
        trigger.kind != EventType::WEBHOOK || trigger.params.get("name") == observation.data.get("name");
    // A trigger with a wait starts when it is over, never from the fact it waits after.
    let in_time = clockwork::wait_of(trigger).is_none_or(|wait| wait.is_over_in(observation));
    if trigger.kind != observation.kind || !named || !in_time {
        return Ok(false);
    }
    match &trigger.filter {
        None => Ok(true),
        Some(filter) => {
            let scope = Scope::new(world, &value_of(observation), &std::collections::BTreeMap::new());
            evaluate(filter, &scope)
        }
    }
}

/// Checks type and params; the filter is an expression and checked with the others.
pub(super) fn check(trigger: &TriggerDefinition, problems: &mut Vec<Problem>) {
    let before = problems.len();
    if let Some(problem) = check_event("trigger.type", &trigger.kind) {
        problems.push(problem);
        return;
    }
    let takes = TAKES.iter().find(|takes| takes.kind == trigger.kind);
    let (required, optional) = takes.map_or((&[][..], &[][..]), |takes| (takes.required, takes.optional));
    let known: Vec<&str> = [&["type", "filter"], required, optional].concat();
    for name in trigger
        .params
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
    {
        problems.push(Problem::unknown(
            format!("trigger.{name}"),
            "unknown_field",
            "field",
            name,
            &known,
        ));
    }
    for name in required {
        let given = trigger
            .params
            .get(*name)
            .and_then(Value::as_str)
            .is_some_and(|text| !text.trim().is_empty());
        if !given {
            let message = format!("`{}` needs `{name}`", trigger.kind);
            problems.push(Problem::new(
                format!("trigger.{name}"),
                "missing_field",
                message,
                format!("add `{name}`"),
            ));
        }
    }
    if problems.len() == before {
        clockwork::check(trigger, problems);
    }
}

/// Checks the name of an event: one of ours, or an account's own dotted name that is not a slip of one of ours.
pub(super) fn check_event(path: &str, kind: &EventType) -> Option<Problem> {
    let known: Vec<&str> = EventType::ALL.iter().map(EventType::as_str).collect();
    let name = kind.as_str();
    if known.contains(&name) {
        return None;
    }
    let family = name.split_once('.').map(|(family, _)| family);
    let of_ours = known
        .iter()
        .any(|ours| ours.split_once('.').map(|(family, _)| family) == family);
    let a_slip = known
        .iter()
        .any(|ours| strsim::damerau_levenshtein(ours, name) <= 2);
    let well_formed = name.split('.').all(|part| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    });
    let own = family.is_some() && !of_ours && !a_slip && well_formed;
    (!own).then(|| Problem::unknown(path, "unknown_event", "event", name, &known))
}
