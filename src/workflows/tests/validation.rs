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

fn problems(definition: &Value) -> Vec<Problem> {
    Plan::from_json(&definition.to_string()).err().unwrap_or_default()
}

/// The example with the value at `pointer` replaced or, with an array index one past the end, added.
fn with(pointer: &str, value: Value) -> Value {
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
#[expect(clippy::too_many_lines, reason = "one table, one slip a row")]
fn each_slip_is_found_at_its_place_with_a_fix() {
    let node = |node: Value| with("/nodes/2", node);
    let task = |params: Value| node(json!({"id": "task", "type": "create_task", "params": params}));
    let sms = |params: Value| {
        with(
            "/nodes/4",
            json!({"id": "sorry", "type": "send_sms", "params": params}),
        )
    };
    let table: Vec<(Value, &str, &str, &str)> = vec![
        (
            with("/nam", json!("x")),
            "nam",
            "unknown_field",
            "did you mean `name`?",
        ),
        (with("/name", json!(" ")), "name", "bad_name", "use 1 to"),
        (with("/name", json!(7)), "name", "wrong_type", ""),
        (
            with("/trigger/type", json!("call.no_anser")),
            "trigger.type",
            "unknown_event",
            "did you mean `call.no_answer`?",
        ),
        (
            with("/trigger/type", json!("call.exploded")),
            "trigger.type",
            "unknown_event",
            "",
        ),
        (
            with("/trigger/type", json!("webhook")),
            "trigger.name",
            "missing_field",
            "add `name`",
        ),
        (
            with("/trigger/type", json!("schedule")),
            "trigger.cron",
            "missing_field",
            "",
        ),
        (
            with("/trigger/nme", json!("x")),
            "trigger.nme",
            "unknown_field",
            "",
        ),
        (
            with("/trigger/filter", json!("call.direction ==")),
            "trigger.filter",
            "expression_syntax",
            "",
        ),
        (
            with("/trigger/filter", json!("steps.tell.output.id")),
            "trigger.filter",
            "step_not_upstream",
            "",
        ),
        (
            with("/trigger/filter", json!("'refund' in call.summary")),
            "trigger.filter",
            "unknown_variable",
            "",
        ),
        (
            with("/settings/timezon", json!("UTC")),
            "settings.timezon",
            "unknown_field",
            "did you mean `timezone`?",
        ),
        (
            with("/settings/timezone", json!("new york")),
            "settings.timezone",
            "bad_timezone",
            "",
        ),
        (
            with("/settings/quiet_hours", json!(["9pm", "08:00"])),
            "settings",
            "wrong_type",
            "",
        ),
        (
            with("/settings/quiet_hours", json!(["09:00", "09:00"])),
            "settings.quiet_hours",
            "bad_quiet_hours",
            "",
        ),
        (
            with("/settings/enrolment", json!("sometimes")),
            "settings",
            "wrong_type",
            "",
        ),
        (
            with("/settings/exit_on/0", json!("lead.opted_ot")),
            "settings.exit_on[0]",
            "unknown_event",
            "lead.opted_out",
        ),
        (with("/nodes/2/id", json!("my-task")), "nodes[2].id", "bad_id", ""),
        (
            with("/nodes/2/id", json!("tell")),
            "nodes[2].id",
            "duplicate_id",
            "",
        ),
        (
            with("/nodes/2/type", json!("create_taks")),
            "nodes[2].type",
            "unknown_node_type",
            "did you mean `create_task`?",
        ),
        (
            with("/nodes/2/prams", json!({})),
            "nodes[2].prams",
            "unknown_field",
            "did you mean `params`?",
        ),
        (
            with("/nodes/4/retry/max_attempts", json!(0)),
            "nodes[4].retry.max_attempts",
            "bad_retry",
            "",
        ),
        (
            with("/nodes/4/retry/backoff", json!(0.5)),
            "nodes[4].retry.backoff",
            "bad_retry",
            "",
        ),
        (
            with("/nodes/4/retry/max_interval", json!("10ms")),
            "nodes[4].retry.max_interval",
            "bad_retry",
            "",
        ),
        (
            with("/nodes/4/retry/initial_interval", json!("soon")),
            "nodes[4]",
            "wrong_type",
            "",
        ),
        (
            task(json!({})),
            "nodes[2].params.title",
            "missing_field",
            "add `title`",
        ),
        (
            task(json!({"title": "x", "priorty": "low"})),
            "nodes[2].params.priorty",
            "unknown_field",
            "did you mean `priority`?",
        ),
        (
            task(json!({"title": "x", "priority": "asap"})),
            "nodes[2].params.priority",
            "bad_params",
            "",
        ),
        (
            task(json!({"title": 7})),
            "nodes[2].params.title",
            "bad_params",
            "",
        ),
        (
            task(json!({"title": "x", "due_in": "2 hours"})),
            "nodes[2].params.due_in",
            "bad_span",
            "",
        ),
        (
            task(json!({"title": "{{ lead.name"})),
            "nodes[2].params.title",
            "expression_syntax",
            "",
        ),
        (
            task(json!({"title": "{{ lead.nme }}"})),
            "nodes[2].params.title",
            "unknown_variable",
            "did you mean `name`?",
        ),
        (
            task(json!({"title": "{{ leed.name }}"})),
            "nodes[2].params.title",
            "unknown_variable",
            "did you mean `lead`?",
        ),
        (
            task(json!({"title": "{{ trigger.exceprt }}"})),
            "nodes[2].params.title",
            "unknown_variable",
            "excerpt",
        ),
        (
            task(json!({"title": "{{ steps.tel.output.id }}"})),
            "nodes[2].params.title",
            "unknown_step",
            "did you mean `tell`?",
        ),
        (
            task(json!({"title": "{{ steps.pause.output }}"})),
            "nodes[2].params.title",
            "step_not_upstream",
            "",
        ),
        (
            task(json!({"title": "{{ steps.tell.id }}"})),
            "nodes[2].params.title",
            "unknown_variable",
            "steps.<id>.output",
        ),
        (
            task(json!({"title": "{{ lead.name | uper }}"})),
            "nodes[2].params.title",
            "expression_syntax",
            "",
        ),
        (
            task(json!({"title": "{% if lead.opted_out %}{{ lead.name | uper }}{% endif %}"})),
            "nodes[2].params.title",
            "expression_syntax",
            "",
        ),
        (
            task(json!({"title": "{% include 'secrets' %}"})),
            "nodes[2].params.title",
            "expression_syntax",
            "",
        ),
        (
            sms(json!({"body": "x", "to": "555"})),
            "nodes[4].params.to",
            "bad_phone",
            "",
        ),
        (
            with("/nodes/3/params", json!({"for": "2 hours"})),
            "nodes[3].params.for",
            "bad_span",
            "",
        ),
        (
            with(
                "/nodes/3/params",
                json!({"for": "2h", "until": "2030-01-01T00:00:00Z"}),
            ),
            "nodes[3].params",
            "bad_params",
            "",
        ),
        (
            with("/nodes/3/params", json!({"for": "4000d"})),
            "nodes[3].params.for",
            "delay_too_long",
            "",
        ),
        (
            with("/nodes/3/params", json!({"until": "tomorrow"})),
            "nodes[3].params.until",
            "bad_time",
            "",
        ),
        (
            with(
                "/nodes/4",
                json!({"id": "sorry", "type": "webhook", "params": {"url": "ftp://x"}}),
            ),
            "nodes[4].params.url",
            "bad_url",
            "",
        ),
        (
            with(
                "/nodes/5",
                json!({"id": "alone", "type": "delay", "params": {"for": "1s"}}),
            ),
            "nodes[5]",
            "unreachable",
            "",
        ),
        (
            with("/edges/4/to", json!("sory")),
            "edges[4].to",
            "dangling_edge",
            "did you mean `sorry`?",
        ),
        (
            with("/edges/4/from", json!("pauze")),
            "edges[4].from",
            "dangling_edge",
            "did you mean `pause`?",
        ),
        (
            with("/edges/4/to", json!("trigger")),
            "edges[4].to",
            "edge_to_trigger",
            "",
        ),
        (
            with("/edges/2/port", json!("yes")),
            "edges[2].port",
            "bad_port",
            "known: true, false",
        ),
        (
            with("/edges/4/port", json!("error")),
            "edges[4].port",
            "bad_port",
            "",
        ),
        (
            with("/edges/0/port", json!("error")),
            "edges[0].port",
            "bad_port",
            "",
        ),
        (
            with("/edges/5", json!({"from": "pause", "to": "sorry"})),
            "edges[5]",
            "duplicate_edge",
            "",
        ),
        (
            with("/edges/5", json!({"from": "task", "to": "happy"})),
            "nodes[1]",
            "cycle_without_delay",
            "",
        ),
        (with("/edges", json!([])), "edges", "nothing_starts", ""),
        (with("/nodes", json!([])), "nodes", "no_nodes", ""),
        (with("/nodes", json!({})), "nodes", "wrong_type", ""),
    ];
    for (definition, path, code, fix) in table {
        let found = problems(&definition);
        let hit = found
            .iter()
            .find(|problem| problem.path == path && problem.code == code);
        assert!(
            hit.is_some_and(|problem| problem.fix.contains(fix)),
            "{path} {code} {fix}: {found:#?}"
        );
    }
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
        Some("notes[0]")
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
