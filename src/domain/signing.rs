//! The keys that sign tokens and that other secrets are derived from: a list, the oldest first.
//!
//! A fresh key only verifies for [`SIGNS_AFTER`], so that every node knows it before one signs with it. What any key of the list has
//! signed verifies; retiring the earlier ones ends that. Pure: whoever asks says what time it is, and draws keys.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{hex::hex, secret::Secret, time::Timestamp};

/// How long a fresh key only verifies: nodes read the list every few seconds, and their clocks are at most a minute apart.
pub const SIGNS_AFTER: Duration = Duration::from_mins(5);
/// How old a key has to be for those before it to be retired: every node has signed with it for a while.
pub const RETIRES_AFTER: Duration = Duration::from_mins(10);
/// Most keys of a list; each may have to be tried.
pub const KEYS_MAX: usize = 8;
/// Characters of a key's name.
const NAME_CHARS: usize = 16;

/// Why the list stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeysError {
    #[error(
        "there are {KEYS_MAX} signing keys, which is the most there may be: `patchcord key retire` takes earlier ones out"
    )]
    Full,
    #[error(
        "there is one signing key, and no earlier one to be retired: `patchcord key rotate --signing` adds one"
    )]
    Single,
    #[error("the signing key {name} is fresh: those before it can be retired from {from} on")]
    Fresh { name: String, from: Timestamp },
}

/// One key. Prints without its secret.
#[derive(Debug, Clone)]
pub struct SigningKey {
    secret: Secret,
    made_at: Timestamp,
}

impl SigningKey {
    /// What is signed with: 64 hex digits.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// When it was made; the epoch for a key from before that was written down.
    #[must_use]
    pub const fn made_at(&self) -> Timestamp {
        self.made_at
    }

    /// Tells keys apart and says nothing about them.
    #[must_use]
    pub fn name(&self) -> String {
        let digest = Sha256::new()
            .chain_update(b"patchcord signing key name 1\n")
            .chain_update(self.secret.expose());
        hex(&digest.finalize()).chars().take(NAME_CHARS).collect()
    }
}

/// The keys, the oldest first; there is at least one.
#[derive(Debug, Clone)]
pub struct SigningKeys(Vec<SigningKey>);

impl SigningKeys {
    /// A list of one key.
    #[must_use]
    pub fn of(secret: Secret, made_at: Timestamp) -> Self {
        Self(vec![SigningKey { secret, made_at }])
    }

    /// Every key, the oldest first: what one of them signed is ours.
    #[must_use]
    pub fn all(&self) -> &[SigningKey] {
        &self.0
    }

    /// The names of all keys.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(SigningKey::name).collect()
    }

    /// What signs at `now`: the newest key that every node knows.
    #[must_use]
    pub fn current(&self, now: Timestamp) -> &SigningKey {
        self.newest_of_age(SIGNS_AFTER, now)
            .unwrap_or_else(|| self.oldest())
    }

    /// The key of that name; the oldest for no name, and for the name of a key that was retired.
    #[must_use]
    pub fn named_or_oldest(&self, name: Option<&str>) -> &SigningKey {
        let named = name.and_then(|name| self.0.iter().find(|key| key.name() == name));
        named.unwrap_or_else(|| self.oldest())
    }

    /// The list with one more key.
    ///
    /// # Errors
    /// [`SigningKeysError::Full`].
    pub fn with(&self, secret: Secret, made_at: Timestamp) -> Result<Self, SigningKeysError> {
        if self.0.len() >= KEYS_MAX {
            return Err(SigningKeysError::Full);
        }
        let mut keys = self.0.clone();
        keys.push(SigningKey { secret, made_at });
        Ok(Self(keys))
    }

    /// The list without the keys before the newest that is [`RETIRES_AFTER`] old, and those keys.
    ///
    /// # Errors
    /// [`SigningKeysError`] when there is none to be retired at `now`.
    pub fn without_earlier(&self, now: Timestamp) -> Result<(Self, Self), SigningKeysError> {
        let second = self.0.get(1).ok_or(SigningKeysError::Single)?;
        let settled = self.0.iter().rposition(|key| is_of_age(key, RETIRES_AFTER, now));
        match settled {
            Some(place) if place > 0 => {
                let (retired, kept) = self.0.split_at(place);
                Ok((Self(kept.to_vec()), Self(retired.to_vec())))
            }
            Some(_) | None => Err(SigningKeysError::Fresh {
                name: second.name(),
                from: second.made_at.plus(RETIRES_AFTER),
            }),
        }
    }

    /// The list as text, to be sealed.
    #[must_use]
    pub fn to_text(&self) -> Secret {
        let keys = self.0.iter();
        let texts: Vec<String> = keys
            .map(|key| format!("{}@{}", key.secret.expose(), key.made_at.as_unix_millis()))
            .collect();
        Secret::new(texts.join(" "))
    }

    /// Reads what [`Self::to_text`] wrote, and the one key without its time that early versions did.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let read = |part: &str| {
            let (secret, made_at) = part.split_once('@').unwrap_or((part, "0"));
            (!secret.is_empty()).then_some(())?;
            Some(SigningKey {
                secret: Secret::new(secret.to_owned()),
                made_at: Timestamp::from_unix_millis(made_at.parse().ok()?),
            })
        };
        text.split(' ').map(read).collect::<Option<_>>().map(Self)
    }

    fn newest_of_age(&self, age: Duration, now: Timestamp) -> Option<&SigningKey> {
        self.0.iter().rfind(|key| is_of_age(key, age, now))
    }

    fn oldest(&self) -> &SigningKey {
        // Every way to make a list leaves at least one.
        self.0.first().expect("there is always a signing key")
    }
}

