//! What was said: one side's words with their times.

use serde::{Deserialize, Serialize};

use super::{audio::Speaker, sentiment::Sentiment};

/// A stretch of speech of one side, ended by silence. Its text does not change any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Utterance {
    /// Counts the final utterances of a call from 0, over both sides, in the order they became final.
    pub ordinal: u32,
    pub speaker: Speaker,
    pub text: String,
    /// Milliseconds from the start of the stream to the first sample of speech.
    pub start_ms: u64,
    /// Milliseconds from the start of the stream to the last sample of speech.
    pub end_ms: u64,
    /// How it sounds; absent for the agent and for fillers.
    pub sentiment: Option<Sentiment>,
}
