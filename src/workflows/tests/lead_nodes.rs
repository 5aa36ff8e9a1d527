//! What the nodes about leads ask for, and what is wrong with them before a run comes by.

use serde_json::{Value, json};

use super::story::{Story, acts, single};
use crate::{
    domain::lead::{Assignee, LeadEdit, LeadUpdate, ScoreChange},
    workflows::{
        Definition,
        effect::{Effect, Provider, Request},
        input::Input,
        validate,
    },
};

fn asked(kind: &str, params: &Value) -> Effect {
    let mut story = Story::new(&single(kind, params, &json!({})));
    let started = story.give(Input::Started);
    let effects = acts(&started);
    assert_eq!(effects.len(), 1, "{:?}", story.run.error());
    assert_eq!(effects[0].provider(), Provider::Lead);
    effects[0].clone()
}

fn edit(kind: &str, params: &Value) -> LeadEdit {
    let effect = asked(kind, params);
    let stored = serde_json::to_string(&effect).expect("an effect is JSON");
    assert_eq!(
        serde_json::from_str::<Effect>(&stored).expect("and comes back"),
        effect
    );
    match effect.request {
        Request::EditLead { edit } => edit,
        other => panic!("{other:?}"),
    }
}

fn failure(kind: &str, params: &Value) -> String {
    let mut story = Story::new(&single(kind, params, &json!({})));
    story.give(Input::Started);
    story.run.error().expect("it fails")
}

fn problems(kind: &str, params: &Value) -> Vec<(String, String)> {
    let definition = Definition::from_value(&single(kind, params, &json!({}))).expect("it has the shape");
    validate(&definition)
        .into_iter()
        .map(|problem| (problem.path, problem.code))
        .collect()
}

#[test]
fn an_update_renders_texts_wherever_they_stand() {
    let params = json!({"stage": "customer", "name": "{{ lead.first_name }} L.",
        "fields": {"paid": 5, "why": "{{ trigger.excerpt }}", "old": null}});
    let LeadEdit::Update(update) = edit("update_lead", &params) else {
        panic!("an update")
    };
    let expected = LeadUpdate {
        name: Some("Ada L.".to_owned()),
        stage: Some("customer".to_owned()),
        fields: [
            ("old".to_owned(), Value::Null),
            ("paid".to_owned(), json!(5)),
            ("why".to_owned(), json!("refund")),
        ]
        .into(),
        ..LeadUpdate::default()
    };
    assert_eq!(update, expected);
    let wrong = failure("update_lead", &json!({"phone": "{{ trigger.excerpt }}"}));
    assert!(wrong.contains("`refund` is not a phone number"), "{wrong}");
}

#[test]
fn a_score_adds_the_points_of_the_rules_that_hold() {
    let params = json!({"add": "{{ trigger.data.tries * 2 }}", "rules": [
        {"if": "lead.score > 80", "points": 10}, {"if": "lead.stage == 'won'", "points": 50},
        {"if": "trigger.score < 0", "points": -3}]});
    assert_eq!(
        edit("score_lead", &params),
        LeadEdit::Score(ScoreChange { set: None, add: 13 })
    );
    assert_eq!(
        edit("score_lead", &json!({"set": 20})),
        LeadEdit::Score(ScoreChange {
            set: Some(20),
            add: 0
        })
    );
    let wrong = failure("score_lead", &json!({"add": "{{ trigger.excerpt }}"}));
    assert!(wrong.contains("`add` gave `refund`"), "{wrong}");
}

#[test]
fn a_lead_is_assigned_by_name_or_by_rule() {
    let named = edit("assign_lead", &json!({"to": " ann@example.com "}));
    let LeadEdit::Assign { to, unless_assigned } = named else {
        panic!("an assignment")
    };
    assert_eq!(to, Assignee::One("ann@example.com".to_owned()));
    assert!(!unless_assigned);
    let ruled = edit(
        "assign_lead",
        &json!({"rule": "least_busy", "among": ["ann@example.com"]}),
    );
    assert!(matches!(
        ruled,
        LeadEdit::Assign {
            to: Assignee::ByRule { .. },
            ..
        }
    ));
}

