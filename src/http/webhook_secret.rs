//! Seals the secrets that services sign their webhooks with: AES-256-GCM under a key made from the master key, for one webhook each.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use sha2::Sha256;

use super::error::ApiError;
use crate::domain::{ids::WebhookId, secret::Secret};

/// What the key is for: no other key is made of these words.
const PURPOSE: &[u8] = b"secrets of webhook sources";

/// Why a secret cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
enum SecretError {
    #[error("the system gave no random bytes")]
    NoRandom,
    #[error("the secret was sealed under another master key: set the webhook's source again")]
    Closed,
}

impl From<SecretError> for ApiError {
    fn from(error: SecretError) -> Self {
        Self::Internal(Box::new(error))
    }
}

/// Seals a secret. It opens for this webhook only.
///
/// # Errors
/// When the system gives no random bytes.
pub fn seal(master_key: &Secret, id: WebhookId, secret: &Secret) -> Result<String, ApiError> {
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new()
        .fill(&mut nonce)
        .map_err(|_unspecified| SecretError::NoRandom)?;
    let mut sealed = secret.expose().trim().as_bytes().to_vec();
    key(master_key)?
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(id.as_bytes()),
            &mut sealed,
        )
        .map_err(|_unspecified| SecretError::Closed)?;
    Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
}

/// Opens what [`seal`] sealed.
///
/// # Errors
/// When it was sealed under another key or for another webhook.
pub fn open(master_key: &Secret, id: WebhookId, sealed: &str) -> Result<Secret, ApiError> {
    let bytes = URL_SAFE_NO_PAD
        .decode(sealed)
        .map_err(|_no_base64| SecretError::Closed)?;
    let (nonce, rest) = bytes.split_at_checked(NONCE_LEN).ok_or(SecretError::Closed)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_unspecified| SecretError::Closed)?;
    let mut rest = rest.to_vec();
    let text = key(master_key)?
        .open_in_place(nonce, Aad::from(id.as_bytes()), &mut rest)
        .map_err(|_unspecified| SecretError::Closed)?;
    let text = String::from_utf8(text.to_vec()).map_err(|_no_text| SecretError::Closed)?;
    Ok(Secret::new(text))
}

fn key(master_key: &Secret) -> Result<LessSafeKey, SecretError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(master_key.expose().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(PURPOSE);
    let key = UnboundKey::new(&AES_256_GCM, &mac.finalize().into_bytes());
    key.map(LessSafeKey::new)
        .map_err(|_unspecified| SecretError::Closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_own_webhook_under_its_own_key_only() {
        let (key, id) = (Secret::new("00".repeat(32)), WebhookId::fresh());
        let secret = Secret::new("whsec_1".to_owned());
        let sealed = seal(&key, id, &secret).expect("sealed");
        assert!(!sealed.contains("whsec"));
        assert_ne!(
            sealed,
            seal(&key, id, &secret).expect("sealed"),
            "no two are alike"
        );
        assert_eq!(open(&key, id, &sealed).expect("opened").expose(), "whsec_1");
        let other = Secret::new("11".repeat(32));
        assert!(open(&other, id, &sealed).is_err());
        assert!(open(&key, WebhookId::fresh(), &sealed).is_err());
        assert!(open(&key, id, "AAAA").is_err());
    }
}
