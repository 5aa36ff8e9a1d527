//! The second factor of a person: set up, asked for at each sign-in, taken off.
//!
//! The secret is sealed in the store. A code works once: the step it belongs to is marked as used by a write that only one of many
//! at once can make. Recovery codes are kept as hashes, and each works once.

use crate::{
    clock,
    domain::{
        hex::hex,
        ids::UserId,
        sealing::{SealError, SealingKey},
        secret::Secret,
        totp::{self, SecondFactor},
    },
    http::{
        auth::token,
        error::{ApiError, ApiResult},
    },
    store::{Store, accounts::User},
};

/// Recovery codes that a person gets.
const RECOVERY_CODES: usize = 10;
/// Longest code that is looked at.
const CODE_CHARS_MAX: usize = 64;

/// A second factor that is being set up: its secret is shown here, once.
pub struct Begun {
    pub secret: Secret,
    pub otpauth_url: String,
}

impl From<SealError> for ApiError {
    fn from(error: SealError) -> Self {
        Self::Internal(Box::new(error))
    }
}

fn purpose(user: UserId) -> String {
    format!("second factor of {user}")
}

/// Draws a secret for the person. One that was begun and not confirmed is forgotten.
///
/// # Errors
/// [`ApiError::Conflict`] when the person has a second factor already.
pub async fn begin(store: &Store, sealing: &SealingKey, user: &User, issuer: &str) -> ApiResult<Begun> {
    if user
        .second_factor
        .as_ref()
        .is_some_and(|factor| factor.is_confirmed)
    {
        return Err(ApiError::Conflict {
            code: "second_factor_is_on",
            detail: "there is a second factor already: take it off first".to_owned(),
        });
    }
    let secret = Secret::new(totp::base32(&token::random::<20>()?));
    let factor = SecondFactor {
        sealed: sealing.seal(&purpose(user.id), &secret)?,
        is_confirmed: false,
        used_step: 0,
        recovery: Vec::new(),
    };
    put(store, user, Some(factor)).await?;
    let otpauth_url = totp::otpauth_url(issuer, &user.email, &secret);
    Ok(Begun { secret, otpauth_url })
}

/// Turns the second factor on when the person shows a code. Returns the recovery codes, which are shown once.
///
/// # Errors
/// [`ApiError::Invalid`] for a wrong code, [`ApiError::Conflict`] when nothing was begun or it is on already.
pub async fn confirm(store: &Store, sealing: &SealingKey, user: &User, code: &str) -> ApiResult<Vec<String>> {
    let begun = user.second_factor.as_ref().filter(|factor| !factor.is_confirmed);
    let Some(factor) = begun else {
        return Err(ApiError::Conflict {
            code: "nothing_to_confirm",
            detail: "no second factor is being set up".to_owned(),
        });
    };
    let secret = sealing.open(&purpose(user.id), &factor.sealed)?;
    let Some(step) = totp::step_shown(&secret, code, clock::now(), factor.used_step) else {
        return Err(ApiError::field("code", "is not the code of this moment"));
    };
    let codes = draw_recovery_codes()?;
    let confirmed = SecondFactor {
        is_confirmed: true,
        used_step: step,
        recovery: codes.iter().map(|code| kept_of(code)).collect(),
        ..factor.clone()
    };
    put(store, user, Some(confirmed)).await?;
    Ok(codes)
}

/// Lets the person pass whose password was right: with the code of the moment, or a recovery code, where there is a second factor.
///
/// # Errors
/// [`ApiError::CodeNeeded`] without a code, [`ApiError::WrongCode`] for one that is wrong or was used.
pub async fn pass(store: &Store, sealing: &SealingKey, user: &User, code: Option<&Secret>) -> ApiResult<()> {
    let Some(factor) = user.second_factor.as_ref().filter(|factor| factor.is_confirmed) else {
        return Ok(());
    };
    let code = code.ok_or(ApiError::CodeNeeded)?.expose();
    if code.len() > CODE_CHARS_MAX {
        return Err(ApiError::WrongCode);
    }
    let secret = sealing.open(&purpose(user.id), &factor.sealed)?;
    let mut used = factor.clone();
    if let Some(step) = totp::step_shown(&secret, code, clock::now(), factor.used_step) {
        used.used_step = step;
    } else {
        let kept = kept_of(code);
        used.recovery.retain(|one| *one != kept);
        if used.recovery.len() == factor.recovery.len() {
            return Err(ApiError::WrongCode);
        }
        tracing::warn!(user_id = %user.id, left = used.recovery.len(), "a recovery code was used");
    }
    // Of two who show the same code at once, one is too late.
    let next = Some(used);
    let is_ours = store
        .accounts
        .set_second_factor(user.id, user.second_factor.clone(), next)
        .await?;
    if is_ours { Ok(()) } else { Err(ApiError::WrongCode) }
}

/// Takes the second factor off.
///
/// # Errors
/// When somebody else changes it at the same moment, or the store does not answer.
pub async fn take_off(store: &Store, user: &User) -> ApiResult<()> {
    put(store, user, None).await
}

async fn put(store: &Store, user: &User, next: Option<SecondFactor>) -> ApiResult<()> {
    let before = user.second_factor.clone();
    if store.accounts.set_second_factor(user.id, before, next).await? {
        Ok(())
    } else {
        Err(ApiError::Conflict {
            code: "moved",
            detail: "the second factor was changed by another request: try again".to_owned(),
        })
    }
}

/// Codes like `k3vd-9xq2-m7ha`: 60 random bits each, to be guessed at the pace of the throttle.
fn draw_recovery_codes() -> ApiResult<Vec<String>> {
    (0..RECOVERY_CODES)
        .map(|_| {
            let letters = totp::base32(&token::random::<8>()?).to_ascii_lowercase();
            Ok(format!(
                "{}-{}-{}",
                &letters[..4],
                &letters[4..8],
                &letters[8..12]
            ))
        })
        .collect()
}

/// What is kept of a recovery code, however it is typed.
fn kept_of(code: &str) -> String {
    let letters: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    hex(&token::hash(&format!("recovery {letters}")))
}
