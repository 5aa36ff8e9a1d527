//! Dry runs: the same core on a virtual clock.

use std::time::Duration;

use serde_json::{Value, json};

use super::story::{START, lead};
use crate::{
    domain::{
        consent::ContactChannel,
        contact_caps::{BookedContact, ContactCaps},
        ids::{AccountId, LeadId, ObservationId, RunId, WorkflowId},
        lead::Lead,
        observation::{EventType, Observation},
        run::RunStatus,
        tokens::Tokens,
    },
    workflows::{
        AccountFacts, Plan, World,
        calendar::zone,
        dry_run::{Contacts, DryOutcome, DryRun, INPUTS_MAX, Script, Trial, dry_run},
        gate_caps::{Caps, WhenCapped},
        gate_rules::GateRules,
    },
};

fn play(definition: &Value, script: Value) -> DryRun {
    play_with(definition, script, |_, _| ())
}

fn play_with(definition: &Value, script: Value, change: impl FnOnce(&mut Trial, &mut Contacts)) -> DryRun {
    let plan = Plan::from_json(&definition.to_string()).expect("a valid definition");
    let account_id = AccountId::derived(START, &[b"account"]);
    let mut trial = Trial {
        workflow_id: WorkflowId::derived(START, &[b"workflow"]),
        version: 1,
        run_id: RunId::derived(START, &[b"run"]),
        call_id: None,
        trigger: json!({"type": "call.no_answer", "data": {}}),
        world: World {
            now: START,
            account: AccountFacts {
                id: account_id,
                name: "Acme".to_owned(),
                require_consent: false,
            },
            lead: Some(lead(account_id)),
            call: None,
            call_summary: None,
        },
        script: serde_json::from_value::<Script>(script).expect("a script"),
        past: Vec::new(),
        people: Vec::new(),
        rules: None,
        inputs_max: INPUTS_MAX,
    };
    let mut contacts = Contacts::default();
    change(&mut trial, &mut contacts);
    dry_run(&plan, &trial, &mut contacts, &|_| None)
}

/// A message; a task when it fails; a wait of thirty days and another message when it goes well.
fn thirty_days() -> Value {
    json!({"name": "w", "trigger": {"type": "call.no_answer"}, "settings": {"exit_on": ["lead.opted_out"]},
        "nodes": [
            {"id": "hello", "type": "send_sms", "params": {"body": "Hi {{ lead.first_name }}"}},
            {"id": "month", "type": "delay", "params": {"for": "30d"}},
            {"id": "again", "type": "send_sms", "params": {"body": "Again"}},
            {"id": "task", "type": "create_task", "params": {"title": "{{ steps.hello.output.error.message }}"}}],
        "edges": [{"from": "trigger", "to": "hello"}, {"from": "hello", "to": "month"},
            {"from": "month", "to": "again"}, {"from": "hello", "port": "error", "to": "task"}]})
}

#[test]
fn thirty_days_pass_on_the_virtual_clock_and_every_message_is_told_with_its_cost() {
    let mut definition = thirty_days();
    definition["nodes"][2]["params"]["body"] = json!("a".repeat(161));
    let run = play(&definition, json!({}));
    assert_eq!((run.status, run.error), (RunStatus::Completed, None));
    let month = Duration::from_secs(30 * 86_400);
    assert_eq!(run.ended_at, START.plus(month));
    let read: Vec<_> = run.effects.iter().map(|effect| effect.text.as_deref()).collect();
    assert_eq!(read, [Some("Hi Ada"), Some("a".repeat(161).as_str())]);
    assert_eq!(run.effects[0].to.as_deref(), Some("+14155550100"));
    assert_eq!(run.effects[1].at, START.plus(month));
    assert_eq!((run.waits.len(), run.waits[0].until), (1, START.plus(month)));
    // Half a token for the run, one segment, two segments.
    assert_eq!(run.tokens, Tokens::from_thousandths(3_500));
    let nodes: Vec<_> = run.path.iter().map(|step| step.node.as_str()).collect();
    assert_eq!(nodes, ["hello", "month", "again"]);
}

#[test]
fn a_chosen_failure_takes_the_error_port_and_costs_nothing() {
    let definition = thirty_days();
    let script = json!({"answers": {"hello": {"fail": {"code": "30006", "message": "It is a landline"}}}});
    let run = play(&definition, script);
    assert_eq!(run.status, RunStatus::Completed);
    let outcomes: Vec<_> = run
        .effects
        .iter()
        .map(|effect| (effect.node.as_str(), effect.outcome))
        .collect();
    assert_eq!(
        outcomes,
        [("hello", DryOutcome::Failed), ("task", DryOutcome::Done)]
    );
    assert_eq!(run.effects[1].text.as_deref(), Some("It is a landline"));
    assert_eq!(run.tokens, Tokens::from_thousandths(500), "the run itself");
}

