//! Tests of the core as a whole.

mod acting_nodes;
mod automations;
mod backtest;
mod calendar;
mod delays;
mod dry_run;
mod effects;
mod expressions;
mod lead_nodes;
mod migration;
mod played;
mod properties;
mod random_workflows;
mod slips;
mod step;
pub(in crate::workflows) mod story;
mod templates;
mod types;
mod validation;
mod watched_run;
