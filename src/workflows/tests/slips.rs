//! Every slip that validation knows: where it is found, and what is said of it.

use serde_json::{Value, json};

use super::validation::{problems, with};

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
            "settings.quiet_hours[0]",
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
            "settings.enrolment",
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
            "nodes[4].retry.initial_interval",
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
