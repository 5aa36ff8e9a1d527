//! What validation finds, and what it says.

use serde_json::{Value, json};

use crate::workflows::{
    definition::{Definition, Enrolment, WhenActive},
    nodes,
    plan::Plan,
    problem::Problem,
};

/// The example of the public contract with the nodes of this version.
fn good() -> Value {
    json!({"name": "Negative feedback alert", "enabled": true,
     "trigger": {"type": "call.sentiment_negative", "filter": "call.direction == 'inbound'"},
     "settings": {"enrolment": "every_time", "timezone": "America/New_York", "quiet_hours": ["21:00", "08:00"],
        "exit_on": ["lead.opted_out"]},
     "nodes": [
      {"id": "tell", "type": "slack_message", "params": {"channel": "#managers", "text": "{{ lead.name }}: “{{ trigger.excerpt }}”"}},
      {"id": "happy", "type": "condition", "params": {"if": "lead.score > 80"}},
      {"id": "task", "type": "create_task", "params": {"title": "Call {{ lead.first_name }} back", "priority": "urgent", "due_in": "2h"}},
      {"id": "pause", "type": "delay", "params": {"for": "2h"}},
      {"id": "sorry", "type": "send_sms", "params": {"body": "We are sorry: {{ steps.tell.output.id }}"},
       "retry": {"max_attempts": 5, "initial_interval": "1s", "backoff": 2, "max_interval": "5m"}, "on_error": "continue"}],
     "edges": [{"from": "trigger", "to": "tell"}, {"from": "tell", "to": "happy"},
               {"from": "happy", "port": "true", "to": "task"}, {"from": "happy", "port": "false", "to": "pause"},
               {"from": "pause", "to": "sorry"}]})
}

pub(super) fn problems(definition: &Value) -> Vec<Problem> {
    Plan::from_json(&definition.to_string()).err().unwrap_or_default()
}

/// The example with the value at `pointer` replaced or, with an array index one past the end, added.
pub(super) fn with(pointer: &str, value: Value) -> Value {
    let mut definition = good();
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
    match definition.pointer_mut(parent).expect("a parent") {
        Value::Array(items) => {
            let at: usize = last.parse().expect("an index");
            if at == items.len() {
                items.push(value)
            } else {
                items[at] = value
            }
        }
        Value::Object(fields) => {
            fields.insert(last.to_owned(), value);
        }
        _ => panic!("no parent"),
    }
    definition
}

#[test]
fn the_contracts_example_is_fine_and_survives_its_own_json() {
    assert_eq!(problems(&good()), []);
    let definition = Definition::from_value(&good()).expect("the example");
    assert_eq!(
        Definition::from_json(&definition.to_json()).as_ref(),
        Ok(&definition)
    );
}

#[test]
fn a_cycle_through_a_fixed_delay_is_allowed() {
    assert_eq!(
        problems(&with("/edges/5", json!({"from": "sorry", "to": "happy"}))),
        []
    );
}

#[test]
fn all_problems_come_at_once() {
    let mut definition = good();
    definition["nam"] = json!("x");
    definition["nodes"][0]["prams"] = json!({});
    definition["edges"][0]["too"] = json!("x");
    assert_eq!(problems(&definition).len(), 3);
    let mut definition = good();
    definition["nodes"][0]["params"] = json!({});
    definition["nodes"][2]["params"]["title"] = json!("{{ lead.nme }} {{ leed }}");
    definition["edges"][4]["to"] = json!("sory");
    let codes: Vec<String> = problems(&definition)
        .into_iter()
        .map(|problem| problem.code)
        .collect();
    for code in [
        "missing_field",
        "unknown_variable",
        "dangling_edge",
        "unreachable",
    ] {
        assert!(codes.iter().any(|found| found == code), "{code}: {codes:?}");
    }
    assert_eq!(codes.iter().filter(|code| *code == "missing_field").count(), 2);
    assert_eq!(codes.iter().filter(|code| *code == "unknown_variable").count(), 2);
}

#[test]
fn what_is_no_workflow_at_all_is_refused() {
    for text in ["", "7", "[]", "{", "null"] {
        assert!(Plan::from_json(text).is_err(), "{text}");
    }
    let long = format!("{{\"name\": \"{}\"}}", "x".repeat(300_000));
    assert!(Plan::from_json(&long).is_err());
}

#[test]
fn accounts_may_name_their_own_events() {
    assert_eq!(problems(&with("/trigger/type", json!("shop.order_paid"))), []);
}

#[test]
fn enrolment_is_written_as_a_word_or_with_its_choice() {
    let table = [
        (json!("every_time"), Enrolment::EveryTime),
        (json!("once_per_lead"), Enrolment::OncePerLead),
        (
            json!("one_active_per_lead"),
            Enrolment::OneActivePerLead(WhenActive::Ignore),
        ),
        (
            json!({"one_active_per_lead": "queue"}),
            Enrolment::OneActivePerLead(WhenActive::Queue),
        ),
        (
            json!({"one_active_per_lead": "replace"}),
            Enrolment::OneActivePerLead(WhenActive::Replace),
        ),
    ];
    for (written, enrolment) in table {
        let definition = Definition::from_value(&with("/settings/enrolment", written)).expect("fine");
        assert_eq!(definition.settings.enrolment, enrolment);
        assert_eq!(
            Definition::from_json(&definition.to_json()).as_ref(),
            Ok(&definition)
        );
    }
}

#[test]
fn notes_are_kept_as_written_and_checked_for_their_shape() {
    let note = json!({"id": "n1", "text": "Ask Kim first", "at": [320, 0]});
    let noted = with("/notes", json!([note]));
    assert_eq!(problems(&noted), []);
    let definition = Definition::from_value(&noted).expect("fine");
    let written: Value = serde_json::from_str(&definition.to_json()).expect("JSON");
    assert_eq!(written["notes"], json!([note]));
    let wrong = problems(&with("/notes", json!([{"id": "n1", "text": 7, "at": [0, 0]}])));
    assert_eq!(
        wrong.first().map(|problem| problem.path.as_str()),
        Some("notes[0].text")
    );
}

#[test]
fn every_kind_has_a_schema_that_compiles_and_refuses_what_it_does_not_know() {
    for kind in nodes::catalogue() {
        let validator = jsonschema::validator_for(&kind.schema).expect(kind.name);
        assert!(!validator.is_valid(&json!({"no_such_field": 1})), "{}", kind.name);
        let has_ways_on = !kind.ports.is_empty() || kind.ports_from.is_some() || kind.name == "stop";
        assert!(has_ways_on && !kind.title.is_empty());
    }
}
