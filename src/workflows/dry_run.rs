//! The dry run: a workflow played through on a virtual clock. Pure, so it cannot reach anything;
//! scripts, which cannot either, are run by the caller.
//!
//! In: a plan, what starts it, the lead, and what the world is supposed to answer. Out: the path, every message as it would
//! read, the waits that were skipped, and the cost. It is the same `transition` that moves real runs; effects are answered from
//! the script instead of by providers, timers ring as soon as nothing else happens. The gate's rules and caps hold, and a wait
//! looks back, over the facts and contacts that the trial is given and those it makes; rates are not known here.

mod answers;
mod contacts;
mod gating;
mod stage;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use answers::{Answer, ScriptedFailure};
pub use contacts::Contacts;

use super::{
    definition::span, effect::Effect, gate_rules::GateRules, history::Step, input::Failure, plan::Plan,
    scope::World,
};
use crate::domain::{
    ids::{CallId, RunId, WorkflowId},
    lead::Lead,
    observation::{EventType, Observation},
    run::RunStatus,
    time::Timestamp,
    tokens::Tokens,
};

/// Inputs one dry run may take: far more than a workflow for one lead needs, few enough to answer at once.
pub const INPUTS_MAX: usize = 5_000;
/// Events a script may hold.
pub const EVENTS_MAX: usize = 200;

/// What is played.
#[derive(Debug, Clone)]
pub struct Trial {
    pub workflow_id: WorkflowId,
    pub version: u32,
    pub run_id: RunId,
    pub call_id: Option<CallId>,
    /// What `trigger` is in expressions.
    pub trigger: Value,
    /// Account, lead and call; `now` is when the run begins.
    pub world: World,
    pub script: Script,
    /// What happened to the lead before, oldest first: what a wait may find that looks back beyond the run, and what a message may
    /// be an answer to.
    pub past: Vec<Observation>,
    /// Leads who are known beside the run's own: whoever of them a message goes to is judged too.
    pub people: Vec<Lead>,
    /// The gate's rules; none where whoever tries out wants to see every message at once.
    pub rules: Option<GateRules>,
    /// Inputs the run may take: at most [`INPUTS_MAX`].
    pub inputs_max: usize,
}

/// What the world is supposed to do.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// How the effects of a node are answered, by the node's id; one that is not named goes well.
    pub answers: BTreeMap<String, Answer>,
    /// What happens meanwhile; a wait for an event that is not here times out.
    pub events: Vec<ScriptedEvent>,
}

/// Something that happens during the run, to its lead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptedEvent {
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "payment.received")]
    pub kind: EventType,
    #[serde(default)]
    #[schema(value_type = Object)]
    pub data: serde_json::Map<String, Value>,
    /// A node: it happens once the run waits there. At the start of the run when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once_at: Option<String>,
    /// How much later.
    #[serde(default, with = "span")]
    #[schema(value_type = Option<String>, example = "2h")]
    pub after: Duration,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DryRun {
    /// How the run stands at the end.
    pub status: RunStatus,
    /// Why it failed, or waits for ever.
    pub error: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it would be over, on the virtual clock.
    #[schema(value_type = String, format = DateTime)]
    pub ended_at: Timestamp,
    /// Every step, in the order the run came by them.
    pub path: Vec<Step>,
    /// Everything it would do in the world, as it would read.
    pub effects: Vec<DryEffect>,
    /// The waits that were skipped.
    pub waits: Vec<SkippedWait>,
    /// What it would cost.
    #[schema(value_type = String, example = "1.6")]
    pub tokens: Tokens,
    /// Numbers and mail addresses that the gate knew nobody behind: whoever has the leads may play it again with them.
    #[serde(skip)]
    pub strangers: BTreeSet<String>,
}

/// One effect that would be carried out.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DryEffect {
    pub node: String,
    /// How often the run came by the node before, from 0.
    pub visit: u32,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What it is, `send_sms`.
    pub kind: String,
    /// Whom or what it reaches: a number, an address, a channel.
    pub to: Option<String>,
    /// What a person would read.
    pub text: Option<String>,
    /// The whole of what would be asked for.
    #[schema(value_type = Object)]
    pub request: Value,
    pub outcome: DryOutcome,
    /// Why it failed, or is held back.
    pub reason: Option<String>,
    /// What it would cost.
    #[schema(value_type = String, example = "1")]
    pub tokens: Tokens,
}

/// What became of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DryOutcome {
    /// It would be carried out.
    Done,
    /// It fails, as the script says or because it cannot be done.
    Failed,
    /// Nobody could say whether it was carried out.
    Unknown,
    /// The gate would hold it back until later.
    Held,
    /// The gate would refuse it.
    Refused,
}

/// A stretch of time that the run would wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SkippedWait {
    pub node: String,
    /// What for: `wait`, `retry`, or the gate's reason.
    pub reason: String,
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
}

/// Runs the script of an effect; none where nobody does, and the step gives nothing. A script reaches nothing outside, and its
/// clock and random numbers come from the effect, so running it keeps a dry run dry and repeatable.
pub type RunScript<'a> = &'a dyn Fn(&Effect) -> Option<Result<Value, Failure>>;

/// Plays `plan` through. `contacts` is what has gone out before; what the run sends is added to it.
#[must_use]
pub fn dry_run(plan: &Plan, trial: &Trial, contacts: &mut Contacts, run_script: RunScript<'_>) -> DryRun {
    stage::Stage::new(plan, trial, contacts, run_script).play()
}
