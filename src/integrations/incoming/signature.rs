//! HMAC-SHA256 over the bytes as they came: what Stripe, Shopify and Calendly sign with.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::translate::Refusal;
use crate::domain::{secret::Secret, time::Timestamp};

/// As old as a signed moment may be, and as far ahead a clock: five minutes, which Stripe's own libraries take.
const TOLERANCE_S: u64 = 300;

/// The code of the parts, joined.
pub(super) fn code(secret: &Secret, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

/// Checks a header like `t=1700000000,v1=5257a8…`: the moment, and the code of `moment.body` in hex; one of several is enough.
pub(super) fn check_timed(
    secret: &Secret,
    (name, value): (&str, &str),
    body: &[u8],
    now: Timestamp,
) -> Result<(), Refusal> {
    let forged = |why: &str| Err(Refusal::Forged(format!("`{name}` {why}")));
    if value.is_empty() {
        return forged("is missing: was it sent by somebody else?");
    }
    let pairs: Vec<(&str, &str)> = value
        .split(',')
        .filter_map(|pair| pair.trim().split_once('='))
        .collect();
    let Some(moment) = pairs
        .iter()
        .find(|(key, _)| *key == "t")
        .map(|(_, moment)| *moment)
    else {
        return forged("holds no moment (`t=`)");
    };
    let seconds: Option<u64> = moment.parse().ok();
    if seconds.is_none_or(|seconds| seconds.abs_diff(now.as_unix_millis() / 1_000) > TOLERANCE_S) {
        return forged("is older than five minutes, or the clocks differ");
    }
    let is_ours = pairs.iter().filter(|(key, _)| *key == "v1").any(|(_, shown)| {
        let expected = code(secret, &[moment.as_bytes(), b".", body]);
        is_hex_of(expected, shown)
    });
    if is_ours {
        return Ok(());
    }
    forged("was not made with this webhook's secret: compare the secret with the service's")
}

/// Compares in constant time.
fn is_hex_of(expected: Hmac<Sha256>, shown: &str) -> bool {
    let bytes: Option<Vec<u8>> = (0..shown.len() / 2)
        .map(|at| {
            let pair = shown.get(2 * at..2 * at + 2)?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect();
    bytes.is_some_and(|bytes| shown.len().is_multiple_of(2) && expected.verify_slice(&bytes).is_ok())
}

/// The header that `check_timed` takes, for tests.
#[cfg(test)]
pub(super) fn timed(secret: &Secret, body: &[u8], at: Timestamp) -> String {
    let moment = (at.as_unix_millis() / 1_000).to_string();
    let code = code(secret, &[moment.as_bytes(), b".", body])
        .finalize()
        .into_bytes();
    format!("t={moment},v0=junk,v1={}", crate::domain::hex::hex(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_signed_with_the_secret_just_now_holds() {
        let secret = Secret::new("whsec_test".to_owned());
        let now = Timestamp::from_unix_millis(1_795_000_000_000);
        let header = timed(&secret, b"{}", now);
        let check = |header: &str, body: &[u8], at| check_timed(&secret, ("S", header), body, at);
        assert_eq!(check(&header, b"{}", now), Ok(()));
        for (header, body, at) in [
            (header.as_str(), b"{ }".as_slice(), now),
            (&header, b"{}", Timestamp::from_unix_millis(1_795_000_301_000)),
            ("", b"{}", now),
            ("t=1795000000", b"{}", now),
            ("v1=00", b"{}", now),
            ("t=1795000000,v1=xyz", b"{}", now),
            ("t=1795000000,v1=é", b"{}", now),
        ] {
            assert!(
                matches!(check(header, body, at), Err(Refusal::Forged(_))),
                "{header}"
            );
        }
        let other = Secret::new("whsec_other".to_owned());
        assert!(check_timed(&other, ("S", &header), b"{}", now).is_err());
    }
}
