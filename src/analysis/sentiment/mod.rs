//! How an utterance sounds: the scorers.

pub mod encoder;
mod kernel;
mod linear;
pub mod ngram;
pub mod scorer;
mod wordpiece;

pub use encoder::Encoder;
pub use ngram::Ngram;
pub use scorer::{Scorer, ScorerError, shipped};
