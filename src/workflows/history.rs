//! The journal folded into steps: what happened at each node, for the run's page.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{
    effect::Provider,
    input::Choice,
    journal::{Entry, JournalEntry},
};
use crate::domain::{ids::RunId, observation::EventType, run::StepStatus, time::Timestamp};

/// Most events that a step's history names as passed over.
const PASSED_OVER_MAX: usize = 20;

/// What happened at one node on one visit.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Step {
    pub node: String,
    /// The node's kind, `send_sms`.
    pub kind: String,
    /// How often the run came by the node before, from 0.
    pub visit: u32,
    /// The index of the loop's item it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// The run it has started and waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub child: Option<RunId>,
    pub status: StepStatus,
    /// The params with every expression rendered.
    pub input: Option<Value>,
    pub output: Option<Value>,
    /// The port the run went on by.
    pub port: Option<String>,
    pub error: Option<StepError>,
    pub effect: Option<StepEffect>,
    /// Events that a wait passed over because its filter could not be decided for them: the last twenty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
    /// What it waits for, while it waits for a time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub waiting_until: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// An event that a wait could not decide about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PassedOver {
    #[schema(value_type = String)]
    pub event: EventType,
    /// What the filter lacked.
    pub reason: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
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
    /// Why the gate let it through: window, counts and caps.
    pub gate: Option<Value>,
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

/// A move to another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct VersionMove {
    pub from: u32,
    pub to: u32,
    /// Tokens that went on at another node: from which, at which.
    pub landing: BTreeMap<String, String>,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// Returns every move to another version, oldest first.
#[must_use]
pub fn version_moves(journal: &[JournalEntry]) -> Vec<VersionMove> {
    let moved = |line: &JournalEntry| match &line.entry {
        Entry::Migrated { from, to, landing } => Some(VersionMove {
            from: *from,
            to: *to,
            landing: landing.clone(),
            at: line.at,
        }),
        _ => None,
    };
    journal.iter().filter_map(moved).collect()
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
        Entry::RunStarted { .. }
        | Entry::Migrated { .. }
        | Entry::RunEnded { .. }
        | Entry::BranchEnded { .. } => {}
        Entry::NodePassed {
            node,
            kind,
            visit,
            item,
            input,
            ..
        }
        | Entry::NodeWaiting {
            node,
            kind,
            visit,
            item,
            input,
            ..
        }
        | Entry::NodeActed {
            node,
            kind,
            visit,
            item,
            input,
            ..
        } => {
            let step = begin(steps, node, kind, *visit, at);
            step.input = Some(input.clone());
            step.item = *item;
            go_on(step, at, entry);
        }
        // A node that could not even be entered fails without having begun.
        Entry::NodeFailed {
            node,
            kind,
            visit,
            item,
            ..
        } => match find(steps, node, *visit) {
            Some(at_node) => go_on(&mut steps[at_node], at, entry),
            None => {
                let step = begin(steps, node, kind, *visit, at);
                step.item = *item;
                go_on(step, at, entry);
            }
        },
        Entry::NodeDone { node, visit, .. }
        | Entry::NodeCancelled { node, visit }
        | Entry::Attempted { node, visit, .. }
        | Entry::Judged { node, visit, .. }
        | Entry::Held { node, visit, .. }
        | Entry::AttemptFailed { node, visit, .. }
        | Entry::AttemptUnknown { node, visit, .. }
        | Entry::AttemptAbsent { node, visit, .. }
        | Entry::Asked { node, visit, .. }
        | Entry::BranchJoined { node, visit, .. }
        | Entry::EventUndecided { node, visit, .. }
        | Entry::Following { node, visit, .. }
        | Entry::Calling { node, visit, .. }
        | Entry::Decided { node, visit, .. } => {
            if let Some(at_node) = find(steps, node, *visit) {
                go_on(&mut steps[at_node], at, entry);
            }
        }
    }
}

/// Folds one entry into its step.
fn go_on(step: &mut Step, at: Timestamp, entry: &Entry) {
    if !matches!(entry, Entry::BranchJoined { .. } | Entry::EventUndecided { .. }) {
        step.waiting_until = None;
    }
    if let Some((_, status)) = entry.step() {
        step.status = status;
    }
    match entry {
        Entry::NodePassed { port, output, .. } => done(step, at, port, output),
        Entry::NodeWaiting { until, .. } => step.waiting_until = *until,
        Entry::NodeActed { key, provider, .. } => {
            step.effect = Some(StepEffect {
                key: key.clone(),
                provider: *provider,
                provider_id: None,
                attempts: vec![attempt_at(1, at)],
                decision: None,
            });
        }
        Entry::NodeDone {
            port,
            output,
            provider_id,
            ..
        } => {
            confirmed(step, at, provider_id.as_ref());
            done(step, at, port, output);
        }
        Entry::NodeFailed {
            code, message, port, ..
        } => {
            step.error = Some(error_of(code, message));
            step.port.clone_from(port);
            end(step, at);
        }
        Entry::NodeCancelled { .. } => end(step, at),
        Entry::Following { run_id, .. } => {
            step.child = Some(*run_id);
            confirmed(step, at, None);
        }
        Entry::Calling {
            provider_id, until, ..
        } => {
            step.waiting_until = Some(*until);
            confirmed(step, at, provider_id.as_ref());
        }
        Entry::Asked { reason, .. } => {
            step.error = Some(error_of("outcome_unknown", reason));
        }
        Entry::Attempted { .. }
        | Entry::Judged { .. }
        | Entry::Held { .. }
        | Entry::AttemptFailed { .. }
        | Entry::AttemptUnknown { .. }
        | Entry::AttemptAbsent { .. }
        | Entry::Decided { .. } => attempted(step, at, entry),
        Entry::RunStarted { .. }
        | Entry::Migrated { .. }
        | Entry::RunEnded { .. }
        | Entry::BranchJoined { .. }
        | Entry::BranchEnded { .. } => {}
        Entry::EventUndecided { event, reason, .. } => pass_over(step, at, event, reason),
    }
}

