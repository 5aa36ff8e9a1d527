//! What a track brings: stretches of speech, cut out of its samples.

use std::sync::Arc;

use super::vad;

/// Samples a second of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// 8 kHz.
    Telephone,
    /// 16 kHz.
    Speech,
}

impl Rate {
    /// Samples per millisecond.
    #[must_use]
    pub const fn samples_per_ms(self) -> u64 {
        match self {
            Self::Telephone => 8,
            Self::Speech => 16,
        }
    }

    pub(super) const fn window(self) -> usize {
        match self {
            Self::Telephone => vad::WINDOW / 2,
            Self::Speech => vad::WINDOW,
        }
    }
}

/// Audio that holds one utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct Speech {
    pub samples: Arc<[i16]>,
    pub rate: Rate,
    /// Where the speech in it begins and ends; the samples reach a little farther on both sides.
    pub start_ms: u64,
    pub end_ms: u64,
    /// Mean probability that it is speech.
    pub confidence: f32,
}

/// What a track brought.
#[derive(Debug, Clone, PartialEq)]
pub enum TrackEvent {
    /// Somebody began to speak.
    Began { start_ms: u64 },
    /// The utterance may have ended: worth decoding at once.
    Paused(Speech),
    /// It had not.
    WentOn,
    /// It has ended. `decoded` when its audio is that of the last pause.
    Ended { speech: Speech, decoded: bool },
    /// It was no speech.
    Dismissed,
    /// The words so far are worth a look.
    Due(Speech),
    /// Audio is missing.
    Gap { from_ms: u64, to_ms: u64 },
}
