//! patchcord: a telephony-centric automation server.
//!
//! `docs/architecture.md` says what each module is for and which may import which.

pub mod actors;
pub mod analysis;
pub mod app;
pub mod bus;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod http;
pub mod integrations;
pub mod media;
pub mod store;
pub mod telemetry;
pub mod workflows;
