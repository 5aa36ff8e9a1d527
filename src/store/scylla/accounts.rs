//! Accounts, people, API keys and remembered answers in CQL. Sessions are in `sessions.rs`.
//!
//! An e-mail address is claimed before its user is written, and the user is written last: an account without one of its people
//! is what a crash left behind, and nobody is shown it as the first.

use async_trait::async_trait;

use super::{
    claims::{Claim, Kind, Value},
    errors::missing,
    expiries::Ending,
    fields::{Int, Row, values},
    revised::{Change, Made, Revised, Stored, TRIES_MAX},
    rows::{Conditional, Scylla},
};
use crate::{
    domain::{
        email::folded,
        ids::{AccountId, KeyId, SessionId, UserId},
        retention::Retention,
        time::Timestamp,
        totp::SecondFactor,
    },
    store::{
        AccountStore, Recorded, StoreError, StoreResult,
        accounts::{
            Account, ApiKey, RememberedAnswer, RotatedSession, Rotation, Session, Staffing, User, UserChange,
        },
    },
};

const ACCOUNTS: Revised = Revised {
    read: "SELECT revision, body FROM accounts WHERE id = ?",
    write: "UPDATE accounts SET revision = ?, body = ? WHERE id = ? IF revision = ?",
};
pub(super) const USERS: Revised = Revised {
    read: "SELECT revision, body FROM users WHERE id = ?",
    write: "UPDATE users SET revision = ?, body = ? WHERE id = ? IF revision = ?",
};
const AGE: &str = "INSERT INTO accounts_by_age (part, at, id) VALUES (0, ?, ?)";
const BY_AGE: &str = "SELECT id FROM accounts_by_age WHERE part = 0 LIMIT ?";
/// How many of the oldest accounts are looked at for the first: those before it were never finished.
const UNFINISHED_MAX: Int = Int(100);
const MEMBER: &str = "INSERT INTO users_by_account (account, user) VALUES (?, ?)";
const MEMBERS: &str = "SELECT user FROM users_by_account WHERE account = ?";

const KEY_OF: &str = "INSERT INTO api_keys_by_account (account, id, hash) VALUES (?, ?, ?)";
const KEYS_OF: &str = "SELECT hash FROM api_keys_by_account WHERE account = ?";
const KEY_HASH: &str = "SELECT hash FROM api_keys_by_account WHERE account = ? AND id = ?";
const KEY_OFF: &str = "DELETE FROM api_keys_by_account WHERE account = ? AND id = ?";
const CREATE_KEY: &str =
    "INSERT INTO api_keys (hash, id, account, user, name, role, created_at, last_used_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS";
const READ_KEY: &str =
    "SELECT id, account, user, name, role, hash, created_at, last_used_at FROM api_keys WHERE hash = ?";
const DELETE_KEY: &str = "DELETE FROM api_keys WHERE hash = ? IF EXISTS";

const REMEMBER: &str = "INSERT INTO answers (account, key, request_hash, status, body, at) VALUES (?, ?, ?, ?, ?, ?) IF NOT EXISTS";
const REMEMBERED: &str =
    "SELECT account, key, request_hash, status, body, at FROM answers WHERE account = ? AND key = ?";
const EMPTY: &str = "UPDATE answers SET body = '{}' WHERE account = ? AND key = ? IF EXISTS";
const FORGET: &str = "DELETE FROM answers WHERE account = ? AND key = ? IF EXISTS";

#[async_trait]
impl AccountStore for Scylla {
    async fn create_account(&self, account: Account, owner: User) -> StoreResult<()> {
        let email = self.claim_email(&owner).await?;
        self.write(AGE, values![account.created_at, account.id]).await?;
        if self.make(&ACCOUNTS, &values![account.id], &account).await? == Made::Exists {
            let taken = StoreError::Taken { field: "id" };
            let member: Option<Stored<User>> = self.stored(&USERS, &values![owner.id]).await?;
            if member.is_some() {
                return Err(taken);
            }
            // The same again, after it was cut off in between, is carried on with.
            let known: Option<Account> = self.find(&ACCOUNTS, &values![account.id]).await?;
            if known.as_ref() != Some(&account) {
                self.unclaim(&email, *owner.id.as_bytes()).await?;
                return Err(taken);
            }
        }
        self.insert_user(&owner).await
    }

