//! Two versions over what really happened.

use std::time::Duration;

use serde_json::{Value, json};

use super::story::{START, lead};
use crate::{
    domain::{
        contact_caps::ContactCaps,
        ids::{AccountId, ObservationId, WorkflowId},
        lead::Lead,
        observation::{EventType, Observation},
        time::Timestamp,
        tokens::Tokens,
    },
    workflows::{
        AccountFacts, Plan, World,
        backtest::{Backtest, CASES_MAX, Case, Gating, Verdict, backtest},
        calendar::zone,
        gate_caps::Caps,
        gate_rules::GateRules,
    },
};

fn account_id() -> AccountId {
    AccountId::derived(START, &[b"account"])
}

fn hour(hours: u64) -> Timestamp {
    START.plus(Duration::from_secs(hours * 3_600))
}

/// An unanswered call after `hours` hours, after `tries` tries.
fn case(hours: u64, tries: u64, later: &[(&str, u64)]) -> Case {
    let person: Lead = lead(account_id());
    let fact = |kind: EventType, at: Timestamp, data: Value| Observation {
        id: ObservationId::derived(at, &[kind.as_str().as_bytes()]),
        account_id: account_id(),
        kind,
        at,
        lead_id: Some(person.id),
        call_id: None,
        caused_by: None,
        trace: None,
        data,
    };
    Case {
        observation: fact(EventType::CALL_NO_ANSWER, hour(hours), json!({"tries": tries})),
        earlier: Vec::new(),
        later: later
            .iter()
            .map(|(kind, at)| fact(EventType::new(*kind), hour(*at), json!({})))
            .collect(),
        world: World {
            now: hour(hours),
            account: AccountFacts {
                id: account_id(),
                name: "Acme".to_owned(),
                require_consent: false,
            },
            lead: Some(person),
            call: None,
            call_summary: None,
        },
    }
}

fn plan(filter: &str, text: &str, settings: &Value) -> Plan {
    let definition = json!({"name": "w", "trigger": {"type": "call.no_answer", "filter": filter}, "settings": settings,
        "nodes": [{"id": "pause", "type": "delay", "params": {"for": "2h"}},
            {"id": "text", "type": "send_sms", "params": {"body": text}}],
        "edges": [{"from": "trigger", "to": "pause"}, {"from": "pause", "to": "text"}]});
    Plan::from_json(&definition.to_string()).expect("a valid definition")
}

/// The rules of a gate that lets through one text message a day.
fn one_a_day() -> GateRules {
    GateRules {
        quiet_hours: None,
        zone: zone("America/New_York").expect("a zone"),
        require_consent: false,
        reply_within: Duration::ZERO,
        caps_replies: true,
        caps: Caps {
            sms: ContactCaps {
                per_day: 1,
                per_week: 0,
            },
            ..Caps::default()
        },
    }
}

fn compare(published: Option<&Plan>, edited: &Plan, cases: &[Case]) -> Backtest {
    compare_gated(published, edited, None, cases)
}

fn compare_gated(
    published: Option<&Plan>,
    edited: &Plan,
    rules: Option<&GateRules>,
    cases: &[Case],
) -> Backtest {
    let workflow_id = WorkflowId::derived(START, &[b"workflow"]);
    let gating = Gating { rules, people: &[] };
    backtest(workflow_id, published, edited, gating, &|_| None, cases)
}

#[test]
fn who_gains_loses_or_reads_something_else_is_told_and_the_rest_is_counted() {
    let published = plan("trigger.data.tries < 3", "Hi {{ lead.first_name }}", &json!({}));
    let edited = plan(
        "trigger.data.tries > 1",
        "{% if trigger.data.tries == 2 %}Hello{% else %}Hi{% endif %} {{ lead.first_name }}",
        &json!({}),
    );
    let cases = [
        case(0, 1, &[]),
        case(10, 2, &[]),
        case(20, 3, &[]),
        case(30, 0, &[]),
    ];
    let found = compare(Some(&published), &edited, &cases);
    assert_eq!(
        (found.cases, found.gains, found.loses, found.changed, found.same),
        (4, 1, 2, 1, 0)
    );
    let verdicts: Vec<_> = found
        .differences
        .iter()
        .map(|difference| difference.verdict)
        .collect();
    assert_eq!(
        verdicts,
        [Verdict::Loses, Verdict::Changed, Verdict::Gains, Verdict::Loses]
    );
    let changed = &found.differences[1];
    assert_eq!(changed.published.sent[0].text.as_deref(), Some("Hi Ada"));
    assert_eq!(changed.edited.sent[0].text.as_deref(), Some("Hello Ada"));
    assert_eq!(changed.edited.sent[0].at, hour(12), "at its own virtual time");
    assert_eq!(
        found.differences[0].edited.not_started.as_deref(),
        Some("the trigger does not match")
    );
    assert_eq!(found.published_tokens, Tokens::from_thousandths(4_500));
    assert_eq!(found.edited_tokens, Tokens::from_thousandths(3_000));
}

