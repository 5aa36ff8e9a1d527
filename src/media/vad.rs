//! Tells speech from everything else, 32 ms at a time.
//!
//! In: windows of 512 samples at 16 kHz. Out: the probability of speech in each. The network is Silero VAD 6.2 (weights in
//! `assets/vad`, MIT), run by our own arithmetic: a quarter of a millisecond per audio second would be idle cost for
//! thousands of silent tracks, so callers skip windows that are surely silent ([`is_surely_silent`]).
//! Pure arithmetic with state per track: no I/O, no clock.

use std::sync::LazyLock;

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};
use safetensors::SafeTensors;

use super::dense::{Dense, lstm_gates};

/// Samples at 16 kHz that one probability is about.
pub const WINDOW: usize = 512;
/// Samples of the window before that the network sees again.
const CONTEXT: usize = 64;
/// Mirrored samples behind the window.
const PADDING: usize = 64;
/// Samples one spectrum is taken of, and how far apart spectra are.
const FFT: usize = 256;
const HOP: usize = 128;
const BINS: usize = FFT / 2 + 1;
/// Spectra per window.
const SPECTRA: usize = 4;
const HIDDEN: usize = 128;
/// Loudest magnitude (of 32,768) of a window that cannot hold intelligible speech: −56 dBFS, the hiss of an idle line.
const SILENT_PEAK: u16 = 50;

/// Whether `samples` are too quiet for anybody to have spoken, at any rate.
#[must_use]
pub fn is_surely_silent(samples: &[i16]) -> bool {
    samples.iter().all(|sample| sample.unsigned_abs() <= SILENT_PEAK)
}

/// The detector of one track.
pub struct Vad {
    network: &'static Network,
    /// The last samples seen, then room for the window and its mirrored end.
    input: [f32; CONTEXT + WINDOW + PADDING],
    hidden: [f32; HIDDEN],
    cell: [f32; HIDDEN],
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl Default for Vad {
    fn default() -> Self {
        Self::new()
    }
}

impl Vad {
    /// Returns a detector that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        let network: &'static Network = &NETWORK;
        Self {
            network,
            input: [0.0; CONTEXT + WINDOW + PADDING],
            hidden: [0.0; HIDDEN],
            cell: [0.0; HIDDEN],
            spectrum: network.fft.make_output_vec(),
            scratch: network.fft.make_scratch_vec(),
        }
    }

    /// Returns the probability, 0 to 1, that somebody speaks in `window`.
    pub fn probability(&mut self, window: &[f32; WINDOW]) -> f32 {
        self.input[CONTEXT..CONTEXT + WINDOW].copy_from_slice(window);
        let end = CONTEXT + WINDOW;
        for n in 0..PADDING {
            self.input[end + n] = self.input[end - 2 - n];
        }
        let magnitudes = self.magnitudes();
        let features = self.network.encode(&magnitudes);
        let probability = self.network.remember(&features, &mut self.hidden, &mut self.cell);
        self.input.copy_within(WINDOW..WINDOW + CONTEXT, 0);
        probability
    }

    /// Forgets the samples before: the next window follows a stretch that was skipped as silent.
    pub fn skip(&mut self) {
        self.input[..CONTEXT].fill(0.0);
    }

    fn magnitudes(&mut self) -> [[f32; BINS]; SPECTRA] {
        let mut magnitudes = [[0.0; BINS]; SPECTRA];
        let mut frame = [0.0_f32; FFT];
        for (at, row) in magnitudes.iter_mut().enumerate() {
            let samples = &self.input[at * HOP..at * HOP + FFT];
            for ((value, sample), weight) in frame.iter_mut().zip(samples).zip(&self.network.hann) {
                *value = sample * weight;
            }
            self.network
                .fft
                .process_with_scratch(&mut frame, &mut self.spectrum, &mut self.scratch)
                .expect("the buffers were made by this transform");
            for (magnitude, bin) in row.iter_mut().zip(&self.spectrum) {
                *magnitude = (bin.re * bin.re + bin.im * bin.im).sqrt();
            }
        }
        magnitudes
    }
}

