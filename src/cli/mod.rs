//! One file a command.

pub mod simulate;
pub mod transcribe;
