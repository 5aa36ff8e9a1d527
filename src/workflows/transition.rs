//! One transition as the shell appends it: state, journal, timers and claims together.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    effect::Command,
    input::Input,
    journal::JournalEntry,
    plan::Plan,
    run::Run,
    scope::World,
    step::{EffectRecord, Outcome, step},
};
use crate::domain::time::Timestamp;

/// What one input led to. Maps one to one on the store's append.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The run after it: `snapshot`, `status`, `error` and the ids for its head.
    pub run: Run,
    /// Whether there is anything to append. Commands are carried out either way.
    pub changed: bool,
    pub journal: Vec<JournalEntry>,
    pub effects: Vec<EffectRecord>,
    /// What is stored once beside the snapshot, by number: large outputs and lists.
    pub parts: Vec<(u32, Vec<u8>)>,
    pub timers_set: Vec<(u64, Timestamp)>,
    pub timers_cleared: Vec<u64>,
    /// What to do once the append is on disk, in order.
    pub commands: Vec<Command>,
}

/// Moves `run` by one input.
#[must_use]
pub fn transition(plan: &Plan, mut run: Run, input: Input, world: &World) -> Transition {
    let outcome = step(plan, &mut run, input, world);
    Transition::of(run, outcome)
}

impl Transition {
    /// Puts what a step did together for the shell.
    pub(super) fn of(run: Run, outcome: Outcome) -> Self {
        let Outcome {
            changed,
            commands,
            journal,
            effects,
            parts,
        } = outcome;
        let mut set = BTreeMap::new();
        let mut cleared = BTreeSet::new();
        for command in &commands {
            match command {
                Command::SetTimer { timer, due } => {
                    set.insert(*timer, *due);
                }
                Command::ClearTimer { timer } => {
                    // Cleared in the store even when it was set above: that may have been a repetition (`Recovered`).
                    set.remove(timer);
                    cleared.insert(*timer);
                }
                Command::Act(_)
                | Command::LookUp(_)
                | Command::Listen { .. }
                | Command::LookBack { .. }
                | Command::AskRun { .. }
                | Command::AskCall { .. }
                | Command::CancelRun { .. }
                | Command::Finish { .. } => {}
            }
        }
        Self {
            run,
            changed,
            journal,
            effects,
            parts,
            timers_set: set.into_iter().collect(),
            timers_cleared: cleared.into_iter().collect(),
            commands,
        }
    }
}
