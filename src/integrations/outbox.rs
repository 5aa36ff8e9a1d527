//! The built-in outbox: records what would have been sent. Nothing leaves the machine.
//!
//! For `patchcord dev` and `effects.mode = "outbox"`. Stands in for every provider, under the id that sending would use.

use async_trait::async_trait;
use serde_json::json;

use super::port::{EffectOutcome, EffectPort};
use crate::{
    domain::message::{Channel, Direction, Message, MessageStatus},
    store::{Store, StoreError},
    workflows::{Effect, Finding, Request},
};

/// Writes messages to the store instead of sending them.
pub struct Outbox {
    pub store: Store,
}

#[async_trait]
impl EffectPort for Outbox {
    async fn execute(&self, effect: &Effect) -> EffectOutcome {
        let Some(message) = message_of(effect, MessageStatus::Outbox, "") else {
            return EffectOutcome::permanent("no_message", "only messages go to the outbox");
        };
        match self.store.messages.record(message).await {
            Ok(_) => EffectOutcome::Confirmed {
                provider_id: None,
                output: output(effect),
            },
            Err(error) => EffectOutcome::store_failed(&error),
        }
    }

    async fn settle(&self, effect: &Effect) -> Finding {
        match self
            .store
            .messages
            .get(effect.account_id, effect.message_id())
            .await
        {
            Ok(_) => Finding::Present {
                provider_id: None,
                output: output(effect),
            },
            Err(StoreError::Missing { .. }) => Finding::Absent,
            Err(error) => Finding::CannotTell {
                reason: error.to_string(),
            },
        }
    }
}

fn output(effect: &Effect) -> serde_json::Value {
    json!({"message_id": effect.message_id(), "status": MessageStatus::Outbox})
}

/// The message an effect sends, the same for every attempt; `None` when it sends none. `from` is used where the effect names
/// no sender.
#[must_use]
pub fn message_of(effect: &Effect, status: MessageStatus, from: &str) -> Option<Message> {
    let (channel, from, to, body) = match &effect.request {
        Request::SendSms {
            to,
            body,
            from: sender,
        } => {
            let from = sender.as_ref().map_or(from, |sender| sender.as_str());
            (Channel::Sms, from, to.as_str(), body.clone())
        }
        Request::SlackMessage { channel, text } => (Channel::Slack, from, channel.as_str(), text.clone()),
        Request::WebhookRequest { url, body, .. } => (Channel::Webhook, from, url.as_str(), body.to_string()),
        Request::CreateTask { .. }
        | Request::RaiseAlert { .. }
        | Request::EditLead { .. }
        | Request::FindLeads { .. }
        | Request::RunWorkflow { .. } => return None,
    };
    Some(Message {
        id: effect.message_id(),
        account_id: effect.account_id,
        channel,
        direction: Direction::Outbound,
        from: from.to_owned(),
        to: to.to_owned(),
        body,
        status,
        provider_id: None,
        error: None,
        lead_id: effect.lead_id,
        run_id: Some(effect.run_id),
        created_at: effect.planned_at,
        updated_at: effect.planned_at,
    })
}
