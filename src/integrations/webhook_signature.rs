//! Signs what we post to users' addresses, as <https://www.standardwebhooks.com> asks, so that receivers can tell it is ours.
//!
//! In: the account, whose secrets are derived from a signing key by their number. Out: the header, and the secret as receivers take it.
//! For a while after a secret was replaced, the one before signs too. A secret stays with the key that it was derived from: a fresh
//! signing key changes nothing for receivers until the account replaces its secret.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{
    domain::{
        ids::AccountId,
        secret::Secret,
        signing::{SigningKey, SigningKeys},
        time::Timestamp,
    },
    store::accounts::{Account, Signing},
};

/// Tells this use of the signing keys from every other.
const PURPOSE: &[u8] = b"patchcord webhook signing 1\n";
/// How long the secret before signs beside the new one: receivers have that long to take the new one over.
pub const OVERLAP: Duration = Duration::from_secs(24 * 3_600);

/// One of an account's signing secrets.
pub struct SigningSecret([u8; 32]);

/// The secrets that an account's webhooks are signed with at a moment.
pub struct SigningSecrets {
    pub current: SigningSecret,
    /// The one before, with the moment from which it signs no more.
    pub previous: Option<(SigningSecret, Timestamp)>,
}

impl SigningSecret {
    fn of(key: &SigningKey, account: AccountId, number: u32) -> Self {
        let mut mac = keyed(key.secret().expose().as_bytes());
        mac.update(PURPOSE);
        mac.update(account.as_bytes());
        if number > 0 {
            mac.update(&number.to_be_bytes());
        }
        Self(mac.finalize().into_bytes().into())
    }

    /// The secret as receivers configure it: `whsec_…`.
    #[must_use]
    pub fn to_text(&self) -> Secret {
        Secret::new(format!("whsec_{}", STANDARD.encode(self.0)))
    }

    fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        signature(&self.0, id, at.as_unix_millis() / 1_000, body)
    }
}

impl SigningSecrets {
    /// The secrets in use at `now`.
    #[must_use]
    pub fn of(keys: &SigningKeys, account: &Account, now: Timestamp) -> Self {
        let signing = &account.signing;
        let (key, before) = keys_of(keys, signing, now);
        Self {
            current: SigningSecret::of(key, account.id, signing.number),
            previous: before.map(|before| {
                (
                    SigningSecret::of(before.key, account.id, before.number),
                    before.until,
                )
            }),
        }
    }

    /// Whether a secret in use at `now` is derived from one of the keys `names`, and would be another without it.
    #[must_use]
    pub fn need(keys: &SigningKeys, names: &[String], signing: &Signing, now: Timestamp) -> bool {
        let (key, before) = keys_of(keys, signing, now);
        let mut needed = std::iter::once(key).chain(before.map(|before| before.key));
        needed.any(|key| names.contains(&key.name()))
    }

    /// The value of `webhook-signature`: one signature for each secret in use.
    #[must_use]
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let current = self.current.sign(id, at, body);
        match &self.previous {
            Some((previous, _)) => format!("{current} {}", previous.sign(id, at, body)),
            None => current,
        }
    }
}

/// The secret before the present one while it signs.
struct Before<'keys> {
    key: &'keys SigningKey,
    number: u32,
    until: Timestamp,
}

/// What the secrets in use at `now` are derived from.
fn keys_of<'keys>(
    keys: &'keys SigningKeys,
    signing: &Signing,
    now: Timestamp,
) -> (&'keys SigningKey, Option<Before<'keys>>) {
    let until = signing.rotated_at.map(|rotated_at| rotated_at.plus(OVERLAP));
    let before = signing
        .number
        .checked_sub(1)
        .zip(until.filter(|until| *until > now));
    let before = before.map(|(number, until)| Before {
        key: keys.named_or_oldest(signing.previous_key.as_deref()),
        number,
        until,
    });
    (keys.named_or_oldest(signing.key.as_deref()), before)
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
    use crate::domain::signing::{RETIRES_AFTER, SIGNS_AFTER};

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

    fn account(byte: u8, number: u32, rotated_at: Option<Timestamp>) -> Account {
        Account {
            id: AccountId::from_bytes([byte; 16]),
            name: "Acme".to_owned(),
            created_at: Timestamp::default(),
            signing: Signing {
                number,
                rotated_at,
                ..Signing::default()
            },
            require_consent: false,
            retention: crate::domain::retention::Retention::default(),
        }
    }

    fn keys() -> SigningKeys {
        SigningKeys::of(Secret::new("00".repeat(32)), Timestamp::default())
    }

    fn text(secret: &SigningSecret) -> String {
        secret.to_text().expose().to_owned()
    }

    #[test]
    fn each_account_has_its_own_secret_and_keeps_it() {
        let current =
            |byte| text(&SigningSecrets::of(&keys(), &account(byte, 0, None), Timestamp::default()).current);
        assert_eq!(current(1), current(1));
        assert_ne!(current(1), current(2));
        assert!(current(1).starts_with("whsec_"));
    }

    #[test]
    fn the_secret_before_signs_for_a_day_after_it_was_replaced() {
        let key = keys();
        let rotated_at = Timestamp::from_unix_millis(1_795_000_000_000);
        let first = SigningSecrets::of(&key, &account(1, 0, None), rotated_at);
        let second = account(1, 1, Some(rotated_at));
        let at_once = SigningSecrets::of(&key, &second, rotated_at);
        let (previous, until) = at_once.previous.as_ref().expect("it signs on");
        assert_eq!(
            (text(previous), *until),
            (text(&first.current), rotated_at.plus(OVERLAP))
        );
        assert_ne!(text(&at_once.current), text(&first.current));
        let signed = at_once.sign("msg_1", rotated_at, b"{}");
        let parts: Vec<&str> = signed.split(' ').collect();
        assert_eq!(parts[1], first.sign("msg_1", rotated_at, b"{}"));
        let later = SigningSecrets::of(&key, &second, rotated_at.plus(OVERLAP));
        assert_eq!(later.sign("msg_1", rotated_at, b"{}"), parts[0]);
    }

    #[test]
    fn a_fresh_signing_key_changes_no_secret_until_the_account_replaces_its_own() {
        let made_at = Timestamp::from_unix_millis(1_795_000_000_000);
        let now = made_at.plus(RETIRES_AFTER);
        let both = keys().with(Secret::new("11".repeat(32)), made_at).expect("room");
        let names = both.names();
        let secret =
            |keys: &SigningKeys, account: &Account, at| text(&SigningSecrets::of(keys, account, at).current);
        let mut signer = account(1, 0, None);
        let first = secret(&keys(), &signer, now);
        assert_eq!(secret(&both, &signer, now.plus(SIGNS_AFTER)), first);
        assert!(SigningSecrets::need(&both, &names[..1], &signer.signing, now));

        signer.signing.move_on(both.current(now).name(), now);
        let second = SigningSecrets::of(&both, &signer, now);
        let (previous, _) = second.previous.as_ref().expect("it signs on");
        assert_eq!(text(previous), first);
        assert!(
            SigningSecrets::need(&both, &names[..1], &signer.signing, now),
            "the one before signs for a day"
        );
        let later = now.plus(OVERLAP);
        assert!(!SigningSecrets::need(&both, &names[..1], &signer.signing, later));
        let (kept, _) = both.without_earlier(now).expect("retired");
        assert_eq!(
            secret(&kept, &signer, later),
            text(&second.current),
            "it is bound to its key"
        );
        assert_ne!(
            secret(&kept, &account(1, 0, None), later),
            first,
            "a retired key derives nothing"
        );
    }
}
