//! Twilio: settings, and what we ask of its REST API.

pub mod callback_token;
pub mod settings;

pub use settings::{Routing, TwilioSettings};
