//! A run taken up again: from its start, or from a node with what the steps before it gave.
//!
//! In: a run that has ended, the plan to run on (its own version's or a newer one's), where to begin. Out: a new run that
//! has not begun, or why there can be none. Pure: the shell gives it its id and appends its first step.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    plan::Plan,
    run::{Run, RunSeed},
    snapshot::Kept,
};
use crate::domain::{ids::RunId, time::Timestamp};

/// Where a run that is taken up again begins.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum BeginAt {
    /// Behind the trigger, as if nothing had happened.
    Start,
    /// At a node. Outputs of the nodes before it are taken over; only this one way is taken up, not branches beside it.
    Node(String),
}

/// A run to take up again.
#[derive(Debug, Clone)]
pub struct Rerun<'a> {
    pub old: &'a Run,
    /// Outputs that the old run's history names, by node: it knows more than the old run kept.
    pub outputs: BTreeMap<String, Value>,
    /// The id of the run that follows.
    pub id: RunId,
    /// The number of the plan's version.
    pub version: u32,
    pub begin_at: BeginAt,
    pub now: Timestamp,
}

/// Why a run cannot be taken up again like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RerunError {
    #[error("run {0} has not ended: cancel it first")]
    NotEnded(RunId),
    #[error(
        "version {version} has no node `{node}`: begin at another one, from the start, or on the old version"
    )]
    NodeGone { node: String, version: u32 },
    #[error("`{node}` is inside of a loop: begin at the loop, or before it")]
    InsideLoop { node: String },
}

/// Makes the run that takes `rerun.old` up again on `plan`.
///
/// # Errors
/// [`RerunError`] says what to do instead.
pub fn rerun(rerun: Rerun<'_>, plan: &Plan) -> Result<Run, RerunError> {
    let Rerun {
        old,
        mut outputs,
        id,
        version,
        begin_at,
        now,
    } = rerun;
    if !old.has_ended() {
        return Err(RerunError::NotEnded(old.id()));
    }
    let mut run = Run::new(RunSeed {
        id,
        account_id: old.account_id(),
        workflow_id: old.workflow_id(),
        version,
        lead_id: old.lead_id(),
        call_id: old.call_id(),
        trigger: old.trigger.clone(),
        started_at: now,
    });
    run.ids.retry_of = Some(old.id());
    run.ids.depth = old.ids.depth;
    if let BeginAt::Node(node) = begin_at {
        if !plan.has_node(&node) {
            return Err(RerunError::NodeGone { node, version });
        }
        if plan.is_in_loop(&node) {
            return Err(RerunError::InsideLoop { node });
        }
        outputs.extend(
            old.all_outputs()
                .iter()
                .map(|(step, output)| (step.clone(), (*output.0).clone())),
        );
        outputs.retain(|step, _| plan.keeps_output(step) && plan.comes_before(step, &node));
        run.outputs = outputs
            .into_iter()
            .map(|(step, output)| (step, Kept::new(output)))
            .collect();
        run.begin_at = Some(node);
    }
    Ok(run)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        domain::run::RunStatus,
        workflows::{
            effect::Request,
            input::{FailureKind, Input},
            tests::story::{START, Story, acts, done, failed},
        },
    };

    fn definition() -> Value {
        json!({"name": "w", "trigger": {"type": "manual"},
            "nodes": [{"id": "hook", "type": "webhook", "params": {"url": "https://example.com/{{ trigger.data.tries }}"}},
                {"id": "tell", "type": "slack_message", "params": {"channel": "#c", "text": "{{ steps.hook.output.id }}"}},
                {"id": "each", "type": "for_each", "params": {"items": "['a']"}},
                {"id": "in", "type": "create_task", "params": {"title": "{{ item }}"}}],
            "edges": [{"from": "trigger", "to": "hook"}, {"from": "hook", "to": "tell"}, {"from": "tell", "to": "each"},
                {"from": "each", "port": "item", "to": "in"}]})
    }

    /// A run that failed at `tell`.
    fn failed_run() -> Story {
        let mut story = Story::new(&definition());
        let hook = acts(&story.give(Input::Started))[0].clone();
        let tell = acts(&story.give(done(&hook)))[0].clone();
        assert_eq!(
            story.give(failed(&tell, FailureKind::Permanent)).run.status(),
            RunStatus::Failed
        );
        story
    }

    fn from(story: &Story, begin_at: BeginAt) -> Rerun<'_> {
        Rerun {
            old: &story.run,
            outputs: BTreeMap::new(),
            id: RunId::derived(START, &[b"again"]),
            version: 1,
            begin_at,
            now: story.world.now,
        }
    }

    fn at(node: &str) -> BeginAt {
        BeginAt::Node(node.to_owned())
    }

    #[test]
    fn from_a_node_the_outputs_before_it_are_there_and_nothing_before_it_is_done_again() {
        let mut story = failed_run();
        let old = story.run.id();
        story.run = rerun(from(&story, at("tell")), &story.plan).expect("a run");
        assert_eq!((story.run.retry_of(), story.run.id() == old), (Some(old), false));
        let begun = story.give(Input::Started);
        let effects = acts(&begun);
        assert!(
            matches!(&effects[0].request, Request::SlackMessage { text, .. } if text == "SM1"),
            "{effects:?}"
        );
        assert_eq!(effects.len(), 1);
        assert!(
            effects[0].key.starts_with(&story.run.id().to_string()),
            "a new run has new keys"
        );
    }

    #[test]
    fn from_the_start_everything_is_done_again_with_the_same_trigger() {
        let mut story = failed_run();
        story.run = rerun(from(&story, BeginAt::Start), &story.plan).expect("a run");
        let begun = story.give(Input::Started);
        assert!(
            matches!(&acts(&begun)[0].request, Request::WebhookRequest { url, .. } if url.ends_with("/3"))
        );
    }

    #[test]
    fn what_cannot_be_taken_up_is_refused_with_its_reason() {
        let story = failed_run();
        let refusal = |begin_at| rerun(from(&story, begin_at), &story.plan).expect_err("a refusal");
        assert!(matches!(refusal(at("gone")), RerunError::NodeGone { .. }));
        assert!(matches!(refusal(at("in")), RerunError::InsideLoop { .. }));
        let fresh = Story::new(&definition());
        let running = rerun(from(&fresh, BeginAt::Start), &fresh.plan);
        assert!(matches!(running, Err(RerunError::NotEnded(_))));
    }

    #[test]
    fn an_output_that_the_old_run_did_not_keep_comes_from_its_history_or_fails_the_node_by_name() {
        let mut story = failed_run();
        story.run.outputs.clear();
        let mut with_history = from(&story, at("tell"));
        with_history
            .outputs
            .insert("hook".to_owned(), json!({"id": "from history"}));
        let known = rerun(with_history, &story.plan).expect("a run");
        let missed = rerun(from(&story, at("tell")), &story.plan).expect("a run");
        for (run, status) in [(known, RunStatus::Running), (missed, RunStatus::Failed)] {
            story.run = run;
            assert_eq!(story.give(Input::Started).run.status(), status);
        }
        let error = story.run.error().expect("a reason");
        assert!(error.contains("steps.hook"), "{error}");
    }
}
