//! Tokens: what use is counted in. Exact decimals, never floats.

use std::{fmt, iter::Sum, ops::Add};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount of tokens, exact to a thousandth. Reads and prints a decimal text, `10`, `0.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tokens(u64);

impl Tokens {
    pub const ZERO: Self = Self(0);

    /// That many thousandths of a token.
    #[must_use]
    pub const fn from_thousandths(thousandths: u64) -> Self {
        Self(thousandths)
    }

    /// How many thousandths of a token this is.
    #[must_use]
    pub const fn as_thousandths(self) -> u64 {
        self.0
    }

    /// The amount, `count` times; the most there is when that is beyond it.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }
}

impl Add for Tokens {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Tokens {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000, self.0 % 1_000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{rest:03}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl Serialize for Tokens {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        read(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is not an amount like `0.5`")))
    }
}

fn read(text: &str) -> Option<Tokens> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(rest) || rest.len() > 3 {
        return None;
    }
    let rest: u64 = format!("{rest:0<3}").parse().ok()?;
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(1_000)?.checked_add(rest).map(Tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_exact_decimals() {
        for (thousandths, text) in [
            (0, "0"),
            (100, "0.1"),
            (10_000, "10"),
            (1_500, "1.5"),
            (7, "0.007"),
        ] {
            let tokens = Tokens::from_thousandths(thousandths);
            assert_eq!(tokens.to_string(), text);
            assert_eq!(read(text), Some(tokens));
        }
        for wrong in ["", ".5", "1.", "1.2345", "-1", "1e3"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_tenth_three_times_is_exactly_three_tenths() {
        let sum: Tokens = [Tokens::from_thousandths(100); 3].into_iter().sum();
        assert_eq!(sum, Tokens::from_thousandths(300));
        assert_eq!(Tokens::from_thousandths(100).times(3), sum);
    }
}
