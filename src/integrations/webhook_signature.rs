//! Signs what we post to users' addresses, as <https://www.standardwebhooks.com> asks, so that receivers can tell it is ours.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::{ids::AccountId, secret::Secret, time::Timestamp};

/// Tells this use of the master key from every other.
const PURPOSE: &[u8] = b"patchcord webhook signing 1\n";

/// An account's signing secret.
pub struct SigningSecret([u8; 32]);

impl SigningSecret {
    /// The secret that this server signs an account's webhooks with: derived, so that nothing is stored.
    #[must_use]
    pub fn of_account(master_key: &Secret, account: AccountId) -> Self {
        let mut mac = keyed(master_key.expose().as_bytes());
        mac.update(PURPOSE);
        mac.update(account.as_bytes());
        Self(mac.finalize().into_bytes().into())
    }

    /// The secret as receivers configure it: `whsec_…`.
    #[must_use]
    pub fn to_text(&self) -> Secret {
        Secret::new(format!("whsec_{}", STANDARD.encode(self.0)))
    }

    /// The value of `webhook-signature`.
    #[must_use]
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        signature(&self.0, id, at.as_unix_millis() / 1_000, body)
    }
}

fn signature(key: &[u8], id: &str, at_s: u64, body: &[u8]) -> String {
    let mut mac = keyed(key);
    mac.update(format!("{id}.{at_s}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_like_the_official_library() {
        // PyPI standardwebhooks: Webhook("whsec_MfKQ…").sign("msg_p5j…", 1614265330, '{"test": 2432232314}').
        let key = STANDARD
            .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .expect("base64");
        let signed = signature(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            b"{\"test\": 2432232314}",
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_account_has_its_own_secret_and_keeps_it() {
        let key = Secret::new("00".repeat(32));
        let (one, other) = (AccountId::from_bytes([1; 16]), AccountId::from_bytes([2; 16]));
        let text = |account| {
            SigningSecret::of_account(&key, account)
                .to_text()
                .expose()
                .to_owned()
        };
        assert_eq!(text(one), text(one));
        assert_ne!(text(one), text(other));
        assert!(text(one).starts_with("whsec_"));
    }
}
