//! Messages sent and received, and the outbox.

use async_trait::async_trait;

use super::{Page, PageRequest, Recorded, StoreResult};
use crate::domain::{
    ids::{AccountId, MessageId},
    message::{Message, MessageStatus},
    time::Timestamp,
};

#[async_trait]
pub trait MessageStore: Send + Sync {
    /// A second message under the same id changes nothing.
    async fn record(&self, message: Message) -> StoreResult<Recorded>;
    /// Moves a message on by its own id. A status that ranks lower than the stored one changes nothing.
    async fn progress(
        &self,
        id: MessageId,
        status: MessageStatus,
        provider_id: Option<String>,
        error: Option<String>,
        at: Timestamp,
    ) -> StoreResult<Recorded>;
    /// Ties a message to the provider's id for it, unless it is tied already. Returns the id that it is tied to.
    async fn bind(&self, id: MessageId, provider_id: String, at: Timestamp) -> StoreResult<String>;
    /// Replaces what a message says and between whom it went; where it stands stays as it is stored.
    async fn redact(&self, message: Message) -> StoreResult<()>;
    async fn get(&self, account_id: AccountId, id: MessageId) -> StoreResult<Message>;
    async fn by_provider_id(&self, account_id: AccountId, provider_id: &str) -> StoreResult<Option<Message>>;
    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<Message>>;
}
