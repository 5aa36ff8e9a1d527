//! From telephone frames to words.

pub mod ct2;
mod decoding;
mod dense;
pub mod frame;
pub mod ggml;
mod mel;
pub mod mulaw;
pub mod pipeline;
pub mod recogniser;
pub mod resample;
pub mod segmenter;
pub mod vad;
pub mod whisper;
