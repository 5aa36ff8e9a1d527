//! Passwords: argon2id, computed on blocking threads, a few at a time.
//!
//! In: what a person typed. Out: a PHC string to keep, or whether it matches one. A wrong e-mail costs the same as a
//! wrong password, so that nobody learns by the clock who has an account.

use std::{sync::LazyLock, time::Duration};

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::{domain::secret::Secret, http::error::ApiError};

/// Shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Longest password, in bytes: hashing must not become a way to burn our time.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Hashings at once: each takes 19 MiB and some 30 ms of a core.
const HASHINGS_MAX: usize = 2;
/// How long a request waits for its turn before it is told that the server is busy.
const TURN_WAIT_MAX: Duration = Duration::from_secs(5);

static TURNS: Semaphore = Semaphore::const_new(HASHINGS_MAX);
/// Stands in for the hash of a person who does not exist.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    Argon2::default()
        .hash_password(b"nobody has this password")
        .map(|hash| hash.to_string())
        .unwrap_or_default()
});

/// Says what is wrong with a new password; `None` when it will do.
#[must_use]
pub fn flaw(password: &Secret, email: &str) -> Option<String> {
    let text = password.expose();
    if text.chars().count() < PASSWORD_CHARS_MIN {
        return Some(format!("expected at least {PASSWORD_CHARS_MIN} characters"));
    }
    if text.len() > PASSWORD_BYTES_MAX {
        return Some(format!("expected at most {PASSWORD_BYTES_MAX} bytes"));
    }
    text.eq_ignore_ascii_case(email)
        .then(|| "must not be the e-mail address".to_owned())
}

/// Returns the PHC string of `password`.
///
/// # Errors
/// [`ApiError::Busy`] when too many others wait, [`ApiError::Internal`] when hashing fails.
pub async fn hash(password: &Secret) -> Result<String, ApiError> {
    let password = password.clone();
    in_turn(move || {
        Argon2::default()
            .hash_password(password.expose().as_bytes())
            .map(|hash| hash.to_string())
    })
    .await?
    .map_err(|error| ApiError::Internal(error.to_string().into()))
}

/// Returns whether `password` belongs to `hash`; with no hash it takes as long and is false.
///
/// # Errors
/// [`ApiError::Busy`] when too many others wait.
pub async fn matches(password: &Secret, hash: Option<String>) -> Result<bool, ApiError> {
    if password.expose().len() > PASSWORD_BYTES_MAX {
        return Ok(false);
    }
    let password = password.clone();
    let is_known = hash.is_some();
    let is_right = in_turn(move || {
        let hash = hash.unwrap_or_else(|| NOBODY.clone());
        Argon2::default()
            .verify_password(password.expose().as_bytes(), hash.as_str())
            .is_ok()
    })
    .await?;
    Ok(is_known && is_right)
}

async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let turn = tokio::time::timeout(TURN_WAIT_MAX, TURNS.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        return Err(ApiError::Busy);
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ApiError::Internal(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_hash_opens_for_its_own_password_only() {
        let kept = hash(&secret("correct horse")).await.expect("hashed");
        assert!(kept.starts_with("$argon2id$"), "{kept}");
        assert!(
            matches(&secret("correct horse"), Some(kept.clone()))
                .await
                .expect("verified")
        );
        assert!(
            !matches(&secret("correct horsf"), Some(kept))
                .await
                .expect("verified")
        );
        assert!(
            !matches(&secret("nobody has this password"), None)
                .await
                .expect("verified")
        );
    }

    #[test]
    fn short_endless_and_obvious_passwords_are_refused() {
        assert!(flaw(&secret("1234567"), "a@b.c").is_some());
        assert!(flaw(&secret(&"x".repeat(257)), "a@b.c").is_some());
        assert!(flaw(&secret("Ann@Example.com"), "ann@example.com").is_some());
        assert!(flaw(&secret("пароль12"), "a@b.c").is_none());
    }
}