#[test]
fn what_happened_afterwards_ends_the_runs_that_would_have_ended() {
    let published = plan("true", "Hi", &json!({}));
    let edited = plan("true", "Hi", &json!({"exit_on": ["sms.received"]}));
    let cases = [
        case(0, 1, &[("sms.received", 1)]),
        case(10, 1, &[("sms.received", 13)]),
    ];
    let found = compare(Some(&published), &edited, &cases);
    assert_eq!((found.loses, found.same), (1, 1));
    assert_eq!(found.differences[0].at, hour(0));
}

#[test]
fn enrolment_counts_the_earlier_runs_of_each_version() {
    let published = plan("true", "Hi", &json!({}));
    let once = plan("true", "Hi", &json!({"enrolment": "once_per_lead"}));
    let active = plan("true", "Hi", &json!({"enrolment": "one_active_per_lead"}));
    let cases = [case(0, 1, &[]), case(1, 1, &[]), case(10, 1, &[])];
    assert_eq!(compare(Some(&published), &once, &cases).loses, 2);
    assert_eq!(
        compare(Some(&published), &active, &cases).loses,
        1,
        "the second comes while the first waits"
    );
    assert_eq!(
        compare(None, &published, &cases).gains,
        3,
        "nothing was published"
    );
}

#[test]
fn caps_hold_over_all_the_runs_that_a_version_would_have_started() {
    let edited = plan("true", "Hi", &json!({}));
    let cases = [case(0, 1, &[]), case(10, 1, &[]), case(30, 1, &[])];
    let found = compare_gated(None, &edited, Some(&one_a_day()), &cases);
    let sent: Vec<_> = found
        .differences
        .iter()
        .map(|difference| difference.edited.sent[0].at)
        .collect();
    assert_eq!(
        (found.gains, found.same),
        (2, 1),
        "the second comes within a day of the first"
    );
    assert_eq!(sent, [hour(2), hour(32)]);
}

#[test]
fn a_wait_finds_what_happened_before_the_recorded_fact() {
    let definition = json!({"name": "w", "trigger": {"type": "call.no_answer"},
        "nodes": [{"id": "paid", "type": "wait_for", "params": {"event": "payment.received", "look_back": "1d", "timeout": "1h"}},
            {"id": "thanks", "type": "send_sms", "params": {"body": "Thanks"}}],
        "edges": [{"from": "trigger", "to": "paid"}, {"from": "paid", "port": "event", "to": "thanks"}]});
    let edited = Plan::from_json(&definition.to_string()).expect("a valid definition");
    let mut with_past = case(30, 1, &[]);
    let paid = case(10, 1, &[("payment.received", 20)]).later;
    with_past.earlier = paid;
    let found = compare(None, &edited, &[case(30, 1, &[]), with_past]);
    assert_eq!((found.gains, found.same), (1, 1));
}

#[test]
fn a_backtest_takes_its_bound_of_facts_and_of_steps_in_each_and_says_where_it_stopped() {
    let edited = plan("true", "Hi", &json!({}));
    let one_more: Vec<Case> = (0..=CASES_MAX)
        .map(|hours| case(u64::try_from(hours).unwrap_or(0), 1, &[]))
        .collect();
    let found = compare(None, &edited, &one_more);
    assert_eq!((found.cases, found.gains), (CASES_MAX, CASES_MAX));
    // Round and round: a wait of a minute, for ever.
    let endless = json!({"name": "w", "trigger": {"type": "call.no_answer"},
        "nodes": [{"id": "pause", "type": "delay", "params": {"for": "1m"}},
            {"id": "text", "type": "send_sms", "params": {"body": "Hi"}}],
        "edges": [{"from": "trigger", "to": "pause"}, {"from": "pause", "to": "text"}, {"from": "text", "to": "pause"}]});
    let endless = Plan::from_json(&endless.to_string()).expect("a valid definition");
    let found = compare(None, &endless, &[case(0, 1, &[])]);
    let edited = &found.differences[0].edited;
    assert_eq!(
        edited.error.as_deref(),
        Some("stopped after 500 steps: the dry run goes no further")
    );
    // Each round takes two inputs: the timer and the answer.
    assert!((200..=250).contains(&edited.sent.len()), "{}", edited.sent.len());
}
