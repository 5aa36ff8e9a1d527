//! Incoming webhooks in CQL: one partition an account, and who made which.

use async_trait::async_trait;

use super::{
    errors::missing,
    fields::{Row, values},
    rows::{Conditional, Scylla},
};
use crate::{
    domain::ids::{AccountId, UserId, WebhookId},
    store::{StoreError, StoreResult, WebhookStore, webhooks::IncomingWebhook},
};

const OF_USER: &str = "INSERT INTO webhooks_by_user (user, id, account) VALUES (?, ?, ?)";
const NOT_OF_USER: &str = "DELETE FROM webhooks_by_user WHERE user = ? AND id = ?";
const BY_USER: &str = "SELECT account, id FROM webhooks_by_user WHERE user = ?";
const CREATE: &str = "INSERT INTO webhooks (account, id, user, name, hash, created_at) VALUES (?, ?, ?, ?, ?, ?) IF NOT EXISTS";
const READ: &str =
    "SELECT id, account, user, name, hash, created_at FROM webhooks WHERE account = ? AND id = ?";
const OF_ACCOUNT: &str = "SELECT id, account, user, name, hash, created_at FROM webhooks WHERE account = ?";
const ROTATE: &str = "UPDATE webhooks SET hash = ? WHERE account = ? AND id = ? IF EXISTS";
const DELETE: &str = "DELETE FROM webhooks WHERE account = ? AND id = ? IF EXISTS";

#[async_trait]
impl WebhookStore for Scylla {
    async fn create(&self, webhook: IncomingWebhook) -> StoreResult<()> {
        self.write(OF_USER, values![webhook.user_id, webhook.id, webhook.account_id])
            .await?;
        let row = values![
            webhook.account_id,
            webhook.id,
            webhook.user_id,
            webhook.name,
            webhook.token_hash,
            webhook.created_at
        ];
        match self.conditional(vec![(CREATE, row)]).await? {
            Conditional::Applied => Ok(()),
            Conditional::Refused => Err(StoreError::Taken { field: "id" }),
            Conditional::Unknown(error) => match self.webhook(webhook.account_id, webhook.id).await? {
                Some(found) if found == webhook => Ok(()),
                Some(_) | None => Err(error),
            },
        }
    }

    async fn list(&self, account_id: AccountId) -> StoreResult<Vec<IncomingWebhook>> {
        let rows = self.select(OF_ACCOUNT, values![account_id]).await?;
        let webhooks: StoreResult<Vec<_>> = rows.into_iter().map(webhook).collect();
        Ok(oldest_first(webhooks?))
    }

    async fn of_user(&self, user_id: UserId) -> StoreResult<Vec<IncomingWebhook>> {
        let mut webhooks = Vec::new();
        for mut row in self.select(BY_USER, values![user_id]).await? {
            let (account, id): (AccountId, WebhookId) = (row.take(0)?, row.take(1)?);
            let found = self.select_one(READ, values![account, id]).await?;
            webhooks.extend(found.map(webhook).transpose()?);
        }
        Ok(oldest_first(webhooks))
    }

    async fn rotate(
        &self,
        account_id: AccountId,
        id: WebhookId,
        token_hash: [u8; 32],
    ) -> StoreResult<IncomingWebhook> {
        let change = values![token_hash, account_id, id];
        let outcome = self.conditional(vec![(ROTATE, change)]).await?;
        let webhook = self.webhook(account_id, id).await?;
        match (outcome, webhook) {
            (Conditional::Unknown(error), Some(found)) if found.token_hash != token_hash => Err(error),
            (_, Some(found)) => Ok(found),
            (_, None) => Err(missing("webhook", id)),
        }
    }

    async fn delete(&self, account_id: AccountId, id: WebhookId) -> StoreResult<()> {
        let Some(webhook) = self.webhook(account_id, id).await? else {
            return Err(missing("webhook", id));
        };
        match self.conditional(vec![(DELETE, values![account_id, id])]).await? {
            Conditional::Applied => (),
            Conditional::Refused => return Err(missing("webhook", id)),
            Conditional::Unknown(error) => {
                if self.webhook(account_id, id).await?.is_some() {
                    return Err(error);
                }
            }
        }
        self.write(NOT_OF_USER, values![webhook.user_id, id]).await
    }
}

impl Scylla {
    async fn webhook(&self, account: AccountId, id: WebhookId) -> StoreResult<Option<IncomingWebhook>> {
        let row = self.select_serial(READ, values![account, id]).await?;
        row.map(webhook).transpose()
    }
}

fn oldest_first(mut webhooks: Vec<IncomingWebhook>) -> Vec<IncomingWebhook> {
    webhooks.sort_by_key(|webhook| (webhook.created_at, webhook.id));
    webhooks
}

fn webhook(mut row: Row) -> StoreResult<IncomingWebhook> {
    Ok(IncomingWebhook {
        id: row.take(0)?,
        account_id: row.take(1)?,
        user_id: row.take(2)?,
        name: row.take(3)?,
        token_hash: row.take(4)?,
        created_at: row.take(5)?,
    })
}
