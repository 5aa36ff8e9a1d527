//! Scripts: users' JavaScript, run in processes of their own.
//!
//! `runners` is the port, with its places and its fairness; `runner` is one process; `wire` what is said to it. What a
//! runner does inside is `cli::script_runner`.

mod runner;
pub mod runners;
pub mod wire;
