//! Waiting runs and the versions after theirs.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::story::{START, Story, acts, done};
use crate::{
    domain::run::RunStatus,
    workflows::{
        Plan, Transition,
        effect::Request,
        input::Input,
        journal::Entry,
        migration::{Fate, Migration, MigrationError, migrate, outputs_of, places},
        transition::transition,
    },
};

/// A message, a wait of three days, and a task behind it.
fn workflow() -> Value {
    json!({"name": "w", "trigger": {"type": "call.no_answer"},
        "nodes": [
            {"id": "hello", "type": "send_sms", "params": {"body": "Hi"}},
            {"id": "pause", "type": "delay", "params": {"for": "3d"}},
            {"id": "after", "type": "create_task", "params": {"title": "Old task"}}],
        "edges": [{"from": "trigger", "to": "hello"}, {"from": "hello", "to": "pause"},
            {"from": "pause", "to": "after"}]})
}

fn plan(definition: &Value) -> Plan {
    Plan::from_json(&definition.to_string()).expect("a valid definition")
}

/// A run of [`workflow`] that waits at `pause`.
fn waiting() -> Story {
    let mut story = Story::new(&workflow());
    let effect = acts(&story.give(Input::Started))[0].clone();
    story.give(done(&effect));
    assert_eq!(story.run.status(), RunStatus::Waiting);
    story
}

fn moved(story: &Story, to: &Plan, landing: &[(&str, &str)]) -> Result<Transition, MigrationError> {
    let landing = landing
        .iter()
        .map(|(old, new)| ((*old).to_owned(), (*new).to_owned()))
        .collect();
    let wanted = Migration { version: 2, landing };
    let outputs = outputs_of(&story.journal);
    migrate(
        story.run.clone(),
        (&story.plan, to),
        &wanted,
        &outputs,
        &story.world,
    )
}

#[test]
fn a_place_is_unchanged_changed_or_gone() {
    let story = waiting();
    let mut changed = workflow();
    changed["nodes"][1]["params"]["for"] = json!("1d");
    let mut other_kind = workflow();
    other_kind["nodes"][1] = json!({"id": "pause", "type": "condition", "params": {"if": "true"}});
    for (to, fate, lands_at) in [
        (workflow(), Fate::Unchanged, Some("pause")),
        (changed, Fate::Changed, Some("pause")),
        (other_kind, Fate::Gone, None),
    ] {
        let seen = places(
            &story.run,
            story.plan.definition(),
            plan_unchecked(&to).definition(),
        );
        assert_eq!(seen.len(), 1);
        assert_eq!(
            (seen[0].fate, seen[0].lands_at.as_deref()),
            (fate, lands_at),
            "{to}"
        );
        assert_eq!(
            seen[0].waiting_until,
            Some(START.plus(Duration::from_secs(3 * 86_400)))
        );
    }
}

/// `pause` as a condition has no `ok` port: the edge behind it is left out.
fn plan_unchecked(definition: &Value) -> Plan {
    let mut definition = definition.clone();
    if definition["nodes"][1]["type"] == "condition" {
        definition["edges"] = json!([{"from": "trigger", "to": "hello"}, {"from": "hello", "to": "pause"},
            {"from": "pause", "port": "true", "to": "after"}]);
    }
    plan(&definition)
}

#[test]
fn a_moved_run_keeps_its_time_and_goes_on_as_the_new_version_says() {
    let mut story = waiting();
    let mut new = workflow();
    new["nodes"][2]["params"]["title"] = json!("New task after {{ steps.hello.output.id }}");
    new["nodes"][1]["params"]["for"] = json!("1d");
    let new = plan(&new);
    let moved = moved(&story, &new, &[]).expect("it lands");
    assert_eq!(moved.run.version(), 2);
    assert_eq!(
        moved.run.timers(),
        story.run.timers(),
        "the wait goes on as it was"
    );
    assert!(moved.timers_set.is_empty() && moved.timers_cleared.is_empty());
    let entry = &moved.journal[0].entry;
    assert_eq!(
        entry,
        &Entry::Migrated {
            from: 1,
            to: 2,
            landing: BTreeMap::new()
        }
    );
    let (timer, due) = moved.run.timers()[0];
    story.world.now = due;
    let rung = transition(&new, moved.run, Input::TimerFired { timer }, &story.world);
    let Request::CreateTask { title, .. } = &acts(&rung)[0].request else {
        panic!("a task")
    };
    assert_eq!(
        title, "New task after SM1",
        "the output that only the new version reads came along"
    );
}

