//! Agents: the people who answer calls, and who of them a call is given to.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ids::{AccountId, AgentId, UserId},
    observation::EventType,
    phone::PhoneNumber,
    resource::{eventful, resource},
    time::Timestamp,
};

/// After that long a call that was given to somebody counts as over, whatever was heard of it.
const CALL_MAX_MS: u64 = 4 * 3_600_000;

/// Whether somebody takes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    Available,
    Away,
}

impl AgentStatus {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Away => "away",
        }
    }
}

/// Who of several is given a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentChoice {
    /// One after the other: whoever was given a call the longest ago.
    #[default]
    RoundRobin,
    /// Whoever has been without a call the longest.
    LongestIdle,
}

/// Somebody who answers calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Agent {
    #[schema(value_type = String)]
    pub id: AgentId,
    #[schema(value_type = String)]
    pub account_id: AccountId,
    pub name: String,
    /// Where the calls go.
    #[schema(value_type = String, example = "+14155550123")]
    pub phone: PhoneNumber,
    /// The user of the account that this is, if any.
    #[schema(value_type = Option<String>)]
    pub user_id: Option<UserId>,
    /// What calls may be routed by, in lower case.
    pub skills: BTreeSet<String>,
    pub status: AgentStatus,
    /// The last call that was given to them.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_routed_at: Option<Timestamp>,
    /// Since when they have been without a call.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub idle_since: Option<Timestamp>,
    /// The provider's id of the call that they are on.
    pub on_call: Option<String>,
    /// Counts changes, from 1; send it as `If-Match` with a change.
    pub revision: u64,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl Agent {
    /// Whether a call with this need may be given to them.
    #[must_use]
    pub fn takes(&self, skill: Option<&str>, now: Timestamp) -> bool {
        let is_busy = self.on_call.is_some()
            && self
                .last_routed_at
                .is_some_and(|at| now.as_unix_millis() < at.as_unix_millis().saturating_add(CALL_MAX_MS));
        self.status == AgentStatus::Available
            && !is_busy
            && skill.is_none_or(|skill| self.skills.contains(skill))
    }

    /// The agent with a call given to them.
    #[must_use]
    pub fn given(&self, call: &str, now: Timestamp) -> Self {
        Self {
            last_routed_at: Some(now),
            on_call: Some(call.to_owned()),
            ..self.clone()
        }
    }

    /// The agent after a call; as before when they are on another one.
    #[must_use]
    pub fn freed(&self, call: &str, now: Timestamp) -> Self {
        if self.on_call.as_deref() != Some(call) {
            return self.clone();
        }
        Self {
            on_call: None,
            idle_since: Some(now),
            ..self.clone()
        }
    }
}

/// Puts those who may be given a call in the order in which they are asked.
#[must_use]
pub fn in_turn(
    mut agents: Vec<Agent>,
    skill: Option<&str>,
    choice: AgentChoice,
    now: Timestamp,
) -> Vec<Agent> {
    agents.retain(|agent| agent.takes(skill, now));
    agents.sort_by_key(|agent| {
        let since = match choice {
            AgentChoice::RoundRobin => agent.last_routed_at,
            AgentChoice::LongestIdle => agent.idle_since.or(agent.last_routed_at),
        };
        (since, agent.created_at, agent.id)
    });
    agents
}

resource!(Agent as Agent by id {
    fn state(&self) -> &'static str {
        self.status.as_str()
    }
});

eventful!(Agent {
    fn event(&self, _before: Option<&Self>) -> Option<EventType> {
        None
    }

    fn data(&self) -> Value {
        Value::Null
    }
});

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_795_000_000_000);

    fn agent(number: u8, skills: &[&str]) -> Agent {
        Agent {
            id: AgentId::from_bytes([number; 16]),
            account_id: AccountId::from_bytes([1; 16]),
            name: format!("Agent {number}"),
            phone: "+14155550123".parse().expect("a number"),
            user_id: None,
            skills: skills.iter().map(|skill| (*skill).to_owned()).collect(),
            status: AgentStatus::Available,
            last_routed_at: None,
            idle_since: None,
            on_call: None,
            revision: 1,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
        }
    }

    fn names(agents: Vec<Agent>, skill: Option<&str>, choice: AgentChoice) -> Vec<String> {
        in_turn(agents, skill, choice, NOW)
            .into_iter()
            .map(|agent| agent.name)
            .collect()
    }

    #[test]
    fn everybody_gets_their_turn_and_whoever_is_busy_or_away_none() {
        let mut agents = vec![agent(1, &["spanish"]), agent(2, &[]), agent(3, &["spanish"])];
        agents[0] = agents[0].given("CA1", NOW).freed("CA1", NOW);
        assert_eq!(
            names(agents.clone(), None, AgentChoice::RoundRobin),
            ["Agent 2", "Agent 3", "Agent 1"]
        );
        assert_eq!(
            names(agents.clone(), Some("spanish"), AgentChoice::RoundRobin),
            ["Agent 3", "Agent 1"]
        );
        agents[2].status = AgentStatus::Away;
        agents[1] = agents[1].given("CA2", NOW);
        assert_eq!(names(agents.clone(), None, AgentChoice::RoundRobin), ["Agent 1"]);
        assert_eq!(agents[1].freed("CA9", NOW), agents[1], "that was another call");
    }

    #[test]
    fn whoever_hung_up_first_has_been_idle_the_longest() {
        let later = Timestamp::from_unix_millis(NOW.as_unix_millis() + 60_000);
        // The first was given a call earlier, and talked for longer.
        let first = agent(1, &[])
            .given("CA1", Timestamp::from_unix_millis(1))
            .freed("CA1", later);
        let second = agent(2, &[])
            .given("CA2", Timestamp::from_unix_millis(2))
            .freed("CA2", NOW);
        let both = vec![first, second];
        assert_eq!(
            names(both.clone(), None, AgentChoice::LongestIdle),
            ["Agent 2", "Agent 1"]
        );
        assert_eq!(names(both, None, AgentChoice::RoundRobin), ["Agent 1", "Agent 2"]);
    }

    #[test]
    fn a_call_of_which_no_end_was_heard_does_not_keep_somebody_busy_for_ever() {
        let stuck = agent(1, &[]).given(
            "CA1",
            Timestamp::from_unix_millis(NOW.as_unix_millis() - CALL_MAX_MS),
        );
        assert!(stuck.takes(None, NOW));
    }
}