fn is_of_age(key: &SigningKey, age: Duration, now: Timestamp) -> bool {
    key.made_at.plus(age) <= now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(number: u8) -> Secret {
        Secret::new(hex(&[number; 32]))
    }

    fn at(minute: u64) -> Timestamp {
        Timestamp::from_unix_millis(1_795_000_000_000 + minute * 60_000)
    }

    /// Keys 1, 2, 3, made at 0, 100 and 200 minutes.
    fn three() -> SigningKeys {
        let one = SigningKeys::of(secret(1), at(0));
        let two = one.with(secret(2), at(100)).expect("room");
        two.with(secret(3), at(200)).expect("room")
    }

    #[test]
    fn the_newest_key_that_every_node_knows_signs() {
        for (minute, number) in [
            (0, 1),
            (100, 1),
            (104, 1),
            (105, 2),
            (204, 2),
            (205, 3),
            (9_000, 3),
        ] {
            let keys = three();
            let current = keys.current(at(minute)).secret().expose();
            assert_eq!(current, secret(number).expose(), "at {minute} minutes");
        }
        let fresh = SigningKeys::of(secret(1), at(0));
        assert_eq!(
            fresh.current(at(0)).secret().expose(),
            secret(1).expose(),
            "there is no other"
        );
    }

    #[test]
    fn a_list_is_read_as_it_was_written_and_so_is_the_one_key_of_an_early_version() {
        let keys = three();
        let read = SigningKeys::from_text(keys.to_text().expose()).expect("a list");
        assert_eq!(read.names(), keys.names());
        let times: Vec<Timestamp> = read.all().iter().map(SigningKey::made_at).collect();
        assert_eq!(times, [at(0), at(100), at(200)]);
        let early = SigningKeys::from_text(secret(7).expose()).expect("a key");
        let key = early.current(Timestamp::default());
        assert_eq!(
            (key.secret().expose(), key.made_at()),
            (secret(7).expose(), Timestamp::default())
        );
        for nonsense in ["", " ", "@1", "ab@x", "ab@1  cd@2"] {
            assert!(SigningKeys::from_text(nonsense).is_none(), "{nonsense:?}");
        }
    }

    #[test]
    fn earlier_keys_are_retired_when_every_node_has_signed_with_a_later_one_for_a_while() {
        let keys = three();
        let retired = |minute| {
            keys.without_earlier(at(minute))
                .map(|(kept, gone)| (kept.names(), gone.names()))
        };
        let names = keys.names();
        let fresh = SigningKeysError::Fresh {
            name: names[1].clone(),
            from: at(110),
        };
        assert_eq!(retired(109), Err(fresh));
        assert_eq!(retired(110), Ok((names[1..].to_vec(), names[..1].to_vec())));
        assert_eq!(retired(210), Ok((names[2..].to_vec(), names[..2].to_vec())));
        let single = SigningKeys::of(secret(1), at(0));
        assert_eq!(
            single.without_earlier(at(99)).map(drop),
            Err(SigningKeysError::Single)
        );
    }

    #[test]
    fn a_key_is_found_by_its_name_and_the_oldest_stands_in_for_one_that_is_gone() {
        let (keys, names) = (three(), three().names());
        let found = |name| keys.named_or_oldest(name).name();
        assert_eq!(found(Some(&names[2])), names[2]);
        assert_eq!(
            (found(Some("retired")), found(None)),
            (names[0].clone(), names[0].clone())
        );
    }

    #[test]
    fn a_list_has_a_bound() {
        let mut keys = SigningKeys::of(secret(0), at(0));
        for _ in 1..KEYS_MAX {
            keys = keys.with(secret(1), at(1)).expect("room");
        }
        assert_eq!(keys.with(secret(2), at(2)).map(drop), Err(SigningKeysError::Full));
    }
}
