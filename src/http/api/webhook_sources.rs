//! Mapping rules of incoming webhooks: which service posts there, what its words are with us, and the secret that it signs with.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    events::{RESERVED, reserved},
    webhook_deliveries::open_webhook,
};
use crate::{
    clock,
    domain::{
        ids::WebhookId, observation::EventType, secret::Secret, time::Timestamp, webhook_rule::WebhookRule,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult, Done, FieldError},
        json::{Json, Path},
        webhook_desk::{Meant, meant, rule_address, sealed, source_of},
    },
    integrations::incoming::{Arrived, Source, translate},
    store::{Recorded, StoreError, resources::ResourceRow},
};

/// Most words that a mapping names.
const WORDS_MAX: usize = 100;
/// Longest of them, and of the names that they are given.
const WORD_CHARS_MAX: usize = 100;
/// Longest secret.
const SECRET_CHARS_MAX: usize = 500;

/// Who posts to a webhook, and what its words are with us.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSource {
    source: Source,
    /// What the service signs with; what is not signed with it is refused. Left out: the one before stays. Stripe, Shopify and Calendly need
    /// one; a form has none. It is kept sealed and never shown.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500, example = "whsec_…")]
    secret: Option<Secret>,
    /// What the service's words are with us, beside or in place of the built-in ones: one of our events (`payment.received`), or a name that
    /// the `webhook` trigger matches; an empty text ignores it.
    #[serde(default)]
    #[schema(example = json!({"invoice.paid": "payment.received", "charge.updated": ""}))]
    events: BTreeMap<String, String>,
}

/// Who posts to a webhook.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SourceView {
    source: Source,
    /// Whether there is a secret to check signatures with.
    has_secret: bool,
    events: BTreeMap<String, String>,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A request to try the mapping on.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The body: a JSON object, or a text as it would be posted.
    #[schema(value_type = Object)]
    body: Value,
    /// Headers that matter: Shopify names its topic there.
    #[serde(default)]
    #[schema(example = json!({"X-Shopify-Topic": "orders/paid"}))]
    headers: BTreeMap<String, String>,
}

/// What a request would be.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TrialResult {
    /// What the service calls it.
    word: String,
    /// The event that workflows would hear of; null when it is ignored.
    event: Option<String>,
    /// What `webhook` triggers would match, when it is none of our own events.
    name: Option<String>,
    /// The id under which it would be taken in once.
    id: Option<String>,
    /// What workflows would see as `trigger.data`.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
}

impl From<WebhookRule> for SourceView {
    fn from(rule: WebhookRule) -> Self {
        Self {
            source: source_of(&rule),
            has_secret: rule.sealed_secret.is_some(),
            events: rule.events,
            updated_at: rule.updated_at,
        }
    }
}

/// Show who posts to a webhook
///
/// Null while it takes JSON as it is. Needs the role admin.
#[utoipa::path(get, path = "/api/webhooks/{id}/source", tag = "events", operation_id = "getWebhookSource",
    params(("id" = WebhookId, Path, description = "The webhook.")),
    responses((status = 200, description = "Its source, or null.", body = Option<SourceView>)))]
pub async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WebhookId>,
) -> ApiResult<Json<Option<SourceView>>> {
    caller.must(Permission::ManageWebhooks)?;
    open_webhook(&context, &caller, id).await?;
    let address = rule_address(caller.account_id, id);
    match context.store.resources.get(address).await {
        Ok(row) => Ok(Json(Some(row.read::<WebhookRule>()?.into()))),
        Err(StoreError::Missing { .. }) => Ok(Json(None)),
        Err(error) => Err(error.into()),
    }
}

/// Say who posts to a webhook
///
/// From then on its address takes what that service sends, and nothing else: Stripe, Shopify and Calendly in their own words and with their signature, or
/// the fields of a form. Needs the role admin.
#[utoipa::path(put, path = "/api/webhooks/{id}/source", tag = "events", operation_id = "setWebhookSource",
    params(("id" = WebhookId, Path, description = "The webhook.")), request_body = NewSource,
    responses((status = 200, description = "Its source.", body = SourceView)))]
