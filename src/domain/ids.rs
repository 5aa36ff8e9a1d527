//! Ids: every kind is its own type, so that one cannot be passed for another.
//!
//! Ours are TypeIDs (<https://github.com/jetify-com/typeid>): a prefix and a UUIDv7 in Crockford base32, so they sort by
//! time and say what they name. A vendor's id keeps the vendor's text.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::time::Timestamp;

/// Crockford's base32 alphabet in lower case, as TypeID 0.3 asks.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Characters of a UUID in base32: 26 × 5 bits hold 128, the first character holds only three.
const SUFFIX_CHARS: usize = 26;

/// Why a text is not an id of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id like `{prefix}_01h455vb4pex5vsknk084sn02q`")]
pub struct IdError {
    prefix: &'static str,
}

fn encode(uuid: Uuid) -> String {
    let bits = uuid.as_u128();
    (0..SUFFIX_CHARS)
        .map(|at| {
            let shift = 5 * (SUFFIX_CHARS - 1 - at);
            char::from(ALPHABET[usize::from((bits >> shift).to_le_bytes()[0] & 31)])
        })
        .collect()
}

fn decode(suffix: &str) -> Option<Uuid> {
    let digits = suffix.as_bytes();
    if digits.len() != SUFFIX_CHARS || digits[0] > b'7' {
        return None;
    }
    digits
        .iter()
        .try_fold(0_u128, |bits, digit| {
            let value = ALPHABET.iter().position(|known| known == digit)?;
            Some((bits << 5) | u128::try_from(value).ok()?)
        })
        .map(Uuid::from_u128)
}

/// Returns a UUIDv7 whose time is `at` and whose random bits come from `parts`: the same parts give the same id.
fn derive(at: Timestamp, parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut random = [0_u8; 10];
    random.copy_from_slice(&digest[..10]);
    uuid::Builder::from_unix_timestamp_millis(at.as_unix_millis(), &random).into_uuid()
}

/// How the API description shows an id with this prefix.
fn id_schema(prefix: &str) -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    let example = format!("{prefix}_01h455vb4pex5vsknk084sn02q");
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .pattern(Some(format!("^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$")))
        .examples([serde_json::Value::String(example)])
        .into()
}

macro_rules! typed_id {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The text before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Returns a fresh id. Not for pure code: it draws randomness and time.
            #[must_use]
            pub fn fresh() -> Self {
                Self(Uuid::now_v7())
            }

            /// Returns the id that `at` and `parts` always give, so that doing it twice is doing it once.
            #[must_use]
            pub fn derived(at: Timestamp, parts: &[&[u8]]) -> Self {
                Self(derive(at, parts))
            }

            /// Takes back what [`Self::as_bytes`] gave.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The sixteen bytes, in an order that sorts by time.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                id_schema($prefix)
            }
        }

        impl utoipa::ToSchema for $name {}

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(decode)
                    .map(Self)
                    .ok_or(IdError { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )+};
}

typed_id! {
    /// A tenant: everything belongs to exactly one.
    AccountId = "acc";
    /// A person who signs in.
    UserId = "usr";
    /// An API key.
    KeyId = "key";
    /// An address that others post events to.
    WebhookId = "hook";
    /// A session of a signed-in person.
    SessionId = "ses";
    /// A workflow; its versions are numbered.
    WorkflowId = "wf";
    /// One run of one version of a workflow.
    RunId = "run";
    /// A person outside: a customer or prospect.
    LeadId = "lead";
    /// A telephone call.
    CallId = "call";
    /// Something for a team member to do.
    TaskId = "task";
    /// Something a supervisor should look at.
    AlertId = "alert";
    /// An observed fact.
    ObservationId = "evt";
    /// A text message, sent or received.
    MessageId = "msg";
    /// A meeting with a lead.
    AppointmentId = "appt";
    /// An offer to a lead.
    QuoteId = "quote";
    /// Money from a lead.
    PaymentId = "pay";
    /// A file of leads that is taken over.
    ImportId = "imp";
    /// Somebody who answers calls.
    AgentId = "agent";
    /// A telephone number of the account.
    NumberId = "num";
    /// A request that came to an incoming webhook.
    DeliveryId = "dlv";
    /// A process of a cluster, from its start to its end.
    NodeId = "node";
}

impl CallId {
    /// Returns the id that a provider's call always has with us.
    #[must_use]
    pub fn of_provider(account_id: AccountId, sid: &CallSid) -> Self {
        // No time in it: the first to hear of a call cannot know when the others did.
        Self::derived(
            Timestamp::default(),
            &[account_id.as_bytes(), sid.as_str().as_bytes()],
        )
    }
}

macro_rules! vendor_id {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the vendor's text as it came.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The vendor's text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

vendor_id! {
    /// The telephony provider's id of a call leg (Twilio: `CA` and 32 hex digits).
    CallSid;
    /// The telephony provider's id of a media stream (Twilio: `MZ` and 32 hex digits).
    StreamSid;
    /// The telephony provider's id of a room that legs of a call meet in (Twilio: `CF` and 32 hex digits).
    RoomSid;
    /// The telephony provider's id of an account (Twilio: `AC` and 32 hex digits).
    AccountSid;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_the_example_of_the_typeid_specification() {
        let uuid = Uuid::parse_str("01890a5d-ac96-774b-bcce-b302099a8057").expect("a valid uuid");
        assert_eq!(encode(uuid), "01h455vb4pex5vsknk084sn02q");
        assert_eq!(decode("01h455vb4pex5vsknk084sn02q"), Some(uuid));
    }

    #[test]
    fn refuses_another_kind_a_wrong_length_and_an_overflow() {
        let text = RunId::fresh().to_string();
        assert!(text.parse::<RunId>().is_ok());
        assert!(text.parse::<CallId>().is_err());
        assert!(text[..text.len() - 1].parse::<RunId>().is_err());
        assert!("run_8zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<RunId>().is_err());
    }

    #[test]
    fn derived_ids_repeat_and_tell_their_parts_apart() {
        let at = Timestamp::from_unix_millis(1_700_000_000_000);
        let one = RunId::derived(at, &[b"ab", b"c"]);
        assert_eq!(one, RunId::derived(at, &[b"ab", b"c"]));
        assert_ne!(one, RunId::derived(at, &[b"a", b"bc"]));
    }
}
