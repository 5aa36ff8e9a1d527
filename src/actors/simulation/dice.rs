//! Seeded chance: SplitMix64.

use std::sync::{Mutex, PoisonError};

/// Dice that many may roll. The same seed rolls the same numbers.
pub(super) struct Dice(Mutex<u64>);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// The next 64 bits.
    pub(super) fn roll(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound` − 1.
    pub(super) fn below(&self, bound: u64) -> u64 {
        self.roll() % bound
    }
}
