//! Measures how late the frames of one stream come, and counts them.
//!
//! In: for each frame its place in the stream and when it was handled. Out: metrics, once a second and stream: recording
//! every frame would cost more than handling it. The earliest frame seen so far sets the beat the others are late against.

use std::time::{Duration, Instant};

const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The beat of one stream.
#[derive(Debug)]
pub struct Lateness {
    opened: Instant,
    reported: Instant,
    /// Smallest distance between handling and place seen so far, milliseconds.
    beat_ms: Option<i64>,
    worst_ms: i64,
    frames: u64,
    dropped: u64,
}

impl Lateness {
    /// Starts to measure a stream.
    #[must_use]
    pub const fn starting(now: Instant) -> Self {
        Self {
            opened: now,
            reported: now,
            beat_ms: None,
            worst_ms: 0,
            frames: 0,
            dropped: 0,
        }
    }

    /// Takes in one frame that stands at `timestamp_ms` in its stream. Returns by how much it is late.
    pub fn note(&mut self, timestamp_ms: u64, now: Instant, was_taken: bool) -> Duration {
        let handled_ms = i64::try_from(now.duration_since(self.opened).as_millis()).unwrap_or(i64::MAX);
        let distance_ms = handled_ms.saturating_sub(i64::try_from(timestamp_ms).unwrap_or(i64::MAX));
        let beat_ms = self.beat_ms.map_or(distance_ms, |beat| beat.min(distance_ms));
        self.beat_ms = Some(beat_ms);
        let late_ms = distance_ms.saturating_sub(beat_ms);
        self.worst_ms = self.worst_ms.max(late_ms);
        self.frames += 1;
        self.dropped += u64::from(!was_taken);
        if now.duration_since(self.reported) >= REPORT_EVERY {
            self.reported = now;
            self.report();
        }
        Duration::from_millis(u64::try_from(late_ms).unwrap_or(0))
    }

    fn report(&mut self) {
        let worst = Duration::from_millis(u64::try_from(self.worst_ms).unwrap_or(0));
        metrics::histogram!("patchcord_media_frame_lateness_seconds").record(worst.as_secs_f64());
        metrics::counter!("patchcord_media_frames_total").increment(self.frames);
        metrics::counter!("patchcord_media_frames_refused_total").increment(self.dropped);
        (self.worst_ms, self.frames, self.dropped) = (0, 0, 0);
    }
}

impl Drop for Lateness {
    fn drop(&mut self) {
        self.report();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_late_against_the_earliest_beat() {
        let opened = Instant::now();
        let mut lateness = Lateness::starting(opened);
        let mut note = |place_ms, handled_ms| {
            lateness
                .note(place_ms, opened + Duration::from_millis(handled_ms), true)
                .as_millis()
        };
        assert_eq!(note(0, 300), 0);
        assert_eq!(note(20, 330), 10);
        assert_eq!(note(40, 320), 0);
        assert_eq!(note(60, 480), 140);
        assert_eq!(note(u64::MAX, 500), 0);
    }
}