fn pass_over(step: &mut Step, at: Timestamp, event: &EventType, reason: &str) {
    if step.passed_over.len() >= PASSED_OVER_MAX {
        step.passed_over.remove(0);
    }
    step.passed_over.push(PassedOver {
        event: event.clone(),
        reason: reason.to_owned(),
        at,
    });
}

/// The effect was carried out, unless a person decided about it or it was answered before.
fn confirmed(step: &mut Step, at: Timestamp, provider_id: Option<&String>) {
    let is_open = |effect: &StepEffect| {
        let last = effect.attempts.last().map(|attempt| attempt.outcome);
        effect.decision.is_none() && last != Some(AttemptOutcome::Confirmed)
    };
    if let Some(effect) = step.effect.as_mut().filter(|effect| is_open(effect)) {
        effect.provider_id = provider_id.cloned();
        answer(effect, at, AttemptOutcome::Confirmed, None);
    }
}

/// Folds what happens to the step's effect.
fn attempted(step: &mut Step, at: Timestamp, entry: &Entry) {
    let Some(effect) = &mut step.effect else { return };
    match entry {
        Entry::Attempted { attempt, .. } => {
            effect.attempts.push(attempt_at(*attempt, at));
            effect.decision = None;
        }
        Entry::Judged { attempt, gate, .. } => {
            if let Some(judged) = effect.attempts.last_mut().filter(|last| last.attempt == *attempt) {
                judged.gate = Some(gate.clone());
            }
        }
        Entry::Held { until, reason, .. } => {
            answer(effect, at, AttemptOutcome::Held, Some(("held", reason)));
            step.waiting_until = Some(*until);
        }
        Entry::AttemptFailed {
            failure, retry_at, ..
        } => {
            answer(
                effect,
                at,
                AttemptOutcome::Rejected,
                Some((&failure.code, &failure.message)),
            );
            step.waiting_until = *retry_at;
        }
        Entry::AttemptUnknown {
            message, retry_at, ..
        } => {
            answer(
                effect,
                at,
                AttemptOutcome::Unknown,
                Some(("outcome_unknown", message)),
            );
            step.waiting_until = *retry_at;
        }
        Entry::AttemptAbsent { .. } => answer(effect, at, AttemptOutcome::Absent, None),
        Entry::Decided { choice, .. } => {
            effect.decision = Some(*choice);
            step.error = None;
        }
        Entry::RunStarted { .. }
        | Entry::Migrated { .. }
        | Entry::RunEnded { .. }
        | Entry::NodePassed { .. }
        | Entry::NodeWaiting { .. }
        | Entry::NodeActed { .. }
        | Entry::NodeDone { .. }
        | Entry::NodeFailed { .. }
        | Entry::NodeCancelled { .. }
        | Entry::BranchJoined { .. }
        | Entry::BranchEnded { .. }
        | Entry::EventUndecided { .. }
        | Entry::Following { .. }
        | Entry::Calling { .. }
        | Entry::Asked { .. } => {}
    }
}

fn begin<'a>(steps: &'a mut Vec<Step>, node: &str, kind: &str, visit: u32, at: Timestamp) -> &'a mut Step {
    steps.push(Step {
        node: node.to_owned(),
        kind: kind.to_owned(),
        visit,
        item: None,
        child: None,
        status: StepStatus::Started,
        input: None,
        output: None,
        port: None,
        error: None,
        effect: None,
        passed_over: Vec::new(),
        waiting_until: None,
        started_at: at,
        ended_at: None,
    });
    let last = steps.len() - 1;
    &mut steps[last]
}

/// Where the step of that visit is.
fn find(steps: &[Step], node: &str, visit: u32) -> Option<usize> {
    steps
        .iter()
        .rposition(|step| step.node == node && step.visit == visit)
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
        gate: None,
        error: None,
        started_at: at,
        ended_at: None,
    }
}

fn error_of(code: &str, message: &str) -> StepError {
    StepError {
        code: code.to_owned(),
        message: message.to_owned(),
    }
}

/// Closes the last attempt.
fn answer(effect: &mut StepEffect, at: Timestamp, outcome: AttemptOutcome, error: Option<(&str, &str)>) {
    if let Some(attempt) = effect.attempts.last_mut() {
        attempt.outcome = outcome;
        attempt.ended_at = Some(at);
        if let Some((code, message)) = error {
            attempt.error = Some(error_of(code, message));
        }
    }
}
