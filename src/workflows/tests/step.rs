//! The step's decisions, one story each.

use std::time::Duration;

use serde_json::json;

use super::story::{START, Story, acts, done, failed, single, sms};
use crate::{
    domain::{
        ids::LeadId,
        ids::ObservationId,
        observation::{EventType, Observation},
        run::{EffectState, RunStatus, StepStatus},
        time::Timestamp,
    },
    workflows::{
        effect::{Command, Effect, Request},
        history::{self, AttemptOutcome},
        input::{FailureKind, Input},
        journal::Entry,
        run::Run,
        transition::Transition,
    },
};

#[test]
fn a_run_acts_once_and_completes_with_its_history() {
    let mut story = Story::new(&sms(&json!({})));
    let begun = story.give(Input::Started);
    let effect = acts(&begun)[0].clone();
    assert_eq!(begun.run.status(), RunStatus::Running);
    assert_eq!(begun.effects[0].state, EffectState::Claimed);
    let Request::SendSms { to, body, .. } = &effect.request else {
        panic!("an SMS")
    };
    assert_eq!((to.as_str(), body.as_str()), ("+14155550100", "Hi Ada"));
    story.pass(Duration::from_millis(40));
    let ended = story.give(done(&effect));
    assert_eq!(ended.run.status(), RunStatus::Completed);
    assert_eq!(ended.effects[0].state, EffectState::Confirmed);
    assert_eq!(ended.effects[0].provider_id.as_deref(), Some("SM1"));
    assert_eq!(
        ended.commands,
        [Command::Finish {
            status: RunStatus::Completed,
            error: None
        }]
    );
    let steps = story.steps();
    assert_eq!(
        (steps.len(), steps[0].status, steps[0].kind.as_str()),
        (1, StepStatus::Done, "send_sms")
    );
    assert_eq!(
        steps[0].input,
        Some(json!({"to": "+14155550100", "body": "Hi Ada"}))
    );
    assert_eq!(
        steps[0].effect.as_ref().map(|effect| effect.attempts[0].outcome),
        Some(AttemptOutcome::Confirmed)
    );
    assert_eq!(steps[0].ended_at, Some(story.world.now));
}

#[test]
fn an_unknown_variable_fails_the_node_by_name_and_sends_nothing() {
    let mut story = Story::new(&single(
        "send_sms",
        &json!({"body": "Write to {{ lead.email }}"}),
        &json!({}),
    ));
    let begun = story.give(Input::Started);
    assert!(acts(&begun).is_empty());
    assert_eq!(begun.run.status(), RunStatus::Failed);
    assert_eq!(
        begun.run.error().as_deref(),
        Some("one: `lead.email` has no value here")
    );
}

#[test]
fn a_condition_branches_and_a_delay_parks_until_its_timer() {
    let definition = json!({"name": "w", "trigger": {"type": "manual"},
        "nodes": [
            {"id": "good", "type": "condition", "params": {"if": "lead.score > 80 and trigger.data.tries == 3"}},
            {"id": "pause", "type": "delay", "params": {"for": "2h"}},
            {"id": "yes", "type": "create_task", "params": {"title": "yes {{ steps.good.output.result }}", "due_in": "1d"}},
            {"id": "no", "type": "create_task", "params": {"title": "no"}}],
        "edges": [{"from": "trigger", "to": "good"}, {"from": "good", "port": "true", "to": "pause"},
            {"from": "good", "port": "false", "to": "no"}, {"from": "pause", "to": "yes"}]});
    let mut story = Story::new(&definition);
    let begun = story.give(Input::Started);
    let due = START.plus(Duration::from_secs(7200));
    assert_eq!(
        (begun.run.status(), &begun.timers_set[..]),
        (RunStatus::Waiting, &[(0, due)][..])
    );
    story.world.now = due;
    let fired = story.give(Input::TimerFired { timer: 0 });
    let Request::CreateTask { title, due_at, .. } = &acts(&fired)[0].request else {
        panic!("a task")
    };
    assert_eq!(
        (title.as_str(), *due_at),
        ("yes true", Some(due.plus(Duration::from_secs(86_400))))
    );
    assert!(!story.give(Input::TimerFired { timer: 0 }).changed);
}