static NETWORK: LazyLock<Network> = LazyLock::new(Network::embedded);

/// The weights, laid out so that inner loops run along outputs.
struct Network {
    fft: std::sync::Arc<dyn RealToComplex<f32>>,
    hann: [f32; FFT],
    conv1: Dense,
    conv2: Dense,
    conv3: Dense,
    conv4: Dense,
    gates: Dense,
    last: [f32; HIDDEN],
    last_bias: f32,
}

impl Network {
    fn embedded() -> Self {
        let file = include_bytes!("../../assets/vad/silero_vad_16k.safetensors");
        let tensors = SafeTensors::deserialize(file).expect("the embedded weights are a safetensors file");
        let tensor = |name: &str| floats(&tensors, name);
        let mut gates = transposed(&tensor("lstm_cell.weight_ih"), 4 * HIDDEN, HIDDEN);
        gates.extend(transposed(&tensor("lstm_cell.weight_hh"), 4 * HIDDEN, HIDDEN));
        let bias: Vec<f32> = tensor("lstm_cell.bias_ih")
            .iter()
            .zip(tensor("lstm_cell.bias_hh"))
            .map(|(a, b)| a + b)
            .collect();
        let mut hann = [0.0_f32; FFT];
        for (n, weight) in (0_u16..).zip(hann.iter_mut()) {
            *weight = 0.5 - 0.5 * (std::f32::consts::TAU * f32::from(n) / 256.0).cos();
        }
        let mut last = [0.0; HIDDEN];
        last.copy_from_slice(&tensor("final_conv.weight"));
        Self {
            fft: RealFftPlanner::new().plan_fft_forward(FFT),
            hann,
            conv1: Dense::new(
                taps_first(&tensor("conv1.weight"), HIDDEN, BINS, 0..3),
                tensor("conv1.bias"),
            ),
            conv2: Dense::new(
                taps_first(&tensor("conv2.weight"), 64, HIDDEN, 0..3),
                tensor("conv2.bias"),
            ),
            // The third layer's output is one step long: its first tap and all outer taps of the fourth see padding only.
            conv3: Dense::new(
                taps_first(&tensor("conv3.weight"), 64, 64, 1..3),
                tensor("conv3.bias"),
            ),
            conv4: Dense::new(
                taps_first(&tensor("conv4.weight"), HIDDEN, 64, 1..2),
                tensor("conv4.bias"),
            ),
            gates: Dense::new(gates, bias),
            last,
            last_bias: tensor("final_conv.bias")[0],
        }
    }

    /// The convolutions: four spectra become one vector.
    fn encode(&self, spectra: &[[f32; BINS]; SPECTRA]) -> [f32; HIDDEN] {
        // A step's input is itself between its neighbours; outside there are zeros.
        let mut padded = [0.0_f32; (SPECTRA + 2) * BINS];
        for (at, spectrum) in spectra.iter().enumerate() {
            padded[(at + 1) * BINS..(at + 2) * BINS].copy_from_slice(spectrum);
        }
        let mut first = [0.0_f32; (SPECTRA + 1) * HIDDEN];
        let (_, steps) = first.split_at_mut(HIDDEN);
        self.conv1.relu::<SPECTRA>(&padded, BINS, steps);
        let mut second = [0.0_f32; 2 * 64];
        self.conv2.relu::<2>(&first, 2 * HIDDEN, &mut second);
        let mut third = [0.0_f32; 64];
        self.conv3.relu::<1>(&second, 0, &mut third);
        let mut fourth = [0.0_f32; HIDDEN];
        self.conv4.relu::<1>(&third, 0, &mut fourth);
        fourth
    }

    /// The recurrent cell and the last layer.
    fn remember(
        &self,
        features: &[f32; HIDDEN],
        hidden: &mut [f32; HIDDEN],
        cell: &mut [f32; HIDDEN],
    ) -> f32 {
        let mut input = [0.0_f32; 2 * HIDDEN];
        input[..HIDDEN].copy_from_slice(features);
        input[HIDDEN..].copy_from_slice(hidden);
        let mut gates = [0.0_f32; 4 * HIDDEN];
        self.gates.linear(&input, &mut gates);
        lstm_gates(&gates, hidden, cell);
        let sum: f32 = hidden.iter().zip(&self.last).map(|(h, w)| h.max(0.0) * w).sum();
        1.0 / (1.0 + (-(sum + self.last_bias)).exp())
    }
}

