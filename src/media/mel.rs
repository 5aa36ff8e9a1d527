//! The log-mel picture of speech that Whisper reads.
//!
//! In: samples from −1 to 1 at 16 kHz. Out: 80 bands by as many frames of 10 ms as asked for. The arithmetic is Whisper's
//! (Slaney's mel scale, Hann window of 25 ms, log10, 8 decades, scaled); only the transform is faster. Pure.

use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};

/// Bands of every Whisper model up to `large-v2`.
pub const BANDS: usize = 80;
/// Samples between frames.
pub const HOP: usize = 160;
/// Samples in a frame's window.
const FRAME: usize = 400;
const BINS: usize = FRAME / 2 + 1;
/// log10 of the least energy: what silence has.
const FLOOR: f32 = -10.0;

/// Makes pictures; keeps its buffers between calls.
pub struct MelSpectrogram {
    fft: Arc<dyn RealToComplex<f32>>,
    hann: Vec<f32>,
    /// First bin and weights of each band.
    bands: Vec<(usize, Vec<f32>)>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl Default for MelSpectrogram {
    fn default() -> Self {
        Self::new()
    }
}

impl MelSpectrogram {
    /// Returns a maker of pictures.
    #[must_use]
    pub fn new() -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(FRAME);
        let hann = (0_u16..400)
            .map(|n| 0.5 - 0.5 * (std::f32::consts::TAU * f32::from(n) / 400.0).cos())
            .collect();
        let bands = filters(BANDS).chunks_exact(BINS).map(sparse).collect();
        Self {
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
            hann,
            bands,
        }
    }

    /// Returns `frames` frames of `speech`, band by band; silence follows the samples.
    pub fn picture(&mut self, speech: &[f32], frames: usize) -> Vec<f32> {
        let mut mel = vec![FLOOR; BANDS * frames];
        let half = FRAME / 2;
        // A frame is centred on its first sample; before the first sample the signal is mirrored, behind the last it is zero.
        let mut padded = Vec::with_capacity(speech.len() + 2 * FRAME);
        padded.extend((1..=half).rev().map(|n| speech.get(n).copied().unwrap_or(0.0)));
        padded.extend_from_slice(speech);
        padded.resize(speech.len() + FRAME + half, 0.0);
        let mut window = vec![0.0_f32; FRAME];
        let mut power = [0.0_f32; BINS];
        for frame in 0..frames.min(speech.len().div_ceil(HOP) + 1) {
            let Some(samples) = padded.get(frame * HOP..frame * HOP + FRAME) else {
                break;
            };
            for ((value, sample), weight) in window.iter_mut().zip(samples).zip(&self.hann) {
                *value = sample * weight;
            }
            self.fft
                .process_with_scratch(&mut window, &mut self.spectrum, &mut self.scratch)
                .expect("the buffers were made by this transform");
            for (value, bin) in power.iter_mut().zip(&self.spectrum) {
                *value = bin.re * bin.re + bin.im * bin.im;
            }
            for (band, (first, weights)) in self.bands.iter().enumerate() {
                let energy: f32 = weights.iter().zip(&power[*first..]).map(|(w, p)| w * p).sum();
                mel[band * frames + frame] = energy.max(1e-10).log10();
            }
        }
        let loudest = mel.iter().copied().fold(FLOOR, f32::max);
        for value in &mut mel {
            *value = (value.max(loudest - 8.0) + 4.0) / 4.0;
        }
        mel
    }
}

/// Returns the weights of `bands` triangular filters over the 201 bins, band by band.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a few hundred bins; the model's filters are f32"
)]
pub fn filters(bands: usize) -> Vec<f32> {
    let top = mel_of(8_000.0);
    let edges: Vec<f64> = (0..bands + 2)
        .map(|n| hz_of(top * n as f64 / (bands + 1) as f64))
        .collect();
    let mut weights = Vec::with_capacity(bands * BINS);
    for edge in edges.windows(3) {
        let (low, middle, high) = (edge[0], edge[1], edge[2]);
        for bin in 0..BINS {
            let hz = 8_000.0 * bin as f64 / (BINS - 1) as f64;
            let rise = (hz - low) / (middle - low);
            let fall = (high - hz) / (high - middle);
            weights.push((rise.min(fall).max(0.0) * 2.0 / (high - low)) as f32);
        }
    }
    weights
}

/// Slaney's scale: linear to 1 kHz, logarithmic above.
fn mel_of(hz: f64) -> f64 {
    if hz < 1_000.0 {
        hz * 3.0 / 200.0
    } else {
        15.0 + (hz / 1_000.0).ln() * 27.0 / 6.4_f64.ln()
    }
}

fn hz_of(mel: f64) -> f64 {
    if mel < 15.0 {
        mel * 200.0 / 3.0
    } else {
        1_000.0 * ((mel - 15.0) * 6.4_f64.ln() / 27.0).exp()
    }
}

fn sparse(weights: &[f32]) -> (usize, Vec<f32>) {
    let first = weights.iter().position(|w| *w > 0.0).unwrap_or(0);
    let last = weights.iter().rposition(|w| *w > 0.0).unwrap_or(0);
    (first, weights[first..=last].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_flat() {
        let mel = MelSpectrogram::new().picture(&[0.0; 16_000], 120);
        assert!(mel.iter().all(|v| (v - mel[0]).abs() < 1e-6));
    }

    #[test]
    fn a_tone_lights_its_band_while_it_lasts() {
        let tone: Vec<f32> = (0..16_000)
            .map(|n| (std::f32::consts::TAU * 1_000.0 * n as f32 / 16_000.0).sin())
            .collect();
        let mel = MelSpectrogram::new().picture(&tone, 200);
        let at =
            |frame: usize| (0..BANDS).max_by(|a, b| mel[a * 200 + frame].total_cmp(&mel[b * 200 + frame]));
        // 1 kHz is 15 mel of 45.2, on a scale of 81 steps.
        assert_eq!(at(50), Some(26));
        assert!(mel[26 * 200 + 50] > mel[26 * 200 + 150] + 1.5);
    }

    #[test]
    fn filters_have_the_areas_of_the_published_ones() {
        let all = filters(80);
        assert_eq!(all.len(), 80 * 201);
        // First weights of openai-whisper's mel_filters.npz.
        assert!((all[1] - 0.024_862_595).abs() < 1e-6, "{}", all[1]);
        assert!((all[201 + 1] - 0.001_990_482).abs() < 1e-6, "{}", all[202]);
    }

    #[test]
    fn the_shortest_input_is_taken() {
        for len in [0, 1, 150, 401] {
            assert_eq!(
                MelSpectrogram::new().picture(&vec![0.1; len], 32).len(),
                BANDS * 32
            );
        }
    }
}
