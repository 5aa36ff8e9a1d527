//! The command line: one file a command.

pub mod analyze;
pub mod args;
pub mod backup;
mod deeds;
pub mod demo;
pub mod dev;
pub mod doctor;
pub mod key;
mod model;
pub mod script_runner;
pub mod serve;
pub mod simulate;
mod storage;
pub mod store;
pub mod transcribe;
mod transcribe_live;
pub mod user;

pub use args::run;
