//! Products of 8-bit integers, the one hot loop of the encoder.
//!
//! In: weights packed for wide registers and unsigned activations. Out: exact 32-bit sums, the same on every
//! machine whichever instructions it has: AVX-512 VNNI, AVX2 or none. Pure; the only unsafe code of the analysis.
#![expect(
    unsafe_code,
    reason = "vector instructions need it; each use checks the lengths or the processor first"
)]

use std::mem::transmute;

/// Outputs that lie side by side in the packed weights.
pub const LANES: usize = 16;
/// Consecutive inputs of one output that lie side by side.
pub const GROUP: usize = 4;
const STEP_BYTES: usize = LANES * GROUP;
/// Tokens computed at once, so that each weight is loaded once for all of them.
const TILE: usize = 4;

/// Sums of one block of outputs for a few tokens.
type Tile = [[i32; LANES]; TILE];

/// Sums `weights` × `activations` into `sums`.
///
/// `weights` are signed bytes ordered [outputs / 16][groups][16][4]; `activations` are [tokens][groups], each four
/// unsigned bytes, the first lowest; `sums` are [tokens][outputs].
///
/// # Panics
/// When the lengths do not belong together: a bug of the caller.
pub fn multiply(weights: &[u8], groups: usize, activations: &[i32], sums: &mut [i32]) {
    assert!(
        groups > 0 && activations.len().is_multiple_of(groups),
        "ragged activations"
    );
    assert!(
        weights.len().is_multiple_of(groups * STEP_BYTES),
        "ragged weights"
    );
    let (tokens, outputs) = (activations.len() / groups, weights.len() / groups / GROUP);
    assert_eq!(tokens * outputs, sums.len(), "sums must be tokens times outputs");
    for (block, weights) in weights.chunks_exact(groups * STEP_BYTES).enumerate() {
        let mut token = 0;
        while token < tokens {
            let tile = if token + TILE <= tokens { TILE } else { 1 };
            let rows = &activations[token * groups..(token + tile) * groups];
            let mut totals = [[0; LANES]; TILE];
            sum_tile(weights, groups, rows, &mut totals);
            for (row, total) in totals.iter().take(tile).enumerate() {
                sums[(token + row) * outputs + block * LANES..][..LANES].copy_from_slice(total);
            }
            token += tile;
        }
    }
}

/// One block of outputs for one or [`TILE`] tokens, by the best instructions there are.
fn sum_tile(weights: &[u8], groups: usize, rows: &[i32], totals: &mut Tile) {
    #[cfg(target_arch = "x86_64")]
    {
        let is_whole = rows.len() == groups * TILE;
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
            // SAFETY: the processor has the instructions.
            return unsafe {
                if is_whole {
                    vnni_four(weights, rows, totals)
                } else {
                    vnni_one(weights, rows, totals)
                }
            };
        }
        if is_x86_feature_detected!("avx2") {
            for (row, total) in rows.chunks_exact(groups).zip(totals) {
                // SAFETY: the processor has the instructions.
                unsafe { avx2_one(weights, row, total) };
            }
            return;
        }
    }
    plain(weights, groups, rows, totals);
}

fn plain(weights: &[u8], groups: usize, rows: &[i32], totals: &mut Tile) {
    for (row, total) in rows.chunks_exact(groups).zip(totals) {
        for (step, group) in row.iter().enumerate() {
            let activations = group.to_le_bytes();
            for (lane, sum) in total.iter_mut().enumerate() {
                for (place, activation) in activations.into_iter().enumerate() {
                    let weight = weights[step * STEP_BYTES + lane * GROUP + place].cast_signed();
                    *sum += i32::from(weight) * i32::from(activation);
                }
            }
        }
    }
}

