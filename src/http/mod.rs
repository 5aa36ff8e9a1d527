//! Every door: Twilio, the REST API, the live stream.

pub mod api;
pub mod context;
pub mod settings;
pub mod twilio;

pub use context::Context;
pub use settings::HttpSettings;
