//! The journal folded into steps: what happened at each node, for the run's page.

use serde::Serialize;
use serde_json::Value;

use super::{
    effect::Provider,
    input::Choice,
    journal::{Entry, JournalEntry},
};
use crate::domain::{run::StepStatus, time::Timestamp};

/// What happened at one node on one visit.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Step {
    pub node: String,
    /// The node's kind, `send_sms`.
    pub kind: String,
    /// How often the run came by the node before, from 0.
    pub visit: u32,
    pub status: StepStatus,
    /// The params with every expression rendered.
    pub input: Option<Value>,
    pub output: Option<Value>,
    /// The port the run went on by.
    pub port: Option<String>,
    pub error: Option<StepError>,
    pub effect: Option<StepEffect>,
    /// What it waits for, while it waits for a time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub waiting_until: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// Why a step or an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct StepError {
    pub code: String,
    pub message: String,
}

/// The effect of a step.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct StepEffect {
    /// What a decision about it names.
    pub key: String,
    #[schema(value_type = String)]
    pub provider: Provider,
    pub provider_id: Option<String>,
    pub attempts: Vec<Attempt>,
    /// What a person decided when its outcome was unknown.
    pub decision: Option<Choice>,
}

/// One attempt of an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Attempt {
    /// Counts from 1.
    pub attempt: u32,
    pub outcome: AttemptOutcome,
    /// The provider's refusal, the gate's reason, or why the outcome is unknown.
    pub error: Option<StepError>,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    InFlight,
    Confirmed,
    Rejected,
    Unknown,
    /// Looked up and not there.
    Absent,
    /// The gate held it back; nothing was sent.
    Held,
}

/// Folds a journal into steps, in the order the run came by them.
#[must_use]
pub fn steps(journal: &[JournalEntry]) -> Vec<Step> {
    let mut steps = Vec::new();
    for JournalEntry { at, entry, .. } in journal {
        fold(&mut steps, *at, entry);
    }
    steps
}

/// Folds a journal as it is stored.
///
/// # Errors
/// When a line is not an entry.
pub fn steps_of<'a>(
    lines: impl IntoIterator<Item = (Timestamp, &'a str)>,
) -> Result<Vec<Step>, serde_json::Error> {
    let mut steps = Vec::new();
    for (at, line) in lines {
        fold(&mut steps, at, &Entry::from_json(line)?);
    }
    Ok(steps)
}

fn fold(steps: &mut Vec<Step>, at: Timestamp, entry: &Entry) {
    match entry {
        Entry::RunStarted { .. } | Entry::RunEnded { .. } => {}
        Entry::NodePassed {
            node,
            kind,
            visit,
            input,
            port,
            output,
        } => {
            let step = begin(steps, node, kind, *visit, at);
            step.input = Some(input.clone());
            done(step, at, port, output);
        }
        Entry::NodeWaiting {
            node,
            kind,
            visit,
            input,
            until,
        } => {
            let step = begin(steps, node, kind, *visit, at);
            (step.input, step.waiting_until) = (Some(input.clone()), Some(*until));
            step.status = StepStatus::Waiting;
        }
        Entry::NodeActed {
            node,
            kind,
            visit,
            input,
            key,
            provider,
        } => {
            let step = begin(steps, node, kind, *visit, at);
            step.input = Some(input.clone());
            let attempts = vec![attempt_at(1, at)];
            let (key, provider) = (key.clone(), *provider);
            step.effect = Some(StepEffect {
                key,
                provider,
                provider_id: None,
                attempts,
                decision: None,
            });
        }
        Entry::NodeFailed {
            node,
            kind,
            visit,
            code,
            message,
            port,
        } => {
            let known = find(steps, node, *visit).is_some();
            let step = if known {
                find(steps, node, *visit)
            } else {
                Some(begin(steps, node, kind, *visit, at))
            };
            if let Some(step) = step {
                step.status = StepStatus::Failed;
                step.error = Some(StepError {
                    code: code.clone(),
                    message: message.clone(),
                });
                step.port.clone_from(port);
                end(step, at);
            }
        }
        Entry::NodeDone { node, visit, .. }
        | Entry::NodeCancelled { node, visit }
        | Entry::Attempted { node, visit, .. }
        | Entry::Held { node, visit, .. }
        | Entry::AttemptFailed { node, visit, .. }
        | Entry::AttemptUnknown { node, visit, .. }
        | Entry::AttemptAbsent { node, visit, .. }
        | Entry::Asked { node, visit, .. }
        | Entry::Decided { node, visit, .. } => {
            if let Some(step) = find(steps, node, *visit) {
                go_on(step, at, entry);
            }
        }
    }
}

