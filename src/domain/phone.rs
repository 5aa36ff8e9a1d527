//! Telephone numbers in E.164.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number like `+14155550100`: a plus sign and 7 to 15 digits, the first not zero (ITU-T E.164).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber(String);

/// Why a text is not a telephone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a phone number in E.164 form like `+14155550100`")]
pub struct PhoneError;

impl PhoneNumber {
    /// The number with its plus sign.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PhoneNumber {
    type Err = PhoneError;

    /// Accepts the usual punctuation (spaces, dots, dashes, brackets) and drops it.
    fn from_str(text: &str) -> Result<Self, PhoneError> {
        let plain: String = text
            .trim()
            .chars()
            .filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')'))
            .collect();
        let digits = plain.strip_prefix('+').ok_or(PhoneError)?;
        let well_formed = (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit());
        well_formed.then_some(Self(plain)).ok_or(PhoneError)
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for PhoneNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PhoneNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_digits_and_drops_punctuation() {
        let number: PhoneNumber = "+1 (415) 555-0100".parse().expect("a number");
        assert_eq!(number.as_str(), "+14155550100");
    }

    #[test]
    fn refuses_what_cannot_be_dialled() {
        for wrong in [
            "",
            "4155550100",
            "+0123456789",
            "+123456",
            "+1234567890123456",
            "anonymous",
        ] {
            assert!(wrong.parse::<PhoneNumber>().is_err(), "{wrong:?}");
        }
    }
}
