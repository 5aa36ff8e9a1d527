//! The workflow core: definitions, their checks, and the pure step that moves a run.
//!
//! No clock, no I/O, no randomness, no async: time comes in as `World::now`, everything a run wants from the world goes out
//! as a `Command`. The shell is `actors::runs`.

// What an author writes.
pub mod automations;
pub mod calendar;
pub mod clockwork;
pub mod definition;
pub mod enrolment;
pub mod expression;
mod graph;
pub mod nodes;
pub mod plan;
pub mod problem;
mod regions;
mod schemas;
pub mod scope;
pub mod templates;
pub mod trigger;
mod types;
pub mod validate;
mod variables;
mod words;

// How a run is tried out.
pub mod backtest;
pub mod dry_run;
pub mod prices;
pub mod samples;

// How a run moves.
mod acting;
pub mod answers;
mod calling;
pub mod effect;
mod ending;
mod following;
pub mod frames;
pub mod gate_caps;
pub mod gate_people;
pub mod gate_rules;
pub mod gate_together;
pub mod gate_zones;
pub mod history;
pub mod input;
pub mod journal;
mod local_time;
mod merging;
pub mod migration;
pub mod mover;
mod parts;
mod placing;
pub mod rerun;
pub mod retry;
pub mod run;
pub mod settlement;
pub mod snapshot;
pub mod step;
mod surroundings;
pub mod transition;
pub mod waits;

pub use definition::Definition;
pub use effect::{Command, Effect, Provider, Request};
pub use input::{Choice, Failure, FailureKind, Finding, Input};
pub use journal::{Entry, JournalEntry};
pub use plan::Plan;
pub use problem::Problem;
pub use run::{Run, RunSeed};
pub use scope::{AccountFacts, World};
pub use step::EffectRecord;
pub use transition::{Transition, transition};
pub use validate::validate;

#[cfg(test)]
mod tests;
