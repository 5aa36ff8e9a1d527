//! The expression language: what it gives, what it refuses, what bounds it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::story::{START, Story, sms};
use crate::{
    domain::{
        call::Call,
        ids::ObservationId,
        observation::{EventType, Observation},
    },
    workflows::{
        definition::TriggerDefinition,
        expression::{
            ExpressionError, RENDERED_BYTES_MAX, condition_variables, evaluate, render, template_variables,
        },
        scope::{CALL_FIELDS, LEAD_FIELDS, Scope},
        trigger,
    },
};

fn scope() -> Scope {
    let mut story = Story::new(&sms(&json!({})));
    if let Some(lead) = &mut story.world.lead {
        lead.fields.insert("plan".to_owned(), json!("gold"));
    }
    let trigger =
        json!({"type": "call.no_answer", "data": {"n": 3, "nothing": null, "list": [1, 2], "s": "x"}});
    let outputs = BTreeMap::from([("ask".to_owned(), json!({"status": 200, "ok": true}))]);
    Scope::new(&story.world, &trigger, &outputs)
}

#[test]
fn templates_read_everything_in_scope() {
    let table = [
        ("plain {text}", "plain {text}"),
        ("Hi {{ lead.first_name }}!", "Hi Ada!"),
        ("{{ lead.fields.plan }} {{ trigger.data.n }}", "gold 3"),
        (
            "{{ steps.ask.output.status }} {{ steps.ask.output.ok }}",
            "200 true",
        ),
        ("{{ account.name }} {{ now }}", "Acme 2026-11-22T09:00:00.000Z"),
        ("{{ lead.email | default('none') }}", "none"),
        ("{% if lead.score > 80 %}top{% else %}other{% endif %}", "top"),
        (
            "{{ trigger.data.list | join('+') }} {{ trigger.data.list | json }}",
            "1+2 [1,2]",
        ),
        ("{{ '<b>' }}", "<b>"),
    ];
    for (template, text) in table {
        assert_eq!(render(template, &scope()).as_deref(), Ok(text), "{template}");
    }
}

#[test]
fn what_is_not_there_is_an_error_that_names_it_and_never_an_empty_text() {
    for (template, variable) in [
        ("{{ lead.email }}", "`lead.email`"),
        ("{{ lead.fields.birthday }}", "`lead.fields.birthday`"),
        ("{{ trigger.data.missing.deeper }}", "`trigger.data.missing`"),
        ("{{ call.from }}", "`call`"),
        ("{% if lead.email == 'x' %}a{% endif %}", "`lead.email`"),
        ("{{ lead['emial'] }}", "`lead['emial']`"),
    ] {
        let unknown = ExpressionError::UnknownVariable {
            variable: variable.to_owned(),
        };
        assert_eq!(render(template, &scope()), Err(unknown), "{template}");
    }
    for template in [
        "{{ trigger.data.nothing }}",
        "{{ lead }}",
        "{{ trigger.data.list }}",
    ] {
        assert!(
            matches!(render(template, &scope()), Err(ExpressionError::NotText(_))),
            "{template}"
        );
    }
}

#[test]
fn conditions_hold_or_not_or_say_what_they_lack() {
    for (condition, holds) in [
        ("lead.score > 80", true),
        ("lead.opted_out", false),
        ("trigger.data.n == 3 and 'x' in trigger.data.s", true),
        ("lead.email is defined", false),
        ("lead.stage in ['new', 'old']", true),
        ("trigger.data.nothing", false),
    ] {
        assert_eq!(evaluate(condition, &scope()), Ok(holds), "{condition}");
    }
    for condition in ["lead.email", "lead.email == 'x'", "not lead.email"] {
        let unknown = ExpressionError::UnknownVariable {
            variable: "`lead.email`".to_owned(),
        };
        assert_eq!(evaluate(condition, &scope()), Err(unknown), "{condition}");
    }
}

#[test]
fn work_memory_and_length_are_bounded() {
    for bomb in [
        "{{ 'x' * 100000000 }}",
        "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% set x = 'aaaaaaaaaa' * 1000 %}{% for i in range(1000) %}{{ x | replace('a', x) | length }}{% endfor %}",
    ] {
        assert!(render(bomb, &scope()).is_err(), "{bomb}");
    }
    let long = format!("{{{{ 'x' * {} }}}}", RENDERED_BYTES_MAX + 1);
    assert_eq!(render(&long, &scope()), Err(ExpressionError::TooLong));
    assert_eq!(
        render(&format!("{{{{ 1 }}}}{}", "x".repeat(40_000)), &scope()),
        Err(ExpressionError::TooLong)
    );
    assert!(render("{{ debug() }}", &scope()).is_err());
}

