//! Events: how other systems tell us what happened.

use axum::{Extension, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{lead_rules, leads};
use crate::{
    clock,
    domain::{
        ids::{AccountId, LeadId, ObservationId},
        lead::Lead,
        observation::{EventType, Observation},
        phone::PhoneNumber,
        redaction,
        time::Timestamp,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{Accepted, ApiError, ApiResult, FieldError},
        idempotency::RequestKey,
        json::Json,
        patch,
    },
    store::Recorded,
};

/// Longest name of an event.
const TYPE_CHARS_MAX: usize = 100;
/// Longest id that the sender may give.
pub(super) const ID_CHARS_MAX: usize = 255;
/// Kinds that only patchcord itself brings about: an opt-out that is only reported would not be kept.
pub(super) const RESERVED: [EventType; 3] =
    [EventType::MANUAL, EventType::SCHEDULE, EventType::LEAD_OPTED_OUT];

/// Why an event of one of [`RESERVED`] is not taken in, and what to do.
pub(super) fn reserved(kind: &EventType) -> String {
    let instead = if *kind == EventType::LEAD_OPTED_OUT {
        ": set `opted_out` or `opted_out_of` of the lead, which brings it about"
    } else {
        ""
    };
    format!("`{kind}` is brought about by patchcord alone{instead}")
}

/// Something that happened elsewhere.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEvent {
    /// One of our own kinds, or your own: lower-case words with dots. `manual` and `schedule` are ours alone;
    /// `webhook` starts the workflows whose trigger has the name in `data.name`.
    #[serde(rename = "type")]
    #[schema(
        example = "quote.sent",
        pattern = r"^[a-z0-9_]+(\.[a-z0-9_]+)*$",
        max_length = 100
    )]
    kind: String,
    /// Your id of it: the same id is taken in once, whenever it comes again.
    #[schema(min_length = 1, max_length = 255)]
    id: Option<String>,
    /// Whom it is about; nobody when left out.
    subject: Option<Subject>,
    /// What is known about it; workflows see it as `trigger.data`.
    #[serde(default)]
    #[schema(value_type = Object)]
    data: serde_json::Map<String, Value>,
}

/// Whom an event is about: exactly one of the three. An unknown phone number or e-mail address becomes a lead.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1, max_properties = 1)]
pub struct Subject {
    pub(super) lead_id: Option<LeadId>,
    #[schema(value_type = Option<String>, example = "+14155550100")]
    pub(super) phone: Option<PhoneNumber>,
    #[schema(format = "email", min_length = 3, max_length = 254)]
    pub(super) email: Option<String>,
}

/// The event is on disk; what follows from it goes on by itself.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EventAccepted {
    pub(super) event_id: ObservationId,
    /// Whether it was taken in before.
    pub(super) duplicate: bool,
}

/// Report an event
///
/// Answered after the event is on disk. Needs the role supervisor.
#[utoipa::path(post, path = "/api/events", tag = "events", operation_id = "reportEvent", request_body = NewEvent,
    responses((status = 202, description = "Taken in for good.", body = EventAccepted)))]
pub async fn report(
    State(context): State<Context>,
    caller: Caller,
    key: Option<Extension<RequestKey>>,
    Json(mut event): Json<NewEvent>,
) -> ApiResult<Accepted<EventAccepted>> {
    caller.must(Permission::StartRuns)?;
    redaction::redact_fields(&mut event.data);
    let kind = checked_kind(&event)?;
    let account_id = caller.account_id;
    let lead_id = match event.subject {
        None => None,
        Some(subject) => Some(lead_of(&context, account_id, subject).await?),
    };
    let id = id_of(
        account_id,
        event.id.as_deref(),
        key.as_ref().map(|Extension(key)| key),
    );
    let observation = Observation {
        id,
        account_id,
        kind,
        at: clock::now(),
        lead_id,
        call_id: None,
        caused_by: None,
        trace: None,
        data: Value::Object(event.data),
    };
    let recorded = context.leads.observe(observation).await?;
    Ok(Accepted(EventAccepted {
        event_id: id,
        duplicate: recorded == Recorded::Duplicate,
    }))
}

