//! The pass with which Twilio may open one media stream of one call.
//!
//! In: whose call it is. Out: a text for the stream's address, and back. HMAC-SHA256 over everything it says; valid for a
//! minute; opened once. Nothing is stored until it is used, so that answering a call needs no store.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::domain::{
    audio::Speaker,
    ids::{AccountSid, CallSid},
    secret::Secret,
    signing::SigningKeys,
    time::Timestamp,
};

/// Name of the stream's parameter that repeats the pass.
pub const PASS_PARAMETER: &str = "t";
/// Name of the stream's parameter that says who is heard on the inbound track.
pub const ROLE_PARAMETER: &str = "role_inbound";
/// How long a pass may wait to be used. Twilio opens the stream as soon as it has read the TwiML.
pub const PASS_LIFE: Duration = Duration::from_mins(1);
/// Passes that may be remembered as used at one time: a minute of 1,600 calls a second. Beyond it none is let in.
const USED_MAX: usize = 100_000;
/// Tells this use of the signing keys from every other.
const PURPOSE: &[u8] = b"patchcord media pass 1\n";

/// What a pass says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaPass {
    pub account: AccountSid,
    pub call: CallSid,
    /// Who is heard on the inbound track.
    pub inbound: Speaker,
    pub expires_at: Timestamp,
    /// Tells two passes for one call apart.
    nonce: String,
}

/// Why a pass does not open anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PassError {
    #[error("the media token is not one of ours")]
    Forged,
    #[error("the media token has expired")]
    Expired,
    #[error("the media token was used before")]
    Used,
    #[error("too many media tokens were used within a minute")]
    Crowded,
}

impl MediaPass {
    /// Returns a pass that nobody has used.
    #[must_use]
    pub fn fresh(account: AccountSid, call: CallSid, inbound: Speaker, now: Timestamp) -> Self {
        let nonce = Uuid::now_v7().simple().to_string();
        Self {
            account,
            call,
            inbound,
            expires_at: now.plus(PASS_LIFE),
            nonce,
        }
    }

    /// Writes the pass as text for a path: letters, digits, `-`, `_` and one dot.
    #[must_use]
    pub fn seal(&self, keys: &SigningKeys, now: Timestamp) -> String {
        let said = [
            self.account.as_str(),
            self.call.as_str(),
            self.inbound.as_str(),
            &self.expires_at.as_unix_millis().to_string(),
            &self.nonce,
        ]
        .join(" ");
        let proof = mac(keys.current(now).secret(), said.as_bytes())
            .finalize()
            .into_bytes();
        format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(said),
            URL_SAFE_NO_PAD.encode(proof)
        )
    }

    /// Reads a pass back.
    ///
    /// # Errors
    /// [`PassError::Forged`] for any text that [`Self::seal`] did not write with one of these keys, [`PassError::Expired`] after its life.
    pub fn open(keys: &SigningKeys, text: &str, now: Timestamp) -> Result<Self, PassError> {
        let (said, proof) = text.split_once('.').ok_or(PassError::Forged)?;
        let said = URL_SAFE_NO_PAD.decode(said).map_err(|_| PassError::Forged)?;
        let proof = URL_SAFE_NO_PAD.decode(proof).map_err(|_| PassError::Forged)?;
        let is_ours = keys
            .all()
            .iter()
            .any(|key| mac(key.secret(), &said).verify_slice(&proof).is_ok());
        let pass = is_ours.then(|| Self::read(&said)).flatten();
        let pass = pass.ok_or(PassError::Forged)?;
        if pass.expires_at <= now {
            return Err(PassError::Expired);
        }
        Ok(pass)
    }

    fn read(said: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(said).ok()?.split(' ');
        let mut next = || parts.next();
        let account = AccountSid::new(next()?);
        let call = CallSid::new(next()?);
        let inbound = match next()? {
            "customer" => Speaker::Customer,
            "agent" => Speaker::Agent,
            _ => return None,
        };
        let expires_at = Timestamp::from_unix_millis(next()?.parse().ok()?);
        let nonce = next()?.to_owned();
        Some(Self {
            account,
            call,
            inbound,
            expires_at,
            nonce,
        })
    }
}

