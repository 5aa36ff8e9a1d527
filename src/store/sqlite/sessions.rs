//! Sign-ins in SQLite: tokens by their hash, and the memory of those that were used up.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{columns::missing, database::Sqlite};
use crate::{
    domain::{
        ids::{AccountId, SessionId, UserId},
        time::Timestamp,
    },
    store::{
        StoreError, StoreResult,
        accounts::{RotatedSession, Rotation, Session},
    },
};

const COLUMNS: &str = "id, user, account, access_hash, access_until, refresh_hash, refresh_until, created_at";

impl Sqlite {
    pub(super) async fn insert_session(&self, session: Session) -> StoreResult<()> {
        self.write(move |db| {
            let inserted = db
                .prepare_cached(&format!(
                    "INSERT INTO sessions ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING"
                ))?
                .execute(params![
                    session.id,
                    session.user_id,
                    session.account_id,
                    session.access_hash,
                    session.access_until,
                    session.refresh_hash,
                    session.refresh_until,
                    session.created_at,
                ])?;
            if inserted == 0 { Err(StoreError::Taken { field: "session" }) } else { Ok(()) }
        })
        .await
    }

    pub(super) async fn find_by_access(&self, hash: [u8; 32]) -> StoreResult<Option<Session>> {
        self.read(move |db| find(db, "access_hash", hash)).await
    }

    pub(super) async fn rotate(&self, old: [u8; 32], next: RotatedSession) -> StoreResult<Rotation> {
        self.write(move |db| {
            let Some(session) = find(db, "refresh_hash", old)? else {
                // A token that was used up and comes back was copied by somebody: neither holder keeps the session.
                let reused = db
                    .prepare_cached("SELECT session FROM used_refresh_hashes WHERE hash = ?1")?
                    .query_row([old], |row| row.get::<_, SessionId>(0))
                    .optional()?;
                return match reused {
                    Some(id) => delete(db, id).map(|()| Rotation::Reused(id)),
                    None => Ok(Rotation::Unknown),
                };
            };
            if session.refresh_until <= next.at {
                return Ok(Rotation::Unknown);
            }
            db.prepare_cached("INSERT INTO used_refresh_hashes (hash, session) VALUES (?1, ?2)")?
                .execute((old, session.id))?;
            db.prepare_cached(
                "UPDATE sessions SET access_hash = ?2, access_until = ?3, refresh_hash = ?4, refresh_until = ?5 WHERE id = ?1",
            )?
            .execute((session.id, next.access_hash, next.access_until, next.refresh_hash, next.refresh_until))?;
            Ok(Rotation::Done(Session {
                access_hash: next.access_hash,
                access_until: next.access_until,
                refresh_hash: next.refresh_hash,
                refresh_until: next.refresh_until,
                ..session
            }))
        })
        .await
    }

    pub(super) async fn delete_session(&self, id: SessionId) -> StoreResult<()> {
        self.write(move |db| delete(db, id)).await
    }

    pub(super) async fn delete_sessions_of(&self, user: UserId) -> StoreResult<()> {
        self.write(move |db| delete_of(db, user)).await
    }

    pub(super) async fn delete_expired_sessions(&self, now: Timestamp) -> StoreResult<u64> {
        self.write(move |db| delete_where(db, "refresh_until < ?1", now))
            .await
    }
}

fn find(db: &Connection, column: &str, hash: [u8; 32]) -> StoreResult<Option<Session>> {
    Ok(db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM sessions WHERE {column} = ?1"))?
        .query_row([hash], session)
        .optional()?)
}

/// A session of the account.
pub(super) fn of_account(db: &Connection, account: AccountId, id: SessionId) -> StoreResult<Session> {
    db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM sessions WHERE id = ?1 AND account = ?2"
    ))?
    .query_row((id, account), session)
    .optional()?
    .ok_or_else(|| missing("session", id))
}

/// Every session of a person, newest first.
pub(super) fn of_user(db: &Connection, user: UserId) -> StoreResult<Vec<Session>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM sessions WHERE user = ?1 ORDER BY created_at DESC, id DESC"
    ))?;
    let rows = statement.query_map([user], session)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Ends every session of a person.
pub(super) fn delete_of(db: &Connection, user: UserId) -> StoreResult<()> {
    delete_where(db, "user = ?1", user).map(drop)
}

fn delete(db: &Connection, id: SessionId) -> StoreResult<()> {
    delete_where(db, "id = ?1", id).map(drop)
}

/// Ends the sessions that match, with what is remembered of them. Returns how many.
fn delete_where(db: &Connection, condition: &str, value: impl rusqlite::ToSql) -> StoreResult<u64> {
    db.prepare_cached(&format!(
        "DELETE FROM used_refresh_hashes WHERE session IN (SELECT id FROM sessions WHERE {condition})"
    ))?
    .execute([&value])?;
    let deleted = db
        .prepare_cached(&format!("DELETE FROM sessions WHERE {condition}"))?
        .execute([&value])?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: row.get(0)?,
        user_id: row.get(1)?,
        account_id: row.get(2)?,
        access_hash: row.get(3)?,
        access_until: row.get(4)?,
        refresh_hash: row.get(5)?,
        refresh_until: row.get(6)?,
        created_at: row.get(7)?,
    })
}
