//! What only the other nodes may call, on a listener of its own.

pub mod words;
