//! What becomes of effects: tried again, in doubt, looked up, decided, held, found again after a crash.

use std::time::Duration;

use serde_json::json;

use super::story::{START, Story, acts, done, failed, looked_up, single, sms, unknown};
use crate::{
    domain::run::{EffectState, RunStatus, StepStatus},
    workflows::{
        effect::{Command, Effect, Request},
        history::AttemptOutcome,
        input::{Choice, FailureKind, Finding, Input},
        retry::RetryPolicy,
    },
};

#[test]
fn a_temporary_failure_is_tried_again_under_the_same_key_until_the_last_attempt() {
    let retry = json!({"retry": {"max_attempts": 3, "initial_interval": "1s"}});
    let mut story = Story::new(&sms(&retry));
    let mut effect = acts(&story.give(Input::Started))[0].clone();
    for attempt in 1..=2 {
        assert_eq!(effect.attempt, attempt);
        let refused = story.give(failed(&effect, FailureKind::Temporary));
        assert_eq!(
            (refused.run.status(), refused.effects[0].state),
            (RunStatus::Waiting, EffectState::Rejected)
        );
        let (timer, due) = refused.timers_set[0];
        let early = story.give(Input::TimerFired { timer });
        assert!(!early.changed && early.commands == [Command::SetTimer { timer, due }]);
        story.world.now = due;
        let again = story.give(Input::TimerFired { timer });
        assert_eq!(again.timers_cleared, [timer]);
        let next = acts(&again)[0].clone();
        assert_eq!(
            Effect {
                attempt: effect.attempt,
                ..next.clone()
            },
            effect
        );
        effect = next;
    }
    let over = story.give(failed(&effect, FailureKind::Temporary));
    assert_eq!(over.run.status(), RunStatus::Failed);
    assert_eq!(over.run.error().as_deref(), Some("one: try later"));
    let outcomes: Vec<_> = story.steps()[0]
        .effect
        .iter()
        .flat_map(|effect| effect.attempts.clone())
        .collect();
    assert!(
        outcomes
            .iter()
            .all(|attempt| attempt.outcome == AttemptOutcome::Rejected)
    );
    assert_eq!(outcomes.len(), 3);
}

#[test]
fn a_permanent_failure_is_not_tried_again() {
    let mut story = Story::new(&sms(&json!({})));
    let effect = acts(&story.give(Input::Started))[0].clone();
    assert_eq!(
        story.give(failed(&effect, FailureKind::Permanent)).run.status(),
        RunStatus::Failed
    );
}

#[test]
fn the_error_port_and_continue_go_on_after_a_failure() {
    let task = json!({"id": "task", "type": "create_task",
        "params": {"title": "{{ steps.one.output.error.code }}: {{ steps.one.output.error.message }}"}});
    let mut wired = sms(&json!({}));
    wired["nodes"].as_array_mut().expect("nodes").push(task.clone());
    let mut continued = sms(&json!({"on_error": "continue"}));
    continued["nodes"].as_array_mut().expect("nodes").push(task);
    let edge = |port: &str| json!({"from": "one", "port": port, "to": "task"});
    wired["edges"].as_array_mut().expect("edges").push(edge("error"));
    continued["edges"].as_array_mut().expect("edges").push(edge("ok"));
    for definition in [wired, continued] {
        let mut story = Story::new(&definition);
        let effect = acts(&story.give(Input::Started))[0].clone();
        let onward = story.give(failed(&effect, FailureKind::Permanent));
        let Request::CreateTask { title, .. } = &acts(&onward)[0].request else {
            panic!("a task")
        };
        assert_eq!(title, "503: try later");
    }
}

#[test]
fn an_sms_in_doubt_is_looked_up_and_never_sent_on_a_guess() {
    let table = [
        (
            "resend",
            Finding::Present {
                provider_id: None,
                output: json!({}),
            },
            RunStatus::Completed,
            0,
        ),
        ("resend", Finding::Absent, RunStatus::Running, 1),
        ("ask", Finding::Absent, RunStatus::Stuck, 0),
        ("drop", Finding::Absent, RunStatus::Failed, 0),
        (
            "resend",
            Finding::CannotTell {
                reason: "no access".to_owned(),
            },
            RunStatus::Stuck,
            0,
        ),
    ];
    for (in_doubt, finding, status, sent_again) in table {
        let params = json!({"body": "Hi", "in_doubt": in_doubt});
        let mut story = Story::new(&single("send_sms", &params, &json!({})));
        let effect = acts(&story.give(Input::Started))[0].clone();
        let doubted = story.give(unknown(&effect));
        assert!(
            matches!(&doubted.commands[..], [Command::LookUp(_)]),
            "{in_doubt}"
        );
        assert_eq!(doubted.effects[0].state, EffectState::Unknown);
        let settled = story.give(looked_up(&effect, finding.clone()));
        assert_eq!(settled.run.status(), status, "{in_doubt} {finding:?}");
        assert_eq!(acts(&settled).len(), sent_again, "{in_doubt} {finding:?}");
    }
}

#[test]
fn a_person_decides_what_cannot_be_settled() {
    for (choice, status, acted) in [
        (Choice::Resend, RunStatus::Running, 1),
        (Choice::Skip, RunStatus::Completed, 0),
    ] {
        let mut story = Story::new(&sms(&json!({})));
        let effect = acts(&story.give(Input::Started))[0].clone();
        story.give(unknown(&effect));
        let asked = story.give(looked_up(
            &effect,
            Finding::CannotTell {
                reason: "no access".to_owned(),
            },
        ));
        assert!(
            asked
                .run
                .error()
                .is_some_and(|error| error.contains("resend or skip"))
        );
        assert_eq!(story.steps()[0].status, StepStatus::Unknown);
        let decided = story.give(Input::Decided {
            key: effect.key.clone(),
            choice,
        });
        assert_eq!((decided.run.status(), acts(&decided).len()), (status, acted));
        assert!(
            !story
                .give(Input::Decided {
                    key: effect.key.clone(),
                    choice
                })
                .changed
        );
    }
}

