//! What turns speech into words, whoever does it.

use super::pipeline::Speech;

/// What was recognised.
#[derive(Debug, Clone, PartialEq)]
pub struct Recognition {
    /// The words; empty when there are none.
    pub text: String,
    /// Mean natural logarithm of the words' probabilities: 0 is certain, below −1 is guessing.
    pub mean_logprob: f32,
    /// Times the audio was decoded: more than once when the first result looked wrong.
    pub passes: u8,
}

/// How much a result is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// It stays: a doubtful result is decoded again.
    Final,
    /// It is replaced within a second: once is enough.
    Partial,
}

/// Why there are no words.
#[derive(Debug, thiserror::Error)]
pub enum RecogniseError {
    #[error("the speech model failed while {step}")]
    Model {
        step: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// One recogniser, used by one thread at a time.
pub trait Recogniser: Send {
    /// Returns the words in `speech`; takes about 5 % of its length on one core.
    fn recognise(&mut self, speech: &Speech, effort: Effort) -> Result<Recognition, RecogniseError>;
}
