//! One file a command.

pub mod simulate;