// The loops below are written out and walk by pointer: builds for development are barely optimised, and iterators
// would cost ten times the arithmetic there.

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
fn vnni_four(weights: &[u8], rows: &[i32], totals: &mut Tile) {
    use std::arch::x86_64::{
        __m512i, _mm512_dpbusd_epi32, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_si512,
    };
    let (weights, _) = weights.as_chunks::<STEP_BYTES>();
    let groups = weights.len();
    let (a, rest) = rows.split_at(groups);
    let (b, rest) = rest.split_at(groups);
    let (c, d) = rest.split_at(groups);
    let (mut sum_a, mut sum_b) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    let (mut sum_c, mut sum_d) = (sum_a, sum_b);
    let mut step = 0;
    while step < groups {
        // SAFETY: both are 64 bytes, of which every pattern is a value.
        let weights = unsafe { transmute::<[u8; STEP_BYTES], __m512i>(weights[step]) };
        sum_a = _mm512_dpbusd_epi32(sum_a, _mm512_set1_epi32(a[step]), weights);
        sum_b = _mm512_dpbusd_epi32(sum_b, _mm512_set1_epi32(b[step]), weights);
        sum_c = _mm512_dpbusd_epi32(sum_c, _mm512_set1_epi32(c[step]), weights);
        sum_d = _mm512_dpbusd_epi32(sum_d, _mm512_set1_epi32(d[step]), weights);
        step += 1;
    }
    for (total, sum) in totals.iter_mut().zip([sum_a, sum_b, sum_c, sum_d]) {
        // SAFETY: a total is 16 words of 4 bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(total.as_mut_ptr().cast(), sum) };
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
fn vnni_one(weights: &[u8], row: &[i32], totals: &mut Tile) {
    use std::arch::x86_64::{
        __m512i, _mm512_dpbusd_epi32, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_si512,
    };
    let (weights, _) = weights.as_chunks::<STEP_BYTES>();
    let groups = weights.len();
    let mut sum = _mm512_setzero_si512();
    let mut step = 0;
    while step < groups {
        // SAFETY: both are 64 bytes, of which every pattern is a value.
        let weights = unsafe { transmute::<[u8; STEP_BYTES], __m512i>(weights[step]) };
        sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi32(row[step]), weights);
        step += 1;
    }
    // SAFETY: a total is 16 words of 4 bytes; the store needs no alignment.
    unsafe { _mm512_storeu_si512(totals[0].as_mut_ptr().cast(), sum) };
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2_one(weights: &[u8], row: &[i32], total: &mut [i32; LANES]) {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_set1_epi32, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_cvtepu8_epi16,
        _mm256_madd_epi16, _mm256_setzero_si256, _mm256_storeu_si256,
    };
    const PART_BYTES: usize = STEP_BYTES / 4;
    let (parts, _) = weights.as_chunks::<PART_BYTES>();
    let groups = parts.len() / 4;
    let mut sums = [_mm256_setzero_si256(); 4];
    let mut step = 0;
    while step < groups {
        let activations = _mm256_cvtepu8_epi16(_mm_set1_epi32(row[step]));
        let [a, b, c, d] = [
            parts[4 * step],
            parts[4 * step + 1],
            parts[4 * step + 2],
            parts[4 * step + 3],
        ];
        // SAFETY: all are 16 bytes, of which every pattern is a value.
        let parts: [__m128i; 4] = unsafe { [a, b, c, d].map(|part| transmute::<[u8; 16], __m128i>(part)) };
        sums[0] = _mm256_add_epi32(
            sums[0],
            _mm256_madd_epi16(_mm256_cvtepi8_epi16(parts[0]), activations),
        );
        sums[1] = _mm256_add_epi32(
            sums[1],
            _mm256_madd_epi16(_mm256_cvtepi8_epi16(parts[1]), activations),
        );
        sums[2] = _mm256_add_epi32(
            sums[2],
            _mm256_madd_epi16(_mm256_cvtepi8_epi16(parts[2]), activations),
        );
        sums[3] = _mm256_add_epi32(
            sums[3],
            _mm256_madd_epi16(_mm256_cvtepi8_epi16(parts[3]), activations),
        );
        step += 1;
    }
    for (sum, total) in sums.into_iter().zip(total.chunks_exact_mut(LANES / 4)) {
        let mut halves = [0_i32; 8];
        // SAFETY: the array is as long as the register; the store needs no alignment.
        #[expect(clippy::cast_ptr_alignment, reason = "the unaligned store is the one used")]
        unsafe {
            _mm256_storeu_si256(halves.as_mut_ptr().cast::<__m256i>(), sum);
        }
        for (total, pair) in total.iter_mut().zip(halves.chunks_exact(2)) {
            *total = pair[0] + pair[1];
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn every_instruction_set_gives_the_same_sums(
            tokens in 1_usize..11, blocks in 1_usize..4, groups in 1_usize..30, seed in any::<u32>(),
        ) {
            let mut state = seed;
            let mut byte = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_le_bytes()[3]
            };
            let weights: Vec<u8> = (0..blocks * groups * STEP_BYTES).map(|_| byte()).collect();
            let activations: Vec<i32> =
                (0..tokens * groups).map(|_| i32::from_le_bytes([byte(), byte(), byte(), byte()])).collect();
            let mut sums = vec![1; tokens * blocks * LANES];
            multiply(&weights, groups, &activations, &mut sums);
            for (token, row) in activations.chunks_exact(groups).enumerate() {
                for (block, weights) in weights.chunks_exact(groups * STEP_BYTES).enumerate() {
                    let mut wanted = [[0; LANES]; TILE];
                    plain(weights, groups, row, &mut wanted);
                    prop_assert_eq!(&sums[(token * blocks + block) * LANES..][..LANES], &wanted[0]);
                    #[cfg(target_arch = "x86_64")]
                    if is_x86_feature_detected!("avx2") {
                        let mut total = [1; LANES];
                        // SAFETY: the processor has the instructions.
                        unsafe { avx2_one(weights, row, &mut total) };
                        prop_assert_eq!(&total, &wanted[0]);
                    }
                }
            }
        }
    }

    #[test]
    fn the_largest_bytes_do_not_overflow() {
        let groups = 1_536 / GROUP;
        let mut sums = vec![0; LANES];
        multiply(&vec![127; LANES * 1_536], groups, &vec![-1; groups], &mut sums);
        assert!(sums.iter().all(|sum| *sum == 127 * 255 * 1_536));
    }
}
