//! Writes a model: the file that our own conversion gives to whisper.cpp.
//!
//! In: shape, vocabulary and tensors in 32-bit floats. Out: bytes, the large matrices in the form that was asked for.

use std::io::{self, Write};

use super::{BINS, MAGIC, Shape};
use crate::media::mel;

/// How the large matrices are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weights {
    /// 16-bit floats.
    F16,
    /// The upper halves of 32-bit floats.
    Bf16,
    /// 8-bit whole numbers, 32 to a scale.
    Q8,
}

impl Weights {
    const fn file_type(self) -> i32 {
        match self {
            Self::F16 => 1,
            Self::Bf16 => 24,
            Self::Q8 => 2_007,
        }
    }

    const fn tensor_type(self) -> i32 {
        match self {
            Self::F16 => 1,
            Self::Bf16 => 30,
            Self::Q8 => 8,
        }
    }
}

/// One tensor to be written; dimensions with the outermost first.
pub struct Tensor {
    pub name: String,
    pub dimensions: Vec<usize>,
    pub values: Vec<f32>,
}

/// Writes a model.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut impl Write,
    shape: &Shape,
    tokens: &[Vec<u8>],
    weights: Weights,
    tensors: &[Tensor],
) -> io::Result<()> {
    put(out, &[MAGIC])?;
    put(
        out,
        &Shape {
            file_type: weights.file_type(),
            ..*shape
        }
        .numbers(),
    )?;
    put(out, &[shape.bands, BINS])?;
    floats(
        out,
        &mel::filters(usize::try_from(shape.bands).map_err(io::Error::other)?),
    )?;
    put(out, &[number(tokens.len())?])?;
    for token in tokens {
        put(out, &[number(token.len())?])?;
        out.write_all(token)?;
    }
    tensors
        .iter()
        .try_for_each(|tensor| write_tensor(out, weights, tensor))
}

fn put(out: &mut impl Write, numbers: &[i32]) -> io::Result<()> {
    numbers.iter().try_for_each(|n| out.write_all(&n.to_le_bytes()))
}

fn number(length: usize) -> io::Result<i32> {
    i32::try_from(length).map_err(io::Error::other)
}

/// Matrices take the file's type, convolutions 16-bit floats, everything else 32-bit floats.
fn write_tensor(out: &mut impl Write, weights: Weights, tensor: &Tensor) -> io::Result<()> {
    let kind = match tensor.dimensions.len() {
        3 => Weights::F16.tensor_type(),
        2 if tensor.name.ends_with(".weight") => weights.tensor_type(),
        _ => 0,
    };
    put(
        out,
        &[number(tensor.dimensions.len())?, number(tensor.name.len())?, kind],
    )?;
    for &dimension in tensor.dimensions.iter().rev() {
        put(out, &[number(dimension)?])?;
    }
    out.write_all(tensor.name.as_bytes())?;
    let bytes: Vec<u8> = match kind {
        1 => tensor
            .values
            .iter()
            .flat_map(|&v| half::f16::from_f32(v).to_le_bytes())
            .collect(),
        30 => tensor
            .values
            .iter()
            .flat_map(|&v| half::bf16::from_f32(v).to_le_bytes())
            .collect(),
        8 => tensor.values.chunks(32).flat_map(quantised).collect(),
        _ => return floats(out, &tensor.values),
    };
    out.write_all(&bytes)
}

/// One block of 32: its scale, then whole numbers from −127 to 127.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the scale keeps every value within 127"
)]
fn quantised(block: &[f32]) -> Vec<u8> {
    let scale = block.iter().fold(0.0_f32, |high, v| high.max(v.abs())) / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let mut bytes = half::f16::from_f32(scale).to_le_bytes().to_vec();
    bytes.extend(
        block
            .iter()
            .map(|v| ((v * inverse).round() as i8).cast_unsigned()),
    );
    bytes
}

fn floats(out: &mut impl Write, values: &[f32]) -> io::Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    out.write_all(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bits_keep_a_value_within_half_a_step() {
        let block: Vec<f32> = (0..32).map(|n| (n as f32 - 11.0) / 7.0).collect();
        let bytes = quantised(&block);
        let scale = half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32();
        for (value, byte) in block.iter().zip(&bytes[2..]) {
            assert!((f32::from(byte.cast_signed()) * scale - value).abs() <= scale * 0.6);
        }
        assert_eq!(quantised(&[0.0; 32]), [0; 34]);
    }
}
