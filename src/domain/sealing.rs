//! Secrets at rest: what is kept of them is sealed with AES-256-GCM, under a key that is itself sealed under the master key.
//!
//! In: a key, a text and what it is for. Out: a text that only the same key opens for the same purpose. Whoever has the store and not
//! the master key has nothing.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{hex::hex, secret::Secret, signing::SigningKeys, time::Timestamp};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Characters of a key's name.
const NAME_CHARS: usize = 16;

/// Why something cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the key is not {KEY_BYTES} bytes in hex")]
    NoKey,
    #[error("the system has no random bytes to give")]
    NoRandom,
    #[error("what was sealed does not open: it was changed, or sealed under another key")]
    Closed,
}

/// A key that seals. Prints as its name.
#[derive(Clone)]
pub struct SealingKey {
    bytes: [u8; KEY_BYTES],
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl SealingKey {
    /// Draws a key.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn draw() -> Result<Self, SealError> {
        Ok(Self { bytes: random()? })
    }

    /// Reads 64 hex digits.
    ///
    /// # Errors
    /// [`SealError::NoKey`] for anything else.
    pub fn from_hex(text: &Secret) -> Result<Self, SealError> {
        let text = text.expose().trim().as_bytes();
        if text.len() != 2 * KEY_BYTES {
            return Err(SealError::NoKey);
        }
        let mut bytes = [0; KEY_BYTES];
        for (byte, digits) in bytes.iter_mut().zip(text.chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| SealError::NoKey)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| SealError::NoKey)?;
        }
        Ok(Self { bytes })
    }

    /// The key as hex digits.
    #[must_use]
    pub fn to_hex(&self) -> Secret {
        Secret::new(hex(&self.bytes))
    }

    /// Tells keys apart and says nothing about them.
    #[must_use]
    pub fn name(&self) -> String {
        let digest = Sha256::new()
            .chain_update(b"patchcord key name 1\n")
            .chain_update(self.bytes);
        hex(&digest.finalize()).chars().take(NAME_CHARS).collect()
    }

    /// Seals `text`. It opens only for the same `purpose`: one secret cannot be put in the place of another.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn seal(&self, purpose: &str, text: &Secret) -> Result<String, SealError> {
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut sealed = text.expose().as_bytes().to_vec();
        self.cipher()?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(purpose.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| SealError::Closed)?;
        Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Opens what [`Self::seal`] sealed.
    ///
    /// # Errors
    /// [`SealError::Closed`] for anything else.
    pub fn open(&self, purpose: &str, sealed: &str) -> Result<Secret, SealError> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| SealError::Closed)?;
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN).ok_or(SealError::Closed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Closed)?;
        let mut rest = rest.to_vec();
        let text = self
            .cipher()?
            .open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut rest)
            .map_err(|_| SealError::Closed)?;
        let text = String::from_utf8(text.to_vec()).map_err(|_| SealError::Closed)?;
        Ok(Secret::new(text))
    }

    fn cipher(&self) -> Result<LessSafeKey, SealError> {
        let key = UnboundKey::new(&AES_256_GCM, &self.bytes).map_err(|_| SealError::NoKey)?;
        Ok(LessSafeKey::new(key))
    }
}

/// The keys of a store. They stay when the master key changes: nothing that was sealed or signed is lost by that.
#[derive(Debug, Clone)]
pub struct DataKeys {
    /// Seals secrets.
    pub sealing: SealingKey,
    /// Sign tokens, and are what signing secrets are derived from.
    pub signing: SigningKeys,
}

impl DataKeys {
    /// The keys of a store that has none yet, drawn at random: neither can be told from the master key.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn draw(now: Timestamp) -> Result<Self, SealError> {
        Ok(Self {
            sealing: SealingKey::draw()?,
            signing: SigningKeys::of(SealingKey::draw()?.to_hex(), now),
        })
    }

    /// Whether it signs with this master key, as a store does that an early version made.
    #[must_use]
    pub fn sign_with(&self, master: &SealingKey) -> bool {
        let master = master.to_hex();
        self.signing
            .all()
            .iter()
            .any(|key| key.secret().expose() == master.expose())
    }

    /// Seals the keys under `master`.
    ///
    /// # Errors
    /// [`SealError::NoRandom`].
    pub fn wrap(&self, master: &SealingKey) -> Result<WrappedKeys, SealError> {
        let (sealing, signing) = (self.sealing.to_hex(), self.signing.to_text());
        let text = format!("{} {}", sealing.expose(), signing.expose());
        Ok(WrappedKeys {
            master: master.name(),
            sealed: master.seal(WRAPPED, &Secret::new(text))?,
        })
    }
}

/// A store's keys, sealed under a master key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKeys {
    /// The name of the master key that opens them.
    pub master: String,
    pub sealed: String,
}

