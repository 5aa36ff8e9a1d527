//! A fully connected layer with 8-bit weights.
//!
//! In: rows of 32-bit floats. Out: the same through the layer. Each row is rounded to 8 bits by its own largest
//! value; each output has its own scale. The weights stay where the program file is mapped: nothing is unpacked.

use safetensors::{Dtype, SafeTensors};

use super::{
    kernel::{GROUP, LANES, multiply},
    scorer::ScorerError,
};

/// The weights are multiplied with activations shifted by this, to make them unsigned.
const SHIFT: f32 = 128.0;
/// Steps on each side of zero.
const STEPS: f32 = 127.0;

/// One layer.
#[derive(Debug, Clone)]
pub struct Linear {
    weights: &'static [u8],
    scale: Vec<f32>,
    /// What the shift adds to each output's sum.
    correction: Vec<f32>,
    bias: Vec<f32>,
    depth: usize,
}

impl Linear {
    /// Finds the layer called `name` that takes `depth` values and gives `outputs`.
    ///
    /// # Errors
    /// [`ScorerError::Malformed`] when the file has no such layer of that shape.
    pub fn find(
        file: &SafeTensors<'static>,
        name: &str,
        depth: usize,
        outputs: usize,
    ) -> Result<Self, ScorerError> {
        let packed = file
            .tensor(&format!("{name}.weight"))
            .map_err(|_| ScorerError::Malformed("encoder lacks a layer's weights"))?;
        if packed.dtype() != Dtype::I8 || packed.shape() != [outputs / LANES, depth / GROUP, LANES, GROUP] {
            return Err(ScorerError::Malformed("encoder layer has another shape"));
        }
        let weights = packed.data();
        Ok(Self {
            weights,
            scale: floats(file, &format!("{name}.scale"), outputs)?,
            correction: corrections(weights, depth),
            bias: floats(file, &format!("{name}.bias"), outputs)?,
            depth,
        })
    }

    /// The layer's answer for each row of `rows`.
    #[must_use]
    pub fn apply(&self, rows: &[f32]) -> Vec<f32> {
        let groups = self.depth / GROUP;
        let mut rounded = vec![0; rows.len() / GROUP];
        let steps: Vec<f32> = rows
            .chunks_exact(self.depth)
            .zip(rounded.chunks_exact_mut(groups))
            .map(|(row, rounded)| round_row(row, rounded))
            .collect();
        let outputs = self.bias.len();
        let mut sums = vec![0_i32; steps.len() * outputs];
        multiply(self.weights, groups, &rounded, &mut sums);
        let mut answer = Vec::with_capacity(sums.len());
        for (sums, step) in sums.chunks_exact(outputs).zip(steps) {
            let each = sums
                .iter()
                .zip(&self.correction)
                .zip(self.scale.iter().zip(&self.bias));
            answer.extend(each.map(|((sum, correction), (scale, bias))| {
                (as_float(*sum) - correction) * (step * scale) + bias
            }));
        }
        answer
    }
}

/// Rounds a row to bytes around 128, four to a word. Returns the size of a step.
fn round_row(row: &[f32], rounded: &mut [i32]) -> f32 {
    let mut largest = f32::MIN_POSITIVE;
    for value in row {
        largest = largest.max(value.abs());
    }
    let per_step = STEPS / largest;
    let byte = |value: f32| as_byte(value * per_step + (SHIFT + 0.5));
    for (word, four) in rounded.iter_mut().zip(row.chunks_exact(GROUP)) {
        *word = i32::from_le_bytes([byte(four[0]), byte(four[1]), byte(four[2]), byte(four[3])]);
    }
    largest / STEPS
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "1.5 to 255.5: cutting it is the rounding"
)]
fn as_byte(value: f32) -> u8 {
    value as u8
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sums stay below 2^26: at most 2 of 50 million are lost"
)]
fn as_float(sum: i32) -> f32 {
    sum as f32
}

fn corrections(weights: &[u8], depth: usize) -> Vec<f32> {
    let mut sums = vec![0_i32; weights.len() / depth];
    let shift = i32::from_le_bytes([128; GROUP]);
    multiply(weights, depth / GROUP, &vec![shift; depth / GROUP], &mut sums);
    sums.into_iter().map(as_float).collect()
}

/// The 32-bit floats called `name`, of which there must be `count`.
///
/// # Errors
/// [`ScorerError::Malformed`] when there are none or another number.
pub fn floats(file: &SafeTensors<'static>, name: &str, count: usize) -> Result<Vec<f32>, ScorerError> {
    let tensor = file
        .tensor(name)
        .map_err(|_| ScorerError::Malformed("encoder lacks a tensor"))?;
    if tensor.dtype() != Dtype::F32 || tensor.data().len() != count * size_of::<f32>() {
        return Err(ScorerError::Malformed("encoder tensor has another shape"));
    }
    let bytes = tensor.data().chunks_exact(size_of::<f32>());
    Ok(bytes
        .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
        .collect())
}
