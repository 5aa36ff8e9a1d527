//! `for_each`: its body once for each item of a list.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Pace, Scene, read},
    source::{Source, ValueExpression},
};
use crate::{
    domain::time::parse_span,
    workflows::{
        definition::{PORT_OK, span},
        frames::{ITEMS_BYTES_MAX, ITEMS_MAX, PORT_ITEM},
        problem::Problem,
    },
};

/// Most items under way at once.
const CONCURRENCY_MAX: u32 = 50;

pub(super) struct ForEach;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    items: ValueExpression,
    #[serde(default = "one")]
    concurrency: u32,
    #[serde(default, with = "span")]
    throttle: Duration,
}

const fn one() -> u32 {
    1
}

impl NodeKind for ForEach {
    fn name(&self) -> &'static str {
        "for_each"
    }

    fn title(&self) -> &'static str {
        "For each"
    }

    fn ports(&self) -> &'static [&'static str] {
        &[PORT_ITEM, PORT_OK]
    }

    fn body_port(&self) -> Option<&'static str> {
        Some(PORT_ITEM)
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false, "required": ["items"],
            "properties": {
                "items": {"type": "string", "minLength": 1, "title": "Items", "format": "expression",
                    "description": "A list, for example steps.find.output.leads; at most 5000"},
                "concurrency": {"type": "integer", "minimum": 1, "maximum": CONCURRENCY_MAX, "default": 1,
                    "title": "Items at once"},
                "throttle": {"type": "string", "title": "Time between two starts", "format": "span",
                    "description": "For example 2s: the next item begins no sooner"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        if let Some(Err(error)) = params.get("throttle").and_then(Value::as_str).map(parse_span) {
            return Err(vec![Problem::new(
                "throttle",
                "bad_span",
                error.to_string(),
                "write it like 2s",
            )]);
        }
        Ok(Box::new(read::<Params>(params)?))
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        vec![self.items.source("items")]
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let Value::Array(items) = self.items.value(scene)? else {
            let message = format!("`{}` is not a list", self.items.as_str());
            return Err(NodeError::new("not_a_list", message));
        };
        if items.len() > ITEMS_MAX {
            let message = format!(
                "{} items are more than {ITEMS_MAX}: take them in parts",
                items.len()
            );
            return Err(NodeError::new("too_many_items", message));
        }
        let bytes: usize = items.iter().map(|item| item.to_string().len()).sum();
        if bytes > ITEMS_BYTES_MAX {
            let message =
                format!("the items take {bytes} bytes, more than {ITEMS_BYTES_MAX}: take them in parts");
            return Err(NodeError::new("items_too_large", message));
        }
        let input = json!({"items": items.len(), "concurrency": self.concurrency});
        let action = if items.is_empty() {
            Action::Leave {
                port: PORT_OK.into(),
                output: json!({"count": 0, "failed": 0, "errors": []}),
            }
        } else {
            Action::Each(items)
        };
        Ok(Entered { input, action })
    }

    fn pace(&self) -> Option<Pace> {
        Some(Pace {
            concurrency: self.concurrency,
            throttle: self.throttle,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{ids::LeadId, run::RunStatus},
        workflows::{
            effect::{Effect, Request},
            input::{FailureKind, Input},
            plan::Plan,
            tests::story::{START, Story, acts, done, failed},
            transition::Transition,
        },
    };

    fn looped(items: &str, params: &Value, extra: &Value) -> Value {
        let mut each = json!({"id": "each", "type": "for_each", "params": {"items": items}});
        for (name, value) in params.as_object().into_iter().flatten() {
            each["params"][name] = value.clone();
        }
        for (name, value) in extra.as_object().into_iter().flatten() {
            each[name] = value.clone();
        }
        json!({"name": "w", "trigger": {"type": "manual"},
            "nodes": [each, {"id": "tell", "type": "slack_message", "params": {"channel": "#c", "text": "{{ index }}: {{ item }}"}},
                {"id": "end", "type": "create_task", "params": {"title": "{{ steps.each.output.count }} done, {{ steps.each.output.failed }} failed"}}],
            "edges": [{"from": "trigger", "to": "each"}, {"from": "each", "port": "item", "to": "tell"},
                {"from": "each", "to": "end"}]})
    }

    fn texts(transition: &Transition) -> Vec<String> {
        acts(transition)
            .into_iter()
            .map(|effect| match &effect.request {
                Request::SlackMessage { text, .. } => text.clone(),
                Request::CreateTask { title, .. } => title.clone(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn act(transition: &Transition) -> Effect {
        acts(transition)[0].clone()
    }

    #[test]
    fn the_body_runs_for_each_item_in_order_and_ok_follows() {
        let mut story = Story::new(&looped("['a', 'b']", &json!({}), &json!({})));
        let first = story.give(Input::Started);
        assert_eq!(texts(&first), ["0: a"]);
        let second = story.give(done(&act(&first)));
        assert_eq!(texts(&second), ["1: b"]);
        assert_eq!(second.run.loops()[0].done, 1);
        let after = story.give(done(&act(&second)));
        assert_eq!(texts(&after), ["2 done, 0 failed"]);
        let items: Vec<_> = story.steps().iter().map(|step| step.item).collect();
        assert_eq!(items, [None, Some(0), Some(1), None]);
        assert_eq!(story.give(done(&act(&after))).run.status(), RunStatus::Completed);
    }

    #[test]
    fn as_many_are_under_way_as_asked_for_and_no_more() {
        let mut story = Story::new(&looped("range(5) | list", &json!({"concurrency": 2}), &json!({})));
        let begun = story.give(Input::Started);
        assert_eq!(texts(&begun), ["0: 0", "1: 1"]);
        let next = story.give(done(acts(&begun)[1]));
        assert_eq!(texts(&next), ["2: 2"]);
    }

    #[test]
    fn the_throttle_keeps_starts_apart() {
        let mut story = Story::new(&looped(
            "['a', 'b', 'c']",
            &json!({"throttle": "10s"}),
            &json!({}),
        ));
        let first = story.give(Input::Started);
        let waiting = story.give(done(&act(&first)));
        assert!(acts(&waiting).is_empty() && waiting.run.status() == RunStatus::Waiting);
        let (timer, due) = waiting.timers_set[0];
        assert_eq!(due, START.plus(Duration::from_secs(10)));
        story.world.now = due;
        let second = story.give(Input::TimerFired { timer });
        assert_eq!(texts(&second), ["1: b"]);
        assert!(!story.give(Input::TimerFired { timer }).changed);
    }

    #[test]
    fn only_its_timer_wakes_a_throttled_loop() {
        let params = json!({"throttle": "10s", "concurrency": 2});
        let mut story = Story::new(&looped("['a', 'b']", &params, &json!({})));
        let (timer, due) = story.give(Input::Started).timers_set[0];
        story.world.now = due;
        let recovered = story.give(Input::Recovered);
        assert!(!texts(&recovered).contains(&"1: b".to_owned()));
        assert_eq!(recovered.timers_set, [(timer, due)]);
        let woken = story.give(Input::TimerFired { timer });
        assert_eq!(
            (texts(&woken), woken.timers_cleared),
            (vec!["1: b".to_owned()], vec![timer])
        );
    }

    #[test]
    fn an_item_that_is_a_lead_is_the_lead_inside() {
        let other = LeadId::derived(START, &[b"other"]);
        let mut definition = looped("trigger.data.leads", &json!({}), &json!({}));
        definition["nodes"][1] =
            json!({"id": "tell", "type": "send_sms", "params": {"body": "Hi {{ lead.first_name }}"}});
        let mut story = Story::new(&definition);
        story.run = crate::workflows::Run::new(crate::workflows::RunSeed {
            id: story.run.id(),
            account_id: story.run.account_id(),
            workflow_id: story.run.workflow_id(),
            version: 1,
            lead_id: None,
            call_id: None,
            trigger: json!({"type": "manual", "data": {"leads": [{"id": other, "name": "Grace Hopper",
                "first_name": "Grace", "phone": "+14155550199", "email": null, "score": 3, "stage": "new"}]}}),
            started_at: START,
        });
        let begun = story.give(Input::Started);
        let effect = act(&begun);
        assert_eq!(effect.lead_id, Some(other));
        let Request::SendSms { to, body, .. } = &effect.request else {
            panic!("an SMS")
        };
        assert_eq!((to.as_str(), body.as_str()), ("+14155550199", "Hi Grace"));
    }

    #[test]
    fn a_failed_item_fails_the_run_or_is_counted_when_the_loop_continues() {
        let mut story = Story::new(&looped("['a', 'b']", &json!({}), &json!({})));
        let first = story.give(Input::Started);
        let over = story.give(failed(&act(&first), FailureKind::Permanent));
        assert_eq!(over.run.status(), RunStatus::Failed);
        let mut story = Story::new(&looped(
            "['a', 'b']",
            &json!({}),
            &json!({"on_error": "continue"}),
        ));
        let first = story.give(Input::Started);
        let second = story.give(failed(&act(&first), FailureKind::Permanent));
        assert_eq!(texts(&second), ["1: b"]);
        let after = story.give(done(&act(&second)));
        assert_eq!(texts(&after), ["2 done, 1 failed"]);
    }

    #[test]
    fn outputs_inside_belong_to_their_item() {
        let definition = json!({"name": "w", "trigger": {"type": "manual"},
            "nodes": [{"id": "each", "type": "for_each", "params": {"items": "['a', 'b']", "concurrency": 2}},
                {"id": "hook", "type": "webhook", "params": {"url": "https://example.com/{{ item }}"}},
                {"id": "tell", "type": "slack_message", "params": {"channel": "#c", "text": "{{ item }}: {{ steps.hook.output.n }}"}}],
            "edges": [{"from": "trigger", "to": "each"}, {"from": "each", "port": "item", "to": "hook"},
                {"from": "hook", "to": "tell"}]});
        let mut story = Story::new(&definition);
        let hooks: Vec<Effect> = acts(&story.give(Input::Started)).into_iter().cloned().collect();
        let answer = |effect: &Effect, n: u32| Input::EffectDone {
            key: effect.key.clone(),
            attempt: 1,
            provider_id: None,
            output: json!({"n": n}),
        };
        assert_eq!(texts(&story.give(answer(&hooks[1], 2))), ["b: 2"]);
        assert_eq!(texts(&story.give(answer(&hooks[0], 1))), ["a: 1"]);
    }

    #[test]
    fn a_long_list_of_instant_items_takes_breaths_and_comes_to_its_end() {
        let definition = json!({"name": "w", "trigger": {"type": "manual"},
            "nodes": [{"id": "each", "type": "for_each", "params": {"items": "range(5000) | list"}},
                {"id": "if", "type": "condition", "params": {"if": "item > 10"}}],
            "edges": [{"from": "trigger", "to": "each"}, {"from": "each", "port": "item", "to": "if"}]});
        let mut story = Story::new(&definition);
        let mut given = story.give(Input::Started);
        let mut breaths = 0;
        while let Some((timer, due)) = given.timers_set.first().copied() {
            assert_eq!(due, story.world.now, "a breath, not a wait");
            breaths += 1;
            given = story.give(Input::TimerFired { timer });
        }
        assert_eq!(given.run.status(), RunStatus::Completed);
        assert!(breaths > 10, "{breaths}");
    }

    #[test]
    fn a_long_list_is_written_once_and_not_with_every_step() {
        let definition = json!({"name": "w", "trigger": {"type": "manual"},
            "nodes": [{"id": "hook", "type": "webhook", "params": {"url": "https://example.com"}},
                {"id": "each", "type": "for_each", "params": {"items": "steps.hook.output.list"}},
                {"id": "tell", "type": "slack_message", "params": {"channel": "#c", "text": "{{ item.name }} of {{ steps.hook.output.list | length }}"}}],
            "edges": [{"from": "trigger", "to": "hook"}, {"from": "hook", "to": "each"},
                {"from": "each", "port": "item", "to": "tell"}]});
        let mut story = Story::new(&definition);
        let hook = act(&story.give(Input::Started));
        let list: Vec<Value> = (0..150).map(|n| json!({"name": format!("{n:0>100}")})).collect();
        let begun = story.give(Input::EffectDone {
            key: hook.key,
            attempt: 1,
            provider_id: None,
            output: json!({"list": list}),
        });
        assert_eq!(begun.parts.len(), 2, "the output and the items");
        let next = story.give(done(&act(&begun)));
        assert_eq!(texts(&next), [format!("{:0>100} of 150", 1)]);
        assert!(next.parts.is_empty() && next.run.snapshot().len() < 2_000);
        let mut alone = crate::workflows::Run::from_snapshot(&next.run.snapshot()).expect("a run of ours");
        assert_eq!(alone.missing_parts().len(), 2);
        assert!(alone.fill(alone.missing_parts()[0], b"no JSON").is_err());
        let stays = crate::workflows::transition(&story.plan, alone, done(&act(&next)), &story.world);
        assert!(!stays.changed, "a run without its parts does not move");
    }

    #[test]
    fn what_is_no_list_and_too_many_items_are_said() {
        for (items, code) in [("'abc'", "not_a_list"), ("range(5001) | list", "too_many_items")] {
            let mut story = Story::new(&looped(items, &json!({}), &json!({})));
            story.give(Input::Started);
            let error = story.steps()[0].error.clone().expect("an error");
            assert_eq!(error.code, code, "{}", error.message);
        }
    }

    #[test]
    fn item_is_known_inside_only_and_the_body_does_not_lead_back() {
        let mut outside = looped("['a']", &json!({}), &json!({}));
        outside["nodes"][2]["params"]["title"] = json!("{{ item }}");
        let problems = Plan::from_json(&outside.to_string()).err().expect("a problem");
        assert_eq!(problems[0].code, "unknown_variable");
        let mut back = looped("['a']", &json!({}), &json!({}));
        back["edges"]
            .as_array_mut()
            .expect("a list")
            .push(json!({"from": "tell", "to": "each"}));
        let problems = Plan::from_json(&back.to_string()).err().expect("a problem");
        assert!(
            problems.iter().any(|problem| problem.code == "loop_back"),
            "{problems:?}"
        );
    }
}
