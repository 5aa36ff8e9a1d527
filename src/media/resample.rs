//! Doubles the rate of telephone audio for the speech models.
//!
//! In: 16-bit samples at 8 kHz, in any portions. Out: samples from −1 to 1 at 16 kHz. A better filter than this shows no
//! effect on recognition (`docs/speech.md`); the block is short so that the detector hears speech a few milliseconds late only.

use rubato::{Fft, FixedSync, Resampler, audioadapter_buffers::direct::InterleavedSlice};

use crate::domain::audio::{SPEECH_RATE_HZ, TELEPHONE_RATE_HZ};

/// Input samples a step: 16 ms, half of which is delay.
const BLOCK: usize = 128;

/// A streaming resampler for one track.
pub struct Upsampler {
    fft: Fft<f32>,
    /// Input that does not fill a block.
    pending: Vec<f32>,
    block: Vec<f32>,
    /// Samples of the filter's own delay still to be dropped.
    delay: usize,
}

impl Default for Upsampler {
    fn default() -> Self {
        Self::new()
    }
}

impl Upsampler {
    /// Returns a resampler whose output starts with the first input sample.
    #[must_use]
    pub fn new() -> Self {
        let (from, to) = (rate(TELEPHONE_RATE_HZ), rate(SPEECH_RATE_HZ));
        let fft = Fft::new(from, to, BLOCK, 1, FixedSync::Both)
            .expect("the rates and the block are constants that fit");
        let delay = fft.output_delay();
        Self {
            pending: Vec::with_capacity(BLOCK),
            block: vec![0.0; fft.output_frames_max()],
            fft,
            delay,
        }
    }

    /// Returns a resampler that puts out as much as comes in, in steps of 16 ms: 8 ms late.
    #[must_use]
    pub fn prompt() -> Self {
        Self {
            delay: 0,
            ..Self::new()
        }
    }

    /// Appends what `samples` complete to `speech`; up to one block stays inside.
    pub fn push(&mut self, samples: &[i16], speech: &mut Vec<f32>) {
        for &sample in samples {
            self.pending.push(f32::from(sample) / 32_768.0);
            if self.pending.len() == BLOCK {
                self.step(speech);
            }
        }
    }

    /// Appends what is still inside to `speech` and starts afresh.
    pub fn flush(&mut self, speech: &mut Vec<f32>) {
        let held = self.pending.len() * 2 + self.fft.output_delay() - self.delay;
        let end = speech.len() + held;
        while speech.len() < end {
            self.pending.resize(BLOCK, 0.0);
            self.step(speech);
        }
        speech.truncate(end);
        self.fft.reset();
        self.delay = self.fft.output_delay();
    }

    fn step(&mut self, speech: &mut Vec<f32>) {
        let frames_in = self.pending.len();
        let frames_out = self.block.len();
        let input = InterleavedSlice::new(&self.pending, 1, frames_in)
            .expect("the slice has one channel of its own length");
        let mut output = InterleavedSlice::new_mut(&mut self.block, 1, frames_out)
            .expect("the slice has one channel of its own length");
        let (_, written) = self
            .fft
            .process_into_buffer(&input, &mut output, None)
            .expect("the block has the size that was agreed");
        self.pending.clear();
        let skipped = self.delay.min(written);
        self.delay -= skipped;
        speech.extend_from_slice(&self.block[skipped..written]);
    }
}

/// Returns all of `samples` at twice the rate, as long as the input in time.
#[must_use]
pub fn upsample(samples: &[i16]) -> Vec<f32> {
    let mut speech = Vec::with_capacity(samples.len() * 2 + 4 * BLOCK);
    let mut upsampler = Upsampler::new();
    upsampler.push(samples, &mut speech);
    upsampler.flush(&mut speech);
    speech
}

fn rate(hz: u32) -> usize {
    usize::try_from(hz).expect("a rate fits the address space")
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "test signals are small numbers")]
mod tests {
    use super::*;

    fn tone(hz: f32, rate_hz: f32, len: usize) -> Vec<f32> {
        (0..len)
            .map(|n| (std::f32::consts::TAU * hz * n as f32 / rate_hz).sin() * 0.5)
            .collect()
    }

    fn coded(samples: &[f32]) -> Vec<i16> {
        samples.iter().map(|s| (s * 32_767.0) as i16).collect()
    }

    #[test]
    fn the_output_is_twice_as_long_for_any_length() {
        for len in [0, 1, 127, 128, 129, 160, 1_000, 8_000] {
            assert_eq!(upsample(&vec![100; len]).len(), len * 2, "{len} samples");
        }
    }

    #[test]
    fn a_tone_keeps_its_pitch_its_level_and_its_place() {
        for hz in [200.0, 1_000.0, 3_000.0] {
            let speech = upsample(&coded(&tone(hz, 8_000.0, 4_000)));
            let wanted = tone(hz, 16_000.0, 8_000);
            let worst = (1_000..7_000)
                .map(|n| (speech[n] - wanted[n]).abs())
                .fold(0.0, f32::max);
            assert!(worst < 0.02, "{hz} Hz is off by {worst}");
        }
    }

    #[test]
    fn portions_do_not_matter() {
        let samples = coded(&tone(440.0, 8_000.0, 3_333));
        let mut speech = Vec::new();
        let mut upsampler = Upsampler::new();
        for portion in samples.chunks(37) {
            upsampler.push(portion, &mut speech);
        }
        upsampler.flush(&mut speech);
        assert_eq!(speech, upsample(&samples));
    }

    #[test]
    fn a_flushed_resampler_starts_afresh() {
        let samples = coded(&tone(700.0, 8_000.0, 500));
        let mut upsampler = Upsampler::new();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        upsampler.push(&samples, &mut first);
        upsampler.flush(&mut first);
        upsampler.push(&samples, &mut second);
        upsampler.flush(&mut second);
        assert_eq!(first, second);
    }
}
