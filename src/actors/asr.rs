//! The speech recogniser's pool: one model, one worker thread a core, one queue.
//!
//! In: stretches of speech with a deadline. Out: words, through the callback that came with each.
//! A handle is a cheap clone and also works with no model: then every question is answered `NoModel`.

use std::path::PathBuf;

use serde::Deserialize;

/// How speech is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AsrSettings {
    /// A model's name (`patchcord model list`) or the path of a ggml file.
    pub model: String,
    /// Where fetched models are kept.
    pub models_dir: PathBuf,
    /// Worker threads; 0 is one a core.
    pub workers: usize,
    /// Utterances that may wait; beyond it partials, then the oldest finals, are shed.
    pub queue_max: usize,
    /// Whether words are shown before an utterance ends, when there is time to spare.
    pub partials: bool,
    /// Where `patchcord model fetch` finds ggml files.
    pub download_base: String,
}

impl Default for AsrSettings {
    fn default() -> Self {
        Self {
            model: "tiny.en".to_owned(),
            models_dir: PathBuf::from("data/models"),
            workers: 0,
            queue_max: 256,
            partials: true,
            download_base: "https://huggingface.co/ggerganov/whisper.cpp/resolve/main".to_owned(),
        }
    }
}

/// Reaches the pool.
#[derive(Debug, Clone)]
pub struct AsrHandle {}

impl AsrHandle {
    /// Returns a handle that answers every question with "no model": calls go on without words.
    #[must_use]
    pub fn without_model() -> Self {
        Self {}
    }
}
