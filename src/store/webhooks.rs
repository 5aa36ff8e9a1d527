//! Incoming webhooks: addresses of an account that others post events to.

use async_trait::async_trait;

use super::StoreResult;
use crate::domain::{
    ids::{AccountId, UserId, WebhookId},
    time::Timestamp,
};

/// One address. Its token is kept as SHA-256 only.
#[derive(Debug, Clone, PartialEq)]
pub struct IncomingWebhook {
    pub id: WebhookId,
    pub account_id: AccountId,
    /// Who made it: a part of the address.
    pub user_id: UserId,
    pub name: String,
    pub token_hash: [u8; 32],
    pub created_at: Timestamp,
}

#[async_trait]
pub trait WebhookStore: Send + Sync {
    async fn create(&self, webhook: IncomingWebhook) -> StoreResult<()>;
    /// Oldest first.
    async fn list(&self, account_id: AccountId) -> StoreResult<Vec<IncomingWebhook>>;
    /// Those that a person made, oldest first. For the door, which knows no more than the address says.
    async fn of_user(&self, user_id: UserId) -> StoreResult<Vec<IncomingWebhook>>;
    /// Replaces the token: the one before opens nothing any more.
    async fn rotate(
        &self,
        account_id: AccountId,
        id: WebhookId,
        token_hash: [u8; 32],
    ) -> StoreResult<IncomingWebhook>;
    async fn delete(&self, account_id: AccountId, id: WebhookId) -> StoreResult<()>;
}