#[test]
fn a_search_carries_its_whole_filter() {
    let params = json!({"stage": ["new", "qualified"], "score_min": 50, "birthday": "today",
        "timezone": "America/New_York", "created_within": "7d", "fields": {"city": "{{ lead.first_name }}"}, "limit": 10});
    let Request::FindLeads { filter, limit } = asked("find_leads", &params).request else {
        panic!("a search")
    };
    assert_eq!(limit, 10);
    assert_eq!(filter.stages, ["new", "qualified"]);
    assert_eq!(filter.birthday_in.as_deref(), Some("America/New_York"));
    assert_eq!(filter.fields["city"], json!("Ada"));
    assert_eq!(
        filter.created_within,
        Some(std::time::Duration::from_secs(7 * 86_400))
    );
    assert!(!filter.with_opted_out);
}

#[test]
fn a_long_list_of_leads_is_kept_whole() {
    let mut story = Story::new(&json!({"name": "w", "trigger": {"type": "schedule_like.own"},
        "nodes": [{"id": "find", "type": "find_leads", "params": {}},
            {"id": "many", "type": "condition", "params": {"if": "steps.find.output.leads | length == 5000"}},
            {"id": "tell", "type": "alert", "params": {"title": "{{ steps.find.output.count }} found"}}],
        "edges": [{"from": "trigger", "to": "find"}, {"from": "find", "to": "many"},
            {"from": "many", "port": "true", "to": "tell"}]}));
    let started = story.give(Input::Started);
    let effect = acts(&started)[0].clone();
    let lead = json!({"id": "lead_01h455vb4pex5vsknk084sn02q", "name": "Ada Lovelace", "first_name": "Ada",
        "phone": "+14155550100", "email": "ada.lovelace@example.com", "timezone": "America/Los_Angeles", "score": 50,
        "stage": "qualified"});
    let found = story.give(Input::EffectDone {
        key: effect.key.clone(),
        attempt: 1,
        provider_id: None,
        output: json!({"leads": vec![lead; 5_000], "count": 5_000}),
    });
    assert_eq!(acts(&found).len(), 1, "{:?}", story.run.error());
}

#[test]
fn what_is_wrong_is_named_before_anything_runs() {
    let path = |field: &str| format!("nodes[0].params.{field}");
    let table = [
        ("update_lead", json!({"phone": "12"}), "phone", "bad_phone"),
        ("update_lead", json!({"email": "nobody"}), "email", "bad_email"),
        (
            "update_lead",
            json!({"timezone": "Mars"}),
            "timezone",
            "bad_timezone",
        ),
        ("assign_lead", json!({}), "to", "bad_params"),
        (
            "assign_lead",
            json!({"to": "a", "rule": "round_robin"}),
            "to",
            "bad_params",
        ),
        (
            "assign_lead",
            json!({"to": "a", "among": ["b"]}),
            "among",
            "bad_params",
        ),
        ("score_lead", json!({"set": 101}), "set", "bad_params"),
        (
            "score_lead",
            json!({"rules": [{"if": "lead.nmae == 1", "points": 1}]}),
            "rules[0].if",
            "unknown_variable",
        ),
        (
            "find_leads",
            json!({"score_min": 60, "score_max": 50}),
            "score_min",
            "empty_range",
        ),
        (
            "find_leads",
            json!({"created_within": "soon"}),
            "created_within",
            "bad_span",
        ),
        ("find_leads", json!({"limit": 5001}), "limit", "bad_params"),
        (
            "find_leads",
            json!({"timezone": "Mars"}),
            "timezone",
            "bad_timezone",
        ),
    ];
    for (kind, params, field, code) in table {
        let found = problems(kind, &params);
        assert!(
            found.contains(&(path(field), code.to_owned())),
            "{kind} {params}: {found:?}"
        );
    }
}
