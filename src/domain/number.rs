//! Numbers: the account's own telephone numbers, and where calls to each go.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    agent::AgentChoice,
    ids::{AccountId, NumberId},
    observation::EventType,
    phone::PhoneNumber,
    resource::{eventful, resource},
    time::Timestamp,
};

/// Where a call goes after it is streamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum NumberRouting {
    /// To one telephone.
    Dial {
        #[schema(value_type = String, example = "+14155550123")]
        to: PhoneNumber,
    },
    /// The caller leaves a message.
    Record {},
    /// To whoever of the agents is available; when nobody is, the caller leaves a message.
    Agents {
        /// Only to those who have it, in lower case.
        #[serde(default)]
        #[schema(min_length = 1, max_length = 50, example = "spanish")]
        skill: Option<String>,
        /// `round_robin` when left out.
        #[serde(default)]
        choice: AgentChoice,
    },
}

/// A telephone number of the account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Number {
    #[schema(value_type = String)]
    pub id: NumberId,
    #[schema(value_type = String)]
    pub account_id: AccountId,
    #[schema(value_type = String, example = "+14155550100")]
    pub phone: PhoneNumber,
    pub name: String,
    pub routing: NumberRouting,
    /// Whether agents are brought into a room of each call's own, so that supervisors can listen.
    #[serde(default)]
    #[schema(required)]
    pub supervision: bool,
    /// Counts changes, from 1; send it as `If-Match` with a change.
    pub revision: u64,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl Number {
    /// The id of a number in an account: always the same, so that a call finds it in one look.
    #[must_use]
    pub fn id_of(account_id: AccountId, phone: &PhoneNumber) -> NumberId {
        NumberId::derived(
            Timestamp::default(),
            &[account_id.as_bytes(), phone.as_str().as_bytes()],
        )
    }
}

resource!(Number as Number by id {
    fn state(&self) -> &'static str {
        match self.routing {
            NumberRouting::Dial { .. } => "dial",
            NumberRouting::Record {} => "record",
            NumberRouting::Agents { .. } => "agents",
        }
    }
});

eventful!(Number {
    fn event(&self, _before: Option<&Self>) -> Option<EventType> {
        None
    }

    fn data(&self) -> Value {
        Value::Null
    }
});