#[test]
fn a_temporary_failure_is_waited_out_and_then_goes_well() {
    let definition = json!({"name": "w", "trigger": {"type": "call.no_answer"},
        "nodes": [{"id": "hello", "type": "send_sms", "params": {"body": "Hi"}}],
        "edges": [{"from": "trigger", "to": "hello"}]});
    let script = json!({"answers": {"hello": {"fail": {"temporary": true, "times": 2}}}});
    let run = play(&definition, script);
    assert_eq!(run.status, RunStatus::Completed);
    assert_eq!(run.effects.len(), 3, "two attempts fail, the third goes well");
    assert_eq!(run.waits.iter().filter(|wait| wait.reason == "retry").count(), 2);
    assert!(run.ended_at > START);
}

#[test]
fn an_event_of_the_script_ends_the_run_at_its_time() {
    let definition = thirty_days();
    for event in [
        json!({"type": "lead.opted_out", "after": "10d"}),
        json!({"type": "lead.opted_out", "once_at": "month", "after": "10d"}),
    ] {
        let run = play(&definition, json!({"events": [event]}));
        assert_eq!(run.status, RunStatus::Cancelled, "{event}");
        assert_eq!(
            run.ended_at,
            START.plus(Duration::from_secs(10 * 86_400)),
            "{event}"
        );
        assert_eq!(run.effects.len(), 1, "nothing is sent after it: {event}");
    }
}

#[test]
fn an_outcome_nobody_knows_leaves_the_run_to_a_person() {
    let definition = json!({"name": "w", "trigger": {"type": "call.no_answer"},
        "nodes": [{"id": "hello", "type": "send_sms", "params": {"body": "Hi"}}],
        "edges": [{"from": "trigger", "to": "hello"}]});
    let run = play(&definition, json!({"answers": {"hello": "unknown"}}));
    assert_eq!(run.status, RunStatus::Stuck);
    assert_eq!(run.effects[0].outcome, DryOutcome::Unknown);
    assert!(run.error.is_some_and(|error| error.contains("resend or skip")));
}

#[test]
fn an_endless_workflow_is_cut_and_says_so() {
    let definition = json!({"name": "w", "trigger": {"type": "call.no_answer"},
        "nodes": [{"id": "pause", "type": "delay", "params": {"for": "1s"}}],
        "edges": [{"from": "trigger", "to": "pause"}, {"from": "pause", "to": "pause"}]});
    let run = play(&definition, json!({}));
    assert!(run.error.is_some_and(|error| error.contains("goes no further")));
}

/// The rules of a gate that is quiet from nine to eight.
fn rules() -> GateRules {
    let quiet = serde_json::from_value(json!(["21:00", "08:00"])).expect("quiet hours");
    GateRules {
        quiet_hours: Some(quiet),
        zone: zone("America/New_York").expect("a zone"),
        require_consent: false,
        reply_within: Duration::ZERO,
        caps_replies: true,
        caps: Caps::default(),
    }
}

#[test]
fn quiet_hours_hold_a_message_until_the_morning_and_the_run_goes_on_from_there() {
    let definition = json!({"name": "w", "trigger": {"type": "call.no_answer"},
        "nodes": [{"id": "hello", "type": "send_sms", "params": {"body": "Hi"}}],
        "edges": [{"from": "trigger", "to": "hello"}]});
    let late = |trial: &mut Trial, _: &mut Contacts| {
        trial.world.now = "2026-11-24T03:30:00Z".parse().expect("half past ten in New York");
        if let Some(lead) = &mut trial.world.lead {
            lead.timezone = Some("America/New_York".to_owned());
        }
        trial.rules = Some(rules());
    };
    let run = play_with(&definition, json!({}), late);
    assert_eq!(run.status, RunStatus::Completed);
    let outcomes: Vec<_> = run.effects.iter().map(|effect| effect.outcome).collect();
    assert_eq!(outcomes, [DryOutcome::Held, DryOutcome::Done]);
    assert_eq!(
        run.effects[1].at.to_string(),
        "2026-11-24T13:00:00.000Z",
        "eight in New York"
    );
    assert_eq!(run.waits.len(), 1);
    assert!(run.path[0].effect.is_some());
}