#[test]
fn a_proof_that_comes_late_settles_an_effect_that_waits_for_a_person() {
    let mut story = Story::new(&sms(&json!({})));
    let effect = acts(&story.give(Input::Started))[0].clone();
    story.give(unknown(&effect));
    story.give(looked_up(
        &effect,
        Finding::CannotTell {
            reason: "no access".to_owned(),
        },
    ));
    assert_eq!(story.give(done(&effect)).run.status(), RunStatus::Completed);
}

#[test]
fn a_webhook_in_doubt_is_repeated_under_its_key_and_then_asks_or_takes_the_error_port() {
    let params = json!({"url": "https://example.com/hook", "body": {"who": "{{ lead.name }}"}});
    for (extra, end) in [
        (json!({}), RunStatus::Stuck),
        (json!({"on_error": "continue"}), RunStatus::Completed),
    ] {
        let mut story = Story::new(&single("webhook", &params, &extra));
        let mut effect = acts(&story.give(Input::Started))[0].clone();
        for _ in 1..RetryPolicy::default().max_attempts {
            let doubted = story.give(unknown(&effect));
            assert_eq!(
                (doubted.run.status(), acts(&doubted).len()),
                (RunStatus::Waiting, 0)
            );
            let (timer, due) = doubted.timers_set[0];
            story.world.now = due;
            let again = acts(&story.give(Input::TimerFired { timer }))[0].clone();
            assert_eq!((&again.key, again.attempt), (&effect.key, effect.attempt + 1));
            effect = again;
        }
        assert_eq!(story.give(unknown(&effect)).run.status(), end);
    }
}

#[test]
fn after_a_crash_a_claim_is_in_doubt_and_waits_are_armed_again() {
    let mut definition = sms(&json!({}));
    definition["nodes"]
        .as_array_mut()
        .expect("nodes")
        .push(json!({"id": "pause", "type": "delay", "params": {"for": "3d"}}));
    definition["edges"]
        .as_array_mut()
        .expect("edges")
        .push(json!({"from": "trigger", "to": "pause"}));
    let mut story = Story::new(&definition);
    let begun = story.give(Input::Started);
    let timer = begun.timers_set[0];
    let recovered = story.give(Input::Recovered);
    assert_eq!(acts(&recovered).len(), 0);
    assert!(matches!(
        &recovered.commands[..],
        [Command::LookUp(_), Command::SetTimer { .. }]
    ));
    assert_eq!(recovered.timers_set, [timer]);
    let twice = story.give(Input::Recovered);
    assert!(
        !twice.changed
            && matches!(
                &twice.commands[..],
                [Command::LookUp(_), Command::SetTimer { .. }]
            )
    );
}

#[test]
fn the_gate_can_hold_an_effect_without_using_up_an_attempt() {
    let mut story = Story::new(&sms(&json!({"retry": {"max_attempts": 1}})));
    let effect = acts(&story.give(Input::Started))[0].clone();
    let until = START.plus(Duration::from_secs(3600));
    let reason = "quiet hours until 08:00".to_owned();
    let hold = Input::EffectHeld {
        key: effect.key.clone(),
        attempt: 1,
        until,
        reason,
    };
    let held = story.give(hold.clone());
    assert_eq!(
        (held.run.status(), held.effects[0].state),
        (RunStatus::Waiting, EffectState::Absent)
    );
    assert_eq!(story.steps()[0].waiting_until, Some(until));
    story.world.now = until;
    let again = acts(&story.give(Input::TimerFired {
        timer: held.timers_set[0].0,
    }))[0]
        .clone();
    assert_eq!((again.attempt, again.tries()), (2, 1));
    assert!(!story.give(hold).changed);
    assert_eq!(story.give(done(&again)).run.status(), RunStatus::Completed);
}

#[test]
fn a_second_crash_doubts_only_what_the_first_recovery_claimed_anew() {
    // The claim is lost beyond repeating; the failure takes its way to a task, which is claimed by the recovery itself.
    let mut definition = single(
        "webhook",
        &json!({"url": "https://example.com"}),
        &json!({"retry": {"max_attempts": 1}}),
    );
    let task = json!({"id": "task", "type": "create_task", "params": {"title": "Look"}});
    definition["nodes"].as_array_mut().expect("a list").push(task);
    let way = json!({"from": "one", "port": "error", "to": "task"});
    definition["edges"].as_array_mut().expect("a list").push(way);
    let mut story = Story::new(&definition);
    let mut given = story.give(Input::Started);
    for _ in 0..crate::workflows::settlement::IN_DOUBT_ATTEMPTS_MIN {
        assert_eq!(acts(&given)[0].node, "one");
        given = story.give(Input::Recovered);
        let Some((timer, due)) = given.timers_set.first().copied() else {
            break;
        };
        assert!(
            !story.give(Input::Recovered).changed,
            "nothing was claimed in between"
        );
        story.world.now = due;
        given = story.give(Input::TimerFired { timer });
    }
    assert_eq!(acts(&given)[0].node, "task", "claimed while recovering");
    let again = story.give(Input::Recovered);
    assert!(again.changed && again.effects.iter().all(|record| record.effect.node == "task"));
    assert!(!story.give(Input::Recovered).changed);
}
