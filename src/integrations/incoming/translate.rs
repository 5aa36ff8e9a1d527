//! Which service speaks, and what all of them come to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{calendly, form, shopify, stripe};
use crate::domain::{observation::EventType, secret::Secret, time::Timestamp};

/// Who posts to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Stripe,
    Shopify,
    Calendly,
    /// A form of a web page: fields, as `application/x-www-form-urlencoded` or as a flat JSON object.
    Form,
}

impl Source {
    /// Whether what it posts is signed.
    #[must_use]
    pub const fn signs(self) -> bool {
        match self {
            Self::Stripe | Self::Shopify | Self::Calendly => true,
            Self::Form => false,
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Shopify => "shopify",
            Self::Calendly => "calendly",
            Self::Form => "form",
        }
    }
}

/// A request as it came.
#[derive(Debug, Clone, Copy)]
pub struct Arrived<'a> {
    /// By their names in lower case.
    pub headers: &'a BTreeMap<String, String>,
    pub body: &'a [u8],
    pub at: Timestamp,
}

impl Arrived<'_> {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as a JSON object.
    pub(super) fn object(&self) -> Result<Map<String, Value>, Refusal> {
        serde_json::from_slice(self.body)
            .map_err(|_no_object| Refusal::Unreadable("the body is no JSON object".to_owned()))
    }
}

/// Why a request is not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Forged(String),
    #[error("{0}")]
    Unreadable(String),
}

/// What a request says, in our words.
#[derive(Debug, Clone, PartialEq)]
pub struct Translated {
    /// What the service calls it.
    pub word: String,
    /// Which of our events it is by itself; a mapping may say otherwise.
    pub kind: Option<EventType>,
    /// The service's own id: the same comes again when it did not hear us.
    pub id: Option<String>,
    /// What is known about it; `email` and `phone` say whom it is about.
    pub data: Map<String, Value>,
}

/// Checks that a request was signed with `secret`. A form signs nothing.
///
/// # Errors
/// [`Refusal::Forged`] when it was not, or long ago.
pub fn check_signature(source: Source, secret: &Secret, arrived: Arrived<'_>) -> Result<(), Refusal> {
    match source {
        Source::Stripe => stripe::check(secret, arrived),
        Source::Shopify => shopify::check(secret, arrived),
        Source::Calendly => calendly::check(secret, arrived),
        Source::Form => Ok(()),
    }
}

/// Reads a request, whoever signed it.
///
/// # Errors
/// [`Refusal::Unreadable`] when it is not what the service sends.
pub fn translate(source: Source, arrived: Arrived<'_>) -> Result<Translated, Refusal> {
    match source {
        Source::Stripe => stripe::read(arrived),
        Source::Shopify => shopify::read(arrived),
        Source::Calendly => calendly::read(arrived),
        Source::Form => form::read(arrived),
    }
}

/// The first of these paths that holds a text that is not empty.
pub(super) fn text_at(value: &Value, pointers: &[&str]) -> Option<String> {
    pointers.iter().find_map(|pointer| {
        let text = value.pointer(pointer)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    })
}

/// Adds what is known.
pub(super) fn put(data: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        data.insert(name.to_owned(), value.into());
    }
}

/// A number as services write them for people, in E.164 where it names its country.
pub(super) fn phone(text: Option<String>) -> Option<String> {
    let number: crate::domain::phone::PhoneNumber = text?.parse().ok()?;
    Some(number.to_string())
}