fn floats(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let tensor = tensors
        .tensor(name)
        .expect("the embedded weights have every layer");
    tensor
        .data()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

/// `[output][input]` becomes `[input][output]`.
fn transposed(weights: &[f32], outputs: usize, inputs: usize) -> Vec<f32> {
    (0..inputs)
        .flat_map(|i| (0..outputs).map(move |o| weights[o * inputs + i]))
        .collect()
}

/// `[output][input][tap of 3]` becomes `[tap][input][output]`, for the taps wanted.
fn taps_first(weights: &[f32], outputs: usize, inputs: usize, taps: std::ops::Range<usize>) -> Vec<f32> {
    taps.flat_map(|tap| {
        (0..inputs).flat_map(move |i| (0..outputs).map(move |o| weights[(o * inputs + i) * 3 + tap]))
    })
    .collect()
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "test signals are small numbers")]
mod tests {
    use base64::Engine as _;

    use super::*;
    use crate::media::mulaw;

    /// The signal of `assets/vad/reference.json`: silence, a made voice, faint noise, silence.
    fn reference() -> (Vec<f32>, Vec<f32>) {
        let text = include_str!("../../assets/vad/reference.json");
        let json: serde_json::Value = serde_json::from_str(text).expect("the fixture is JSON");
        let coded = json["mulaw_base64"]
            .as_str()
            .expect("the fixture has its samples");
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(coded)
            .expect("the samples are base64");
        let mut signal = vec![0.0_f32; 8_192];
        signal.extend(
            bytes
                .iter()
                .flat_map(|&b| [f32::from(mulaw::decode(b)) / 32_768.0; 2]),
        );
        let mut state: i64 = 12_345;
        signal.extend((0..16_000).map(|_| {
            state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
            ((state as f64 / 2_147_483_648.0 - 0.5) as f32) * 0.02
        }));
        signal.extend([0.0; 8_192]);
        let wanted = json["probabilities"]
            .as_array()
            .expect("the fixture has probabilities");
        (
            signal,
            wanted
                .iter()
                .map(|v| v.as_f64().expect("a probability") as f32)
                .collect(),
        )
    }

    fn probabilities(signal: &[f32]) -> Vec<f32> {
        let mut vad = Vad::new();
        signal
            .chunks_exact(WINDOW)
            .map(|w| vad.probability(w.try_into().expect("exact chunks")))
            .collect()
    }

    #[test]
    fn agrees_with_the_reference_network() {
        let (signal, wanted) = reference();
        let ours = probabilities(&signal);
        assert_eq!(ours.len(), wanted.len());
        let errors: Vec<f32> = ours.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).collect();
        let mean = errors.iter().sum::<f32>() / errors.len() as f32;
        let worst = errors.iter().copied().fold(0.0, f32::max);
        assert!(worst < 1e-3, "worst {worst}");
        assert!(mean < 1e-4, "mean {mean}");
        assert!(
            wanted.iter().any(|p| *p > 0.9) && wanted.iter().any(|p| *p < 0.1),
            "the fixture shows both"
        );
    }

    #[test]
    fn tracks_do_not_hear_each_other() {
        let (signal, _) = reference();
        let alone = probabilities(&signal);
        let (mut one, mut other) = (Vad::new(), Vad::new());
        let together: Vec<f32> = signal
            .chunks_exact(WINDOW)
            .map(|w| {
                other.probability(&[0.1; WINDOW]);
                one.probability(w.try_into().expect("exact chunks"))
            })
            .collect();
        assert_eq!(alone, together);
    }

    #[test]
    fn only_an_idle_line_is_surely_silent() {
        assert!(is_surely_silent(&[0; 256]));
        assert!(is_surely_silent(&[-48; 256]));
        assert!(!is_surely_silent(&[0, 0, 300, 0]));
        assert!(!is_surely_silent(&[i16::MIN]));
    }
}
