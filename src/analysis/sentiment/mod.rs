//! How an utterance sounds: the scorers.

pub mod ngram;
pub mod scorer;

pub use ngram::Ngram;
pub use scorer::{Scorer, ScorerError, shipped};
