//! Incoming webhooks in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, Params, Row, params};

use super::{columns::missing, database::Sqlite};
use crate::{
    domain::ids::{AccountId, UserId, WebhookId},
    store::{StoreResult, WebhookStore, webhooks::IncomingWebhook},
};

const COLUMNS: &str = "id, account, user, name, hash, created_at";

#[async_trait]
impl WebhookStore for Sqlite {
    async fn create(&self, webhook: IncomingWebhook) -> StoreResult<()> {
        self.write(move |db| {
            db.prepare_cached(&format!(
                "INSERT INTO webhooks ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
            ))?
            .execute(params![
                webhook.id,
                webhook.account_id,
                webhook.user_id,
                webhook.name,
                webhook.token_hash,
                webhook.created_at
            ])?;
            Ok(())
        })
        .await
    }

    async fn list(&self, account_id: AccountId) -> StoreResult<Vec<IncomingWebhook>> {
        self.read(move |db| select(db, "account = ?1 ORDER BY created_at, id", [account_id]))
            .await
    }

    async fn of_user(&self, user_id: UserId) -> StoreResult<Vec<IncomingWebhook>> {
        self.read(move |db| select(db, "user = ?1 ORDER BY created_at, id", [user_id]))
            .await
    }

    async fn rotate(
        &self,
        account_id: AccountId,
        id: WebhookId,
        token_hash: [u8; 32],
    ) -> StoreResult<IncomingWebhook> {
        self.write(move |db| {
            db.prepare_cached("UPDATE webhooks SET hash = ?3 WHERE id = ?1 AND account = ?2")?
                .execute((id, account_id, token_hash))?;
            let found = select(db, "id = ?1 AND account = ?2", (id, account_id))?;
            found.into_iter().next().ok_or_else(|| missing("webhook", id))
        })
        .await
    }

    async fn delete(&self, account_id: AccountId, id: WebhookId) -> StoreResult<()> {
        self.write(move |db| {
            let deleted = db
                .prepare_cached("DELETE FROM webhooks WHERE id = ?1 AND account = ?2")?
                .execute((id, account_id))?;
            if deleted == 0 {
                Err(missing("webhook", id))
            } else {
                Ok(())
            }
        })
        .await
    }
}

fn select(db: &Connection, which: &str, given: impl Params) -> StoreResult<Vec<IncomingWebhook>> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM webhooks WHERE {which}"))?;
    Ok(statement
        .query_map(given, webhook)?
        .collect::<rusqlite::Result<_>>()?)
}

fn webhook(row: &Row<'_>) -> rusqlite::Result<IncomingWebhook> {
    Ok(IncomingWebhook {
        id: row.get(0)?,
        account_id: row.get(1)?,
        user_id: row.get(2)?,
        name: row.get(3)?,
        token_hash: row.get(4)?,
        created_at: row.get(5)?,
    })
}
