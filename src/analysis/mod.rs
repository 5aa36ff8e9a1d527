//! What the words mean: sentiment, its trend and trigger, keywords, talk time. Pure.

pub mod cues;
pub mod keywords;
pub mod mood;
pub mod sentiment;
pub mod summary;
pub mod talk;
pub mod trend;
pub mod trigger;
pub mod turns;
pub mod words;

pub use mood::{CallMood, Certainty, Evidence, Heard, MoodChange, MoodSummary, ScoreAnswer, ScoreRequest};
pub use sentiment::{Scorer, ScorerError};