pub async fn put(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WebhookId>,
    Json(wanted): Json<NewSource>,
) -> ApiResult<Json<SourceView>> {
    caller.must(Permission::ManageWebhooks)?;
    open_webhook(&context, &caller, id).await?;
    check(&wanted)?;
    let address = rule_address(caller.account_id, id);
    let stored = match context.store.resources.get(address).await {
        Ok(row) => Some(row),
        Err(StoreError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let before: Option<WebhookRule> = stored.as_ref().map(ResourceRow::read).transpose()?;
    let kept = before
        .as_ref()
        .filter(|before| before.source == wanted.source.as_str())
        .and_then(|before| before.sealed_secret.clone());
    let sealed_secret = match &wanted.secret {
        Some(secret) => Some(sealed(&context, id, secret)?),
        None => kept,
    };
    if wanted.source.signs() && sealed_secret.is_none() {
        let message =
            "give the secret that the service signs with: it is shown where the service's webhook was made";
        return Err(ApiError::field("secret", message));
    }
    let now = clock::now();
    let rule = WebhookRule {
        webhook_id: id,
        account_id: caller.account_id,
        source: wanted.source.as_str().to_owned(),
        sealed_secret: sealed_secret.filter(|_| wanted.source.signs()),
        events: wanted.events,
        created_at: before.map_or(now, |before| before.created_at),
        updated_at: now,
    };
    let written = match &stored {
        Some(row) => context
            .store
            .resources
            .replace(row.next(&rule)?)
            .await
            .map(|()| Recorded::Fresh),
        None => context.store.resources.create(ResourceRow::first(&rule)?).await,
    };
    if written? == Recorded::Duplicate {
        return Err(StoreError::Busy.into());
    }
    context.webhooks.forget(id);
    tracing::info!(webhook_id = %id, source = rule.source, by = %caller.user_id, "source of an incoming webhook set");
    Ok(Json(rule.into()))
}

/// Let a webhook take any JSON again
///
/// Needs the role admin.
#[utoipa::path(delete, path = "/api/webhooks/{id}/source", tag = "events", operation_id = "deleteWebhookSource",
    params(("id" = WebhookId, Path, description = "The webhook.")),
    responses((status = 204, description = "Gone.")))]
pub async fn delete(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WebhookId>,
) -> ApiResult<Done> {
    caller.must(Permission::ManageWebhooks)?;
    open_webhook(&context, &caller, id).await?;
    context
        .store
        .resources
        .delete(rule_address(caller.account_id, id))
        .await?;
    context.webhooks.forget(id);
    Ok(Done)
}

/// Try what a request to a webhook would be
///
/// Nothing is kept, nothing starts, and no signature is asked for. Needs the role admin.
#[utoipa::path(post, path = "/api/webhooks/{id}/test", tag = "events", operation_id = "testWebhook",
    params(("id" = WebhookId, Path, description = "The webhook.")), request_body = Trial,
    responses((status = 200, description = "What it would be.", body = TrialResult)))]
pub async fn test(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WebhookId>,
    Json(trial): Json<Trial>,
) -> ApiResult<Json<TrialResult>> {
    caller.must(Permission::ManageWebhooks)?;
    let webhook = open_webhook(&context, &caller, id).await?;
    let row = match context
        .store
        .resources
        .get(rule_address(caller.account_id, id))
        .await
    {
        Ok(row) => row,
        Err(StoreError::Missing { .. }) => {
            return Err(ApiError::Conflict {
                code: "no_source",
                detail: "this webhook takes JSON as it is: say who posts to it first (PUT …/source)"
                    .to_owned(),
            });
        }
        Err(error) => return Err(error.into()),
    };
    let rule: WebhookRule = row.read()?;
    let body = match &trial.body {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let mut headers: BTreeMap<String, String> = trial
        .headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.clone()))
        .collect();
    if !trial.body.is_string() {
        headers
            .entry("content-type".to_owned())
            .or_insert_with(|| "application/json".to_owned());
    }
    let arrived = Arrived {
        headers: &headers,
        body: body.as_bytes(),
        at: clock::now(),
    };
    let read = translate(source_of(&rule), arrived)
        .map_err(|refusal| ApiError::field("body", refusal.to_string()))?;
    let meaning = meant(&rule, &webhook.name, &read);
    Ok(Json(TrialResult {
        event: match &meaning {
            Meant::Ours(kind) => Some(kind.as_str().to_owned()),
            Meant::Named(_) => Some(EventType::WEBHOOK.as_str().to_owned()),
            Meant::Nothing => None,
        },
        name: match meaning {
            Meant::Named(name) => Some(name),
            Meant::Ours(_) | Meant::Nothing => None,
        },
        word: read.word,
        id: read.id,
        data: read.data,
    }))
}

fn check(wanted: &NewSource) -> ApiResult<()> {
    let mut errors = Vec::new();
    if let Some(secret) = &wanted.secret
        && !(1..=SECRET_CHARS_MAX).contains(&secret.expose().trim().chars().count())
    {
        let message = format!("expected 1 to {SECRET_CHARS_MAX} characters");
        errors.push(FieldError::new("secret", message));
    }
    if wanted.events.len() > WORDS_MAX {
        errors.push(FieldError::new(
            "events",
            format!("expected at most {WORDS_MAX} words"),
        ));
    }
    for (word, event) in &wanted.events {
        let is_long = |text: &str| text.chars().count() > WORD_CHARS_MAX;
        if word.trim().is_empty() || is_long(word) || is_long(event) {
            let message = format!("expected words of 1 to {WORD_CHARS_MAX} characters");
            errors.push(FieldError::new(format!("events.{word}"), message));
        } else if let Some(kind) = EventType::ours(event).filter(|kind| RESERVED.contains(kind)) {
            errors.push(FieldError::new(format!("events.{word}"), reserved(&kind)));
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(ApiError::Invalid(errors))
    }
}
