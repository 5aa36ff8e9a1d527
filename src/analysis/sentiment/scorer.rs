//! The one face of every sentiment model, and where the shipped ones are loaded.

use std::sync::Arc;

use super::encoder::Encoder;
use crate::domain::sentiment::{Sentiment, SentimentEngine, SentimentLabel};

/// Scores single texts. Implementations are pure: the same text gives the same answer.
pub trait Scorer: Send + Sync {
    /// How `text` sounds. Takes CPU: call it where blocking is allowed.
    fn score(&self, text: &str) -> Sentiment;
}

/// Why a shipped model cannot be used: the build is broken, not the input.
#[derive(Debug, thiserror::Error)]
pub enum ScorerError {
    #[error("the shipped sentiment model is malformed: {0}")]
    Malformed(&'static str),
}

/// The best model that comes with the program: load it once and share it.
///
/// # Errors
/// [`ScorerError`] when the embedded weights cannot be used.
pub fn shipped() -> Result<Arc<dyn Scorer>, ScorerError> {
    Ok(Arc::new(Encoder::shipped()?))
}

/// Turns the three logits (negative, neutral, positive) of a model into a sentiment.
pub(super) fn from_logits(logits: [f32; 3], engine: SentimentEngine) -> Sentiment {
    let highest = logits.into_iter().fold(f32::MIN, f32::max);
    let [negative, neutral, positive] = logits.map(|logit| (logit - highest).exp());
    let sum = negative + neutral + positive;
    let (negative, neutral, positive) = (negative / sum, neutral / sum, positive / sum);
    let label = if negative >= neutral && negative >= positive {
        SentimentLabel::Negative
    } else if positive >= neutral {
        SentimentLabel::Positive
    } else {
        SentimentLabel::Neutral
    };
    Sentiment {
        score: positive - negative,
        label,
        negative,
        positive,
        engine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_become_probabilities_and_the_likeliest_label() {
        let sentiment = from_logits([2.0, 0.0, -1.0], SentimentEngine::Ngram);
        assert_eq!(sentiment.label, SentimentLabel::Negative);
        assert!((sentiment.negative - 0.8438).abs() < 1e-3);
        assert!((sentiment.score - (sentiment.positive - sentiment.negative)).abs() < 1e-6);
        assert_eq!(
            from_logits([0.0, 1.0, 0.0], SentimentEngine::Ngram).label,
            SentimentLabel::Neutral
        );
        assert_eq!(
            from_logits([-90.0, -80.0, 90.0], SentimentEngine::Ngram).label,
            SentimentLabel::Positive
        );
    }
}