#[test]
fn words_the_language_does_not_have_are_found_without_running_into_them() {
    for wrong in [
        "{{ lead.name | uper }}",
        "{% if lead.opted_out %}{{ lead.name|uper }}{% endif %}",
        "{% if lead.name is strin %}x{% endif %}",
        "{{ 'a | b' | uper }}",
        "{% filter uper %}x{% endfilter %}",
    ] {
        assert!(
            matches!(template_variables(wrong), Err(ExpressionError::Syntax(_))),
            "{wrong}"
        );
    }
    for right in [
        "{{ 'a | b' | upper }} is nice | really",
        "{{ lead.name | default('x') | upper }}",
        "{% if lead.name is not none and lead.score is number %}x{% endif %}",
        "{# {{ x | nothing }} #}x",
        "{{ lead.name|length > 3 }}",
    ] {
        assert!(
            template_variables(right).is_ok(),
            "{right}: {:?}",
            template_variables(right)
        );
    }
    assert!(condition_variables("lead.score > 3 or lead.name | uper").is_err());
    assert_eq!(
        condition_variables("lead.score > 3 or call.gaps"),
        Ok(vec!["call.gaps".to_owned(), "lead.score".to_owned()])
    );
}

#[test]
fn the_field_lists_are_the_fields() {
    let story = Story::new(&sms(&json!({})));
    let lead = serde_json::to_value(story.world.lead.as_ref()).expect("a lead");
    let mut listed: Vec<&str> = LEAD_FIELDS
        .iter()
        .copied()
        .filter(|field| *field != "first_name")
        .collect();
    listed.push("account_id");
    let mut has: Vec<&str> = lead
        .as_object()
        .expect("fields")
        .keys()
        .map(String::as_str)
        .collect();
    listed.sort_unstable();
    has.sort_unstable();
    assert_eq!(listed, has);
    let call: Value = json!({"id": "call_01h455vb4pex5vsknk084sn02q", "account_id": "acc_01h455vb4pex5vsknk084sn02q",
        "sid": "CA1", "lead_id": null, "direction": "inbound", "from": "+14155550100", "to": "+14155550101",
        "status": "ringing", "sequence": null, "dial_status": null, "answered_by": null, "duration_s": null,
        "sip_code": null, "recording_url": null, "voicemail": false, "stream": null, "gaps": 0, "trend": null,
        "started_at": "2026-11-22T09:00:00Z", "answered_at": null, "ended_at": null});
    let call: Call = serde_json::from_value(call).expect("a call");
    let fields = serde_json::to_value(&call).expect("a call");
    // The summary is made of the transcript when it is read.
    for field in CALL_FIELDS.iter().filter(|field| **field != "summary") {
        assert!(fields.get(field).is_some(), "{field}");
    }
}

#[test]
fn a_trigger_matches_by_type_name_and_filter() {
    let story = Story::new(&sms(&json!({})));
    let fact = |kind, data| Observation {
        id: ObservationId::derived(START, &[b"fact"]),
        account_id: story.run.account_id(),
        kind,
        at: START,
        lead_id: story.run.lead_id(),
        call_id: None,
        caused_by: None,
        trace: None,
        data,
    };
    let trigger =
        |written: Value| -> TriggerDefinition { serde_json::from_value(written).expect("a trigger") };
    let angry = fact(
        EventType::CALL_SENTIMENT_NEGATIVE,
        json!({"excerpt": "refund", "score": -0.9, "rule": "2 of 3"}),
    );
    let table = [
        (json!({"type": "call.sentiment_negative"}), Ok(true)),
        (json!({"type": "call.no_answer"}), Ok(false)),
        (
            json!({"type": "call.sentiment_negative", "filter": "trigger.score < -0.5 and lead.score > 80"}),
            Ok(true),
        ),
        (
            json!({"type": "call.sentiment_negative", "filter": "trigger.data.rule == 'cue'"}),
            Ok(false),
        ),
    ];
    for (written, expected) in table {
        assert_eq!(
            trigger::matches(&trigger(written.clone()), &angry, &story.world),
            expected,
            "{written}"
        );
    }
    let lacking = trigger(json!({"type": "call.sentiment_negative", "filter": "lead.email == 'x'"}));
    assert!(trigger::matches(&lacking, &angry, &story.world).is_err());
    let hook = trigger(json!({"type": "webhook", "name": "order_paid"}));
    let named = |name: &str| fact(EventType::WEBHOOK, json!({"name": name}));
    assert_eq!(
        trigger::matches(&hook, &named("order_paid"), &story.world),
        Ok(true)
    );
    assert_eq!(trigger::matches(&hook, &named("other"), &story.world), Ok(false));
    let value = trigger::value_of(&angry);
    assert_eq!(
        (&value["excerpt"], &value["type"], &value["data"]["rule"]),
        (
            &json!("refund"),
            &json!("call.sentiment_negative"),
            &json!("2 of 3")
        )
    );
}

proptest! {
    #[test]
    fn no_source_whatsoever_brings_the_language_down(source in "[{}%#| .a-z0-9'\"()*\\[\\]-]{0,60}") {
        let scope = scope();
        let known = template_variables(&source);
        let rendered = render(&source, &scope);
        prop_assert!(known.is_ok() || rendered.is_err() || source.contains("{#"), "{source}: {known:?} {rendered:?}");
        let _ = (condition_variables(&source), evaluate(&source, &scope));
    }
}
