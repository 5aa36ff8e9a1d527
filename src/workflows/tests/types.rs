//! Slips of type: what is refused before it is published, and what must never be.

use serde_json::json;

use super::story::single;
use crate::workflows::{Definition, validate};

fn problems(condition: &str) -> Vec<(String, String, String)> {
    let definition = single("alert", &json!({"title": condition}), &json!({}));
    of(&definition)
}

fn problems_of_condition(condition: &str) -> Vec<(String, String, String)> {
    let definition = json!({"name": "w", "trigger": {"type": "call.no_answer"},
        "nodes": [{"id": "good", "type": "condition", "params": {"if": condition}},
            {"id": "task", "type": "create_task", "params": {"title": "t"}}],
        "edges": [{"from": "trigger", "to": "good"}, {"from": "good", "port": "true", "to": "task"}]});
    of(&definition)
}

fn of(definition: &serde_json::Value) -> Vec<(String, String, String)> {
    let definition = Definition::from_value(definition).expect("the shape of a workflow");
    let problems = validate(&definition).into_iter();
    problems
        .map(|problem| (problem.path, problem.code, problem.message))
        .collect()
}

#[test]
fn what_never_works_is_refused_with_its_place_and_its_reason() {
    for (condition, said) in [
        ("lead.score > 'a'", "`lead.score` is a number and `'a'` is text"),
        ("lead.score == '80'", "comparing them never tells anything"),
        ("'x' == lead.score", "comparing them never tells anything"),
        ("lead.stage == 3", "`lead.stage` is text and `3` is a number"),
        ("lead.opted_out == 'yes'", "`lead.opted_out` is true or false"),
        ("lead.name - 1 > 2", "`-` does not work"),
        ("lead.score | length > 3", "the filter `length` does not work"),
        ("lead.name | round > 3", "the filter `round` does not work"),
        (
            "lead.name.first == 'Ada'",
            "`lead.name` is text: it has no `first`",
        ),
        ("lead.name.upper() == 'ADA'", "it has no method `upper`"),
        ("lead.score in 5", "`in` does not work"),
        ("10 < lead.name < 20", "comparing them never tells anything"),
        ("not (lead.score > 'a')", "comparing them never tells anything"),
        (
            "[lead.score > 'a'] | length > 0",
            "comparing them never tells anything",
        ),
        ("-lead.name == 3", "it has no negative"),
    ] {
        let found = problems_of_condition(condition);
        assert!(
            found.iter().any(|(path, code, message)| {
                path == "nodes[0].params.if" && code == "type_mismatch" && message.contains(said)
            }),
            "{condition}: {found:?}"
        );
    }
    for (template, said) in [
        ("{{ lead }}", "`lead` is a map, not text"),
        ("{{ lead.fields }}", "is a map, not text"),
        (
            "{% if lead.score > 'a' %}x{% endif %}",
            "comparing them never tells anything",
        ),
        (
            "{% for x in lead.score %}{{ x }}{% endfor %}",
            "is a number, not a list",
        ),
        (
            "{{ 'yes' if lead.score > 'a' else 'no' }}",
            "comparing them never tells anything",
        ),
        (
            "{{ lead.name | upper | round }}",
            "the filter `round` does not work",
        ),
    ] {
        let found = problems(template);
        assert!(
            found.iter().any(|(path, code, message)| {
                path == "nodes[0].params.title" && code == "type_mismatch" && message.contains(said)
            }),
            "{template}: {found:?}"
        );
    }
    let found = problems("{{ lead.first_nam }}");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].1, "unknown_variable");
}

#[test]
fn what_may_work_is_never_refused() {
    for condition in [
        "lead.score > 80 and lead.stage == 'new'",
        "trigger.data.amount > 100",
        "trigger.data.amount == '100'",
        "trigger.score < -0.5",
        "trigger.score == '9'",
        "lead.fields.plan == 'pro' or lead.fields.seats > 3",
        "lead.stage in ['new', 'qualified']",
        "'vip' in lead.name",
        "lead.timezone is defined and lead.timezone != 'UTC'",
        "lead.name.nick is defined",
        "lead.email | default('') | length > 0",
        "lead.score | string == '80'",
        "lead.phone | replace('+', '') | int > 5",
        "lead.name | length > 3",
        "lead.name | upper == 'ADA'",
        "lead.score == none",
        "lead.created_at < now",
        "call.duration_s > 30 if call.duration_s is defined else false",
        "(lead.score / 10) | round | int >= 8",
        "lead.name ~ lead.score == 'Ada80'",
        "lead.opted_out == true",
        "lead.opted_out == 1",
        "lead.opted_out_of | length == 0",
        "trigger.data.items | map(attribute='price') | sum > 10",
        "trigger.data.text.upper() == 'X'",
        "lead.name[0] == 'A'",
        "lead.name[:3] == 'Ada'",
        "lead.first_name | lower in trigger.data.names",
        "lead.score * 2 > 100 and not lead.opted_out",
    ] {
        assert_eq!(problems_of_condition(condition), [], "{condition}");
    }
    for template in [
        "{{ lead.name | default('there') }} {{ lead.score }} {{ lead.opted_out }}",
        "{{ lead.fields | json }} {{ lead.opted_out_of | join(', ') }}",
        "{% set lead = 5 %}{{ lead + 1 }}",
        "{% for name in trigger.data.names %}{{ name }}{{ loop.index }}{% endfor %}",
        "{% with score = lead.score %}{{ score | string | upper }}{% endwith %}",
        "{{ lead.name | replace('a', 'b') }}",
        "{{ trigger.data }}",
    ] {
        assert_eq!(problems(template), [], "{template}");
    }
}
