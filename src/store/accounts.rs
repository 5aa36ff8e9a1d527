//! Accounts, the people in them, their sessions and API keys.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Recorded, StoreResult};
use crate::{
    domain::{
        ids::{AccountId, KeyId, SessionId, UserId},
        retention::Retention,
        time::Timestamp,
        totp::SecondFactor,
    },
    workflows::AccountFacts,
};

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Agent,
    Supervisor,
    Admin,
    Owner,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub id: AccountId,
    pub name: String,
    pub created_at: Timestamp,
    #[serde(default)]
    pub signing: Signing,
    /// Whether a person whose consent is not written down may only be answered, even where the operator does not ask for it.
    #[serde(default)]
    pub require_consent: bool,
    /// How long the account keeps what was said and done.
    #[serde(default)]
    pub retention: Retention,
}

/// Which secret the account's outgoing webhooks are signed with: secrets are derived, so their number and their key say it all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Signing {
    /// Counts the secrets from 0.
    pub number: u32,
    /// When the one before was replaced; it is used beside the new one for a while.
    pub rotated_at: Option<Timestamp>,
    /// The name of the signing key that the secret is derived from; none: the oldest that the store has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The same for the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_key: Option<String>,
}

impl Signing {
    /// Moves on to the next secret, derived from the signing key of that name.
    pub fn move_on(&mut self, key: String, at: Timestamp) {
        self.number += 1;
        self.rotated_at = Some(at);
        self.previous_key = self.key.replace(key);
    }
}

impl From<Account> for AccountFacts {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            name: account.name,
            require_consent: account.require_consent,
        }
    }
}

/// A person who signs in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    pub account_id: AccountId,
    /// Lower case; unique over all accounts.
    pub email: String,
    pub name: String,
    pub role: Role,
    /// PHC string of argon2id.
    pub password_hash: String,
    /// What is asked for at sign-in besides the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<SecondFactor>,
    pub created_at: Timestamp,
}

/// What is to be changed about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserChange {
    pub name: Option<String>,
    pub role: Option<Role>,
    pub at: Timestamp,
}

/// What became of a change to an account's people.
#[derive(Debug, Clone, PartialEq)]
pub enum Staffing {
    /// The person as they are afterwards, or were when they were removed.
    Changed(User),
    /// Nothing: nobody else owns the account.
    LastOwner,
}

/// One sign-in. Tokens are kept as SHA-256 only.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    pub id: SessionId,
    pub user_id: UserId,
    pub account_id: AccountId,
    pub access_hash: [u8; 32],
    pub access_until: Timestamp,
    pub refresh_hash: [u8; 32],
    pub refresh_until: Timestamp,
    pub created_at: Timestamp,
}

/// A key for programs. Kept as SHA-256 only.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    pub id: KeyId,
    pub account_id: AccountId,
    pub user_id: UserId,
    pub name: String,
    pub role: Role,
    pub hash: [u8; 32],
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

