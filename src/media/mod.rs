//! From telephone frames to words.

pub mod ct2;
mod decoding;
mod dense;
pub mod frame;
pub mod ggml;
pub mod hygiene;
mod mel;
pub mod model_files;
pub mod mulaw;
pub mod pipeline;
pub mod queue;
pub mod recogniser;
pub mod resample;
pub mod segmenter;
mod speech;
pub mod vad;
pub mod wav;
pub mod whisper;
