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
        ids::{DeliveryId, LeadId, ObservationId, UserId},
        observation::{EventType, Observation},
        redaction,
        time::Timestamp,
        webhook_rule::{Delivery, DeliveryOutcome, WebhookRule},
    },
    http::{
        auth::Origin,
        context::Context,
        error::{Accepted, ApiError, ApiResult},
        idempotency,
        json::{self, Path, Raw},
        webhook_desk::{Meant, meant, opened, source_of},
    },
    integrations::incoming::{Arrived, Refusal, check_signature, translate},
    store::{Recorded, webhooks::IncomingWebhook},
    workflows::trigger,
};

/// Longest name of an event.
const TRIGGER_CHARS_MAX: usize = 100;
/// As much of a body is shown, and can be replayed.
const BODY_BYTES_SHOWN: usize = 16 << 10;
/// Headers that say what a body is.
const HEADERS_KEPT: [&str; 3] = ["content-type", "x-shopify-topic", "x-shopify-webhook-id"];
/// Headers that say who signed it.
const SIGNATURES: [&str; 3] = [
    "stripe-signature",
    "x-shopify-hmac-sha256",
    "calendly-webhook-signature",
];
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
/// The address says who may: there is no other authorization. Answered after the event is on disk. A webhook with a source (`PUT
/// /api/webhooks/{id}/source`) takes what that service sends in place of this body, and refuses (403) what it has not signed.
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
    Raw(body): Raw,
) -> ApiResult<Accepted<EventAccepted>> {
    let rule = context.webhooks.rule_of(webhook.account_id, webhook.id).await?;
    let mut delivery = delivery_of(&headers, &body);
    let taken = match &rule {
        None => plainly(&webhook, &headers, &body),
        Some(rule) => signer(&context, &webhook, rule, (&delivery, &body)).and_then(|signed_by| {
            delivery.signed_by = signed_by;
            mapped(&webhook, rule, &delivery, &body)
        }),
    };
    let taken = match taken {
        Ok(arrival) => take_in(&context, &webhook, arrival).await,
        Err(error) => Err(error),
    };
    noted(&context, &webhook, delivery, taken).map(Accepted)
}

/// Takes a request in that came before, as a new event.
///
/// # Errors
/// [`ApiError::Conflict`] when the service that the webhook belongs to had not signed it; else as for a request that comes now.
pub async fn again(
    context: &Context,
    webhook: &IncomingWebhook,
    before: Delivery,
) -> ApiResult<EventAccepted> {
    let rule = context.webhooks.rule_of(webhook.account_id, webhook.id).await?;
    if let Some(source) = rule.as_deref().map(source_of).filter(|source| source.signs())
        && before.signed_by.as_deref() != Some(source.as_str())
    {
        return Err(ApiError::Conflict {
            code: "not_signed",
            detail: format!(
                "{} did not sign this request: only what it signed is taken in",
                source.as_str()
            ),
        });
    }
    let delivery = Delivery {
        id: DeliveryId::fresh(),
        at: clock::now(),
        replay_of: Some(before.id),
        ..before
    };
    let arrival = match &rule {
        None => plainly(webhook, &HeaderMap::new(), delivery.body.as_bytes()),
        Some(rule) => mapped(webhook, rule, &delivery, delivery.body.as_bytes()),
    };
    let taken = match arrival {
        Ok(arrival) => {
            let fresh = Arrival {
                id: ObservationId::fresh(),
                ..arrival
            };
            take_in(context, webhook, fresh).await
        }
        Err(error) => Err(error),
    };
    noted(context, webhook, delivery, taken)
}

/// An event, read.
struct Arrival {
    id: ObservationId,
    /// `None`: the mapping leaves it out.
    kind: Option<EventType>,
    subject: Option<Subject>,
    data: Map<String, Value>,
}

/// What became of an event.
struct Taken {
    kind: Option<EventType>,
    lead_id: Option<LeadId>,
    accepted: EventAccepted,
}

/// Reads a request in our own words.
fn plainly(webhook: &IncomingWebhook, headers: &HeaderMap, body: &[u8]) -> ApiResult<Arrival> {
    let posted: PostedEvent = if headers.is_empty() {
        json::parse(body)?
    } else {
        json::from_body(headers, body)?
    };
    let id = id_of(webhook, posted.id.as_deref(), headers)?;
    let mut data = posted.data;
    let kind = match kind_of(posted.trigger.as_deref(), webhook)? {
        Kind::Ours(kind) => kind,
        Kind::Named(name) => named(webhook, name, &mut data),
    };
    Ok(Arrival {
        id,
        kind: Some(kind),
        subject: posted.subject.or_else(|| named_in(&data)),
        data,
    })
}

/// The service that signed a request; `None` where the one that the mapping names signs nothing.
fn signer(
    context: &Context,
    webhook: &IncomingWebhook,
    rule: &WebhookRule,
    (delivery, body): (&Delivery, &[u8]),
) -> ApiResult<Option<String>> {
    let source = source_of(rule);
    if !source.signs() {
        return Ok(None);
    }
    let Some(sealed) = &rule.sealed_secret else {
        return Err(forged("no secret is set to check its signature with".to_owned()));
    };
    let secret = opened(context, webhook.id, sealed)?;
    check_signature(source, &secret, arrived(delivery, body)).map_err(refused)?;
    Ok(Some(source.as_str().to_owned()))
}

