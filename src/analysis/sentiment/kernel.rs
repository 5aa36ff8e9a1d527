//! Products of 8-bit integers, the one hot loop of the encoder.
//!
//! In: weights packed for wide registers and unsigned activations. Out: exact 32-bit sums, the same on every
//! machine whichever instructions it has: AVX-512 VNNI, AVX2 or none. Pure; the only unsafe code of the analysis.
#![expect(
    unsafe_code,
    reason = "vector instructions need it; each use checks the lengths or the processor first"
)]

/// Outputs that lie side by side in the packed weights.
pub const LANES: usize = 16;
/// Consecutive inputs of one output that lie side by side.
pub const GROUP: usize = 4;
const STEP_BYTES: usize = LANES * GROUP;

/// Sums `weights` × `activations` into `sums`.
///
/// `weights` are signed bytes ordered [outputs / 16][depth / 4][16][4]; `activations` are [tokens][depth];
/// `sums` are [tokens][outputs].
///
/// # Panics
/// When the lengths do not belong together: a bug of the caller.
pub fn multiply(weights: &[u8], depth: usize, activations: &[u8], sums: &mut [i32]) {
    assert!(
        depth > 0 && depth.is_multiple_of(GROUP) && activations.len().is_multiple_of(depth),
        "ragged activations"
    );
    let tokens = activations.len() / depth;
    assert!(weights.len().is_multiple_of(depth * LANES), "ragged weights");
    assert_eq!(
        weights.len() / depth * tokens,
        sums.len(),
        "sums must be tokens times outputs"
    );
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
            // SAFETY: the processor has the instructions.
            return unsafe { vnni(weights, depth, activations, sums) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has the instructions.
            return unsafe { avx2(weights, depth, activations, sums) };
        }
    }
    plain(weights, depth, activations, sums);
}

fn plain(weights: &[u8], depth: usize, activations: &[u8], sums: &mut [i32]) {
    let outputs = weights.len() / depth;
    for (activations, sums) in activations
        .chunks_exact(depth)
        .zip(sums.chunks_exact_mut(outputs))
    {
        for (weights, sums) in weights
            .chunks_exact(depth * LANES)
            .zip(sums.chunks_exact_mut(LANES))
        {
            sums.fill(0);
            for (weights, activations) in weights
                .chunks_exact(STEP_BYTES)
                .zip(activations.chunks_exact(GROUP))
            {
                for (weights, sum) in weights.chunks_exact(GROUP).zip(sums.iter_mut()) {
                    for (weight, activation) in weights.iter().zip(activations) {
                        *sum += i32::from(weight.cast_signed()) * i32::from(*activation);
                    }
                }
            }
        }
    }
}

