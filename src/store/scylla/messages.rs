//! Messages in CQL. Which message a provider's id belongs to is looked up in a table of its own; the message decides.

use async_trait::async_trait;

use super::{
    errors::missing,
    fields::values,
    positions::place,
    revised::{Change, Revised},
    rows::Scylla,
};
use crate::{
    domain::{
        ids::{AccountId, MessageId},
        message::{Message, MessageStatus},
        time::Timestamp,
    },
    store::{
        MessageStore, Page, PageRequest, Recorded, StoreResult,
        cursor::{List, Position, Window},
    },
};

const TABLE: Revised = Revised {
    read: "SELECT revision, body FROM messages WHERE id = ?",
    write: "UPDATE messages SET revision = ?, body = ? WHERE id = ? IF revision = ?",
};
const NAME: &str = "INSERT INTO messages_by_provider (account, provider_id, message) VALUES (?, ?, ?)";
const NAMED: &str = "SELECT message FROM messages_by_provider WHERE account = ? AND provider_id = ?";

#[async_trait]
impl MessageStore for Scylla {
    async fn record(&self, message: Message) -> StoreResult<Recorded> {
        let position = place(message.created_at, message.id.as_bytes());
        self.put_position(message.account_id, List::Messages, position)
            .await?;
        self.name(&message, message.provider_id.as_deref()).await?;
        Ok(self.make(&TABLE, &values![message.id], &message).await?.into())
    }

    async fn progress(
        &self,
        id: MessageId,
        status: MessageStatus,
        provider_id: Option<String>,
        error: Option<String>,
        at: Timestamp,
    ) -> StoreResult<Recorded> {
        if provider_id.is_some() {
            let stored = self.message(id).await?;
            self.name(&stored, provider_id.as_deref()).await?;
        }
        self.revise(&TABLE, &values![id], |before: Message| {
            if status < before.status {
                return Ok(Change::Keep(Recorded::Duplicate));
            }
            let mut message = Message {
                status,
                ..before.clone()
            };
            message.provider_id = provider_id.clone().or(message.provider_id);
            message.error = error.clone().or(message.error);
            if message == before {
                return Ok(Change::Keep(Recorded::Duplicate));
            }
            message.updated_at = at;
            Ok(Change::Write(message, Recorded::Fresh))
        })
        .await?
        .ok_or_else(|| missing("message", id))
    }

    async fn bind(&self, id: MessageId, provider_id: String, at: Timestamp) -> StoreResult<String> {
        let stored = self.message(id).await?;
        if let Some(holder) = stored.provider_id {
            return Ok(holder);
        }
        self.name(&stored, Some(&provider_id)).await?;
        self.revise(&TABLE, &values![id], |mut message: Message| {
            if let Some(holder) = message.provider_id {
                return Ok(Change::Keep(holder));
            }
            message.provider_id = Some(provider_id.clone());
            message.updated_at = at;
            Ok(Change::Write(message, provider_id.clone()))
        })
        .await?
        .ok_or_else(|| missing("message", id))
    }

    async fn redact(&self, message: Message) -> StoreResult<()> {
        let (id, account) = (message.id, message.account_id);
        self.revise(&TABLE, &values![id], |stored: Message| {
            if stored.account_id != account {
                return Err(missing("message", id));
            }
            let redacted = Message {
                status: stored.status,
                provider_id: stored.provider_id,
                updated_at: stored.updated_at,
                ..message.clone()
            };
            Ok(Change::Write(redacted, ()))
        })
        .await?
        .ok_or_else(|| missing("message", id))
    }

    async fn get(&self, account_id: AccountId, id: MessageId) -> StoreResult<Message> {
        let message = self.message(id).await?;
        if message.account_id == account_id {
            Ok(message)
        } else {
            Err(missing("message", id))
        }
    }

    async fn by_provider_id(&self, account_id: AccountId, provider_id: &str) -> StoreResult<Option<Message>> {
        for mut row in self.select(NAMED, values![account_id, provider_id]).await? {
            let id: MessageId = row.take(0)?;
            let message: Option<Message> = self.find(&TABLE, &values![id]).await?;
            let is_named = |message: &Message| {
                message.account_id == account_id && message.provider_id.as_deref() == Some(provider_id)
            };
            if let Some(message) = message.filter(is_named) {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<Message>> {
        let window = Window::of(List::Messages, &page)?;
        self.page_of(
            account_id,
            List::Messages,
            &window,
            |position: Position| async move {
                let message: Option<Message> = self.find(&TABLE, &values![position.id]).await?;
                Ok(message.filter(|message| {
                    message.account_id == account_id
                        && place(message.created_at, message.id.as_bytes()) == position
                }))
            },
        )
        .await
    }
}

impl Scylla {
    async fn message(&self, id: MessageId) -> StoreResult<Message> {
        self.find(&TABLE, &values![id])
            .await?
            .ok_or_else(|| missing("message", id))
    }

    /// Notes the provider's id of a message, before the message says so.
    async fn name(&self, message: &Message, provider_id: Option<&str>) -> StoreResult<()> {
        let Some(provider_id) = provider_id else {
            return Ok(());
        };
        self.write(NAME, values![message.account_id, provider_id, message.id])
            .await
    }
}
