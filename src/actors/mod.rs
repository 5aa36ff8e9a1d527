//! Everything alive: calls, leads, runs, timers, effects. The rest of the crate sees the handles only.

mod appending;
pub mod asr;
pub mod attempt;
mod breaker;
pub mod call;
mod call_news;
pub mod calls;
pub mod cluster;
pub mod dispatch;
pub mod effects;
pub mod engine;
mod erasing;
mod erasures;
pub mod gate;
pub mod hearing;
mod intake;
mod jobs;
mod kinship;
mod lanes;
pub mod lead;
mod lead_imports;
pub mod leads;
mod loop_guard;
pub mod open_lines;
mod pace;
mod patience;
mod place;
pub mod plans;
pub mod rates;
pub mod residents;
mod resources;
mod retention;
pub mod root;
pub mod rounds;
pub mod run;
pub mod runs;
pub mod schedules;
pub mod scoring;
pub mod settings;
#[cfg(test)]
mod simulation;
mod spans;
mod stuck;
pub mod sweeping;
mod timer_entry;
pub mod timers;

pub use calls::{AudioLine, CallReport, CallsHandle, LineError, LineOpening};
pub use erasures::ErasuresHandle;
pub use lead_imports::LeadImportsHandle;
pub use leads::LeadsHandle;
// What a door hands to an audio line.
pub use crate::media::frame::AudioFrame;
pub use resources::ResourcesHandle;
pub use retention::RetentionHandle;
pub use runs::{BeginAt, Choice, ManualStart, OnVersion, RunError, RunsHandle};
pub use schedules::SchedulesHandle;