/// Four activations as one word, as the broadcast instructions want them.
#[cfg(target_arch = "x86_64")]
#[inline]
fn group(activations: &[u8], at: usize) -> i32 {
    i32::from_le_bytes([
        activations[at],
        activations[at + 1],
        activations[at + 2],
        activations[at + 3],
    ])
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
fn vnni(weights: &[u8], depth: usize, activations: &[u8], sums: &mut [i32]) {
    const TILE: usize = 8;
    let outputs = weights.len() / depth;
    for (block, weights) in weights.chunks_exact(depth * LANES).enumerate() {
        let tiles = activations
            .chunks(depth * TILE)
            .zip(sums.chunks_mut(outputs * TILE));
        for (activations, sums) in tiles {
            // A full tile has its length known to the compiler, so that its sums stay in registers.
            if activations.len() == depth * TILE {
                vnni_tile::<TILE>(weights, depth, activations, block, sums);
            } else {
                for (activations, sums) in activations
                    .chunks_exact(depth)
                    .zip(sums.chunks_exact_mut(outputs))
                {
                    vnni_tile::<1>(weights, depth, activations, block, sums);
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
fn vnni_tile<const TILE: usize>(
    weights: &[u8],
    depth: usize,
    activations: &[u8],
    block: usize,
    sums: &mut [i32],
) {
    use std::arch::x86_64::{
        _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_si512,
    };
    let outputs = sums.len() / TILE;
    let mut totals = [_mm512_setzero_si512(); TILE];
    for (step, weights) in weights.chunks_exact(STEP_BYTES).enumerate() {
        // SAFETY: the chunk is 64 bytes long; the load needs no alignment.
        let weights = unsafe { _mm512_loadu_si512(weights.as_ptr().cast()) };
        for (token, total) in totals.iter_mut().enumerate() {
            let activations = _mm512_set1_epi32(group(activations, token * depth + step * GROUP));
            *total = _mm512_dpbusd_epi32(*total, activations, weights);
        }
    }
    for (token, total) in totals.into_iter().enumerate() {
        let sums = &mut sums[token * outputs + block * LANES..][..LANES];
        // SAFETY: the slice is 16 words of 4 bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), total) };
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(weights: &[u8], depth: usize, activations: &[u8], sums: &mut [i32]) {
    const TILE: usize = 2;
    let outputs = weights.len() / depth;
    for (block, weights) in weights.chunks_exact(depth * LANES).enumerate() {
        let tiles = activations
            .chunks(depth * TILE)
            .zip(sums.chunks_mut(outputs * TILE));
        for (activations, sums) in tiles {
            if activations.len() == depth * TILE {
                avx2_tile::<TILE>(weights, depth, activations, block, sums);
            } else {
                avx2_tile::<1>(weights, depth, activations, block, sums);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn avx2_tile<const TILE: usize>(
    weights: &[u8],
    depth: usize,
    activations: &[u8],
    block: usize,
    sums: &mut [i32],
) {
    use std::arch::x86_64::{
        __m256i, _mm_loadu_si128, _mm_set1_epi32, _mm256_add_epi32, _mm256_cvtepi8_epi16,
        _mm256_cvtepu8_epi16, _mm256_madd_epi16, _mm256_setzero_si256, _mm256_storeu_si256,
    };
    const PARTS: usize = 4;
    let outputs = sums.len() / TILE;
    let mut totals = [[_mm256_setzero_si256(); PARTS]; TILE];
    for (step, weights) in weights.chunks_exact(STEP_BYTES).enumerate() {
        let mut wide = [_mm256_setzero_si256(); PARTS];
        for (wide, weights) in wide.iter_mut().zip(weights.chunks_exact(STEP_BYTES / PARTS)) {
            // SAFETY: the chunk is 16 bytes long; the load needs no alignment.
            *wide = _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(weights.as_ptr().cast()) });
        }
        for (token, totals) in totals.iter_mut().enumerate() {
            let activations = _mm_set1_epi32(group(activations, token * depth + step * GROUP));
            let activations = _mm256_cvtepu8_epi16(activations);
            for (total, wide) in totals.iter_mut().zip(&wide) {
                *total = _mm256_add_epi32(*total, _mm256_madd_epi16(*wide, activations));
            }
        }
    }
    for (token, totals) in totals.into_iter().enumerate() {
        let sums = &mut sums[token * outputs + block * LANES..][..LANES];
        for (total, sums) in totals.into_iter().zip(sums.chunks_exact_mut(LANES / PARTS)) {
            let mut halves = [0_i32; 8];
            // SAFETY: the array is as long as the register; the store needs no alignment.
            unsafe { _mm256_storeu_si256(halves.as_mut_ptr().cast::<__m256i>(), total) };
            for (sum, pair) in sums.iter_mut().zip(halves.chunks_exact(2)) {
                *sum = pair[0] + pair[1];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_instruction_set_gives_the_same_sums(
            tokens in 1_usize..20, blocks in 1_usize..4, groups in 1_usize..40, seed in any::<u32>(),
        ) {
            let depth = groups * GROUP;
            let mut state = seed;
            let mut byte = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_le_bytes()[3]
            };
            let weights: Vec<u8> = (0..blocks * LANES * depth).map(|_| byte()).collect();
            let activations: Vec<u8> = (0..tokens * depth).map(|_| byte()).collect();
            let mut wanted = vec![0; tokens * blocks * LANES];
            plain(&weights, depth, &activations, &mut wanted);
            let mut sums = vec![1; wanted.len()];
            multiply(&weights, depth, &activations, &mut sums);
            prop_assert_eq!(&sums, &wanted);
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                sums.fill(1);
                // SAFETY: the processor has the instructions.
                unsafe { avx2(&weights, depth, &activations, &mut sums) };
                prop_assert_eq!(&sums, &wanted);
            }
        }
    }

    #[test]
    fn the_largest_bytes_do_not_overflow() {
        let (weights, activations) = (vec![127_u8; LANES * 1_536], vec![255_u8; 1_536]);
        let mut sums = vec![0; LANES];
        multiply(&weights, 1_536, &activations, &mut sums);
        assert!(sums.iter().all(|sum| *sum == 127 * 255 * 1_536));
    }
}
