//! Every service outside, one file or folder each.
//!
//! `port` is what runs see: one way out, chosen by `routing`. `client` is the only HTTP client, `address_guard` what keeps
//! users' addresses on the public internet.

pub mod settings;

pub mod address_guard;
pub mod client;

pub mod line;
pub mod port;
pub mod probe;
pub mod routing;

pub mod email;
pub mod error_catalogue;
pub mod incoming;
pub mod lead_records;
pub mod look_ups;
pub mod outbox;
pub mod records;
pub mod script;
pub mod slack;
pub mod twilio;
pub mod unconnected;
pub mod webhook;
pub mod webhook_signature;

#[cfg(test)]
mod tests;

pub use email::{EmailSettings, SendgridSettings};
pub use routing::{Parts, call_line, call_probe, effect_port};
pub use settings::{SecuritySettings, SlackSettings};
