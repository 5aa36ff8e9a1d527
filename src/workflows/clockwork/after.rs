//! Waits after a fact: `quote.unpaid` and `purchase.completed` with `after`.

use std::time::Duration;

use serde_json::{Value, json};

use super::text;
use crate::{
    domain::{
        observation::{EventType, Observation},
        time::parse_span,
    },
    workflows::{definition::TriggerDefinition, problem::Problem},
};

/// Shortest wait of an `after`: the clock is looked at no more often.
const AFTER_MIN: Duration = Duration::from_secs(60);
/// Longest wait of an `after`: two years.
const AFTER_MAX: Duration = Duration::from_secs(731 * 86_400);

/// A wait after a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// The fact that is waited after.
    pub source: EventType,
    /// The fact that makes the wait pointless.
    pub unless: Option<EventType>,
    pub wait: Duration,
    written: String,
    kind: EventType,
}

/// Which kind of trigger waits after which fact, and which fact makes the wait pointless.
fn source_of(kind: &EventType) -> Option<(EventType, Option<EventType>)> {
    if *kind == EventType::QUOTE_UNPAID {
        Some((EventType::QUOTE_SENT, Some(EventType::PAYMENT_RECEIVED)))
    } else if *kind == EventType::PURCHASE_COMPLETED {
        Some((EventType::PURCHASE_COMPLETED, None))
    } else {
        None
    }
}

/// Reads the wait of a trigger; `None` when it has none.
///
/// # Errors
/// What is wrong with it.
pub(super) fn after_of(trigger: &TriggerDefinition) -> Result<Option<After>, Problem> {
    let Some((source, unless)) = source_of(&trigger.kind) else {
        return Ok(None);
    };
    let Some(written) = text(trigger, "after")? else {
        return Ok(None);
    };
    let refuse = |message: String, fix: &str| Err(Problem::new("trigger.after", "bad_span", message, fix));
    match parse_span(written) {
        Err(error) => refuse(format!("`{written}`: {error}"), "write it like 24h or 7d"),
        Ok(wait) if wait < AFTER_MIN || wait > AFTER_MAX => refuse(
            format!("`{written}` is out of bounds"),
            "use at least 1m and at most 731d",
        ),
        Ok(wait) => Ok(Some(After {
            source,
            unless,
            wait,
            written: written.to_owned(),
            kind: trigger.kind.clone(),
        })),
    }
}

impl After {
    /// The fact a run starts from once the wait is over, unless what happened `since` makes it pointless.
    #[must_use]
    pub fn observation(&self, source: &Observation, since: &[Observation]) -> Option<Observation> {
        if let Some(unless) = &self.unless
            && since
                .iter()
                .any(|fact| fact.kind == *unless && fact.at >= source.at && is_same_quote(source, fact))
        {
            return None;
        }
        let mut data = source.data.as_object().cloned().unwrap_or_default();
        data.insert("after".to_owned(), json!(self.written));
        data.insert("since".to_owned(), json!(source.at));
        Some(Observation {
            // With the fact's own id, the run of this workflow for this fact has one id whenever it is started.
            id: source.id,
            account_id: source.account_id,
            kind: self.kind.clone(),
            at: source.at,
            lead_id: source.lead_id,
            call_id: source.call_id,
            caused_by: source.caused_by,
            trace: source.trace,
            data: Value::Object(data),
        })
    }

    /// Whether `observation` is the end of this wait rather than its beginning.
    #[must_use]
    pub(in crate::workflows) fn is_over_in(&self, observation: &Observation) -> bool {
        observation.data.get("after").and_then(Value::as_str) == Some(self.written.as_str())
    }
}

/// Whether a payment may be for the quote: only when both name a quote and the names differ it is not.
fn is_same_quote(quote: &Observation, payment: &Observation) -> bool {
    match (quote.data.get("quote_id"), payment.data.get("quote_id")) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}
