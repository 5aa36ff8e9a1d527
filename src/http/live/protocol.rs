//! The words of the live stream: what either side may say, what a watcher wants to see, why a connection ends.
//!
//! Pure: no socket, no clock.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    bus::live::{LiveFact, LiveMessage},
    domain::{
        ids::{AlertId, CallId},
        secret::Secret,
    },
    http::error::Problem,
};

/// Most types or calls a client may name.
const NAMES_MAX: usize = 200;

/// What a client may say.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    Auth {
        token: Secret,
        #[serde(default)]
        since: Option<String>,
    },
    /// See only these types and calls from here on; an empty list means all.
    Subscribe {
        #[serde(default)]
        types: BTreeSet<String>,
        #[serde(default)]
        calls: BTreeSet<CallId>,
    },
    /// Acknowledge an alert.
    Ack {
        alert_id: AlertId,
    },
    Ping,
}

/// What the server says.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage<'a> {
    /// The caller is known; what follows comes after `cursor` but for the replay.
    Ready {
        cursor: &'a str,
    },
    /// Facts are missing here. `missed` counts those of all accounts, when it is known.
    Gap {
        #[serde(skip_serializing_if = "Option::is_none")]
        missed: Option<u64>,
    },
    Subscribed,
    Pong,
    Error {
        problem: &'a Problem,
    },
    /// Carries its own `type`.
    #[serde(untagged)]
    Fact(&'a LiveMessage),
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The client went away by itself.
    Gone,
    Unreadable,
    Unauthenticated,
    Silent,
    TooSlow,
    Stopping,
}

/// What a watcher wants to see.
#[derive(Debug, Default)]
pub struct Filter {
    types: BTreeSet<String>,
    calls: BTreeSet<CallId>,
}

impl ClientMessage {
    /// Reads a client's text.
    ///
    /// # Errors
    /// When it is none of the messages above, or names too much.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        let message: Self = serde_json::from_str(text)?;
        match &message {
            Self::Subscribe { types, calls } if types.len() > NAMES_MAX || calls.len() > NAMES_MAX => {
                Err(serde::de::Error::custom("too many names"))
            }
            Self::Subscribe { .. } | Self::Auth { .. } | Self::Ack { .. } | Self::Ping => Ok(message),
        }
    }
}

impl ServerMessage<'_> {
    /// The text that is sent.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("our own types have only text keys and finite numbers")
    }
}

impl Closing {
    /// Close code and reason; `None` when nobody is there to be told.
    #[must_use]
    pub const fn frame(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Gone => None,
            Self::Unreadable => Some((4400, "a message could not be read")),
            Self::Unauthenticated => Some((4401, "sign in and connect again")),
            Self::Silent => Some((4408, "silent for too long")),
            Self::TooSlow => Some((4429, "too slow: connect again with since")),
            Self::Stopping => Some((1001, "the server stops")),
        }
    }
}

impl Filter {
    #[must_use]
    pub const fn new(types: BTreeSet<String>, calls: BTreeSet<CallId>) -> Self {
        Self { types, calls }
    }

    /// Whether a fact is to be sent. Facts about no call pass a filter by calls.
    #[must_use]
    pub fn wants(&self, fact: &LiveFact) -> bool {
        let type_fits = self.types.is_empty() || self.types.contains(fact.kind());
        let call_fits =
            self.calls.is_empty() || fact.call_id().is_none_or(|call_id| self.calls.contains(&call_id));
        type_fits && call_fits
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{
        ids::{AccountId, UserId},
        time::Timestamp,
    };

    fn json_of(message: &ServerMessage<'_>) -> Value {
        serde_json::from_str(&message.to_json()).expect("JSON")
    }

    #[test]
    fn a_fact_is_flat_and_hides_its_account() {
        let call_id = CallId::fresh();
        let message = LiveMessage {
            cursor: "7-1".to_owned(),
            at: Timestamp::from_unix_millis(1_795_338_000_042),
            account_id: AccountId::fresh(),
            fact: LiveFact::SentimentTrend {
                call_id,
                trend: -0.5,
                at_ms: 1_200,
            },
        };
        assert_eq!(
            json_of(&ServerMessage::Fact(&message)),
            json!({"type": "sentiment.trend", "cursor": "7-1", "at": "2026-11-22T09:00:00.042Z",
                   "call_id": call_id, "trend": -0.5, "at_ms": 1_200})
        );
        assert_eq!(
            json_of(&ServerMessage::Gap { missed: None }),
            json!({"type": "gap"})
        );
        assert_eq!(json_of(&ServerMessage::Pong), json!({"type": "pong"}));
    }

    #[test]
    fn names_match_what_is_serialised() {
        let fact = LiveFact::AlertAcked {
            alert_id: AlertId::fresh(),
            by: UserId::fresh(),
        };
        assert_eq!(serde_json::to_value(&fact).expect("JSON")["type"], fact.kind());
    }

    #[test]
    fn reads_the_contract_and_nothing_else() {
        let auth = r#"{"type":"auth","token":"pca_x","since":null}"#;
        assert!(matches!(
            ClientMessage::read(auth),
            Ok(ClientMessage::Auth { since: None, .. })
        ));
        assert!(matches!(
            ClientMessage::read(r#"{"type":"ping"}"#),
            Ok(ClientMessage::Ping)
        ));
        for wrong in [
            "",
            "{}",
            "[]",
            r#"{"type":"drop"}"#,
            r#"{"type":"ack","alert_id":"run_1"}"#,
        ] {
            assert!(ClientMessage::read(wrong).is_err(), "{wrong}");
        }
        let many: Vec<_> = (0..=NAMES_MAX).map(|number| number.to_string()).collect();
        assert!(ClientMessage::read(&json!({"type": "subscribe", "types": many}).to_string()).is_err());
    }

    #[test]
    fn a_filter_passes_what_it_names() {
        let (mine, other) = (CallId::fresh(), CallId::fresh());
        let fact = |call_id| LiveFact::SentimentTrend {
            call_id,
            trend: 0.0,
            at_ms: 0,
        };
        let filter = Filter::new(BTreeSet::new(), BTreeSet::from([mine]));
        assert!(filter.wants(&fact(mine)));
        assert!(!filter.wants(&fact(other)));
        let filter = Filter::new(BTreeSet::from(["call.started".to_owned()]), BTreeSet::new());
        assert!(!filter.wants(&fact(mine)));
        assert!(Filter::default().wants(&fact(other)));
    }
}