#[test]
fn a_run_whose_node_is_gone_lands_where_a_person_says() {
    let story = waiting();
    let new = plan(&json!({"name": "w", "trigger": {"type": "call.no_answer"},
        "nodes": [{"id": "hello", "type": "send_sms", "params": {"body": "Hi"}},
            {"id": "later", "type": "delay", "params": {"for": "1h"}}],
        "edges": [{"from": "trigger", "to": "hello"}, {"from": "hello", "to": "later"}]}));
    assert_eq!(
        moved(&story, &new, &[]),
        Err(MigrationError::Gone("pause".to_owned()))
    );
    assert_eq!(
        moved(&story, &new, &[("pause", "nowhere")]),
        Err(MigrationError::NoSuchNode("nowhere".to_owned()))
    );
    let landed = moved(&story, &new, &[("pause", "later")]).expect("it lands");
    assert_eq!(
        landed.run.standing_at().into_iter().collect::<Vec<_>>(),
        ["later"]
    );
    assert_eq!(
        landed.timers_cleared,
        [story.run.timers()[0].0],
        "the old wait is over"
    );
    assert_eq!(landed.timers_set[0].1, START.plus(Duration::from_secs(3_600)));
}

#[test]
fn a_run_that_acts_stays_put_when_its_node_goes_and_an_ended_one_does_not_move() {
    let mut story = Story::new(&workflow());
    let effect = acts(&story.give(Input::Started))[0].clone();
    let new = plan(&workflow());
    assert_eq!(
        moved(&story, &new, &[("hello", "pause")]),
        Err(MigrationError::OnItsWay("hello".to_owned()))
    );
    let carried = moved(&story, &new, &[]).expect("an effect on its way is answered on the new version");
    let answered = transition(&new, carried.run, done(&effect), &story.world);
    assert_eq!(answered.run.status(), RunStatus::Waiting);
    story.give(Input::Cancelled {
        reason: "enough".to_owned(),
    });
    story.give(done(&effect));
    assert_eq!(moved(&story, &new, &[]), Err(MigrationError::Over));
}

#[test]
fn a_run_is_moved_to_a_version_once() {
    let story = waiting();
    let new = plan(&workflow());
    let mut moved_once = waiting();
    moved_once.run = moved(&story, &new, &[]).expect("it lands").run;
    assert_eq!(
        moved(&moved_once, &new, &[]),
        Err(MigrationError::AlreadyThere(2))
    );
}

/// A loop over two items: a wait and a message for each, and a task behind it.
fn looping() -> Value {
    json!({"name": "w", "trigger": {"type": "call.no_answer"},
        "nodes": [
            {"id": "each", "type": "for_each", "params": {"items": "['a', 'b']"}},
            {"id": "pause", "type": "delay", "params": {"for": "1h"}},
            {"id": "tell", "type": "send_sms", "params": {"body": "Old {{ item }}"}},
            {"id": "after", "type": "create_task", "params": {"title": "{{ steps.each.output.count }} told"}}],
        "edges": [{"from": "trigger", "to": "each"}, {"from": "each", "port": "item", "to": "pause"},
            {"from": "pause", "to": "tell"}, {"from": "each", "to": "after"}]})
}

