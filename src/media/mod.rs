//! From telephone frames to words.

pub mod frame;