/// Accounts, users, sessions, keys.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// Creates an account with its first owner in one write. `Taken` when the e-mail is in use.
    async fn create_account(&self, account: Account, owner: User) -> StoreResult<()>;
    /// The account that was created first, if any: the one a single-account configuration means.
    async fn first_account(&self) -> StoreResult<Option<Account>>;
    /// Every account, the oldest first, at most `limit`.
    async fn account_ids(&self, limit: u32) -> StoreResult<Vec<AccountId>>;
    async fn account(&self, id: AccountId) -> StoreResult<Account>;
    /// Moves the account on to its next signing secret, derived from the signing key of that name. Returns the account as it is then.
    async fn rotate_signing(&self, id: AccountId, key: String, at: Timestamp) -> StoreResult<Account>;
    /// Says whether the account asks for a consent that is written down.
    async fn set_require_consent(&self, id: AccountId, require_consent: bool) -> StoreResult<()>;
    /// Says how long the account keeps what.
    async fn set_retention(&self, id: AccountId, retention: Retention) -> StoreResult<()>;
    /// `Taken` when the e-mail is in use.
    async fn create_user(&self, user: User) -> StoreResult<()>;
    async fn user(&self, id: UserId) -> StoreResult<User>;
    async fn user_by_email(&self, email: &str) -> StoreResult<Option<User>>;
    /// Oldest first.
    async fn users(&self, account_id: AccountId) -> StoreResult<Vec<User>>;
    async fn set_password(&self, id: UserId, password_hash: String) -> StoreResult<()>;
    /// Puts `next` in the place of the person's second factor `before`. False when it is another one by now.
    async fn set_second_factor(
        &self,
        id: UserId,
        before: Option<SecondFactor>,
        next: Option<SecondFactor>,
    ) -> StoreResult<bool>;
    /// Changes a person of the account. An account keeps an owner, however many ask at once.
    async fn change_user(
        &self,
        account_id: AccountId,
        id: UserId,
        change: UserChange,
    ) -> StoreResult<Staffing>;
    /// Removes a person of the account with their sessions and keys; the e-mail is free again. An account keeps an owner.
    async fn delete_user(&self, account_id: AccountId, id: UserId, at: Timestamp) -> StoreResult<Staffing>;

    async fn create_session(&self, session: Session) -> StoreResult<()>;
    async fn session_by_access(&self, access_hash: [u8; 32]) -> StoreResult<Option<Session>>;
    /// Replaces both tokens of the session that `old_refresh_hash` opens, and remembers the old hash as used. A hash that was used before
    /// ends the whole session.
    async fn rotate_session(&self, old_refresh_hash: [u8; 32], next: RotatedSession)
    -> StoreResult<Rotation>;
    /// A session of the account.
    async fn session(&self, account_id: AccountId, id: SessionId) -> StoreResult<Session>;
    /// Every session of a person that was not ended, newest first; some may be over by their time.
    async fn sessions_of(&self, user_id: UserId) -> StoreResult<Vec<Session>>;
    async fn end_session(&self, id: SessionId) -> StoreResult<()>;
    async fn end_sessions_of(&self, user_id: UserId) -> StoreResult<()>;
    /// Drops sessions whose refresh token expired before `now`; returns how many.
    async fn forget_sessions(&self, now: Timestamp) -> StoreResult<u64>;

    async fn create_key(&self, key: ApiKey) -> StoreResult<()>;
    async fn key_by_hash(&self, hash: [u8; 32]) -> StoreResult<Option<ApiKey>>;
    async fn keys(&self, account_id: AccountId) -> StoreResult<Vec<ApiKey>>;
    async fn delete_key(&self, account_id: AccountId, id: KeyId) -> StoreResult<()>;

    /// Remembers the answer to a request that carried `Idempotency-Key`. The first answer under a key stays.
    async fn remember_answer(&self, answer: RememberedAnswer) -> StoreResult<Recorded>;
    async fn remembered_answer(
        &self,
        account_id: AccountId,
        key: &str,
    ) -> StoreResult<Option<RememberedAnswer>>;
    /// Empties the account's answers that hold one of `needles`; a repeat still finds that it is one. Returns how many there were.
    async fn erase_answers(&self, account_id: AccountId, needles: Vec<String>) -> StoreResult<u64>;
    /// Drops answers older than `before`; returns how many.
    async fn forget_answers(&self, before: Timestamp) -> StoreResult<u64>;
}

/// What became of an exchange of a refresh token.
#[derive(Debug, Clone, PartialEq)]
pub enum Rotation {
    /// The session as it is afterwards.
    Done(Session),
    /// Nothing: the token is unknown, or its time is over.
    Unknown,
    /// It was used before: this session was ended.
    Reused(SessionId),
}

/// The tokens that replace a session's old ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RotatedSession {
    /// When the exchange happens.
    pub at: Timestamp,
    pub access_hash: [u8; 32],
    pub access_until: Timestamp,
    pub refresh_hash: [u8; 32],
    pub refresh_until: Timestamp,
}

/// An answer kept for `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq)]
pub struct RememberedAnswer {
    pub account_id: AccountId,
    pub key: String,
    /// SHA-256 of method, path and body: another request under the same key is refused.
    pub request_hash: [u8; 32],
    pub status: u16,
    pub body: String,
    pub at: Timestamp,
}