    async fn first_account(&self) -> StoreResult<Option<Account>> {
        for mut row in self.select(BY_AGE, values![UNFINISHED_MAX]).await? {
            let id: AccountId = row.take(0)?;
            let Some(account) = self.find(&ACCOUNTS, &values![id]).await? else {
                continue;
            };
            if !self.users(id).await?.is_empty() {
                return Ok(Some(account));
            }
        }
        Ok(None)
    }

    async fn account_ids(&self, limit: u32) -> StoreResult<Vec<AccountId>> {
        let mut ids = Vec::new();
        for mut row in self.select(BY_AGE, values![Int(limit)]).await? {
            let id: AccountId = row.take(0)?;
            if self.find::<Account>(&ACCOUNTS, &values![id]).await?.is_some() {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    async fn account(&self, id: AccountId) -> StoreResult<Account> {
        if let Some(account) = self.accounts_read.get(&id) {
            return Ok(account);
        }
        let mark = self.accounts_read.mark();
        let account: Account = self
            .find(&ACCOUNTS, &values![id])
            .await?
            .ok_or_else(|| missing("account", id))?;
        self.accounts_read.put(id, account.clone(), mark);
        Ok(account)
    }

    async fn rotate_signing(&self, id: AccountId, key: String, at: Timestamp) -> StoreResult<Account> {
        let rotated = self
            .revise(&ACCOUNTS, &values![id], |mut account: Account| {
                account.signing.move_on(key.clone(), at);
                Ok(Change::Write(account.clone(), account))
            })
            .await;
        self.accounts_read.forget();
        rotated?.ok_or_else(|| missing("account", id))
    }

    async fn set_require_consent(&self, id: AccountId, require_consent: bool) -> StoreResult<()> {
        let changed = self
            .revise(&ACCOUNTS, &values![id], |account: Account| {
                let account = Account {
                    require_consent,
                    ..account
                };
                Ok(Change::Write(account, ()))
            })
            .await;
        self.accounts_read.forget();
        changed?.ok_or_else(|| missing("account", id))
    }

    async fn set_retention(&self, id: AccountId, retention: Retention) -> StoreResult<()> {
        let changed = self
            .revise(&ACCOUNTS, &values![id], |account: Account| {
                Ok(Change::Write(Account { retention, ..account }, ()))
            })
            .await;
        self.accounts_read.forget();
        changed?.ok_or_else(|| missing("account", id))
    }

    async fn create_user(&self, user: User) -> StoreResult<()> {
        self.claim_email(&user).await?;
        self.insert_user(&user).await
    }

    async fn user(&self, id: UserId) -> StoreResult<User> {
        self.find(&USERS, &values![id])
            .await?
            .ok_or_else(|| missing("user", id))
    }

    async fn user_by_email(&self, email: &str) -> StoreResult<Option<User>> {
        match self.claim_of(&claimed(email)).await? {
            Some(claim) => self.find(&USERS, &values![claim.owner]).await,
            None => Ok(None),
        }
    }

    async fn users(&self, account_id: AccountId) -> StoreResult<Vec<User>> {
        let mut users = Vec::new();
        for mut row in self.select(MEMBERS, values![account_id]).await? {
            let id: UserId = row.take(0)?;
            let user: Option<User> = self.find(&USERS, &values![id]).await?;
            users.extend(user.filter(|user| user.account_id == account_id));
        }
        users.sort_by_key(|user| (user.created_at, user.id));
        Ok(users)
    }

    async fn set_password(&self, id: UserId, password_hash: String) -> StoreResult<()> {
        self.revise(&USERS, &values![id], |user: User| {
            let password_hash = password_hash.clone();
            Ok(Change::Write(
                User {
                    password_hash,
                    ..user
                },
                (),
            ))
        })
        .await?
        .ok_or_else(|| missing("user", id))
    }

    async fn set_second_factor(
        &self,
        id: UserId,
        before: Option<SecondFactor>,
        next: Option<SecondFactor>,
    ) -> StoreResult<bool> {
        self.revise(&USERS, &values![id], |user: User| {
            if user.second_factor != before {
                return Ok(Change::Keep(false));
            }
            let second_factor = next.clone();
            Ok(Change::Write(
                User {
                    second_factor,
                    ..user
                },
                true,
            ))
        })
        .await?
        .ok_or_else(|| missing("user", id))
    }

    async fn change_user(
        &self,
        account_id: AccountId,
        id: UserId,
        change: UserChange,
    ) -> StoreResult<Staffing> {
        self.change_member(account_id, id, change).await
    }

    async fn delete_user(&self, account_id: AccountId, id: UserId, at: Timestamp) -> StoreResult<Staffing> {
        self.delete_member(account_id, id, at).await
    }

    async fn create_session(&self, session: Session) -> StoreResult<()> {
        self.insert_session(session).await
    }

    async fn session_by_access(&self, access_hash: [u8; 32]) -> StoreResult<Option<Session>> {
        self.find_by_access(access_hash).await
    }

    async fn rotate_session(
        &self,
        old_refresh_hash: [u8; 32],
        next: RotatedSession,
    ) -> StoreResult<Rotation> {
        self.rotate(old_refresh_hash, next).await
    }

    async fn session(&self, account_id: AccountId, id: SessionId) -> StoreResult<Session> {
        let session = self.session_row(id).await?;
        session
            .filter(|session| session.account_id == account_id)
            .ok_or_else(|| missing("session", id))
    }

    async fn sessions_of(&self, user_id: UserId) -> StoreResult<Vec<Session>> {
        self.sessions_by_user(user_id).await
    }

    async fn end_session(&self, id: SessionId) -> StoreResult<()> {
        self.delete_session(id).await
    }

    async fn end_sessions_of(&self, user_id: UserId) -> StoreResult<()> {
        self.delete_sessions_of(user_id).await
    }

    async fn forget_sessions(&self, now: Timestamp) -> StoreResult<u64> {
        self.delete_expired_sessions(now).await
    }

    async fn create_key(&self, key: ApiKey) -> StoreResult<()> {
        self.write(KEY_OF, values![key.account_id, key.id, key.hash])
            .await?;
        let row = values![
            key.hash,
            key.id,
            key.account_id,
            key.user_id,
            key.name,
            key.role,
            key.created_at,
            key.last_used_at
        ];
        match self.conditional(vec![(CREATE_KEY, row)]).await? {
            Conditional::Applied => Ok(()),
            Conditional::Refused => Err(StoreError::Taken { field: "key" }),
            Conditional::Unknown(error) => {
                let found = self.select_serial(READ_KEY, values![key.hash]).await?;
                match found.map(api_key).transpose()? {
                    Some(found) if found == key => Ok(()),
                    Some(_) | None => Err(error),
                }
            }
        }
    }

    async fn key_by_hash(&self, hash: [u8; 32]) -> StoreResult<Option<ApiKey>> {
        let row = self.select_one(READ_KEY, values![hash]).await?;
        row.map(api_key).transpose()
    }

    async fn keys(&self, account_id: AccountId) -> StoreResult<Vec<ApiKey>> {
        let mut keys = Vec::new();
        for mut row in self.select(KEYS_OF, values![account_id]).await? {
            let key = self.key_by_hash(row.take(0)?).await?;
            keys.extend(key.filter(|key| key.account_id == account_id));
        }
        keys.sort_by_key(|key| (key.created_at, key.id));
        Ok(keys)
    }

    async fn delete_key(&self, account_id: AccountId, id: KeyId) -> StoreResult<()> {
        let Some(mut row) = self.select_one(KEY_HASH, values![account_id, id]).await? else {
            return Err(missing("API key", id));
        };
        let hash: [u8; 32] = row.take(0)?;
        // Both may be repeated: gone is gone.
        match self.conditional(vec![(DELETE_KEY, values![hash])]).await? {
            Conditional::Applied | Conditional::Refused => (),
            Conditional::Unknown(error) => {
                if self.select_serial(READ_KEY, values![hash]).await?.is_some() {
                    return Err(error);
                }
            }
        }
        self.write(KEY_OFF, values![account_id, id]).await
    }

    async fn remember_answer(&self, answer: RememberedAnswer) -> StoreResult<Recorded> {
        let mut key = answer.account_id.as_bytes().to_vec();
        key.extend_from_slice(answer.key.as_bytes());
        self.note_ending(Ending::Answers, answer.at, &key).await?;
        let row = values![
            answer.account_id,
            answer.key,
            answer.request_hash,
            answer.status,
            answer.body,
            answer.at
        ];
        match self.conditional(vec![(REMEMBER, row)]).await? {
            Conditional::Applied => Ok(Recorded::Fresh),
            Conditional::Refused => Ok(Recorded::Duplicate),
            Conditional::Unknown(error) => {
                let key = values![answer.account_id, answer.key];
                match self
                    .select_serial(REMEMBERED, key)
                    .await?
                    .map(remembered)
                    .transpose()?
                {
                    Some(found) if found == answer => Ok(Recorded::Fresh),
                    Some(_) => Ok(Recorded::Duplicate),
                    None => Err(error),
                }
            }
        }
    }

    async fn remembered_answer(
        &self,
        account_id: AccountId,
        key: &str,
    ) -> StoreResult<Option<RememberedAnswer>> {
        let row = self.select_one(REMEMBERED, values![account_id, key]).await?;
        row.map(remembered).transpose()
    }

    async fn erase_answers(&self, account_id: AccountId, needles: Vec<String>) -> StoreResult<u64> {
        let mut erased = 0;
        // Every answer that is kept ends some day.
        let ever = Timestamp::from_unix_millis(u64::try_from(i64::MAX).unwrap_or_default());
        for ending in self.ended(Ending::Answers, ever).await? {
            let own = ending.split_first_chunk::<16>();
            let Some((_, key)) = own.filter(|(account, _)| *account == account_id.as_bytes()) else {
                continue;
            };
            let key = String::from_utf8_lossy(key).into_owned();
            let Some(answer) = self.remembered_answer(account_id, &key).await? else {
                continue;
            };
            if needles.iter().any(|needle| answer.body.contains(needle)) {
                match self.conditional(vec![(EMPTY, values![account_id, key])]).await? {
                    Conditional::Applied => erased += 1,
                    Conditional::Refused => (),
                    Conditional::Unknown(error) => return Err(error),
                }
            }
        }
        Ok(erased)
    }

    async fn forget_answers(&self, before: Timestamp) -> StoreResult<u64> {
        let mut forgotten = 0;
        for ended in self.ended(Ending::Answers, before).await? {
            let Some((account, key)) = ended.split_first_chunk::<16>() else {
                continue;
            };
            let account = AccountId::from_bytes(*account);
            let key = String::from_utf8_lossy(key).into_owned();
            let answer = self.remembered_answer(account, &key).await?;
            if answer.is_none_or(|answer| answer.at >= before) {
                continue;
            }
            match self.conditional(vec![(FORGET, values![account, key])]).await? {
                Conditional::Applied => forgotten += 1,
                Conditional::Refused => (),
                Conditional::Unknown(error) => return Err(error),
            }
        }
        self.drop_ended(Ending::Answers, before).await?;
        Ok(forgotten)
    }
}

impl Scylla {
    /// Claims a user's e-mail address. A claim whose user was never written is taken over.
    async fn claim_email(&self, user: &User) -> StoreResult<Value> {
        let value = claimed(&user.email);
        let ours = Claim {
            owner: *user.id.as_bytes(),
            at: user.created_at,
        };
        let taken = || StoreError::Taken { field: "email" };
        let mut from = None;
        for _ in 0..TRIES_MAX {
            let claim = self.claim(&value, from, ours).await?;
            if claim.owner == ours.owner {
                return Ok(value);
            }
            let holder: Option<Stored<User>> = self.stored(&USERS, &values![claim.owner]).await?;
            from = match holder {
                Some(Stored { value: Some(_), .. }) => return Err(taken()),
                Some(Stored { value: None, .. }) => Some(claim.owner),
                None if claim.is_young(user.created_at) => return Err(taken()),
                // Whoever claimed it was cut off, or finds its id used up when it comes back.
                None => {
                    let key = values![claim.owner];
                    let buried = self.write_revision(&USERS, &key, None, None, Vec::new()).await?;
                    buried.then_some(claim.owner)
                }
            };
        }
        Err(StoreError::Busy)
    }

    async fn insert_user(&self, user: &User) -> StoreResult<()> {
        self.write(MEMBER, values![user.account_id, user.id]).await?;
        match self.make(&USERS, &values![user.id], user).await? {
            Made::Fresh => Ok(()),
            Made::Exists => Err(StoreError::Taken { field: "email" }),
        }
    }
}

pub(super) fn claimed(email: &str) -> Value {
    Value {
        kind: Kind::Email,
        scope: vec![0],
        text: folded(email),
    }
}

fn api_key(mut row: Row) -> StoreResult<ApiKey> {
    Ok(ApiKey {
        id: row.take(0)?,
        account_id: row.take(1)?,
        user_id: row.take(2)?,
        name: row.take(3)?,
        role: row.take(4)?,
        hash: row.take(5)?,
        created_at: row.take(6)?,
        last_used_at: row.take_if_any(7)?,
    })
}

fn remembered(mut row: Row) -> StoreResult<RememberedAnswer> {
    Ok(RememberedAnswer {
        account_id: row.take(0)?,
        key: row.take(1)?,
        request_hash: row.take(2)?,
        status: row.take(3)?,
        body: row.take(4)?,
        at: row.take(5)?,
    })
}