const WRAPPED: &str = "patchcord data keys 2";
/// The purpose under which early versions sealed a sealing key and one signing key, and which they open: they cannot read a list.
const WRAPPED_EARLY: &str = "patchcord data keys 1";

impl WrappedKeys {
    /// Opens them with whichever of `masters` sealed them.
    ///
    /// # Errors
    /// [`SealError::Closed`] when none did.
    pub fn open(&self, masters: &[SealingKey]) -> Result<DataKeys, SealError> {
        let master = masters.iter().find(|master| master.name() == self.master);
        let master = master.ok_or(SealError::Closed)?;
        let text = master
            .open(WRAPPED, &self.sealed)
            .or_else(|_| master.open(WRAPPED_EARLY, &self.sealed))?;
        let (sealing, signing) = text.expose().split_once(' ').ok_or(SealError::Closed)?;
        Ok(DataKeys {
            sealing: SealingKey::from_hex(&Secret::new(sealing.to_owned()))?,
            signing: SigningKeys::from_text(signing).ok_or(SealError::Closed)?,
        })
    }
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], SealError> {
    let mut bytes = [0; BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| SealError::NoRandom)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_opens_under_its_own_key_for_its_own_purpose() {
        let (key, other) = (
            SealingKey::draw().expect("random"),
            SealingKey::draw().expect("random"),
        );
        let text = Secret::new("JBSWY3DPEHPK3PXP".to_owned());
        let sealed = key.seal("totp usr_1", &text).expect("sealed");
        assert!(!sealed.contains(text.expose()));
        assert_ne!(
            sealed,
            key.seal("totp usr_1", &text).expect("sealed"),
            "never the same twice"
        );
        assert_eq!(
            key.open("totp usr_1", &sealed).expect("opens").expose(),
            text.expose()
        );
        for (key, purpose, sealed) in [
            (&other, "totp usr_1", sealed.clone()),
            (&key, "totp usr_2", sealed.clone()),
            (&key, "totp usr_1", sealed[1..].to_owned()),
            (&key, "totp usr_1", String::new()),
        ] {
            assert_eq!(key.open(purpose, &sealed).map(|_| ()), Err(SealError::Closed));
        }
    }

    #[test]
    fn keys_are_wrapped_anew_without_changing() {
        let (old, new) = (
            SealingKey::draw().expect("random"),
            SealingKey::draw().expect("random"),
        );
        let keys = DataKeys::draw(Timestamp::from_unix_millis(7)).expect("random");
        assert!(!keys.sign_with(&old));
        let wrapped = keys.wrap(&old).expect("wrapped");
        let opened = wrapped.open(&[new.clone(), old.clone()]).expect("opens");
        let again = opened.wrap(&new).expect("wrapped");
        assert!(again.open(std::slice::from_ref(&old)).is_err());
        let opened = again.open(&[new]).expect("opens");
        assert_eq!(opened.sealing.name(), keys.sealing.name());
        assert_eq!(opened.signing.to_text().expose(), keys.signing.to_text().expose());
    }

    #[test]
    fn the_keys_of_an_early_store_open_and_a_fresh_key_cures_one_that_signs_with_its_master_key() {
        let (master, sealing) = (
            SealingKey::draw().expect("random"),
            SealingKey::draw().expect("random"),
        );
        let text = format!("{} {}", sealing.to_hex().expose(), master.to_hex().expose());
        let early = WrappedKeys {
            master: master.name(),
            sealed: master.seal(WRAPPED_EARLY, &Secret::new(text)).expect("sealed"),
        };
        let masters = std::slice::from_ref(&master);
        let mut keys = early.open(masters).expect("opens");
        assert_eq!(keys.sealing.name(), sealing.name());
        assert!(keys.sign_with(&master));
        let now = Timestamp::from_unix_millis(1_795_000_000_000);
        keys.signing = keys
            .signing
            .with(Secret::new("5a".repeat(32)), now)
            .expect("room");
        let mut keys = keys.wrap(&master).expect("wrapped").open(masters).expect("opens");
        assert!(keys.sign_with(&master), "what it signed still verifies");
        let later = now.plus(std::time::Duration::from_hours(1));
        keys.signing = keys.signing.without_earlier(later).expect("retired").0;
        assert!(!keys.sign_with(&master));
        let wrapped = keys.wrap(&master).expect("wrapped");
        assert!(
            master.open(WRAPPED_EARLY, &wrapped.sealed).is_err(),
            "an early version does not take a list for a key"
        );
    }

    #[test]
    fn a_key_is_64_hex_digits() {
        let key = SealingKey::draw().expect("random");
        assert_eq!(
            SealingKey::from_hex(&key.to_hex()).expect("read").name(),
            key.name()
        );
        for wrong in ["", "00", &"g".repeat(64), &"0".repeat(63)] {
            assert!(
                SealingKey::from_hex(&Secret::new(wrong.to_owned())).is_err(),
                "{wrong}"
            );
        }
    }
}
