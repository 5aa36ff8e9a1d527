//! `run_workflow`: starts another workflow for the same lead, and waits for its end when asked to.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read},
    source::Source,
    values,
};
use crate::{
    domain::ids::WorkflowId,
    workflows::{definition::Definition, effect::Request, problem::Problem, validate::NODES_MAX},
};

/// Runs that may start one another in a row.
const DEPTH_MAX: u8 = 8;

pub(super) struct RunWorkflow;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    workflow: WorkflowId,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    wait: bool,
}

/// The workflows that a definition starts, with the paths where it names them; of the nodes that it may have.
#[must_use]
pub fn workflows_named(definition: &Definition) -> Vec<(String, WorkflowId)> {
    let mut named = Vec::new();
    for (at, node) in definition.nodes.iter().enumerate().take(NODES_MAX) {
        let target = node.params.get("workflow").and_then(Value::as_str);
        let target = target.filter(|_| node.kind == RunWorkflow.name());
        if let Some(id) = target.and_then(|text| text.parse().ok()) {
            named.push((format!("nodes[{at}].params.workflow"), id));
        }
    }
    named
}

impl NodeKind for RunWorkflow {
    fn name(&self) -> &'static str {
        "run_workflow"
    }

    fn title(&self) -> &'static str {
        "Run workflow"
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false, "required": ["workflow"],
            "properties": {
                "workflow": {"type": "string", "pattern": "^wf_[0-7][0-9a-hjkmnp-tv-z]{25}$", "title": "Workflow",
                    "format": "workflow"},
                "data": {"title": "Data", "description": "What the run sees as trigger.data; texts in it are templates"},
                "wait": {"type": "boolean", "default": false, "title": "Wait for its end"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        Ok(Box::new(read::<Params>(params)?))
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        let mut sources = Vec::new();
        values::texts_of("data", &self.data, &mut sources);
        sources
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        if scene.run.depth >= DEPTH_MAX {
            let message = format!("{DEPTH_MAX} runs have started one another in a row: this may be a loop");
            return Err(NodeError::new("too_deep", message));
        }
        let data = values::rendered(&self.data, scene)?;
        let input = json!({"workflow": self.workflow, "data": data, "wait": self.wait});
        Ok(Entered {
            input,
            action: Action::Act(Request::RunWorkflow {
                target: self.workflow,
                data,
                wait: self.wait,
                depth: scene.run.depth + 1,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::run::RunStatus,
        workflows::{
            effect::Command,
            input::Input,
            tests::story::{START, Story, acts, done, single},
        },
    };

    fn child(wait: bool) -> Value {
        let workflow = WorkflowId::derived(START, &[b"other"]);
        single(
            "run_workflow",
            &json!({"workflow": workflow, "data": {"who": "{{ lead.first_name }}"}, "wait": wait}),
            &json!({}),
        )
    }

    #[test]
    fn goes_on_once_the_run_has_begun_when_it_does_not_wait() {
        let mut story = Story::new(&child(false));
        let effect = acts(&story.give(Input::Started))[0].clone();
        assert!(
            matches!(&effect.request, Request::RunWorkflow { data, depth: 1, .. } if data == &json!({"who": "Ada"}))
        );
        assert_eq!(story.give(done(&effect)).run.status(), RunStatus::Completed);
    }

    #[test]
    fn waits_for_the_end_and_asks_the_store_should_the_news_be_lost() {
        let mut story = Story::new(&child(true));
        let effect = acts(&story.give(Input::Started))[0].clone();
        let run_id = effect.child_id();
        let begun = story.give(done(&effect));
        assert_eq!(begun.run.status(), RunStatus::Waiting);
        assert!(begun.commands.contains(&Command::AskRun { run_id }));
        let (timer, due) = begun.timers_set[0];
        story.world.now = due;
        let asked = story.give(Input::TimerFired { timer });
        assert!(asked.commands.contains(&Command::AskRun { run_id }));
        let later = asked.timers_set[0].1;
        assert!(later.since(due) > due.since(START), "asks seldomer");
        let ended = |status, reason: Option<&str>| Input::RunEnded {
            run_id,
            status,
            reason: reason.map(str::to_owned),
        };
        assert!(!story.give(ended(RunStatus::Waiting, None)).changed);
        let over = story.give(ended(RunStatus::Completed, None));
        assert_eq!(over.run.status(), RunStatus::Completed);
        assert!(over.run.timers().is_empty());
        assert!(!story.give(ended(RunStatus::Completed, None)).changed);
    }

    fn ended(effect: &crate::workflows::Effect, status: RunStatus) -> Input {
        Input::RunEnded {
            run_id: effect.child_id(),
            status,
            reason: None,
        }
    }

    fn by_hand() -> Input {
        Input::Cancelled {
            reason: "by hand".to_owned(),
        }
    }

    #[test]
    fn a_cancelled_run_ends_the_one_it_waits_for_first_and_says_so_again_after_a_crash() {
        let mut story = Story::new(&child(true));
        let effect = acts(&story.give(Input::Started))[0].clone();
        let cancel = Command::CancelRun {
            run_id: effect.child_id(),
        };
        let begun = story.give(done(&effect));
        let cancelled = story.give(by_hand());
        assert!(cancelled.commands.contains(&cancel));
        assert_eq!(
            cancelled.run.status(),
            RunStatus::Running,
            "not over before its child"
        );
        assert!(story.give(Input::Recovered).commands.contains(&cancel));
        let (timer, due) = begun.timers_set[0];
        story.world.now = due;
        assert!(story.give(Input::TimerFired { timer }).commands.contains(&cancel));
        let over = story.give(ended(&effect, RunStatus::Cancelled));
        assert_eq!(over.run.status(), RunStatus::Cancelled);
        assert_eq!(over.run.error().as_deref(), Some("by hand"));
        assert!(over.run.timers().is_empty());
    }

    #[test]
    fn a_run_that_may_have_begun_while_its_parent_ended_is_ended_too() {
        let cancels = |story: &mut Story, effect: &crate::workflows::Effect, input| {
            let moved = story.give(input);
            let cancel = Command::CancelRun {
                run_id: effect.child_id(),
            };
            assert!(moved.commands.contains(&cancel), "{:?}", moved.commands);
            assert!(!moved.run.has_ended());
            let over = story.give(ended(effect, RunStatus::Failed));
            assert_eq!(over.run.status(), RunStatus::Cancelled);
        };
        // The news that it has begun comes after the cancel, or never.
        for comes in [true, false] {
            let mut story = Story::new(&child(true));
            let effect = acts(&story.give(Input::Started))[0].clone();
            story.give(by_hand());
            let input = if comes { done(&effect) } else { Input::Recovered };
            cancels(&mut story, &effect, input);
        }
        // It is not known whether it has begun.
        let mut story = Story::new(&child(true));
        let effect = acts(&story.give(Input::Started))[0].clone();
        story.give(Input::Recovered);
        cancels(&mut story, &effect, by_hand());
    }

    #[test]
    fn a_run_that_is_not_waited_for_goes_on() {
        let mut story = Story::new(&child(false));
        story.give(Input::Started);
        story.give(by_hand());
        let over = story.give(Input::Recovered);
        assert_eq!(over.run.status(), RunStatus::Cancelled);
        assert!(
            !over
                .commands
                .iter()
                .any(|command| matches!(command, Command::CancelRun { .. }))
        );
    }

    #[test]
    fn a_failed_item_of_a_loop_ends_the_run_it_waits_for_before_the_next_item_begins() {
        let workflow = WorkflowId::derived(START, &[b"other"]);
        let definition = json!({"name": "w", "trigger": {"type": "call.no_answer"},
            "nodes": [{"id": "each", "type": "for_each", "params": {"items": "[1, 2]"}, "on_error": "continue"},
                {"id": "below", "type": "run_workflow", "params": {"workflow": workflow, "wait": true}},
                {"id": "text", "type": "send_sms", "params": {"body": "Hi"}}],
            "edges": [{"from": "trigger", "to": "each"}, {"from": "each", "port": "item", "to": "below"},
                {"from": "each", "port": "item", "to": "text"}]});
        let mut story = Story::new(&definition);
        let begun = story.give(Input::Started);
        let of = |node: &str| {
            let effects = acts(&begun);
            (**effects
                .iter()
                .find(|effect| effect.node == node)
                .expect("asked for"))
            .clone()
        };
        let (below, text) = (of("below"), of("text"));
        story.give(done(&below));
        let failed = story.give(crate::workflows::tests::story::failed(
            &text,
            crate::workflows::FailureKind::Permanent,
        ));
        let cancel = Command::CancelRun {
            run_id: below.child_id(),
        };
        assert!(failed.commands.contains(&cancel), "{:?}", failed.commands);
        assert!(acts(&failed).is_empty(), "the item is not over yet");
        let next = story.give(ended(&below, RunStatus::Cancelled));
        assert_eq!(acts(&next).len(), 2, "the second item begins");
    }

    #[test]
    fn a_run_that_failed_fails_the_node_with_its_reason() {
        let mut story = Story::new(&child(true));
        let effect = acts(&story.give(Input::Started))[0].clone();
        story.give(done(&effect));
        let over = story.give(Input::RunEnded {
            run_id: effect.child_id(),
            status: RunStatus::Failed,
            reason: Some("sms: no phone".to_owned()),
        });
        assert_eq!(over.run.status(), RunStatus::Failed);
        assert_eq!(
            over.run.error().as_deref(),
            Some("one: the run it started has failed: sms: no phone")
        );
    }

    #[test]
    fn runs_that_start_one_another_without_end_are_stopped() {
        let mut story = Story::new(&child(false));
        story.run = story.run.clone().child_of(story.run.id(), DEPTH_MAX);
        assert_eq!(story.give(Input::Started).run.status(), RunStatus::Failed);
        assert_eq!(
            story.steps()[0].error.as_ref().map(|error| error.code.as_str()),
            Some("too_deep")
        );
    }
}
