//! Messages in SQLite.

use async_trait::async_trait;
use rusqlite::params;

use super::{
    columns::{body, find, missing, page_of_bodies, recorded},
    cursor::{List, Window},
    database::Sqlite,
};
use crate::{
    domain::{
        ids::{AccountId, MessageId},
        message::{Message, MessageStatus},
        time::Timestamp,
    },
    store::{MessageStore, Page, PageRequest, Recorded, StoreResult},
};

#[async_trait]
impl MessageStore for Sqlite {
    async fn record(&self, message: Message) -> StoreResult<Recorded> {
        self.write(move |db| {
            let inserted = db
                .prepare_cached(
                    "INSERT INTO messages (id, account, at, provider_id, body) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (id) DO NOTHING",
                )?
                .execute(params![
                    message.id,
                    message.account_id,
                    message.created_at,
                    message.provider_id,
                    body(&message)?
                ])?;
            Ok(recorded(inserted))
        })
        .await
    }

    async fn progress(
        &self,
        id: MessageId,
        status: MessageStatus,
        provider_id: Option<String>,
        error: Option<String>,
        at: Timestamp,
    ) -> StoreResult<Recorded> {
        self.write(move |db| {
            let stored: Option<Message> = find(db, "SELECT body FROM messages WHERE id = ?1", [id])?;
            let before = stored.ok_or_else(|| missing("message", id))?;
            if status < before.status {
                return Ok(Recorded::Duplicate);
            }
            let mut message = Message {
                status,
                ..before.clone()
            };
            message.provider_id = provider_id.or(message.provider_id);
            message.error = error.or(message.error);
            if message == before {
                return Ok(Recorded::Duplicate);
            }
            message.updated_at = at;
            db.prepare_cached("UPDATE messages SET provider_id = ?2, body = ?3 WHERE id = ?1")?
                .execute((id, &message.provider_id, body(&message)?))?;
            Ok(Recorded::Fresh)
        })
        .await
    }

    async fn bind(&self, id: MessageId, provider_id: String, at: Timestamp) -> StoreResult<String> {
        self.write(move |db| {
            let stored: Option<Message> = find(db, "SELECT body FROM messages WHERE id = ?1", [id])?;
            let mut message = stored.ok_or_else(|| missing("message", id))?;
            if let Some(holder) = message.provider_id {
                return Ok(holder);
            }
            message.provider_id = Some(provider_id.clone());
            message.updated_at = at;
            db.prepare_cached("UPDATE messages SET provider_id = ?2, body = ?3 WHERE id = ?1")?
                .execute((id, &provider_id, body(&message)?))?;
            Ok(provider_id)
        })
        .await
    }

    async fn redact(&self, message: Message) -> StoreResult<()> {
        self.write(move |db| {
            let (id, account) = (message.id, message.account_id);
            let sql = "SELECT body FROM messages WHERE id = ?1 AND account = ?2";
            let stored: Message = find(db, sql, (id, account))?.ok_or_else(|| missing("message", id))?;
            let redacted = Message {
                status: stored.status,
                provider_id: stored.provider_id,
                updated_at: stored.updated_at,
                ..message
            };
            db.prepare_cached("UPDATE messages SET body = ?2 WHERE id = ?1")?
                .execute((id, body(&redacted)?))?;
            Ok(())
        })
        .await
    }

    async fn get(&self, account_id: AccountId, id: MessageId) -> StoreResult<Message> {
        self.read(move |db| {
            find(
                db,
                "SELECT body FROM messages WHERE id = ?1 AND account = ?2",
                (id, account_id),
            )?
            .ok_or_else(|| missing("message", id))
        })
        .await
    }

    async fn by_provider_id(&self, account_id: AccountId, provider_id: &str) -> StoreResult<Option<Message>> {
        let provider_id = provider_id.to_owned();
        self.read(move |db| {
            find(
                db,
                "SELECT body FROM messages WHERE account = ?1 AND provider_id = ?2",
                (account_id, provider_id),
            )
        })
        .await
    }

    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<Message>> {
        let window = Window::of(List::Messages, &page)?;
        self.read(move |db| {
            page_of_bodies(
                db,
                "SELECT at, id, body FROM messages WHERE account = ?4 AND (at, id) < (?1, ?2)
                 ORDER BY at DESC, id DESC LIMIT ?3",
                &[&account_id],
                &window,
            )
        })
        .await
    }
}
