//! How a customer sounds, by their words.

use serde::{Deserialize, Serialize};

/// The class an utterance falls into.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SentimentLabel {
    Negative,
    Neutral,
    Positive,
}

/// What produced a score: the reader must know which one to trust it by.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SentimentEngine {
    /// The fine-tuned sentence encoder.
    Encoder,
    /// The hashed n-gram model, used when the encoder has no time.
    Ngram,
}

/// The sentiment of one utterance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Sentiment {
    /// p(positive) − p(negative), from −1.0 (most negative) to 1.0.
    pub score: f32,
    pub label: SentimentLabel,
    /// Probability of the negative class, 0.0 to 1.0.
    pub negative: f32,
    /// Probability of the positive class, 0.0 to 1.0.
    pub positive: f32,
    pub engine: SentimentEngine,
}
