//! Every service outside, one file or folder each.

pub mod port;
pub mod probe;
pub mod settings;
pub mod twilio;

pub use settings::{SecuritySettings, SlackSettings};
