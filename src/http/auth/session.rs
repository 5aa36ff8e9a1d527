//! Signing in and staying signed in: pairs of tokens, one for 15 minutes and one to buy the next pair with.
//!
//! A refresh token works once. When one is used a second time, somebody has a copy: the whole session ends.
//! Also here: how the first account and its owner come about, for the registration, the command line and the configuration.

use std::time::Duration;

use serde::Serialize;

use super::{
    Gate, Via, password,
    token::{self, TokenKind},
};
pub use crate::domain::email::normal as normal_email;
use crate::{
    clock,
    domain::{
        ids::{AccountId, SessionId, UserId},
        secret::Secret,
    },
    http::error::{ApiError, FieldError},
    store::{
        Store,
        accounts::{Account, Role, RotatedSession, Rotation, Session, Signing, User},
    },
};

/// How long an access token opens the API.
pub const ACCESS_LIFE: Duration = Duration::from_secs(15 * 60);
/// How long a refresh token can be used.
pub const REFRESH_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Longest name of a person or an account.
pub const NAME_CHARS_MAX: usize = 200;

/// A pair of tokens. Both are shown here once and kept as hashes.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Tokens {
    /// Goes into `Authorization: Bearer …`.
    pub access_token: String,
    /// Buys the next pair at `/api/auth/refresh`; works once.
    pub refresh_token: String,
    /// Seconds until the access token ends.
    #[schema(example = 900)]
    pub expires_in: u64,
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
}

/// A person to be.
#[derive(Debug, Clone)]
pub struct NewPerson {
    pub email: String,
    pub name: String,
    pub password: Secret,
}

struct Pair {
    access: Secret,
    refresh: Secret,
}

impl Pair {
    fn draw() -> Result<Self, ApiError> {
        Ok(Self {
            access: token::draw(TokenKind::Access)?,
            refresh: token::draw(TokenKind::Refresh)?,
        })
    }

    fn hashes(&self) -> RotatedSession {
        let now = clock::now();
        RotatedSession {
            at: now,
            access_hash: token::hash(self.access.expose()),
            access_until: now.plus(ACCESS_LIFE),
            refresh_hash: token::hash(self.refresh.expose()),
            refresh_until: now.plus(REFRESH_LIFE),
        }
    }

    fn show(self) -> Tokens {
        Tokens {
            access_token: self.access.expose().to_owned(),
            refresh_token: self.refresh.expose().to_owned(),
            expires_in: ACCESS_LIFE.as_secs(),
            token_type: "Bearer",
        }
    }
}

impl Gate {
    /// Signs a person in and returns the first pair.
    ///
    /// # Errors
    /// When the session cannot be kept.
    pub async fn sign_in(&self, user_id: UserId, account_id: AccountId) -> Result<Tokens, ApiError> {
        let pair = Pair::draw()?;
        let kept = pair.hashes();
        let session = Session {
            id: SessionId::fresh(),
            user_id,
            account_id,
            access_hash: kept.access_hash,
            access_until: kept.access_until,
            refresh_hash: kept.refresh_hash,
            refresh_until: kept.refresh_until,
            created_at: clock::now(),
        };
        self.parts.store.accounts.create_session(session).await?;
        Ok(pair.show())
    }

    /// Exchanges a refresh token for the next pair.
    ///
    /// # Errors
    /// [`ApiError::Unauthenticated`] when it is unknown, over, or was used before; in the last case the session is ended.
    pub async fn refresh(&self, refresh: &str) -> Result<Tokens, ApiError> {
        if TokenKind::of(refresh) != Some(TokenKind::Refresh) {
            return Err(ApiError::Unauthenticated);
        }
        let pair = Pair::draw()?;
        let rotated = self
            .parts
            .store
            .accounts
            .rotate_session(token::hash(refresh), pair.hashes())
            .await?;
        match rotated {
            Rotation::Done(session) => {
                self.forget(Via::Session(session.id)).await;
                Ok(pair.show())
            }
            Rotation::Reused(id) => {
                // What opened the session must not outlive it in the cache.
                self.forget(Via::Session(id)).await;
                Err(ApiError::Unauthenticated)
            }
            Rotation::Unknown => Err(ApiError::Unauthenticated),
        }
    }

    /// Ends every session of a person but one, on every node.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn end_other_sessions(&self, user_id: UserId, kept: SessionId) -> Result<(), ApiError> {
        let accounts = &self.parts.store.accounts;
        for session in accounts.sessions_of(user_id).await? {
            if session.id != kept {
                accounts.end_session(session.id).await?;
            }
        }
        self.forget_everybody().await;
        Ok(())
    }

    /// Ends every session of a person, on every node.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn end_sessions_of(&self, user_id: UserId) -> Result<(), ApiError> {
        self.parts.store.accounts.end_sessions_of(user_id).await?;
        self.forget_everybody().await;
        Ok(())
    }

    /// Ends a session: both its tokens stop working at once.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn sign_out(&self, id: SessionId) -> Result<(), ApiError> {
        self.parts.store.accounts.end_session(id).await?;
        self.forget(Via::Session(id)).await;
        Ok(())
    }
}

/// Makes a user of `person`, not yet kept.
///
/// # Errors
/// [`ApiError::Invalid`] with every field that does not hold.
pub async fn new_user(account_id: AccountId, person: NewPerson, role: Role) -> Result<User, ApiError> {
    let mut errors = Vec::new();
    let email = normal_email(&person.email).unwrap_or_else(|| {
        errors.push(FieldError::new("email", "expected an e-mail address"));
        String::new()
    });
    if let Some(flaw) = password::flaw(&person.password, &email) {
        errors.push(FieldError::new("password", flaw));
    }
    if person.name.chars().count() > NAME_CHARS_MAX {
        errors.push(FieldError::new(
            "name",
            format!("expected at most {NAME_CHARS_MAX} characters"),
        ));
    }
    if !errors.is_empty() {
        return Err(ApiError::Invalid(errors));
    }
    let password_hash = password::hash(&person.password).await?;
    let name = person.name.trim().to_owned();
    Ok(User {
        id: UserId::fresh(),
        account_id,
        email,
        name,
        role,
        password_hash,
        second_factor: None,
        created_at: clock::now(),
    })
}

/// Makes an account with its owner and returns the owner.
///
/// # Errors
/// [`ApiError::Invalid`] when a field does not hold, [`ApiError::Conflict`] when the e-mail is in use.
pub async fn create_owner(store: &Store, account_name: &str, person: NewPerson) -> Result<User, ApiError> {
    if account_name.chars().count() > NAME_CHARS_MAX {
        let message = format!("expected at most {NAME_CHARS_MAX} characters");
        return Err(ApiError::field("account_name", message));
    }
    let account_id = AccountId::fresh();
    let owner = new_user(account_id, person, Role::Owner).await?;
    let account = Account {
        id: account_id,
        name: account_name.trim().to_owned(),
        created_at: clock::now(),
        signing: Signing::default(),
        require_consent: false,
        retention: crate::domain::retention::Retention::default(),
    };
    store.accounts.create_account(account, owner.clone()).await?;
    Ok(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_field_that_does_not_hold_is_named() {
        let person = NewPerson {
            email: "nobody".to_owned(),
            name: "n".repeat(201),
            password: Secret::new("short".to_owned()),
        };
        let refused = new_user(AccountId::fresh(), person, Role::Agent)
            .await
            .expect_err("refused");
        let fields: Vec<_> = refused
            .problem()
            .errors
            .into_iter()
            .map(|error| error.field)
            .collect();
        assert_eq!(fields, ["email", "password", "name"]);
    }
}
