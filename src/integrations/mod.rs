//! Every service outside, one file or folder each.

pub mod settings;
pub mod twilio;

pub use settings::{SecuritySettings, SlackSettings};
