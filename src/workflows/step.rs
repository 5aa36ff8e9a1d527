//! The step: what one input does to one run. Pure, total, deterministic.
//!
//! In: the plan, the run, an input and the world at that moment. Out: the run changed, and what the shell has to do. An
//! input that is stale, repeated or meant for something the run does not know changes nothing. This file only decides
//! whom an input concerns; what happens then is in `mover`, `answers` and `ending`.

use super::{
    effect::{Command, Effect},
    input::Input,
    journal::JournalEntry,
    mover::Mover,
    plan::Plan,
    run::{Phase, Run},
    scope::World,
};
use crate::domain::run::EffectState;

/// What a step asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// Whether the run changed: whether there is anything to append.
    pub changed: bool,
    /// What the shell does once the append is on disk, in order.
    pub commands: Vec<Command>,
    pub journal: Vec<JournalEntry>,
    /// Where effects stand after the step; a later record of a key replaces an earlier one.
    pub effects: Vec<EffectRecord>,
    /// What is to be stored beside the snapshot, by number.
    pub parts: Vec<(u32, Vec<u8>)>,
}

/// Where one effect stands.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectRecord {
    pub effect: Effect,
    pub state: EffectState,
    pub provider_id: Option<String>,
    pub error: Option<String>,
}

/// Moves `run` by one input.
pub fn step(plan: &Plan, run: &mut Run, input: Input, world: &World) -> Outcome {
    if !run.missing_parts().is_empty() {
        // The shell fills them in first; a run that cannot see its outputs must not go on without them.
        return Outcome::default();
    }
    let mut mover = Mover::new(plan, run, world);
    match input {
        Input::Started => mover.begin(),
        Input::Observed(observation) => mover.observe(&observation),
        Input::Judged { key, attempt, gate } => mover.judged(&key, attempt, gate),
        Input::EffectDone {
            key,
            attempt,
            provider_id,
            output,
        } => {
            mover.confirm(&key, attempt, provider_id, output);
        }
        Input::EffectFailed {
            key,
            attempt,
            failure,
        } => mover.reject(&key, attempt, &failure),
        Input::EffectUnknown {
            key,
            attempt,
            message,
        } => mover.doubt(&key, attempt, &message),
        Input::EffectHeld {
            key,
            attempt,
            until,
            reason,
        } => mover.hold(&key, attempt, until, reason),
        Input::LookedUp {
            key,
            attempt,
            finding,
        } => mover.find(&key, attempt, finding),
        Input::TimerFired { timer } => mover.ring(timer),
        Input::LookedBack { wait, observations } => mover.looked_back(wait, &observations),
        Input::RunEnded {
            run_id,
            status,
            reason,
        } => mover.run_ended(run_id, status, reason.as_deref()),
        Input::CallEnded { call_id, end } => mover.call_ended(call_id, end),
        Input::Decided { key, choice } => mover.decide(&key, choice),
        Input::Cancelled { reason } => mover.cancel(reason),
        Input::Recovered => mover.recover(),
    }
    mover.finish()
}

impl Run {
    /// Whether anything can still happen to it.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }
}