/// Folds what happens to a step after it began.
fn go_on(step: &mut Step, at: Timestamp, entry: &Entry) {
    step.waiting_until = None;
    if let Some((_, status)) = entry.step() {
        step.status = status;
    }
    match entry {
        Entry::NodeDone {
            port,
            output,
            provider_id,
            ..
        } => {
            if let Some(effect) = step.effect.as_mut().filter(|effect| effect.decision.is_none()) {
                effect.provider_id.clone_from(provider_id);
                answer(effect, at, AttemptOutcome::Confirmed, None);
            }
            done(step, at, port, output);
        }
        Entry::NodeCancelled { .. } => end(step, at),
        Entry::Attempted { attempt, .. } => {
            if let Some(effect) = &mut step.effect {
                effect.attempts.push(attempt_at(*attempt, at));
                effect.decision = None;
            }
        }
        Entry::Held { until, reason, .. } => {
            step.waiting_until = Some(*until);
            answer_step(step, at, AttemptOutcome::Held, Some(("held", reason)));
        }
        Entry::AttemptFailed {
            failure, retry_at, ..
        } => {
            step.waiting_until = *retry_at;
            answer_step(
                step,
                at,
                AttemptOutcome::Rejected,
                Some((&failure.code, &failure.message)),
            );
        }
        Entry::AttemptUnknown {
            message, retry_at, ..
        } => {
            step.waiting_until = *retry_at;
            answer_step(
                step,
                at,
                AttemptOutcome::Unknown,
                Some(("outcome_unknown", message)),
            );
        }
        Entry::AttemptAbsent { .. } => answer_step(step, at, AttemptOutcome::Absent, None),
        Entry::Asked { reason, .. } => {
            step.error = Some(StepError {
                code: "outcome_unknown".to_owned(),
                message: reason.clone(),
            });
        }
        Entry::Decided { choice, .. } => {
            step.error = None;
            if let Some(effect) = &mut step.effect {
                effect.decision = Some(*choice);
            }
        }
        Entry::RunStarted { .. }
        | Entry::RunEnded { .. }
        | Entry::NodePassed { .. }
        | Entry::NodeWaiting { .. }
        | Entry::NodeActed { .. }
        | Entry::NodeFailed { .. } => {}
    }
}

fn begin<'a>(steps: &'a mut Vec<Step>, node: &str, kind: &str, visit: u32, at: Timestamp) -> &'a mut Step {
    steps.push(Step {
        node: node.to_owned(),
        kind: kind.to_owned(),
        visit,
        status: StepStatus::Started,
        input: None,
        output: None,
        port: None,
        error: None,
        effect: None,
        waiting_until: None,
        started_at: at,
        ended_at: None,
    });
    let last = steps.len() - 1;
    &mut steps[last]
}

fn find<'a>(steps: &'a mut [Step], node: &str, visit: u32) -> Option<&'a mut Step> {
    steps
        .iter_mut()
        .rev()
        .find(|step| step.node == node && step.visit == visit)
}

fn done(step: &mut Step, at: Timestamp, port: &str, output: &Value) {
    step.status = StepStatus::Done;
    step.port = Some(port.to_owned());
    step.output = Some(output.clone());
    step.error = None;
    end(step, at);
}

fn end(step: &mut Step, at: Timestamp) {
    step.waiting_until = None;
    step.ended_at = Some(at);
}

const fn attempt_at(attempt: u32, at: Timestamp) -> Attempt {
    Attempt {
        attempt,
        outcome: AttemptOutcome::InFlight,
        error: None,
        started_at: at,
        ended_at: None,
    }
}

fn answer_step(step: &mut Step, at: Timestamp, outcome: AttemptOutcome, error: Option<(&str, &str)>) {
    if let Some(effect) = &mut step.effect {
        answer(effect, at, outcome, error);
    }
}

/// Closes the last attempt.
fn answer(effect: &mut StepEffect, at: Timestamp, outcome: AttemptOutcome, error: Option<(&str, &str)>) {
    if let Some(attempt) = effect.attempts.last_mut() {
        attempt.outcome = outcome;
        attempt.ended_at = Some(at);
        if let Some((code, message)) = error {
            attempt.error = Some(StepError {
                code: code.to_owned(),
                message: message.to_owned(),
            });
        }
    }
}
