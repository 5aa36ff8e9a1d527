//! `merge`: where parallel branches meet and go on as one.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, MergeMode, Node, NodeError, NodeKind, Scene, read},
    source::Source,
};
use crate::workflows::{definition::PORT_OK, problem::Problem};

pub(super) struct Merge;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(default)]
    mode: MergeMode,
}

impl NodeKind for Merge {
    fn name(&self) -> &'static str {
        "merge"
    }

    fn title(&self) -> &'static str {
        "Merge branches"
    }

    fn ports(&self) -> &'static [&'static str] {
        &[PORT_OK]
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "mode": {"type": "string", "enum": ["all", "any"], "default": "all", "title": "Goes on with",
                    "description": "all: once every branch that can still come has come; any: with the first, and the others end here"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        Ok(Box::new(read::<Params>(params)?))
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        Vec::new()
    }

    fn enter(&self, _scene: &Scene<'_>) -> Result<Entered, NodeError> {
        Ok(Entered {
            input: json!({}),
            action: Action::Merge(self.mode),
        })
    }

    fn merge(&self) -> Option<MergeMode> {
        Some(self.mode)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        domain::run::{RunStatus, StepStatus},
        workflows::{
            input::{FailureKind, Input},
            tests::story::{Story, acts, done, failed},
        },
    };

    /// Two branches, one with a delay and one with an SMS, meet; a task follows.
    fn two_branches(mode: &str, extra: &Value) -> Value {
        let mut sms = json!({"id": "sms", "type": "send_sms", "params": {"body": "Hi"}});
        for (name, value) in extra.as_object().into_iter().flatten() {
            sms[name] = value.clone();
        }
        json!({"name": "w", "trigger": {"type": "manual"},
            "nodes": [sms, {"id": "wait", "type": "delay", "params": {"for": "1h"}},
                {"id": "meet", "type": "merge", "params": {"mode": mode}},
                {"id": "task", "type": "create_task", "params": {"title": "Look"}}],
            "edges": [{"from": "trigger", "to": "sms"}, {"from": "trigger", "to": "wait"}, {"from": "sms", "to": "meet"},
                {"from": "wait", "to": "meet"}, {"from": "meet", "to": "task"}]})
    }

    fn ring(story: &mut Story) -> crate::workflows::Transition {
        let (timer, due) = story.run.timers()[0];
        story.world.now = story.world.now.max(due);
        story.give(Input::TimerFired { timer })
    }

    #[test]
    fn all_goes_on_once_when_both_have_come() {
        let mut story = Story::new(&two_branches("all", &json!({})));
        let sms = acts(&story.give(Input::Started))[0].clone();
        let one = story.give(done(&sms));
        assert!(acts(&one).is_empty() && one.run.status() == RunStatus::Waiting);
        let both = ring(&mut story);
        assert_eq!(acts(&both)[0].node, "task");
        let meet = story
            .steps()
            .into_iter()
            .find(|step| step.node == "meet")
            .expect("a step");
        assert_eq!(
            (meet.status, meet.output),
            (StepStatus::Done, Some(json!({"branches": 2})))
        );
    }

    #[test]
    fn all_does_not_wait_for_a_branch_that_failed_and_went_nowhere() {
        let mut story = Story::new(&two_branches("all", &json!({"on_error": "continue"})));
        let mut definition = two_branches("all", &json!({}));
        definition["nodes"][0]["id"] = json!("sms");
        definition["nodes"]
            .as_array_mut()
            .expect("a list")
            .push(json!({"id": "note", "type": "alert", "params": {"title": "no"}}));
        definition["edges"]
            .as_array_mut()
            .expect("a list")
            .push(json!({"from": "sms", "port": "error", "to": "note"}));
        story.plan = Story::new(&definition).plan;
        let sms = acts(&story.give(Input::Started))[0].clone();
        let begun = ring(&mut story);
        assert!(acts(&begun).is_empty(), "the SMS may still come");
        let over = story.give(failed(&sms, FailureKind::Permanent));
        let nodes: Vec<&str> = acts(&over).iter().map(|effect| effect.node.as_str()).collect();
        assert_eq!(
            nodes,
            ["note", "task"],
            "the failed branch went to `note`: nothing is left to wait for"
        );
    }

    #[test]
    fn any_goes_on_with_the_first_and_the_other_ends_there() {
        let mut story = Story::new(&two_branches("any", &json!({})));
        let sms = acts(&story.give(Input::Started))[0].clone();
        let first = story.give(done(&sms));
        assert_eq!(acts(&first)[0].node, "task");
        let task = acts(&first)[0].clone();
        let late = ring(&mut story);
        assert!(acts(&late).is_empty());
        assert_eq!(story.give(done(&task)).run.status(), RunStatus::Completed);
        assert_eq!(story.steps().iter().filter(|step| step.node == "task").count(), 1);
    }

    #[test]
    fn branches_that_arrive_in_one_step_are_one_for_both_modes() {
        for mode in ["all", "any"] {
            let definition = json!({"name": "w", "trigger": {"type": "manual"},
                "nodes": [{"id": "yes", "type": "condition", "params": {"if": "true"}},
                    {"id": "no", "type": "condition", "params": {"if": "false"}},
                    {"id": "meet", "type": "merge", "params": {"mode": mode}},
                    {"id": "task", "type": "create_task", "params": {"title": "Look"}}],
                "edges": [{"from": "trigger", "to": "yes"}, {"from": "trigger", "to": "no"},
                    {"from": "yes", "port": "true", "to": "meet"}, {"from": "no", "port": "false", "to": "meet"},
                    {"from": "no", "port": "true", "to": "meet"}, {"from": "meet", "to": "task"}]});
            let mut story = Story::new(&definition);
            assert_eq!(acts(&story.give(Input::Started)).len(), 1, "{mode}");
        }
    }

    #[test]
    fn merges_that_wait_for_one_another_do_not_hang() {
        // Each can come to the other through a delay; both get one token.
        let definition = json!({"name": "w", "trigger": {"type": "manual"},
            "nodes": [{"id": "one", "type": "merge"}, {"id": "other", "type": "merge"},
                {"id": "pause", "type": "delay", "params": {"for": "1h"}},
                {"id": "again", "type": "condition", "params": {"if": "lead.score > 95"}}],
            "edges": [{"from": "trigger", "to": "one"}, {"from": "trigger", "to": "other"}, {"from": "one", "to": "pause"},
                {"from": "pause", "to": "other"}, {"from": "other", "to": "again"},
                {"from": "again", "port": "true", "to": "pause"}, {"from": "again", "port": "true", "to": "one"}]});
        let mut story = Story::new(&definition);
        story.give(Input::Started);
        for _ in 0..10 {
            if story.run.has_ended() {
                return;
            }
            story.pass(Duration::from_secs(3_600));
            ring(&mut story);
        }
        panic!("still waiting: {:?}", story.run);
    }
}
