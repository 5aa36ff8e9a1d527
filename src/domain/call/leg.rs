//! Those who take part in a call, each by a name of its own, and what becomes of them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::domain::ids::{AgentId, CallSid, RoomSid, UserId};

/// How a supervisor takes part in a call.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MonitorMode {
    /// Hears both and is heard by nobody: the microphone is muted.
    #[default]
    Listen,
    /// Only the agent hears them.
    Whisper,
    /// Everybody hears them.
    Barge,
}

/// One of those in a room, by a name that the provider is given too: `customer`, `agent-1-agent_…`, `monitor-1-usr_…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leg {
    Customer,
    /// The agent who was asked as the `tries`th; without an id where the routing names a telephone.
    Agent {
        tries: u32,
        id: Option<AgentId>,
    },
    /// A supervisor, for the `number`th time on this call.
    Monitor {
        number: u32,
        user_id: UserId,
    },
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Customer => f.write_str("customer"),
            Self::Agent { tries, id: None } => write!(f, "agent-{tries}"),
            Self::Agent { tries, id: Some(id) } => write!(f, "agent-{tries}-{id}"),
            Self::Monitor { number, user_id } => write!(f, "monitor-{number}-{user_id}"),
        }
    }
}

/// A text is no leg's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the name of a leg, like `customer` or `agent-1`")]
pub struct LegError;

impl FromStr for Leg {
    type Err = LegError;

    fn from_str(text: &str) -> Result<Self, LegError> {
        let mut parts = text.splitn(3, '-');
        let (kind, number, id) = (parts.next(), parts.next(), parts.next());
        let number = || number.and_then(|number| number.parse().ok()).ok_or(LegError);
        match (kind, id) {
            (Some("customer"), None) if text == "customer" => Ok(Self::Customer),
            (Some("agent"), None) => Ok(Self::Agent {
                tries: number()?,
                id: None,
            }),
            (Some("agent"), Some(id)) => Ok(Self::Agent {
                tries: number()?,
                id: Some(id.parse().map_err(|_no_id| LegError)?),
            }),
            (Some("monitor"), Some(id)) => Ok(Self::Monitor {
                number: number()?,
                user_id: id.parse().map_err(|_no_id| LegError)?,
            }),
            _ => Err(LegError),
        }
    }
}

impl Serialize for Leg {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Leg {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// What became of a leg.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "snake_case")]
pub enum LegNews {
    /// It is about to be dialled: kept before the provider is asked, so that it is dialled once.
    Asked {
        room: RoomSid,
        phone: String,
        #[serde(default)]
        mode: MonitorMode,
        /// The `Idempotency-Key` it was asked for under.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// The provider has it.
    Made {
        sid: CallSid,
    },
    Joined {
        sid: CallSid,
        room: RoomSid,
    },
    /// How a supervisor is heard from now on. The provider numbers its reports; our own changes carry the number of the last
    /// one before them, are counted from 1 after it, and outrank it.
    Set {
        mode: MonitorMode,
        sequence: u32,
        ours: u32,
    },
    Left {
        room: RoomSid,
    },
    /// It is over, or came to nothing.
    Ended,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_reads_back_from_its_name_and_nothing_else_does() {
        let id = Some(AgentId::from_bytes([7; 16]));
        let (agent, listener) = (
            Leg::Agent { tries: 1, id: None },
            Leg::Monitor {
                number: 1,
                user_id: UserId::from_bytes([1; 16]),
            },
        );
        for leg in [Leg::Customer, agent, Leg::Agent { tries: 3, id }, listener] {
            assert_eq!(leg.to_string().parse(), Ok(leg));
        }
        for wrong in [
            "",
            "customer-1",
            "agent",
            "agent-x",
            "monitor-1",
            "monitor-1-agent_1",
            "guest-1",
        ] {
            assert_eq!(wrong.parse::<Leg>(), Err(LegError), "{wrong}");
        }
    }
}
