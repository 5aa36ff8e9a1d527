//! Tests of the core as a whole.

mod calendar;
mod delays;
mod expressions;
mod lead_nodes;
mod properties;
mod step;
pub(in crate::workflows) mod story;
mod validation;