fn checked_kind(event: &NewEvent) -> ApiResult<EventType> {
    let mut errors = Vec::new();
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    if event.kind.len() > TYPE_CHARS_MAX || !event.kind.split('.').all(is_word) {
        errors.push(FieldError::new(
            "type",
            "expected lower-case words with dots, like `quote.sent`",
        ));
    }
    let kind = EventType::new(event.kind.clone());
    if RESERVED.contains(&kind) {
        errors.push(FieldError::new("type", reserved(&kind)));
    }
    let is_named = event
        .data
        .get("name")
        .and_then(Value::as_str)
        .is_some_and(|name| !name.trim().is_empty());
    if kind == EventType::WEBHOOK && !is_named {
        errors.push(FieldError::new("data.name", "a webhook's event carries its name"));
    }
    if let Some(id) = &event.id
        && !(1..=ID_CHARS_MAX).contains(&id.chars().count())
    {
        errors.push(FieldError::new(
            "id",
            format!("expected 1 to {ID_CHARS_MAX} characters"),
        ));
    }
    if errors.is_empty() {
        Ok(kind)
    } else {
        Err(ApiError::Invalid(errors))
    }
}

/// The id under which the event is taken in once: from the sender's own id, else from the key of the request.
fn id_of(account_id: AccountId, id: Option<&str>, key: Option<&RequestKey>) -> ObservationId {
    let account = account_id.as_bytes();
    // No time in it: a repeat comes later and must find the same id.
    let once = Timestamp::default();
    match (id, key) {
        (Some(id), _) => ObservationId::derived(once, &[b"event id", account, id.as_bytes()]),
        (None, Some(key)) => ObservationId::derived(once, &[b"request key", account, key.0.as_bytes()]),
        (None, None) => ObservationId::fresh(),
    }
}

/// The lead that an event is about; made when it is not known.
pub(super) async fn lead_of(context: &Context, account_id: AccountId, subject: Subject) -> ApiResult<LeadId> {
    match subject {
        Subject {
            lead_id: Some(id),
            phone: None,
            email: None,
        } => {
            let found = context.store.leads.get(account_id, id).await;
            Ok(found
                .map_err(|error| patch::reference("subject.lead_id", error))?
                .id)
        }
        Subject {
            lead_id: None,
            phone: Some(phone),
            email: None,
        } => {
            let lead = Lead {
                phone: Some(phone),
                ..nameless(context, account_id)
            };
            let (lead, is_new) = context.store.leads.find_or_create_by_phone(lead).await?;
            if is_new {
                leads::observe(
                    context,
                    &lead,
                    EventType::LEAD_CREATED,
                    json!({"source": "event"}),
                )
                .await?;
            }
            Ok(lead.id)
        }
        Subject {
            lead_id: None,
            phone: None,
            email: Some(email),
        } => {
            let email = lead_rules::email(&email)
                .map_err(|_| ApiError::field("subject.email", "expected an e-mail address"))?;
            if let Some(lead) = context.store.leads.by_email(account_id, &email).await? {
                return Ok(lead.id);
            }
            let lead = Lead {
                email: Some(email),
                ..nameless(context, account_id)
            };
            let id = lead.id;
            let told = vec![(EventType::LEAD_CREATED, json!({"source": "event"}))];
            context.leads.introduce(lead, told).await?;
            Ok(id)
        }
        _ => Err(ApiError::field(
            "subject",
            "expected exactly one of `lead_id`, `phone` and `email`",
        )),
    }
}

fn nameless(context: &Context, account_id: AccountId) -> Lead {
    Lead::nameless(context.leads.fresh_lead_id(), account_id, clock::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str) -> NewEvent {
        NewEvent {
            kind: kind.to_owned(),
            id: None,
            subject: None,
            data: serde_json::Map::new(),
        }
    }

    #[test]
    fn only_dotted_words_that_are_not_ours_are_kinds() {
        for good in ["quote.sent", "my_shop.order.paid", "a"] {
            assert!(checked_kind(&event(good)).is_ok(), "{good}");
        }
        for wrong in [
            "",
            "Quote.sent",
            ".a",
            "a..b",
            "a b",
            "manual",
            "lead.opted_out",
            &"a".repeat(101),
        ] {
            assert!(checked_kind(&event(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn one_sender_id_is_one_event_per_account() {
        let (mine, other) = (AccountId::fresh(), AccountId::fresh());
        let key = RequestKey("order-17".to_owned());
        assert_eq!(
            id_of(mine, Some("order-17"), None),
            id_of(mine, Some("order-17"), Some(&key))
        );
        assert_ne!(
            id_of(mine, Some("order-17"), None),
            id_of(other, Some("order-17"), None)
        );
        assert_ne!(id_of(mine, Some("order-17"), None), id_of(mine, None, Some(&key)));
        assert_ne!(id_of(mine, None, None), id_of(mine, None, None));
    }
}
