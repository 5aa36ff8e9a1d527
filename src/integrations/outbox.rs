//! The built-in outbox: records what would have been sent. Nothing leaves the machine.
//!
//! For `patchcord dev` and `effects.mode = "outbox"`. Stands in for every provider, under the id that sending would use.

use async_trait::async_trait;
use serde_json::json;

use super::port::{EffectOutcome, EffectPort};
use crate::{
    domain::{
        call::CallPlan,
        message::{Channel, Direction, Message, MessageStatus},
    },
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
    let mut output = json!({"message_id": effect.message_id(), "status": MessageStatus::Outbox});
    if matches!(effect.request, Request::PlaceCall { wait_ms: Some(_), .. }) {
        output["outcome"] = json!("not_placed");
    }
    output
}

/// The message an effect sends, the same for every attempt; `None` when it sends none. `from` is used where the effect names
/// no sender.
#[must_use]
pub fn message_of(effect: &Effect, status: MessageStatus, from: &str) -> Option<Message> {
    let (channel, sender, to, body) = form_of(&effect.request)?;
    Some(Message {
        id: effect.message_id(),
        account_id: effect.account_id,
        channel,
        direction: Direction::Outbound,
        from: sender.unwrap_or_else(|| from.to_owned()),
        to,
        call: plan_of(&effect.request),
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

fn plan_of(request: &Request) -> Option<CallPlan> {
    match request {
        Request::PlaceCall { plan, .. } => Some(plan.clone()),
        _ => None,
    }
}

/// Channel, sender where the request names one, receiver and text of what a request sends.
fn form_of(request: &Request) -> Option<(Channel, Option<String>, String, String)> {
    Some(match request {
        Request::SendSms { to, body, from } => {
            let from = from.as_ref().map(|from| from.as_str().to_owned());
            (Channel::Sms, from, to.as_str().to_owned(), body.clone())
        }
        Request::PlaceCall { to, from, plan, .. } => {
            let from = from.as_ref().map(|from| from.as_str().to_owned());
            (Channel::Call, from, to.as_str().to_owned(), plan.words())
        }
        Request::SendEmail(email) => {
            let body = format!("{}\n\n{}", email.subject, email.text);
            (Channel::Email, None, email.to.join(", "), body)
        }
        Request::SlackMessage { channel, text } => (Channel::Slack, None, channel.clone(), text.clone()),
        Request::WebhookRequest { url, body, .. } => (Channel::Webhook, None, url.clone(), body.to_string()),
        Request::ZapierHook { url, body } => (Channel::Zapier, None, url.clone(), body.to_string()),
        Request::CalendarEvent(event) => {
            let calendar = event.calendar.clone().unwrap_or_else(|| "primary".to_owned());
            (Channel::Calendar, None, calendar, json!(event).to_string())
        }
        Request::SheetRow(row) => {
            let cells = json!(row.cells).to_string();
            (Channel::Sheet, None, row.spreadsheet.clone(), cells)
        }
        Request::StripeCredit(credit) => {
            let body = json!(credit).to_string();
            (Channel::Stripe, None, credit.customer.clone(), body)
        }
        Request::StripeCoupon(coupon) => {
            let body = json!(coupon).to_string();
            (Channel::Stripe, None, coupon.name.clone(), body)
        }
        Request::CreateTask { .. }
        | Request::RaiseAlert { .. }
        | Request::EditLead { .. }
        | Request::FindLeads { .. }
        | Request::RunScript { .. }
        | Request::RunWorkflow { .. } => return None,
    })
}
