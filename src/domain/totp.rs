//! Codes that change every 30 seconds (RFC 6238, TOTP, over HMAC-SHA1 as every authenticator has it).
//!
//! Pure: the moment is handed in. A code is good in its own 30 seconds and those before and after, and once.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha1::Sha1;

use super::{secret::Secret, time::Timestamp};

/// How long a code stands.
const STEP_MS: u64 = 30_000;
/// Steps that a clock may be off, either way.
const DRIFT_STEPS: u64 = 1;
const DIGITS: usize = 6;
/// The alphabet of RFC 4648.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A person's second factor as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// The secret in base32, sealed.
    pub sealed: String,
    /// Whether the person has shown a code: only then is one asked for.
    pub is_confirmed: bool,
    /// The newest step whose code was used: it and those before are used up.
    #[serde(default)]
    pub used_step: u64,
    /// SHA-256 of each recovery code that was not used, in hex.
    #[serde(default)]
    pub recovery: Vec<String>,
}

/// Writes bytes as base32 without padding.
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(letter(bits >> held));
        }
    }
    if held > 0 {
        text.push(letter(bits << (5 - held)));
    }
    text
}

fn letter(bits: u32) -> char {
    let [low, ..] = bits.to_le_bytes();
    char::from(BASE32[usize::from(low & 31)])
}

/// Reads base32 back; `None` when it is none.
fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut held, mut bytes) = (0_u32, 0_u32, Vec::new());
    for letter in text.bytes() {
        let value = BASE32.iter().position(|known| *known == letter)?;
        bits = (bits << 5) | u32::try_from(value).ok()?;
        held += 5;
        if held >= 8 {
            held -= 8;
            let [byte, ..] = (bits >> held).to_le_bytes();
            bytes.push(byte);
        }
    }
    Some(bytes)
}

/// The step of a moment.
const fn step_of(now: Timestamp) -> u64 {
    now.as_unix_millis() / STEP_MS
}

/// The code of `secret` in a step.
fn code_at(secret: &[u8], step: u64) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest[19] & 15);
    let word = u32::from_be_bytes([
        digest[offset],
        digest[offset + 1],
        digest[offset + 2],
        digest[offset + 3],
    ]);
    let code = (word & 0x7fff_ffff) % 1_000_000;
    format!("{code:0DIGITS$}")
}

/// The code of a base32 secret at a moment: what an authenticator shows.
#[must_use]
pub fn code(secret: &Secret, now: Timestamp) -> Option<String> {
    Some(code_at(&from_base32(secret.expose())?, step_of(now)))
}

/// The step whose code `given` is, if it may be used at `now`: none before or at `used_step` may.
#[must_use]
pub fn step_shown(secret: &Secret, given: &str, now: Timestamp, used_step: u64) -> Option<u64> {
    let secret = from_base32(secret.expose())?;
    let given: String = given.chars().filter(|letter| !letter.is_whitespace()).collect();
    if given.len() != DIGITS {
        return None;
    }
    let around = step_of(now).saturating_sub(DRIFT_STEPS)..=step_of(now).saturating_add(DRIFT_STEPS);
    // Every step is looked at, whichever fits: the time taken says nothing.
    around.fold(None, |found, step| {
        let is_same = same(code_at(&secret, step).as_bytes(), given.as_bytes());
        if is_same && step > used_step {
            Some(step)
        } else {
            found
        }
    })
}

fn same(one: &[u8], other: &[u8]) -> bool {
    let difference = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == other.len() && std::hint::black_box(difference) == 0
}

/// The address that an authenticator takes a secret from, as a QR code mostly.
#[must_use]
pub fn otpauth_url(issuer: &str, email: &str, secret: &Secret) -> String {
    let encoded = |text: &str| -> String {
        url::form_urlencoded::byte_serialize(text.as_bytes())
            .collect::<String>()
            .replace('+', "%20")
    };
    format!(
        "otpauth://totp/{}:{}?secret={}&issuer={}&algorithm=SHA1&digits={DIGITS}&period=30",
        encoded(issuer),
        encoded(email),
        secret.expose(),
        encoded(issuer)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::new(base32(b"12345678901234567890"))
    }

    fn second(seconds: u64) -> Timestamp {
        Timestamp::from_unix_millis(seconds * 1_000)
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(plain.as_bytes()), encoded);
            assert_eq!(from_base32(encoded).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(from_base32("m1"), None);
    }

    /// Appendix B of RFC 6238, the last six of its eight digits.
    #[test]
    fn codes_are_those_of_rfc_6238() {
        for (at, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(&secret(), second(at)).as_deref(), Some(expected), "{at}");
        }
    }

    #[test]
    fn a_code_is_good_half_a_minute_around_and_once() {
        let now = second(1_111_111_111);
        let code = code(&secret(), now).expect("a code");
        let step = step_shown(&secret(), &code, now, 0).expect("good");
        assert_eq!(step_shown(&secret(), &code, now, step), None, "used up");
        for (at, is_good) in [
            (1_111_111_111 - 30, true),
            (1_111_111_111 + 30, true),
            (1_111_111_111 - 90, false),
            (1_111_111_111 + 90, false),
        ] {
            assert_eq!(
                step_shown(&secret(), &code, second(at), 0).is_some(),
                is_good,
                "{at}"
            );
        }
        let spaced = format!("{} {}", &code[..3], &code[3..]);
        assert_eq!(step_shown(&secret(), &spaced, now, 0), Some(step));
        for wrong in ["", "000000", "12345", "1234567", "abcdef"] {
            assert_eq!(step_shown(&secret(), wrong, now, 0), None, "{wrong}");
        }
    }

    #[test]
    fn an_authenticator_is_told_everything_in_one_address() {
        let secret = Secret::new("JBSWY3DPEHPK3PXP".to_owned());
        assert_eq!(
            otpauth_url("My team", "ann@example.com", &secret),
            "otpauth://totp/My%20team:ann%40example.com?secret=JBSWY3DPEHPK3PXP&issuer=My%20team&algorithm=SHA1&digits=6&period=30"
        );
    }
}
