//! What providers' errors mean and what to do about them, for the person who reads a run's history.
//!
//! In: a provider and its code, as failures carry it. Out: words. Used in failures' messages and served whole by the API.
//! Codes split without notice: what is not listed is shown as it came. Sources: <https://www.twilio.com/docs/api/errors>,
//! RFC 5321 and 3463, <https://www.twilio.com/docs/sendgrid/api-reference>, <https://api.slack.com/methods/chat.postMessage>.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::workflows::{Failure, Provider};

static ENTRIES: LazyLock<Vec<CatalogueEntry>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("error_catalogue.json")).expect("a test reads the whole file")
});

/// One error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogueEntry {
    /// Whose error it is: `twilio`, `smtp`, `sendgrid`, `slack`, `http`, or `patchcord` for our own.
    pub source: String,
    /// As failures carry it: `21211`, `smtp_550`, `http_404`, `channel_not_found`.
    pub code: String,
    pub what_happened: String,
    pub what_to_do: String,
}

/// Every error that is listed, by source and code.
#[must_use]
pub fn all() -> &'static [CatalogueEntry] {
    &ENTRIES
}

/// Returns what is known about a failure's code; `None` when nothing is.
#[must_use]
pub fn entry(provider: Provider, code: &str) -> Option<&'static CatalogueEntry> {
    let sources: &[&str] = match provider {
        Provider::Sms | Provider::Call => &["twilio", "patchcord", "http"],
        Provider::Email => &["smtp", "sendgrid", "patchcord", "http"],
        Provider::Slack => &["slack", "patchcord", "http"],
        Provider::Webhook
        | Provider::Zapier
        | Provider::Calendar
        | Provider::Sheets
        | Provider::Stripe
        | Provider::Task
        | Provider::Alert
        | Provider::Lead
        | Provider::Workflow
        | Provider::Script => &["patchcord", "http"],
    };
    sources.iter().find_map(|source| {
        ENTRIES
            .iter()
            .find(|entry| entry.source == *source && entry.code == code)
    })
}

/// Returns the failure with what to do about it behind its message.
#[must_use]
pub fn explained(provider: Provider, failure: Failure) -> Failure {
    let Some(entry) = entry(provider, &failure.code) else {
        return failure;
    };
    let Failure { message, .. } = &failure;
    // A message that says it already needs no second telling.
    if message.contains(&entry.what_to_do) {
        return failure;
    }
    let message = format!("{message}. {} {}", entry.what_happened, entry.what_to_do);
    Failure { message, ..failure }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::workflows::FailureKind;

    #[test]
    fn every_entry_is_listed_once_in_order_and_says_something() {
        let keys: Vec<_> = all().iter().map(|entry| (&entry.source, &entry.code)).collect();
        let unique: BTreeSet<_> = keys.iter().collect();
        assert_eq!(unique.len(), keys.len());
        for entry in all() {
            for words in [&entry.what_happened, &entry.what_to_do] {
                assert!(words.ends_with('.') && words.len() > 10, "{entry:?}");
            }
        }
    }

    #[test]
    fn a_code_is_looked_up_with_its_own_provider_first() {
        let words = |provider, code| entry(provider, code).map(|entry| entry.source.as_str());
        assert_eq!(words(Provider::Sms, "21610"), Some("twilio"));
        assert_eq!(words(Provider::Call, "21211"), Some("twilio"));
        assert_eq!(words(Provider::Email, "smtp_550"), Some("smtp"));
        assert_eq!(words(Provider::Email, "http_403"), Some("sendgrid"));
        assert_eq!(words(Provider::Webhook, "http_404"), Some("http"));
        assert_eq!(words(Provider::Slack, "channel_not_found"), Some("slack"));
        assert_eq!(words(Provider::Stripe, "not_connected"), Some("patchcord"));
        assert_eq!(words(Provider::Webhook, "channel_not_found"), None);
    }

    #[test]
    fn a_failure_says_what_to_do_once() {
        let failure = Failure {
            kind: FailureKind::Permanent,
            code: "21211".to_owned(),
            message: "SMS failed: invalid phone number".to_owned(),
            retry_after: None,
        };
        let once = explained(Provider::Sms, failure);
        assert!(once.message.contains("Correct the number"), "{}", once.message);
        assert_eq!(explained(Provider::Sms, once.clone()), once);
        let unlisted = Failure {
            code: "99999".to_owned(),
            ..once
        };
        assert_eq!(explained(Provider::Sms, unlisted.clone()), unlisted);
    }
}