fn mac(key: &Secret, said: &[u8]) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(PURPOSE);
    mac.update(said);
    mac
}

/// The passes that were used and have not expired.
#[derive(Debug, Default)]
pub struct UsedPasses(Mutex<BTreeSet<(Timestamp, String)>>);

impl UsedPasses {
    /// Marks a pass as used.
    ///
    /// # Errors
    /// [`PassError::Used`] when it was before, [`PassError::Crowded`] when no more can be remembered.
    pub fn claim(&self, pass: &MediaPass, now: Timestamp) -> Result<(), PassError> {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while used.first().is_some_and(|(expires_at, _)| *expires_at <= now) {
            used.pop_first();
        }
        if used.len() >= USED_MAX {
            return Err(PassError::Crowded);
        }
        used.insert((pass.expires_at, pass.nonce.clone()))
            .then_some(())
            .ok_or(PassError::Used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_unix_millis(1_795_000_000_000 + second * 1_000)
    }

    fn keys(digits: &str) -> SigningKeys {
        SigningKeys::of(Secret::new(digits.repeat(32)), Timestamp::default())
    }

    fn pass(second: u64) -> MediaPass {
        let account = AccountSid::new("AC00000000000000000000000000000001");
        MediaPass::fresh(account, CallSid::new("CA1"), Speaker::Customer, at(second))
    }

    #[test]
    fn a_sealed_pass_opens_until_it_expires() {
        let sealed = pass(0).seal(&keys("00"), at(0));
        let opened = MediaPass::open(&keys("00"), &sealed, at(59)).expect("it is valid");
        assert_eq!((opened.call.as_str(), opened.inbound), ("CA1", Speaker::Customer));
        assert_eq!(
            MediaPass::open(&keys("00"), &sealed, at(60)),
            Err(PassError::Expired)
        );
    }

    #[test]
    fn a_pass_fits_a_path_and_a_parameter() {
        let sealed = MediaPass {
            call: CallSid::new("CA00000000000000000000000000000001"),
            ..pass(0)
        }
        .seal(&keys("00"), at(0));
        assert!(
            sealed
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)),
            "{sealed}"
        );
        assert!(sealed.len() < 400, "{}", sealed.len());
    }

    #[test]
    fn every_changed_character_is_a_forgery() {
        let sealed = pass(0).seal(&keys("00"), at(0));
        for position in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("still text");
            assert_eq!(
                MediaPass::open(&keys("00"), &changed, at(1)),
                Err(PassError::Forged),
                "at {position}"
            );
        }
        assert_eq!(
            MediaPass::open(&keys("11"), &sealed, at(1)),
            Err(PassError::Forged)
        );
        let both = keys("11")
            .with(Secret::new("00".repeat(32)), at(0))
            .expect("room");
        assert!(
            MediaPass::open(&both, &sealed, at(1)).is_ok(),
            "any key of the list opens"
        );
        for nonsense in ["", ".", "abc", "a.b.c", "%%.%%"] {
            assert_eq!(
                MediaPass::open(&keys("00"), nonsense, at(1)),
                Err(PassError::Forged)
            );
        }
    }

    #[test]
    fn a_pass_is_used_once_and_forgotten_after_its_life() {
        let used = UsedPasses::default();
        let (first, second) = (pass(0), pass(0));
        assert_eq!(used.claim(&first, at(1)), Ok(()));
        assert_eq!(used.claim(&first, at(2)), Err(PassError::Used));
        assert_eq!(used.claim(&second, at(2)), Ok(()));
        assert_eq!(used.claim(&pass(70), at(70)), Ok(()));
        let kept = used.0.lock().expect("nobody panicked").len();
        assert_eq!(kept, 1);
    }

    #[test]
    fn a_crowd_is_turned_away_until_passes_expire() {
        let used = UsedPasses::default();
        let mut known = used.0.lock().expect("nobody panicked");
        known.extend((0..USED_MAX).map(|number| (at(60), number.to_string())));
        drop(known);
        assert_eq!(used.claim(&pass(1), at(1)), Err(PassError::Crowded));
        assert_eq!(used.claim(&pass(61), at(61)), Ok(()));
    }
}