#[test]
fn the_gate_refuses_what_the_person_does_not_want_and_the_error_port_is_taken() {
    let run = play_with(&thirty_days(), json!({}), |trial, _| {
        trial.rules = Some(rules());
        if let Some(lead) = &mut trial.world.lead {
            lead.opted_out = true;
        }
    });
    let outcomes: Vec<_> = run
        .effects
        .iter()
        .map(|effect| (effect.node.as_str(), effect.outcome))
        .collect();
    assert_eq!(
        outcomes,
        [("hello", DryOutcome::Refused), ("task", DryOutcome::Done)]
    );
    assert_eq!(run.tokens, Tokens::from_thousandths(500));
}

#[test]
fn the_gate_asks_for_consent_where_the_account_does() {
    let gated = |require_consent| {
        play_with(&thirty_days(), json!({}), move |trial, _| {
            trial.rules = Some(GateRules {
                quiet_hours: None,
                ..rules()
            });
            trial.world.account.require_consent = require_consent;
        })
    };
    assert_eq!(gated(false).effects[0].outcome, DryOutcome::Done);
    let refused = &gated(true).effects[0];
    assert_eq!(refused.outcome, DryOutcome::Refused);
    assert!(
        refused
            .reason
            .as_deref()
            .is_some_and(|reason| reason.contains("consents to text messages")),
        "{refused:?}"
    );
}

/// An e-mail to the lead, to somebody else and to an address that nobody is known behind.
fn email_to_three() -> Value {
    json!({"name": "w", "trigger": {"type": "call.no_answer"},
        "nodes": [{"id": "mail", "type": "send_email", "params": {"to": "{{ lead.email }}, Grace@Example.com",
            "cc": "nobody@example.com", "subject": "Hi", "body": "Hi"}}],
        "edges": [{"from": "trigger", "to": "mail"}]})
}

/// Plays [`email_to_three`] with a second lead behind its second address.
fn with_grace(change: impl FnOnce(&mut Lead)) -> DryRun {
    play_with(&email_to_three(), json!({}), |trial, _| {
        trial.rules = Some(rules());
        let mut grace = lead(trial.world.account.id);
        grace.id = LeadId::derived(START, &[b"grace"]);
        grace.email = Some("grace@example.com".to_owned());
        grace.phone = None;
        grace.timezone = Some("America/New_York".to_owned());
        change(&mut grace);
        trial.people = vec![grace];
        trial.world.now = "2026-11-23T17:00:00Z".parse().expect("noon in New York");
        if let Some(own) = &mut trial.world.lead {
            own.email = Some("ada@example.com".to_owned());
            own.timezone = Some("America/New_York".to_owned());
        }
    })
}

#[test]
fn an_email_to_several_is_judged_for_each_of_them_as_the_real_gate_does() {
    let run = with_grace(|_| ());
    assert_eq!(outcomes(&run), [("mail", DryOutcome::Done)]);
    assert_eq!(run.strangers.iter().collect::<Vec<_>>(), ["nobody@example.com"]);

    let run = with_grace(|grace| grace.opted_out = true);
    assert_eq!(outcomes(&run), [("mail", DryOutcome::Done)]);
    let sent = &run.effects[0];
    assert_eq!(
        sent.request["to"].as_array().map(Vec::len),
        Some(1),
        "who has opted out is left out: {sent:?}"
    );
    let attempt = run.path[0]
        .effect
        .as_ref()
        .map(|effect| json!(effect.attempts[0].gate));
    let left_out = attempt
        .map(|gate| gate["left_out"][0].clone())
        .unwrap_or_default();
    assert_eq!(
        (&left_out["code"], &left_out["receivers"]),
        (&json!("opted_out"), &json!(["grace@example.com"]))
    );

    let held = with_grace(|grace| grace.timezone = Some("Asia/Tokyo".to_owned()));
    assert_eq!(
        outcomes(&held),
        [("mail", DryOutcome::Held), ("mail", DryOutcome::Done)],
        "it waits for an hour at which nobody sleeps"
    );
}

/// Three messages, an hour apart.
fn three_messages() -> Value {
    let text =
        |id: &str| json!({"id": id, "type": "send_sms", "params": {"body": id}, "on_error": "continue"});
    let pause = |id: &str| json!({"id": id, "type": "delay", "params": {"for": "1h"}});
    json!({"name": "w", "trigger": {"type": "call.no_answer"},
        "nodes": [text("one"), pause("p"), text("two"), pause("q"), text("three")],
        "edges": [{"from": "trigger", "to": "one"}, {"from": "one", "to": "p"}, {"from": "p", "to": "two"},
            {"from": "two", "to": "q"}, {"from": "q", "to": "three"}]})
}