#[test]
fn delays_until_a_moment_pass_at_once_when_it_is_over_and_wait_otherwise() {
    for (until, status) in [
        ("2020-01-01T00:00:00Z", RunStatus::Completed),
        ("2030-01-01T00:00:00Z", RunStatus::Waiting),
    ] {
        let mut story = Story::new(&single("delay", &json!({"until": until}), &json!({})));
        assert_eq!(story.give(Input::Started).run.status(), status);
    }
    let mut story = Story::new(&single(
        "delay",
        &json!({"until": "{{ trigger.data.tries }}"}),
        &json!({}),
    ));
    assert_eq!(story.give(Input::Started).run.status(), RunStatus::Failed);
}

#[test]
fn an_exit_condition_ends_a_wait_but_not_for_somebody_else() {
    let mut definition = single("delay", &json!({"for": "30d"}), &json!({}));
    definition["settings"] = json!({"exit_on": ["lead.opted_out"]});
    let mut story = Story::new(&definition);
    let begun = story.give(Input::Started);
    assert!(begun.commands.contains(&Command::Listen {
        events: vec![EventType::LEAD_OPTED_OUT]
    }));
    let fact = |kind, lead_id, at| {
        Input::Observed(Box::new(Observation {
            id: ObservationId::derived(at, &[b"fact"]),
            account_id: story.run.account_id(),
            kind,
            at,
            lead_id,
            call_id: None,
            caused_by: None,
            trace: None,
            data: json!({}),
        }))
    };
    let later = START.plus(Duration::from_secs(1));
    let mine = story.run.lead_id();
    let without_effect = [
        fact(
            EventType::LEAD_OPTED_OUT,
            Some(LeadId::derived(START, &[b"other"])),
            later,
        ),
        fact(EventType::LEAD_OPTED_OUT, None, later),
        fact(EventType::LEAD_UPDATED, mine, later),
        fact(EventType::LEAD_OPTED_OUT, mine, Timestamp::from_unix_millis(1)),
    ];
    let exit = fact(EventType::LEAD_OPTED_OUT, mine, later);
    for input in without_effect {
        assert!(!story.give(input).changed);
    }
    let ended = story.give(exit);
    assert_eq!(
        (ended.run.status(), ended.run.error().as_deref()),
        (RunStatus::Cancelled, Some("ended by lead.opted_out"))
    );
    assert_eq!(ended.timers_cleared, [0]);
    assert_eq!(story.steps()[0].status, StepStatus::Cancelled);
}

#[test]
fn a_cancelled_run_waits_for_the_effect_on_its_way_and_keeps_its_outcome() {
    let mut story = Story::new(&sms(&json!({})));
    let effect = acts(&story.give(Input::Started))[0].clone();
    let cancelled = story.give(Input::Cancelled {
        reason: "by hand".to_owned(),
    });
    assert!(
        cancelled.changed,
        "a decided end must be stored, else a crash forgets it"
    );
    assert_eq!(cancelled.run.status(), RunStatus::Running);
    let ended = story.give(failed(&effect, FailureKind::Temporary));
    assert_eq!(
        (ended.run.status(), ended.effects[0].state),
        (RunStatus::Cancelled, EffectState::Rejected)
    );
    assert_eq!(ended.run.error().as_deref(), Some("by hand"));
    assert!(!story.give(done(&effect)).changed);
}

#[test]
fn parallel_ways_run_side_by_side_and_each_token_runs_the_node_where_they_meet() {
    let definition = json!({"name": "w", "trigger": {"type": "manual"},
        "nodes": [
            {"id": "a", "type": "create_task", "params": {"title": "a"}},
            {"id": "b", "type": "create_task", "params": {"title": "b"}},
            {"id": "join", "type": "create_task", "params": {"title": "join"}}],
        "edges": [{"from": "trigger", "to": "a"}, {"from": "trigger", "to": "b"},
            {"from": "a", "to": "join"}, {"from": "b", "to": "join"}]});
    let mut story = Story::new(&definition);
    let begun = story.give(Input::Started);
    let effects: Vec<Effect> = acts(&begun).into_iter().cloned().collect();
    assert_eq!(effects.len(), 2);
    let joined: Vec<Effect> = effects
        .iter()
        .map(|effect| acts(&story.give(done(effect)))[0].clone())
        .collect();
    assert_eq!(
        joined.iter().map(|effect| effect.visit).collect::<Vec<_>>(),
        [0, 1]
    );
    assert_ne!(joined[0].key, joined[1].key);
    let ended: Vec<Transition> = joined.iter().map(|effect| story.give(done(effect))).collect();
    assert_eq!(ended[1].run.status(), RunStatus::Completed);
}

