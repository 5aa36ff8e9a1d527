//! What happens in a call that we place, once it is answered.

use serde::{Deserialize, Serialize};

use crate::domain::phone::PhoneNumber;

/// The plan of a placed call. Says something, connects somebody, or both in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CallPlan {
    /// Read out when a person answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
    /// Who is connected then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub connect_to: Option<PhoneNumber>,
    pub on_machine: OnMachine,
    /// Seconds the phone rings before the call counts as not answered, 5 to 600.
    pub timeout_s: u32,
}

/// What happens when a machine answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnMachine {
    /// Nobody looks; the plan goes on as for a person.
    Continue,
    HangUp,
    /// This is read out after the tone.
    LeaveMessage(String),
}

impl CallPlan {
    /// The plan in a line for people.
    #[must_use]
    pub fn words(&self) -> String {
        let said = self.say.iter().map(|text| format!("say: {text}"));
        let connected = self
            .connect_to
            .iter()
            .map(|number| format!("connect to {number}"));
        let left = match &self.on_machine {
            OnMachine::Continue | OnMachine::HangUp => None,
            OnMachine::LeaveMessage(text) => Some(format!("to a machine: {text}")),
        };
        said.chain(connected).chain(left).collect::<Vec<_>>().join("; ")
    }
}
