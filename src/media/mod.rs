//! From telephone frames to words.