/// Rules that let two text messages a day through.
fn two_a_day(when_full: WhenCapped) -> GateRules {
    let sms = ContactCaps {
        per_day: 2,
        per_week: 0,
    };
    GateRules {
        quiet_hours: None,
        caps: Caps {
            sms,
            when_full,
            ..Caps::default()
        },
        ..rules()
    }
}

fn outcomes(run: &DryRun) -> Vec<(&str, DryOutcome)> {
    let effects = run.effects.iter();
    effects
        .map(|effect| (effect.node.as_str(), effect.outcome))
        .collect()
}

#[test]
fn a_cap_refuses_what_goes_beyond_it_and_what_was_not_sent_does_not_count() {
    let capped = |script| {
        play_with(&three_messages(), script, |trial, _| {
            trial.rules = Some(two_a_day(WhenCapped::Refuse));
        })
    };
    let run = capped(json!({}));
    let (done, refused) = (DryOutcome::Done, DryOutcome::Refused);
    assert_eq!(outcomes(&run), [("one", done), ("two", done), ("three", refused)]);
    let reason = run.effects[2].reason.as_deref().unwrap_or_default();
    assert!(
        reason.contains("2 of 2 allowed text messages within 24 hours"),
        "{reason}"
    );
    let shown = run.path[0]
        .effect
        .as_ref()
        .map(|effect| json!(effect.attempts[0].gate));
    assert_eq!(
        shown.map(|gate| gate["contacts"].clone()),
        Some(json!({"day": 1, "week": 1}))
    );
    let run = capped(json!({"answers": {"one": {"fail": {"code": "30006"}}}}));
    assert_eq!(
        outcomes(&run),
        [("one", DryOutcome::Failed), ("two", done), ("three", done)]
    );
}

#[test]
fn what_went_out_before_counts_and_a_cap_may_hold_until_there_is_room() {
    let run = play_with(&three_messages(), json!({}), |trial, contacts| {
        trial.rules = Some(two_a_day(WhenCapped::Hold));
        let lead = trial.world.lead.as_ref().expect("the sample").id.to_string();
        let yesterday = BookedContact {
            at: START.minus(Duration::from_secs(23 * 3_600)),
            key: "of another workflow".to_owned(),
        };
        contacts.add(lead, ContactChannel::Sms, vec![yesterday]);
    });
    let (done, held) = (DryOutcome::Done, DryOutcome::Held);
    assert_eq!(
        outcomes(&run),
        // The second finds room at the very hour it comes, the third a day after the first.
        [("one", done), ("two", done), ("three", held), ("three", done)]
    );
    assert_eq!(run.effects[3].at, START.plus(Duration::from_secs(24 * 3_600)));
}

#[test]
fn an_event_before_the_wait_is_found_as_far_back_as_the_wait_looks() {
    let waits = |look_back: &str| {
        json!({"name": "w", "trigger": {"type": "call.no_answer"},
            "nodes": [{"id": "pause", "type": "delay", "params": {"for": "2h"}},
                {"id": "paid", "type": "wait_for", "params": {"event": "payment.received", "look_back": look_back, "timeout": "1d"}}],
            "edges": [{"from": "trigger", "to": "pause"}, {"from": "pause", "to": "paid"}]})
    };
    let hour = Duration::from_secs(3_600);
    let paid_during_the_pause = json!({"events": [{"type": "payment.received", "after": "1h"}]});
    for (look_back, ends_after) in [("run", 2), ("90m", 2), ("30m", 26), ("none", 26)] {
        let run = play(&waits(look_back), paid_during_the_pause.clone());
        assert_eq!(run.ended_at, START.plus(hour * ends_after), "{look_back}");
    }
    // What happened before the run is found by a span only.
    for (look_back, ends_after) in [("run", 26), ("4h", 2), ("2h", 26)] {
        let run = play_with(&waits(look_back), json!({}), |trial, _| {
            trial.past = vec![Observation {
                id: ObservationId::derived(START, &[b"paid"]),
                account_id: trial.world.account.id,
                kind: EventType::new("payment.received"),
                at: START.minus(hour),
                lead_id: trial.world.lead.as_ref().map(|lead| lead.id),
                call_id: None,
                caused_by: None,
                trace: None,
                data: json!({}),
            }];
        });
        assert_eq!(run.ended_at, START.plus(hour * ends_after), "{look_back}");
    }
}
