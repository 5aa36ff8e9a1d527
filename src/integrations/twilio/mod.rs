//! Twilio: settings, and what we ask of its REST API.

pub mod settings;

pub use settings::{Routing, TwilioSettings};
