//! Everything alive: calls, leads, runs, timers, effects. The rest of the crate sees the handles only.

pub mod asr;
pub mod call;
pub mod calls;
pub mod hearing;
pub mod lead;
pub mod leads;
pub mod residents;
pub mod run;
pub mod runs;
pub mod settings;

pub use calls::{AudioLine, CallReport, CallsHandle, LineError, LineOpening};
pub use leads::LeadsHandle;
// What a door hands to an audio line.
pub use crate::media::frame::AudioFrame;
pub use runs::{Choice, ManualStart, RunError, RunsHandle};