/// Lets what is waited for happen until the run asks for something or ends; answers what it asks.
fn played_on(plan: &Plan, story: &mut Story, mut moved: Transition) -> Vec<String> {
    let mut told = Vec::new();
    for _ in 0..20 {
        let asked: Vec<_> = acts(&moved).into_iter().cloned().collect();
        let input = match asked.first() {
            Some(effect) => {
                told.push(match &effect.request {
                    Request::SendSms { body, .. } => body.clone(),
                    Request::CreateTask { title, .. } => title.clone(),
                    other => panic!("{other:?}"),
                });
                done(effect)
            }
            None => {
                let Some((timer, due)) = moved.run.timers().first().copied() else {
                    assert_eq!(moved.run.status(), RunStatus::Completed);
                    return told;
                };
                story.world.now = story.world.now.max(due);
                Input::TimerFired { timer }
            }
        };
        moved = transition(plan, moved.run, input, &story.world);
    }
    panic!("it does not end: {told:?}");
}

#[test]
fn a_run_in_the_middle_of_a_loop_goes_on_with_its_items_on_the_new_version() {
    let mut new = looping();
    new["nodes"][2]["params"]["body"] = json!("New {{ item }} ({{ index }})");
    let new = plan(&new);
    let mut story = Story::new(&looping());
    let begun = story.give(Input::Started);
    assert_eq!(begun.run.standing_at().len(), 2, "the loop, and its first item");
    let moved = moved(&story, &new, &[]).expect("it lands");
    assert_eq!(
        moved.run.loops(),
        story.run.loops(),
        "the loop is as far as it was"
    );
    let told = played_on(&new, &mut story, moved);
    assert_eq!(told, ["New a (0)", "New b (1)", "2 told"]);
}

#[test]
fn an_item_lands_within_its_loop_and_nowhere_else() {
    let mut new = looping();
    new["nodes"][1] = json!({"id": "short", "type": "delay", "params": {"for": "1m"}});
    new["edges"][1]["to"] = json!("short");
    new["edges"][2]["from"] = json!("short");
    let new = plan(&new);
    let mut story = Story::new(&looping());
    story.give(Input::Started);
    assert_eq!(
        moved(&story, &new, &[]),
        Err(MigrationError::Gone("pause".to_owned()))
    );
    assert_eq!(
        moved(&story, &new, &[("pause", "after")]),
        Err(MigrationError::OtherLoop("pause".to_owned()))
    );
    assert_eq!(
        moved(&story, &new, &[("pause", "tell"), ("each", "after")]),
        Err(MigrationError::OnItsWay("each".to_owned())),
        "the loop itself stays"
    );
    let landed = moved(&story, &new, &[("pause", "tell")]).expect("it lands");
    let told = played_on(&new, &mut story, landed);
    assert_eq!(told, ["Old a", "Old b", "2 told"]);
}

#[test]
fn a_run_stays_when_its_node_has_left_the_loop_or_the_loop_is_gone() {
    let mut out = looping();
    out["edges"] = json!([{"from": "trigger", "to": "each"}, {"from": "each", "port": "item", "to": "tell"},
        {"from": "each", "to": "pause"}, {"from": "pause", "to": "after"}]);
    let mut gone = looping();
    gone["nodes"][0] = json!({"id": "once", "type": "delay", "params": {"for": "1s"}});
    gone["nodes"][2]["params"]["body"] = json!("Hi");
    gone["nodes"][3]["params"]["title"] = json!("Told");
    gone["edges"] = json!([{"from": "trigger", "to": "once"}, {"from": "once", "to": "pause"},
        {"from": "pause", "to": "tell"}, {"from": "tell", "to": "after"}]);
    let mut story = Story::new(&looping());
    story.give(Input::Started);
    let other_loop = MigrationError::OtherLoop("pause".to_owned());
    let out = plan(&out);
    assert_eq!(moved(&story, &out, &[]), Err(other_loop.clone()));
    assert_eq!(
        moved(&story, &plan(&gone), &[]),
        Err(MigrationError::Gone("each".to_owned()))
    );
    // The preview knows it before.
    let seen = places(&story.run, story.plan.definition(), out.definition());
    let seen: Vec<_> = seen
        .iter()
        .map(|place| {
            (
                place.node.as_str(),
                place.lands_at.as_deref(),
                place.reason.clone(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("each", Some("each"), None),
            ("pause", None, Some(other_loop.to_string()))
        ]
    );
}
