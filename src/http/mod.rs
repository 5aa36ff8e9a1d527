//! Every door: Twilio, the REST API, the live stream.

pub mod api;
pub mod audit;
pub mod auth;
pub mod changes;
mod client_address;
pub mod context;
pub mod error;
pub mod health;
pub mod housekeeping;
pub mod idempotency;
pub mod internal;
pub mod json;
pub mod listening;
pub mod live;
pub mod metrics;
pub mod openapi;
pub mod page;
pub mod patch;
mod plain_words;
mod rate_limit;
pub mod resources;
pub mod revision;
pub mod routes;
pub mod settings;
pub mod setup;
mod traced;
pub mod twilio;
pub mod ui;
pub mod webhook_desk;
pub mod workflow_changes;

pub use api::{SimulatedEnding, Simulation, Simulator};
pub use context::Context;
pub use routes::router;
pub use settings::HttpSettings;
