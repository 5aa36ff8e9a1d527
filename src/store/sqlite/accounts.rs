//! Accounts, people, API keys and remembered answers in SQLite. Sessions are in `sessions.rs`.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    columns::{bodies, body, find, missing, recorded},
    database::Sqlite,
    people, sessions,
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

const KEY_COLUMNS: &str = "id, account, user, name, role, hash, created_at, last_used_at";

#[async_trait]
impl AccountStore for Sqlite {
    async fn create_account(&self, account: Account, owner: User) -> StoreResult<()> {
        self.write(move |db| {
            insert_user(db, &owner)?;
            let inserted = db
                .prepare_cached("INSERT INTO accounts (id, created_at, body) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING")?
                .execute((account.id, account.created_at, body(&account)?))?;
            if inserted == 0 { Err(StoreError::Taken { field: "id" }) } else { Ok(()) }
        })
        .await
    }

    async fn first_account(&self) -> StoreResult<Option<Account>> {
        self.read(|db| {
            find(
                db,
                "SELECT body FROM accounts ORDER BY created_at, id LIMIT 1",
                [],
            )
        })
        .await
    }

    async fn account_ids(&self, limit: u32) -> StoreResult<Vec<AccountId>> {
        self.read(move |db| {
            let mut statement =
                db.prepare_cached("SELECT id FROM accounts ORDER BY created_at, id LIMIT ?1")?;
            let ids = statement.query_map([limit], |row| row.get(0))?;
            Ok(ids.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn account(&self, id: AccountId) -> StoreResult<Account> {
        if let Some(account) = self.accounts_read.get(&id) {
            return Ok(account);
        }
        let mark = self.accounts_read.mark();
        let account = self.read(move |db| account(db, id)).await?;
        self.accounts_read.put(id, account.clone(), mark);
        Ok(account)
    }

    async fn rotate_signing(&self, id: AccountId, key: String, at: Timestamp) -> StoreResult<Account> {
        self.change_account(id, move |account| account.signing.move_on(key, at))
            .await
    }

    async fn set_require_consent(&self, id: AccountId, require_consent: bool) -> StoreResult<()> {
        self.change_account(id, move |account| account.require_consent = require_consent)
            .await
            .map(|_| ())
    }

    async fn set_retention(&self, id: AccountId, retention: Retention) -> StoreResult<()> {
        self.change_account(id, move |account| account.retention = retention)
            .await
            .map(|_| ())
    }

    async fn create_user(&self, user: User) -> StoreResult<()> {
        self.write(move |db| insert_user(db, &user)).await
    }

    async fn user(&self, id: UserId) -> StoreResult<User> {
        self.read(move |db| user(db, id)).await
    }

    async fn user_by_email(&self, email: &str) -> StoreResult<Option<User>> {
        let email = folded(email);
        self.read(move |db| find(db, "SELECT body FROM users WHERE email = ?1", [email]))
            .await
    }

    async fn users(&self, account_id: AccountId) -> StoreResult<Vec<User>> {
        self.read(move |db| {
            bodies(
                db,
                "SELECT body FROM users WHERE account = ?1 ORDER BY created_at, id",
                [account_id],
            )
        })
        .await
    }

    async fn set_password(&self, id: UserId, password_hash: String) -> StoreResult<()> {
        self.write(move |db| {
            let changed = User {
                password_hash,
                ..user(db, id)?
            };
            db.prepare_cached("UPDATE users SET body = ?2 WHERE id = ?1")?
                .execute((id, body(&changed)?))?;
            Ok(())
        })
        .await
    }

    async fn set_second_factor(
        &self,
        id: UserId,
        before: Option<SecondFactor>,
        next: Option<SecondFactor>,
    ) -> StoreResult<bool> {
        self.write(move |db| {
            let person = user(db, id)?;
            if person.second_factor != before {
                return Ok(false);
            }
            let changed = User {
                second_factor: next,
                ..person
            };
            db.prepare_cached("UPDATE users SET body = ?2 WHERE id = ?1")?
                .execute((id, body(&changed)?))?;
            Ok(true)
        })
        .await
    }

    async fn change_user(
        &self,
        account_id: AccountId,
        id: UserId,
        change: UserChange,
    ) -> StoreResult<Staffing> {
        self.write(move |db| people::change(db, account_id, id, change))
            .await
    }

    async fn delete_user(&self, account_id: AccountId, id: UserId, _at: Timestamp) -> StoreResult<Staffing> {
        self.write(move |db| people::delete(db, account_id, id)).await
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
        self.read(move |db| sessions::of_account(db, account_id, id))
            .await
    }

    async fn sessions_of(&self, user_id: UserId) -> StoreResult<Vec<Session>> {
        self.read(move |db| sessions::of_user(db, user_id)).await
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
        self.write(move |db| {
            let inserted = db
                .prepare_cached(&format!(
                    "INSERT INTO api_keys ({KEY_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING"
                ))?
                .execute(params![
                    key.id,
                    key.account_id,
                    key.user_id,
                    key.name,
                    key.role,
                    key.hash,
                    key.created_at,
                    key.last_used_at
                ])?;
            if inserted == 0 { Err(StoreError::Taken { field: "key" }) } else { Ok(()) }
        })
        .await
    }

    async fn key_by_hash(&self, hash: [u8; 32]) -> StoreResult<Option<ApiKey>> {
        self.read(move |db| {
            Ok(db
                .prepare_cached(&format!("SELECT {KEY_COLUMNS} FROM api_keys WHERE hash = ?1"))?
                .query_row([hash], api_key)
                .optional()?)
        })
        .await
    }

    async fn keys(&self, account_id: AccountId) -> StoreResult<Vec<ApiKey>> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(&format!(
                "SELECT {KEY_COLUMNS} FROM api_keys WHERE account = ?1 ORDER BY created_at, id"
            ))?;
            Ok(statement
                .query_map([account_id], api_key)?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn delete_key(&self, account_id: AccountId, id: KeyId) -> StoreResult<()> {
        self.write(move |db| {
            let deleted = db
                .prepare_cached("DELETE FROM api_keys WHERE id = ?1 AND account = ?2")?
                .execute((id, account_id))?;
            if deleted == 0 {
                Err(missing("API key", id))
            } else {
                Ok(())
            }
        })
        .await
    }

    async fn remember_answer(&self, answer: RememberedAnswer) -> StoreResult<Recorded> {
        self.write(move |db| {
            let inserted = db
                .prepare_cached(
                    "INSERT INTO answers (account, key, request_hash, status, body, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT (account, key) DO NOTHING",
                )?
                .execute((
                    answer.account_id,
                    &answer.key,
                    answer.request_hash,
                    answer.status,
                    &answer.body,
                    answer.at,
                ))?;
            Ok(recorded(inserted))
        })
        .await
    }

    async fn remembered_answer(
        &self,
        account_id: AccountId,
        key: &str,
    ) -> StoreResult<Option<RememberedAnswer>> {
        let key = key.to_owned();
        self.read(move |db| {
            Ok(db
                .prepare_cached(
                    "SELECT account, key, request_hash, status, body, at FROM answers WHERE account = ?1 AND key = ?2",
                )?
                .query_row((account_id, key), |row| {
                    Ok(RememberedAnswer {
                        account_id: row.get(0)?,
                        key: row.get(1)?,
                        request_hash: row.get(2)?,
                        status: row.get(3)?,
                        body: row.get(4)?,
                        at: row.get(5)?,
                    })
                })
                .optional()?)
        })
        .await
    }

    async fn erase_answers(&self, account_id: AccountId, needles: Vec<String>) -> StoreResult<u64> {
        let (mut after, mut erased) = (String::new(), 0);
        loop {
            let from = after.clone();
            let page = self.read(move |db| answers_after(db, account_id, &from)).await?;
            let Some((last, _)) = page.last() else {
                return Ok(erased);
            };
            after.clone_from(last);
            let named = |(_, text): &(String, String)| needles.iter().any(|needle| text.contains(needle));
            for (key, _) in page.into_iter().filter(named) {
                erased += 1;
                self.write(move |db| {
                    db.prepare_cached("UPDATE answers SET body = '{}' WHERE account = ?1 AND key = ?2")?
                        .execute((account_id, key))?;
                    Ok(())
                })
                .await?;
            }
        }
    }

    async fn forget_answers(&self, before: Timestamp) -> StoreResult<u64> {
        self.write(move |db| {
            let deleted = db
                .prepare_cached("DELETE FROM answers WHERE at < ?1")?
                .execute([before])?;
            Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
        })
        .await
    }
}

/// Keys and texts of an account's answers behind a key, in their order.
fn answers_after(db: &Connection, account: AccountId, after: &str) -> StoreResult<Vec<(String, String)>> {
    let mut statement = db.prepare_cached(
        "SELECT key, body FROM answers WHERE account = ?1 AND key > ?2 ORDER BY key LIMIT 200",
    )?;
    let rows = statement.query_map((account, after), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

impl Sqlite {
    /// Changes what an account's row says; gives the account as it is then.
    async fn change_account(
        &self,
        id: AccountId,
        change: impl FnOnce(&mut Account) + Send + 'static,
    ) -> StoreResult<Account> {
        let changed = self
            .write(move |db| {
                let mut account = account(db, id)?;
                change(&mut account);
                db.prepare_cached("UPDATE accounts SET body = ?2 WHERE id = ?1")?
                    .execute((id, body(&account)?))?;
                Ok(account)
            })
            .await;
        self.accounts_read.forget();
        changed
    }
}

fn account(db: &Connection, id: AccountId) -> StoreResult<Account> {
    find(db, "SELECT body FROM accounts WHERE id = ?1", [id])?.ok_or_else(|| missing("account", id))
}

pub(super) fn user(db: &Connection, id: UserId) -> StoreResult<User> {
    find(db, "SELECT body FROM users WHERE id = ?1", [id])?.ok_or_else(|| missing("user", id))
}

fn insert_user(db: &Connection, user: &User) -> StoreResult<()> {
    let inserted = db
        .prepare_cached(
            "INSERT INTO users (id, account, email, created_at, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (email) DO NOTHING",
        )?
        .execute((
            user.id,
            user.account_id,
            folded(&user.email),
            user.created_at,
            body(user)?,
        ))?;
    if inserted == 0 {
        Err(StoreError::Taken { field: "email" })
    } else {
        Ok(())
    }
}

fn api_key(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    Ok(ApiKey {
        id: row.get(0)?,
        account_id: row.get(1)?,
        user_id: row.get(2)?,
        name: row.get(3)?,
        role: row.get(4)?,
        hash: row.get(5)?,
        created_at: row.get(6)?,
        last_used_at: row.get(7)?,
    })
}
