//! Tests of the core as a whole.

mod expressions;
mod properties;
mod step;
mod story;
mod validation;
