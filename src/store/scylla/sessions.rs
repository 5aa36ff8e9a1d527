//! Sign-ins in CQL: the session is the truth, its tokens point to it.
//!
//! A token's row stays when the token is used up: one that points to a session which has other tokens was used before. Tokens
//! are written before the session that has them; one that its session never got was never given to anybody.

use super::{
    expiries::Ending,
    fields::{Int, Row, values},
    rows::{Conditional, Scylla},
};
use crate::{
    domain::{
        ids::{SessionId, UserId},
        time::Timestamp,
    },
    store::{
        StoreError, StoreResult,
        accounts::{RotatedSession, Rotation, Session},
    },
};

/// How long tokens outlive their session's last moment.
const TOKEN_SPARE_S: u64 = 24 * 3_600;
/// The longest time to live that a CQL server takes: 20 years.
const TTL_MAX_S: u32 = 20 * 365 * 24 * 3_600;

const READ: &str =
    "SELECT id, user, account, access_hash, access_until, refresh_hash, refresh_until, created_at
    FROM sessions WHERE id = ?";
const CREATE: &str = "INSERT INTO sessions
    (id, user, account, access_hash, access_until, refresh_hash, refresh_until, created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS";
const ROTATE: &str =
    "UPDATE sessions SET access_hash = ?, access_until = ?, refresh_hash = ?, refresh_until = ?
    WHERE id = ? IF refresh_hash = ?";
const END: &str = "DELETE FROM sessions WHERE id = ? IF EXISTS";
const POINT: &str = "INSERT INTO session_tokens (hash, session, is_refresh) VALUES (?, ?, ?) USING TTL ?";
const POINTED: &str = "SELECT session, is_refresh FROM session_tokens WHERE hash = ?";
const OF_USER: &str = "INSERT INTO sessions_by_user (user, session) VALUES (?, ?) USING TTL ?";
const BY_USER: &str = "SELECT session FROM sessions_by_user WHERE user = ?";

impl Scylla {
    pub(super) async fn insert_session(&self, session: Session) -> StoreResult<()> {
        self.prepare_session(&session, session.created_at).await?;
        let row = values![
            session.id,
            session.user_id,
            session.account_id,
            session.access_hash,
            session.access_until,
            session.refresh_hash,
            session.refresh_until,
            session.created_at
        ];
        match self.conditional(vec![(CREATE, row)]).await? {
            Conditional::Applied => Ok(()),
            Conditional::Refused => Err(StoreError::Taken { field: "session" }),
            Conditional::Unknown(error) => match self.session_serially(session.id).await? {
                Some(found) if found == session => Ok(()),
                Some(_) | None => Err(error),
            },
        }
    }

    pub(super) async fn find_by_access(&self, hash: [u8; 32]) -> StoreResult<Option<Session>> {
        let Some((id, _)) = self.pointed(hash).await? else {
            return Ok(None);
        };
        let session = self.session_row(id).await?;
        Ok(session.filter(|session| session.access_hash == hash))
    }

    pub(super) async fn rotate(&self, old: [u8; 32], next: RotatedSession) -> StoreResult<Rotation> {
        let Some((id, true)) = self.pointed(old).await? else {
            return Ok(Rotation::Unknown);
        };
        let Some(session) = self.session_row(id).await? else {
            return Ok(Rotation::Unknown);
        };
        if session.refresh_hash != old {
            // A token that was used up and comes back was copied by somebody: neither holder keeps the session.
            self.delete_session(id).await?;
            return Ok(Rotation::Reused(id));
        }
        if session.refresh_until <= next.at {
            return Ok(Rotation::Unknown);
        }
        let rotated = Session {
            access_hash: next.access_hash,
            access_until: next.access_until,
            refresh_hash: next.refresh_hash,
            refresh_until: next.refresh_until,
            ..session
        };
        self.prepare_session(&rotated, next.at).await?;
        let change = values![
            next.access_hash,
            next.access_until,
            next.refresh_hash,
            next.refresh_until,
            id,
            old
        ];
        match self.conditional(vec![(ROTATE, change)]).await? {
            Conditional::Applied => Ok(Rotation::Done(rotated)),
            Conditional::Refused => {
                // Somebody exchanged the same token a moment ago: it was used twice.
                self.delete_session(id).await?;
                Ok(Rotation::Reused(id))
            }
            Conditional::Unknown(error) => match self.session_serially(id).await? {
                Some(found) if found == rotated => Ok(Rotation::Done(rotated)),
                Some(_) | None => Err(error),
            },
        }
    }

    pub(super) async fn delete_session(&self, id: SessionId) -> StoreResult<()> {
        match self.conditional(vec![(END, values![id])]).await? {
            Conditional::Applied | Conditional::Refused => Ok(()),
            Conditional::Unknown(error) => match self.session_serially(id).await? {
                None => Ok(()),
                Some(_) => Err(error),
            },
        }
    }

    pub(super) async fn delete_sessions_of(&self, user: UserId) -> StoreResult<()> {
        for session in self.sessions_by_user(user).await? {
            self.delete_session(session.id).await?;
        }
        Ok(())
    }

    /// Every session of a person, newest first.
    pub(super) async fn sessions_by_user(&self, user: UserId) -> StoreResult<Vec<Session>> {
        let mut sessions = Vec::new();
        for mut row in self.select(BY_USER, values![user]).await? {
            sessions.extend(self.session_row(row.take(0)?).await?);
        }
        sessions.sort_by_key(|session| std::cmp::Reverse((session.created_at, session.id)));
        Ok(sessions)
    }

    pub(super) async fn delete_expired_sessions(&self, now: Timestamp) -> StoreResult<u64> {
        let mut deleted = 0;
        for key in self.ended(Ending::Sessions, now).await? {
            let Ok(id) = <[u8; 16]>::try_from(key.as_slice()).map(SessionId::from_bytes) else {
                continue;
            };
            // A session that was exchanged since ends later.
            let session = self.session_row(id).await?;
            if session.is_some_and(|session| session.refresh_until < now) {
                self.delete_session(id).await?;
                deleted += 1;
            }
        }
        self.drop_ended(Ending::Sessions, now).await?;
        Ok(deleted)
    }

    /// Writes everything that leads to a session, before the session.
    async fn prepare_session(&self, session: &Session, now: Timestamp) -> StoreResult<()> {
        let left_s = session.refresh_until.since(now).as_secs();
        let ttl_s = u32::try_from(left_s.saturating_add(TOKEN_SPARE_S)).unwrap_or(TTL_MAX_S);
        let ttl = Int(ttl_s.min(TTL_MAX_S));
        for (hash, is_refresh) in [(session.access_hash, false), (session.refresh_hash, true)] {
            self.write(POINT, values![hash, session.id, is_refresh, ttl])
                .await?;
        }
        self.write(OF_USER, values![session.user_id, session.id, ttl])
            .await?;
        self.note_ending(Ending::Sessions, session.refresh_until, session.id.as_bytes())
            .await
    }

    /// The session a token points to, and whether it was made to exchange.
    async fn pointed(&self, hash: [u8; 32]) -> StoreResult<Option<(SessionId, bool)>> {
        match self.select_one(POINTED, values![hash]).await? {
            Some(mut row) => Ok(Some((row.take(0)?, row.take(1)?))),
            None => Ok(None),
        }
    }

    pub(super) async fn session_row(&self, id: SessionId) -> StoreResult<Option<Session>> {
        self.select_one(READ, values![id]).await?.map(session).transpose()
    }

    async fn session_serially(&self, id: SessionId) -> StoreResult<Option<Session>> {
        self.select_serial(READ, values![id])
            .await?
            .map(session)
            .transpose()
    }
}

fn session(mut row: Row) -> StoreResult<Session> {
    Ok(Session {
        id: row.take(0)?,
        user_id: row.take(1)?,
        account_id: row.take(2)?,
        access_hash: row.take(3)?,
        access_until: row.take(4)?,
        refresh_hash: row.take(5)?,
        refresh_until: row.take(6)?,
        created_at: row.take(7)?,
    })
}
