//! Tests of the core as a whole.

mod calendar;
mod delays;
mod expressions;
mod properties;
mod step;
pub(in crate::workflows) mod story;
mod validation;
