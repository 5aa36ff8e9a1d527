//! The door for incoming webhooks: other systems tell us what happened, by an address that is its own key.

use axum::{
    extract::{FromRequestParts, State},
    http::{HeaderMap, request::Parts},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    events::{EventAccepted, ID_CHARS_MAX, RESERVED, Subject, lead_of, reserved},
    lead_rules,
};
use crate::{
    clock,
    domain::{
        ids::{ObservationId, UserId},
        observation::{EventType, Observation},
        time::Timestamp,
    },
    http::{
        auth::Origin,
        context::Context,
        error::{Accepted, ApiError, ApiResult},
        idempotency,
        json::{Json, Path},
    },
    store::{Recorded, webhooks::IncomingWebhook},
    workflows::trigger,
};

/// Longest name of an event.
const TRIGGER_CHARS_MAX: usize = 100;
/// Headers that name an event, for senders that cannot write `id` into the body: the first that is there counts.
const ID_HEADERS: [&str; 2] = [idempotency::HEADER, "webhook-id"];

/// Something that happened elsewhere.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostedEvent {
    /// One of our own kinds, with `_` or `.` between its words (`payment_received`), is that event. Any other starts the workflows
    /// whose `webhook` trigger has this name. The webhook's own name when left out.
    #[schema(example = "payment_received", min_length = 1, max_length = 100)]
    trigger: Option<String>,
    /// Your id of it: the same id is taken in once, whenever it comes again. The headers `Idempotency-Key` and `webhook-id` do the
    /// same.
    #[schema(min_length = 1, max_length = 255)]
    id: Option<String>,
    /// Whom it is about. When left out: whom `data` names by `lead_id`, `phone`, `customer_phone`, `email` or `customer_email`, else
    /// nobody.
    subject: Option<Subject>,
    /// What is known about it; workflows see it as `trigger.data`.
    #[serde(default)]
    #[schema(value_type = Object)]
    data: Map<String, Value>,
}

/// The webhook that the address of a request belongs to. Found before the body is read.
pub struct Sender(IncomingWebhook);

impl FromRequestParts<Context> for Sender {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, ApiError> {
        let Path((user_id, token)) = Path::<(UserId, String)>::from_request_parts(parts, context).await?;
        let Origin(address) = Origin::from_request_parts(parts, context)
            .await
            .unwrap_or(Origin(None));
        context.gate.webhook_of(user_id, &token, address).await.map(Self)
    }
}

/// Post an event to an incoming webhook
///
/// The address says who may: there is no other authorization. Answered after the event is on disk.
#[utoipa::path(post, path = "/api/webhooks/user/{user_id}/{webhook_token}", tag = "events", operation_id = "postToWebhook",
    security(()),
    params(("user_id" = UserId, Path, description = "Who made the webhook."),
        ("webhook_token" = String, Path, description = "The webhook's token, `pcw_…`.")),
    request_body = PostedEvent,
    responses((status = 202, description = "Taken in for good.", body = EventAccepted)))]
pub async fn receive(
    State(context): State<Context>,
    Sender(webhook): Sender,
    headers: HeaderMap,
    Json(posted): Json<PostedEvent>,
) -> ApiResult<Accepted<EventAccepted>> {
    let id = id_of(&webhook, posted.id.as_deref(), &headers)?;
    let mut data = posted.data;
    let kind = match kind_of(posted.trigger.as_deref(), &webhook)? {
        Kind::Ours(kind) => kind,
        Kind::Named(name) => {
            data.insert(
                trigger::WEBHOOK_FIELD.to_owned(),
                json!({"id": webhook.id, "name": name}),
            );
            EventType::WEBHOOK
        }
    };
    let lead_id = match posted.subject.or_else(|| named_in(&data)) {
        Some(subject) => Some(lead_of(&context, webhook.account_id, subject).await?),
        None => None,
    };
    let observation = Observation {
        id,
        account_id: webhook.account_id,
        kind,
        at: clock::now(),
        lead_id,
        call_id: None,
        caused_by: None,
        data: Value::Object(data),
    };
    let recorded = context.leads.observe(observation).await?;
    Ok(Accepted(EventAccepted {
        event_id: id,
        duplicate: recorded == Recorded::Duplicate,
    }))
}

/// What an event is.
#[derive(Debug, PartialEq)]
enum Kind<'a> {
    Ours(EventType),
    Named(&'a str),
}

fn kind_of<'a>(trigger: Option<&'a str>, webhook: &'a IncomingWebhook) -> ApiResult<Kind<'a>> {
    let Some(word) = trigger else {
        return Ok(Kind::Named(&webhook.name));
    };
    match EventType::ours(word) {
        Some(kind) if RESERVED.contains(&kind) => Err(ApiError::field("trigger", reserved(&kind))),
        Some(kind) if kind == EventType::WEBHOOK => Ok(Kind::Named(&webhook.name)),
        Some(kind) => Ok(Kind::Ours(kind)),
        None if word.trim().is_empty() || word.chars().count() > TRIGGER_CHARS_MAX => {
            let message = format!("expected 1 to {TRIGGER_CHARS_MAX} characters, not all of them blank");
            Err(ApiError::field("trigger", message))
        }
        None => Ok(Kind::Named(word)),
    }
}

