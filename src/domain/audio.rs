//! Names for telephone audio: who is speaking on which track, and how time is counted.

use serde::{Deserialize, Serialize};

/// Samples per second on the telephone side.
pub const TELEPHONE_RATE_HZ: u32 = 8_000;
/// Samples per second the speech models want.
pub const SPEECH_RATE_HZ: u32 = 16_000;

/// One direction of a call as the provider sends it, seen from the leg that runs the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Track {
    /// What the provider receives from that leg.
    Inbound,
    /// What the provider sends to that leg.
    Outbound,
}

/// Which side of the conversation is heard.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    Customer,
    Agent,
}

impl Speaker {
    /// The word used in JSON and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Agent => "agent",
        }
    }

    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Customer => Self::Agent,
            Self::Agent => Self::Customer,
        }
    }
}