#[test]
fn a_cycle_that_no_time_passes_in_ends_with_an_honest_error() {
    let definition = json!({"name": "w", "trigger": {"type": "manual"},
        "nodes": [
            {"id": "go", "type": "condition", "params": {"if": "true"}},
            {"id": "pause", "type": "delay", "params": {"for": "1ms"}},
            {"id": "back", "type": "condition", "params": {"if": "false"}}],
        "edges": [{"from": "trigger", "to": "go"}, {"from": "go", "port": "true", "to": "pause"},
            {"from": "pause", "to": "back"}, {"from": "back", "port": "false", "to": "go"}]});
    let mut story = Story::new(&definition);
    story.give(Input::Started);
    for _ in 0..20_000 {
        let Some((timer, due)) = story.run.timers().first().copied() else {
            break;
        };
        story.world.now = due;
        let before = story.journal.len();
        story.give(Input::TimerFired { timer });
        assert!(story.journal.len() > before);
    }
    assert_eq!(story.run.status(), RunStatus::Failed);
    assert!(
        story
            .run
            .error()
            .is_some_and(|error| error.contains("10000 nodes")),
        "{:?}",
        story.run.error()
    );
}

#[test]
fn a_large_output_is_cut_and_says_so() {
    let mut definition = single("webhook", &json!({"url": "https://example.com"}), &json!({}));
    definition["nodes"].as_array_mut().expect("nodes").push(
        json!({"id": "task", "type": "create_task", "params": {"title": "{{ steps.one.output.truncated }}"}}),
    );
    definition["edges"]
        .as_array_mut()
        .expect("edges")
        .push(json!({"from": "one", "to": "task"}));
    let mut story = Story::new(&definition);
    let effect = acts(&story.give(Input::Started))[0].clone();
    let output = json!({"body": "x".repeat(100_000)});
    let onward = story.give(Input::EffectDone {
        key: effect.key.clone(),
        attempt: 1,
        provider_id: None,
        output,
    });
    let Request::CreateTask { title, .. } = &acts(&onward)[0].request else {
        panic!("a task")
    };
    assert_eq!(title, "true");
}

#[test]
fn snapshots_of_another_format_are_refused_and_parked_runs_are_small() {
    assert!(Run::from_snapshot(&[]).is_err());
    assert!(Run::from_snapshot(b"\x07{}").is_err());
    assert!(Run::from_snapshot(b"\x01{").is_err());
    let mut story = Story::new(&single("delay", &json!({"for": "3d"}), &json!({})));
    story.give(Input::Started);
    let bytes = story.run.snapshot().len();
    assert!(bytes <= 400, "{bytes} bytes");
}

#[test]
fn journal_lines_read_back_as_they_were_written_and_count_up() {
    let mut story = Story::new(&sms(&json!({})));
    let effect = acts(&story.give(Input::Started))[0].clone();
    story.give(failed(&effect, FailureKind::Temporary));
    for (at, line) in story.journal.iter().enumerate() {
        assert_eq!(
            Entry::from_json(&line.entry.to_json()).expect("our own line"),
            line.entry
        );
        assert_eq!(line.seq, u64::try_from(at).expect("small"));
    }
    let stored: Vec<(Timestamp, String)> = story
        .journal
        .iter()
        .map(|line| (line.at, line.entry.to_json()))
        .collect();
    let lines = stored.iter().map(|(at, line)| (*at, line.as_str()));
    assert_eq!(history::steps_of(lines).expect("our own lines"), story.steps());
}

#[test]
fn a_goal_completes_the_run_wherever_it_waits() {
    let mut definition = single("delay", &json!({"for": "3d"}), &json!({}));
    definition["settings"] = json!({"goal": "payment.received"});
    let mut story = Story::new(&definition);
    story.give(Input::Started);
    let paid = Observation {
        id: ObservationId::derived(START, &[b"paid"]),
        account_id: story.run.account_id(),
        kind: EventType::PAYMENT_RECEIVED,
        at: story.world.now,
        lead_id: story.run.lead_id(),
        call_id: None,
        caused_by: None,
        trace: None,
        data: json!({}),
    };
    let ended = story.give(Input::Observed(Box::new(paid)));
    assert_eq!(ended.run.status(), RunStatus::Completed);
    assert_eq!(
        ended.run.error().as_deref(),
        Some("goal reached: payment.received")
    );
    assert!(ended.run.timers().is_empty());
}
