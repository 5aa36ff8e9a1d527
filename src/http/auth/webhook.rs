//! Who posts to an incoming webhook: whoever has its address.
//!
//! In: the person and the token in the address. Out: the webhook, or the same 404 for whatever opens nothing. A token of this kind
//! opens nothing else, and no other token opens this door.

use std::net::IpAddr;

use super::{
    Gate,
    throttle::Trying,
    token::{self, Shown, TokenKind},
};
use crate::{
    clock,
    domain::ids::{UserId, WebhookId},
    http::error::ApiError,
    store::webhooks::IncomingWebhook,
};

impl Gate {
    /// Returns the webhook that an address belongs to, with one event taken from its allowance.
    ///
    /// # Errors
    /// [`ApiError::Missing`] for an address that is none, [`ApiError::Throttled`] for one that guesses or sends too much,
    /// [`ApiError::Unavailable`] when the store does not answer.
    pub async fn webhook_of(
        &self,
        user_id: UserId,
        token: &str,
        origin: Option<IpAddr>,
    ) -> Result<IncomingWebhook, ApiError> {
        let Some(webhook) = self.find_webhook(user_id, token).await? else {
            self.throttle().take_address(Trying::Webhook, origin).await?;
            return Err(ApiError::Missing { what: "webhook" });
        };
        self.throttle().take_webhook(webhook.id)?;
        Ok(webhook)
    }

    /// Forgets a webhook at once: its token was replaced, or it is gone.
    pub fn forget_webhook(&self, id: WebhookId) {
        self.parts.webhooks.forget(|webhook| webhook.id == id);
    }

    async fn find_webhook(&self, user_id: UserId, token: &str) -> Result<Option<IncomingWebhook>, ApiError> {
        let Some(Shown {
            kind: TokenKind::Webhook,
            hash,
        }) = Shown::of(token)
        else {
            return Ok(None);
        };
        let now = clock::now();
        if let Some(known) = self.parts.webhooks.get(&hash, now) {
            return Ok(Some(known).filter(|known| known.user_id == user_id));
        }
        let all = self.parts.store.webhooks.of_user(user_id).await?;
        let found = all
            .into_iter()
            .find(|webhook| token::is_same(&webhook.token_hash, &hash));
        if let Some(webhook) = &found {
            self.parts.webhooks.put(hash, webhook.clone(), now, None);
        }
        Ok(found)
    }
}
