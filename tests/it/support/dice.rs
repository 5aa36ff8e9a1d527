//! Seeded chance: the same seed rolls the same numbers, so that a test that failed can be played again.

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound` − 1.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }
}

/// The seed in the environment variable `name`, or a fresh one. Printed, so that it can be given again.
#[must_use]
pub fn seed(name: &str) -> u64 {
    let given = std::env::var(name).ok().and_then(|text| text.trim().parse().ok());
    let seed = given.unwrap_or_else(|| patchcord::clock::now().as_unix_millis());
    println!("{name}={seed} plays this again");
    seed
}
