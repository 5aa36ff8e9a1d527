//! G.711 μ-law, as telephone media streams carry it.
//!
//! In: one byte a sample. Out: 16-bit linear samples at the same rate, and back. Tables made at compile time; no allocation.

/// The byte of digital silence.
pub const SILENCE: u8 = 0xFF;

/// Linear sample of every μ-law byte.
const DECODED: [i16; 256] = decoded_table();
/// Added before coding, so that the smallest segment has the shape of the others.
const BIAS: i32 = 132;
/// Loudest magnitude that can be coded.
const CLIP: i32 = 32_635;

/// Returns the linear sample of one μ-law byte.
#[must_use]
pub fn decode(byte: u8) -> i16 {
    DECODED[usize::from(byte)]
}

/// Appends the linear samples of `bytes` to `samples`.
pub fn decode_into(bytes: &[u8], samples: &mut Vec<i16>) {
    samples.extend(bytes.iter().map(|&byte| decode(byte)));
}

/// Returns the μ-law byte nearest to one linear sample.
#[must_use]
pub fn encode(sample: i16) -> u8 {
    let wide = i32::from(sample);
    let sign = if wide < 0 { 0x80 } else { 0 };
    let magnitude = wide.abs().min(CLIP) + BIAS;
    // The segment is the place of the highest bit above bit 7: 0 to 7, as the magnitude is 132 to 32,767.
    let segment = 24 - magnitude.leading_zeros().min(24);
    let mantissa = (magnitude >> (segment + 3)) & 0x0F;
    let segment = i32::try_from(segment).expect("a segment is at most 7");
    let code = sign | (segment << 4) | mantissa;
    u8::try_from(!code & 0xFF).expect("masked to eight bits")
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "const arithmetic of values within 16 bits; From is not const"
)]
const fn decoded_table() -> [i16; 256] {
    let mut table = [0_i16; 256];
    let mut byte = 0;
    while byte < 256 {
        let code = !byte & 0xFF;
        let magnitude = ((((code & 0x0F) << 3) + BIAS) << ((code >> 4) & 7)) - BIAS;
        table[byte.cast_unsigned() as usize] = if code & 0x80 == 0 {
            magnitude as i16
        } else {
            -(magnitude as i16)
        };
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_scale_are_those_of_g711() {
        assert_eq!(decode(SILENCE), 0);
        assert_eq!(decode(0x7F), 0);
        assert_eq!(decode(0x80), 32_124);
        assert_eq!(decode(0x00), -32_124);
    }

    #[test]
    fn every_byte_survives_the_round_trip_but_negative_zero() {
        for byte in 0..=255_u8 {
            let again = encode(decode(byte));
            assert!(
                again == byte || (byte == 0x7F && again == SILENCE),
                "{byte} became {again}"
            );
        }
    }

    #[test]
    fn coding_is_within_half_a_step_everywhere() {
        for sample in i16::MIN..=i16::MAX {
            let error = (i32::from(decode(encode(sample))) - i32::from(sample)).abs();
            let step = ((i32::from(sample).abs() + BIAS) / 16).max(8);
            let clipped = (i32::from(sample).abs() - CLIP).max(0);
            assert!(
                error <= step / 2 + 4 + clipped + 512 * i32::from(clipped > 0),
                "{sample}: off by {error}"
            );
        }
    }
}