/// Reads a request in the words of the service that posts it.
fn mapped(
    webhook: &IncomingWebhook,
    rule: &WebhookRule,
    delivery: &Delivery,
    body: &[u8],
) -> ApiResult<Arrival> {
    let read = translate(source_of(rule), arrived(delivery, body)).map_err(refused)?;
    let mut data = read.data.clone();
    let kind = match meant(rule, &webhook.name, &read) {
        Meant::Ours(kind) => Some(kind),
        Meant::Named(name) => Some(named(webhook, &name, &mut data)),
        Meant::Nothing => None,
    };
    Ok(Arrival {
        id: id_of(webhook, read.id.as_deref(), &HeaderMap::new())?,
        kind,
        subject: named_in(&data),
        data,
    })
}

fn arrived<'a>(delivery: &'a Delivery, body: &'a [u8]) -> Arrived<'a> {
    Arrived {
        headers: &delivery.headers,
        body,
        at: clock::now(),
    }
}

fn refused(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Forged(why) => forged(why),
        Refusal::Unreadable(why) => ApiError::field("", why),
    }
}

fn forged(detail: String) -> ApiError {
    ApiError::Refused {
        code: "bad_signature",
        detail,
    }
}

/// Marks the data of an event that is matched by its name.
fn named(webhook: &IncomingWebhook, name: &str, data: &mut Map<String, Value>) -> EventType {
    data.insert(
        trigger::WEBHOOK_FIELD.to_owned(),
        json!({"id": webhook.id, "name": name}),
    );
    EventType::WEBHOOK
}

/// Keeps an event with what follows from it.
async fn take_in(context: &Context, webhook: &IncomingWebhook, mut arrival: Arrival) -> ApiResult<Taken> {
    redaction::redact_fields(&mut arrival.data);
    let Some(kind) = arrival.kind else {
        return Ok(Taken {
            kind: None,
            lead_id: None,
            accepted: EventAccepted {
                event_id: arrival.id,
                duplicate: false,
            },
        });
    };
    let lead_id = match arrival.subject {
        Some(subject) => Some(lead_of(context, webhook.account_id, subject).await?),
        None => None,
    };
    let observation = Observation {
        id: arrival.id,
        account_id: webhook.account_id,
        kind: kind.clone(),
        at: clock::now(),
        lead_id,
        call_id: None,
        caused_by: None,
        trace: None,
        data: Value::Object(arrival.data),
    };
    let recorded = context.leads.observe(observation).await?;
    Ok(Taken {
        kind: Some(kind),
        lead_id,
        accepted: EventAccepted {
            event_id: arrival.id,
            duplicate: recorded == Recorded::Duplicate,
        },
    })
}

/// A request as it is shown later.
fn delivery_of(headers: &HeaderMap, body: &[u8]) -> Delivery {
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok());
    // Before it is cut: half a number is not known for one.
    let redacted = redaction::redact_body(kind.unwrap_or_default(), &String::from_utf8_lossy(body));
    let shown = redacted.as_bytes();
    let shown = shown.get(..BODY_BYTES_SHOWN).unwrap_or(shown);
    let headers = headers
        .iter()
        .filter(|(name, _)| HEADERS_KEPT.contains(&name.as_str()) || is_signature(name.as_str()))
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    Delivery {
        id: DeliveryId::fresh(),
        at: clock::now(),
        outcome: DeliveryOutcome::Accepted,
        event: None,
        event_id: None,
        lead_id: None,
        error: None,
        headers,
        body: String::from_utf8_lossy(shown).into_owned(),
        is_whole: shown.len() == redacted.len() && std::str::from_utf8(body).is_ok(),
        signed_by: None,
        replay_of: None,
    }
}

fn is_signature(header: &str) -> bool {
    SIGNATURES.contains(&header)
}

/// Takes note of what became of a request; signatures are not kept.
fn noted(
    context: &Context,
    webhook: &IncomingWebhook,
    mut delivery: Delivery,
    taken: ApiResult<Taken>,
) -> ApiResult<EventAccepted> {
    delivery.headers.retain(|name, _| !is_signature(name));
    match &taken {
        Ok(taken) => {
            delivery.outcome = match &taken.kind {
                None => DeliveryOutcome::Ignored,
                Some(_) if taken.accepted.duplicate => DeliveryOutcome::Duplicate,
                Some(_) => DeliveryOutcome::Accepted,
            };
            delivery.event = taken.kind.as_ref().map(|kind| kind.as_str().to_owned());
            delivery.event_id = taken.kind.as_ref().map(|_| taken.accepted.event_id);
            delivery.lead_id = taken.lead_id;
        }
        Err(error) => {
            delivery.outcome = DeliveryOutcome::Refused;
            delivery.error = Some(redaction::redact(&error.problem().detail));
        }
    }
    context.webhooks.note((webhook.account_id, webhook.id), delivery);
    taken.map(|taken| taken.accepted)
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
