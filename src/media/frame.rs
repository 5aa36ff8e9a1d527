//! One frame of a media stream, as a door hands it to whoever listens to the call.

use std::time::Instant;

use crate::domain::audio::Track;

/// A stretch of one track's audio, usually 20 ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioFrame {
    pub track: Track,
    /// Milliseconds from the start of the stream to the first sample.
    pub timestamp_ms: u64,
    /// Counts the frames of a track from 1; a hole in the numbers is loss.
    pub chunk: u64,
    /// G.711 μ-law, 8,000 bytes a second.
    pub payload: Vec<u8>,
    /// When the frame came off the socket; how late it is handled is measured from here.
    pub received: Instant,
}
