//! How nodes know each other: an HMAC over method, path, body and time with the cluster's secret.
//!
//! A request that is heard on the way can be repeated for [`LATE_MAX`], which does no harm: what nodes tell each other may be told
//! twice. It cannot be changed, nor turned against another address.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::watch;

use crate::domain::{hex::hex, secret::Secret, signing::SigningKeys, time::Timestamp};

/// The header with the time and the signature: `t=<milliseconds>,v1=<64 hex digits>`.
pub const HEADER: &str = "patchcord-signature";
/// How far two nodes' clocks and the way between them may be apart.
pub const LATE_MAX: Duration = Duration::from_secs(60);

/// Why a request is not one of our nodes'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("there is no signature of a node")]
    Missing,
    #[error("the signature is too old or from the future: the clocks of the nodes may be apart")]
    Late,
    #[error(
        "the signature is wrong: nodes of one cluster share `cluster.secret`, or the store's signing keys"
    )]
    Wrong,
}

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub body: &'a [u8],
}

impl Signed<'_> {
    fn mac(&self, secret: &Secret, at: u64) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
            .expect("an HMAC takes a key of any length");
        mac.update(format!("{at}\n{}\n{}\n", self.method, self.path).as_bytes());
        mac.update(self.body);
        mac
    }

    /// The header's value.
    #[must_use]
    pub fn sign(&self, secret: &Secret, now: Timestamp) -> String {
        let at = now.as_unix_millis();
        let digest = self.mac(secret, at).finalize().into_bytes();
        format!("t={at},v1={}", hex(&digest))
    }

    /// Whether `header` was made with the same secret, a moment ago.
    ///
    /// # Errors
    /// [`SignatureError`] says what is wrong, for this side's log.
    pub fn check(&self, secret: &Secret, header: Option<&str>, now: Timestamp) -> Result<(), SignatureError> {
        let (at, given) = header.and_then(read).ok_or(SignatureError::Missing)?;
        // Compared in constant time.
        self.mac(secret, at.as_unix_millis())
            .verify_slice(&given)
            .map_err(|_| SignatureError::Wrong)?;
        let apart = now.since(at).max(at.since(now));
        if apart > LATE_MAX {
            return Err(SignatureError::Late);
        }
        Ok(())
    }
}

fn read(header: &str) -> Option<(Timestamp, [u8; 32])> {
    let (at, digest) = header.strip_prefix("t=")?.split_once(",v1=")?;
    if digest.len() != 64 || !digest.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digest.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some((Timestamp::from_unix_millis(at.parse().ok()?), bytes))
}

/// What nodes share.
#[derive(Clone)]
pub enum ClusterSecret {
    /// `cluster.secret`.
    Set(Secret),
    /// Made from the signing keys where none is set: the present one signs, any verifies.
    Derived(watch::Receiver<SigningKeys>),
}

impl ClusterSecret {
    /// The header's value for `signed`.
    #[must_use]
    pub fn sign(&self, signed: Signed<'_>, now: Timestamp) -> String {
        match self {
            Self::Set(secret) => signed.sign(secret, now),
            Self::Derived(keys) => signed.sign(&secret_of(keys.borrow().current(now).secret()), now),
        }
    }

    /// Whether `header` was made by one who shares it, a moment ago.
    ///
    /// # Errors
    /// [`SignatureError`] says what is wrong, for this side's log.
    pub fn check(
        &self,
        signed: Signed<'_>,
        header: Option<&str>,
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        match self {
            Self::Set(secret) => signed.check(secret, header, now),
            Self::Derived(keys) => {
                let keys = keys.borrow();
                let mut checks = keys
                    .all()
                    .iter()
                    .map(|key| signed.check(&secret_of(key.secret()), header, now));
                let other_than_wrong = checks.find(|checked| *checked != Err(SignatureError::Wrong));
                other_than_wrong.unwrap_or(Err(SignatureError::Wrong))
            }
        }
    }
}

/// A secret for nodes, made from a signing key so that it tells nothing about it.
fn secret_of(key: &Secret) -> Secret {
    let signed = Signed {
        method: "",
        path: "cluster",
        body: b"",
    };
    let digest = signed.mac(key, 0).finalize().into_bytes();
    Secret::new(hex(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::signing::RETIRES_AFTER;

    const ONE: Signed<'_> = Signed {
        method: "POST",
        path: "/internal/words",
        body: b"{}",
    };

    #[test]
    fn only_the_same_request_with_the_same_secret_passes_and_not_for_long() {
        let (secret, now) = (
            Secret::new("s".to_owned()),
            Timestamp::from_unix_millis(1_700_000_000_000),
        );
        let header = ONE.sign(&secret, now);
        let check = |signed: Signed<'_>, secret: &Secret, at| signed.check(secret, Some(&header), at);
        assert_eq!(check(ONE, &secret, now.plus(LATE_MAX)), Ok(()));
        assert_eq!(
            check(ONE, &secret, now.plus(LATE_MAX + Duration::from_millis(1))),
            Err(SignatureError::Late)
        );
        for other in [
            Signed { body: b"{ }", ..ONE },
            Signed {
                path: "/internal",
                ..ONE
            },
            Signed { method: "PUT", ..ONE },
        ] {
            assert_eq!(check(other, &secret, now), Err(SignatureError::Wrong));
        }
        let another = secret_of(&secret);
        assert_eq!(check(ONE, &another, now), Err(SignatureError::Wrong));
        assert_eq!(ONE.check(&secret, None, now), Err(SignatureError::Missing));
        assert_eq!(
            ONE.check(&secret, Some("t=1,v1=zz"), now),
            Err(SignatureError::Missing)
        );
    }

    #[test]
    fn what_a_node_signs_with_one_of_the_signing_keys_passes_until_the_key_is_retired() {
        let made_at = Timestamp::from_unix_millis(1_700_000_000_000);
        let old = SigningKeys::of(Secret::new("0".repeat(64)), made_at);
        let both = old.with(Secret::new("1".repeat(64)), made_at).expect("room");
        let now = made_at.plus(RETIRES_AFTER);
        let (kept, _) = both.without_earlier(now).expect("retired");
        let derived = |keys: &SigningKeys| ClusterSecret::Derived(watch::channel(keys.clone()).1);
        let nodes = [derived(&old), derived(&both), derived(&kept)];
        let [by_old, by_both, by_kept] = nodes.each_ref().map(|node| node.sign(ONE, now));
        assert_eq!(by_both, by_kept, "the second key signs");
        for header in [&by_old, &by_both] {
            assert_eq!(nodes[1].check(ONE, Some(header), now), Ok(()));
        }
        assert_eq!(
            nodes[2].check(ONE, Some(&by_old), now),
            Err(SignatureError::Wrong)
        );
        assert_eq!(nodes[1].check(ONE, None, now), Err(SignatureError::Missing));
        let late = now.plus(2 * LATE_MAX);
        assert_eq!(
            nodes[1].check(ONE, Some(&by_both), late),
            Err(SignatureError::Late)
        );
    }
}
