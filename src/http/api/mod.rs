//! The REST API: one file a resource.

pub mod account;
pub mod alerts;
pub mod auth;
pub mod automations;
pub mod backtests;
pub mod blocks;
pub mod calls;
pub mod copies;
pub mod definition_checks;
pub mod dry_runs;
pub mod error_catalogue;
pub mod events;
pub mod keys;
pub mod lead_rules;
pub mod leads;
pub mod me;
pub mod messages;
pub mod migrations;
mod people_reached;
pub mod reruns;
pub mod routes;
pub mod run_progress;
pub mod runs;
pub mod simulations;
pub mod tasks;
pub mod templates;
pub mod tickets;
pub mod users;
pub mod versions;
pub mod webhook_events;
pub mod webhook_signing;
pub mod webhooks;
pub mod workflow_views;
pub mod workflows;

pub use routes::router;
pub use simulations::{SimulatedEnding, Simulator};