/// Whom the data names, where it does so in our own words or as shops do.
fn named_in(data: &Map<String, Value>) -> Option<Subject> {
    let text = |name: &str| data.get(name).and_then(Value::as_str);
    let lead_id = text("lead_id").and_then(|id| id.parse().ok());
    let mut phones = ["phone", "customer_phone"].into_iter().filter_map(text);
    let phone = phones.find_map(|phone| phone.parse().ok());
    let mut emails = ["email", "customer_email"].into_iter().filter_map(text);
    let email = emails.find(|email| lead_rules::email(email).is_ok());
    let nobody = Subject::default();
    match (lead_id, phone, email) {
        (Some(lead_id), ..) => Some(Subject {
            lead_id: Some(lead_id),
            ..nobody
        }),
        (None, Some(phone), _) => Some(Subject {
            phone: Some(phone),
            ..nobody
        }),
        (None, None, Some(email)) => Some(Subject {
            email: Some(email.to_owned()),
            ..nobody
        }),
        (None, None, None) => None,
    }
}

/// The id under which the event is taken in once, where the sender names it: each webhook's senders count for themselves.
fn id_of(webhook: &IncomingWebhook, id: Option<&str>, headers: &HeaderMap) -> ApiResult<ObservationId> {
    let in_headers = || {
        ID_HEADERS
            .iter()
            .find_map(|name| headers.get(*name)?.to_str().ok())
    };
    let Some(id) = id.or_else(in_headers) else {
        return Ok(ObservationId::fresh());
    };
    if !(1..=ID_CHARS_MAX).contains(&id.chars().count()) {
        return Err(ApiError::field(
            "id",
            format!("expected 1 to {ID_CHARS_MAX} characters"),
        ));
    }
    // No time in it: a repeat comes later and must find the same id.
    let parts: [&[u8]; 3] = [b"webhook event", webhook.id.as_bytes(), id.as_bytes()];
    Ok(ObservationId::derived(Timestamp::default(), &parts))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::domain::ids::{AccountId, WebhookId};

    fn webhook() -> IncomingWebhook {
        IncomingWebhook {
            id: WebhookId::fresh(),
            account_id: AccountId::fresh(),
            user_id: UserId::fresh(),
            name: "orders".to_owned(),
            token_hash: [0; 32],
            created_at: Timestamp::default(),
        }
    }

    #[test]
    fn a_trigger_that_names_one_of_our_events_is_that_event_and_any_other_is_a_name() {
        let webhook = webhook();
        let kind = |word| kind_of(word, &webhook).expect("a kind");
        for word in ["payment_received", "payment.received"] {
            assert_eq!(kind(Some(word)), Kind::Ours(EventType::PAYMENT_RECEIVED));
        }
        assert_eq!(
            kind(Some("call_no_answer")),
            Kind::Ours(EventType::CALL_NO_ANSWER)
        );
        assert_eq!(kind(Some("New order!")), Kind::Named("New order!"));
        for own in [None, Some("webhook")] {
            assert_eq!(kind(own), Kind::Named("orders"));
        }
        for wrong in ["manual", "schedule", "", "  ", &"x".repeat(101)] {
            assert!(kind_of(Some(wrong), &webhook).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_event_is_named_by_its_body_or_a_header_and_each_webhook_counts_for_itself() {
        let (one, other) = (webhook(), webhook());
        let id = |webhook, id, header: Option<&'static str>| {
            let header = header.map(|name| (name.parse().expect("a name"), HeaderValue::from_static("7")));
            let headers: HeaderMap = header.into_iter().collect();
            id_of(webhook, id, &headers).expect("an id")
        };
        let seven = id(&one, Some("7"), None);
        assert_eq!(id(&one, None, Some("idempotency-key")), seven);
        assert_eq!(id(&one, None, Some("webhook-id")), seven);
        assert_ne!(id(&other, Some("7"), None), seven);
        assert_ne!(id(&one, None, None), id(&one, None, None));
        assert!(id_of(&one, Some(""), &HeaderMap::new()).is_err());
    }

    #[test]
    fn the_data_names_somebody_in_our_own_words_or_as_shops_do() {
        let named = |data: Value| named_in(data.as_object().expect("a map"));
        let by_phone = named(json!({"phone": "+14155550100", "email": "ann@example.com"}));
        assert!(by_phone.is_some_and(|subject| subject.phone.is_some() && subject.email.is_none()));
        assert!(named(json!({"email": "ann@example.com"})).is_some());
        let by_shop = named(json!({"customer_email": "john@example.com", "amount": 5000, "currency": "usd"}));
        assert!(by_shop.is_some_and(|subject| subject.email.as_deref() == Some("john@example.com")));
        assert!(named(json!({"lead_id": "crm-17", "email": "nobody", "phone": 7})).is_none());
    }
}
