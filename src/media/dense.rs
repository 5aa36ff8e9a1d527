//! The inner loops of the voice activity network: one weight matrix against a few vectors.
//!
//! In and out: slices of floats. The same loop is compiled for the plain instruction set and for AVX2 and AVX-512, and the
//! best one this processor has is taken; results differ in the last bits only. No allocation.

#![expect(
    clippy::inline_always,
    reason = "the kernels must be compiled anew with each caller's processor features"
)]

/// Outputs computed together; every layer's width is a multiple.
const LANES: usize = 32;

/// A layer: weights as `[input][output]`, and a bias for each output.
pub struct Dense {
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Dense {
    /// Returns a layer.
    ///
    /// # Panics
    /// When the outputs are not a multiple of 32 or the weights do not fill the matrix: the weights are embedded.
    #[must_use]
    pub fn new(weights: Vec<f32>, bias: Vec<f32>) -> Self {
        assert!(
            bias.len().is_multiple_of(LANES) && weights.len().is_multiple_of(bias.len()),
            "weights fill the matrix"
        );
        Self { weights, bias }
    }

    /// Writes `STEPS` rows of outputs to `out`, negative ones as zero; row `n` is taken of the inputs from `n * stride`.
    pub fn relu<const STEPS: usize>(&self, input: &[f32], stride: usize, out: &mut [f32]) {
        run::<STEPS>(self, input, stride, out);
        for value in out.iter_mut() {
            *value = value.max(0.0);
        }
    }

    /// Writes the outputs for one row of inputs.
    pub fn linear(&self, input: &[f32], out: &mut [f32]) {
        run::<1>(self, input, 0, out);
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "a function compiled for more instructions may only be called after the processor was asked"
)]
fn run<const STEPS: usize>(layer: &Dense, input: &[f32], stride: usize, out: &mut [f32]) {
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has AVX-512.
        unsafe { run_avx512::<STEPS>(layer, input, stride, out) }
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { run_avx2::<STEPS>(layer, input, stride, out) }
    } else {
        multiply::<STEPS, false>(layer, input, stride, out);
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn run<const STEPS: usize>(layer: &Dense, input: &[f32], stride: usize, out: &mut [f32]) {
    // Every other processor we build for fuses by itself.
    multiply::<STEPS, true>(layer, input, stride, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn run_avx512<const STEPS: usize>(layer: &Dense, input: &[f32], stride: usize, out: &mut [f32]) {
    multiply::<STEPS, true>(layer, input, stride, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<const STEPS: usize>(layer: &Dense, input: &[f32], stride: usize, out: &mut [f32]) {
    multiply::<STEPS, true>(layer, input, stride, out);
}

/// `FUSED` picks the fused multiply-add, which is a library call on processors without it.
#[expect(
    clippy::inline_always,
    reason = "it must be compiled anew with each caller's processor features"
)]
#[inline(always)]
fn multiply<const STEPS: usize, const FUSED: bool>(
    layer: &Dense,
    input: &[f32],
    stride: usize,
    out: &mut [f32],
) {
    let outputs = layer.bias.len();
    let inputs = layer.weights.len() / outputs;
    for first in (0..outputs).step_by(LANES) {
        let mut sums = [[0.0_f32; LANES]; STEPS];
        for row in &mut sums {
            row.copy_from_slice(&layer.bias[first..first + LANES]);
        }
        for (at, weights) in layer.weights.chunks_exact(outputs).enumerate().take(inputs) {
            let weights: &[f32; LANES] = weights[first..first + LANES]
                .try_into()
                .expect("the slice has this length");
            for (step, row) in sums.iter_mut().enumerate() {
                let x = input[step * stride + at];
                if cfg!(debug_assertions) {
                    // Without optimisation iterators and fused multiply-adds are calls, and `make run` has none.
                    for lane in 0..LANES {
                        row[lane] += weights[lane] * x;
                    }
                } else {
                    for (sum, weight) in row.iter_mut().zip(weights) {
                        *sum = if FUSED {
                            weight.mul_add(x, *sum)
                        } else {
                            *sum + weight * x
                        };
                    }
                }
            }
        }
        for (step, row) in sums.iter().enumerate() {
            out[step * outputs + first..step * outputs + first + LANES].copy_from_slice(row);
        }
    }
}

/// Updates a recurrent cell from its gates, in the order input, forget, cell, output.
#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "a function compiled for more instructions may only be called after the processor was asked"
)]
pub fn lstm_gates(gates: &[f32], hidden: &mut [f32], cell: &mut [f32]) {
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has AVX2 and FMA.
        unsafe { gates_avx2(gates, hidden, cell) }
    } else {
        update(gates, hidden, cell);
    }
}

/// Updates a recurrent cell from its gates, in the order input, forget, cell, output.
#[cfg(not(target_arch = "x86_64"))]
pub fn lstm_gates(gates: &[f32], hidden: &mut [f32], cell: &mut [f32]) {
    update(gates, hidden, cell);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn gates_avx2(gates: &[f32], hidden: &mut [f32], cell: &mut [f32]) {
    update(gates, hidden, cell);
}

#[inline(always)]
fn update(gates: &[f32], hidden: &mut [f32], cell: &mut [f32]) {
    let width = hidden.len();
    let (input, rest) = gates.split_at(width);
    let (forget, rest) = rest.split_at(width);
    let (candidate, output) = rest.split_at(width);
    for n in 0..width {
        let kept = sigmoid(forget[n]) * cell[n];
        cell[n] = kept + sigmoid(input[n]) * tanh(candidate[n]);
        hidden[n] = sigmoid(output[n]) * tanh(cell[n]);
    }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

/// e to the `x`, right to six digits: plain arithmetic that the compiler can do on many values at once.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the clamp keeps the power within 127 either way"
)]
fn exp(x: f32) -> f32 {
    let power = x.clamp(-80.0, 80.0) * std::f32::consts::LOG2_E;
    let whole = (power + 0.5).floor();
    let part = (power - whole) * std::f32::consts::LN_2;
    // The Taylor series: the part is within 0.35 either way.
    let curve = 1.0
        + part
            * (1.0
                + part
                    * (0.5 + part * (1.0 / 6.0 + part * (1.0 / 24.0 + part * (1.0 / 120.0 + part / 720.0)))));
    curve * f32::from_bits(((whole as i32 + 127) << 23).cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_gives_the_same_sums() {
        let weights: Vec<f32> = (0..96 * 64)
            .map(|n| ((n * 37 % 101) as f32 - 50.0) / 100.0)
            .collect();
        let layer = Dense::new(weights, vec![0.25; 64]);
        let input: Vec<f32> = (0..160).map(|n| ((n * 13 % 29) as f32 - 14.0) / 20.0).collect();
        let (mut best, mut plain) = (vec![0.0; 128], vec![0.0; 128]);
        run::<2>(&layer, &input, 64, &mut best);
        multiply::<2, false>(&layer, &input, 64, &mut plain);
        for (a, b) in best.iter().zip(&plain) {
            assert!((a - b).abs() < 1e-4, "{a} and {b}");
        }
        let direct: f32 = (0..96)
            .map(|i| input[64 + i] * layer.weights[i * 64 + 5])
            .sum::<f32>()
            + 0.25;
        assert!((plain[64 + 5] - direct).abs() < 1e-4);
    }

    #[test]
    fn the_fast_functions_are_close() {
        for n in -400..400 {
            let x = n as f32 / 20.0;
            assert!((exp(x) - x.exp()).abs() <= 2e-6 * x.exp(), "exp {x}");
            assert!((tanh(x) - x.tanh()).abs() < 1e-6, "tanh {x}");
        }
    }
}
