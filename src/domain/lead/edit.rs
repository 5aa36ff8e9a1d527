//! Edits of a lead that a run orders, as data: what is to change, who is to look after it, how its score moves.
//!
//! Pure. The store applies an edit and notes its key in one write, so that a repeat changes nothing twice.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Lead, STAGE_QUALIFIED,
    rules::{self, SCORE_MAX},
};
use crate::domain::{
    ids::{AccountId, LeadId, ObservationId, RunId, UserId},
    observation::{EventType, Observation},
    phone::PhoneNumber,
    time::Timestamp,
};

/// What is to change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeadEdit {
    Update(LeadUpdate),
    Score(ScoreChange),
    Assign {
        to: Assignee,
        /// A lead that somebody looks after already stays with them.
        unless_assigned: bool,
    },
}

/// Values to set; what is left out stays.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LeadUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<PhoneNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Own fields to set; null removes one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Value>,
}

/// How a score moves: from `set`, or from where it stands, by `add`; the result stays within 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ScoreChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<i32>,
    pub add: i32,
}

/// Who is to look after a lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assignee {
    /// A user's id or e-mail address.
    One(String),
    ByRule {
        rule: AssignRule,
        /// Users' ids or e-mail addresses to choose among; empty: everybody with the role agent.
        among: Vec<String>,
    },
}

/// How one of several is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssignRule {
    /// One after the other.
    RoundRobin,
    /// Whoever looks after the fewest leads; the longest there of several.
    LeastBusy,
}

/// An edit with the key that makes a repeat of it harmless.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyedEdit {
    pub account_id: AccountId,
    pub lead_id: LeadId,
    /// The effect's.
    pub key: String,
    /// When the effect was first asked for: the ids of its facts are derived from it.
    pub planned_at: Timestamp,
    pub at: Timestamp,
    pub run_id: RunId,
    pub edit: LeadEdit,
}

/// What an edit did. The same for every repeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeadEdited {
    pub lead_id: LeadId,
    /// The words of the fields that changed.
    pub changed: Vec<String>,
    pub stage: String,
    pub score: i32,
    pub score_before: i32,
    pub assigned_to: Option<UserId>,
}

/// Why an edit cannot be made; trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditRefusal {
    #[error("lead {0} is no longer there")]
    LeadGone(LeadId),
    #[error("{field}: {expected}")]
    Field { field: String, expected: String },
    #[error("the phone number belongs to another lead")]
    PhoneTaken,
    #[error("`{0}` is no user of this account: give an id or e-mail address from /api/users")]
    UnknownUser(String),
    #[error(
        "the account has no user with the role agent: add one under /api/users, or name users in `among`"
    )]
    NoAgents,
}

impl EditRefusal {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::LeadGone(_) => "lead_gone",
            Self::Field { .. } => "bad_field",
            Self::PhoneTaken => "phone_taken",
            Self::UnknownUser(_) => "unknown_user",
            Self::NoAgents => "no_agents",
        }
    }
}

impl Lead {
    /// Whether the person was found worth a call.
    #[must_use]
    pub fn is_qualified(&self) -> bool {
        self.stage == STAGE_QUALIFIED
    }

    /// Returns the lead with `update` made.
    ///
    /// # Errors
    /// The first field that would not hold.
    pub fn updated(&self, update: &LeadUpdate) -> Result<Self, EditRefusal> {
        let mut lead = self.clone();
        lead.name = update.name.clone().unwrap_or(lead.name);
        lead.phone = update.phone.clone().or(lead.phone);
        lead.email = update.email.clone().or(lead.email);
        lead.stage = update.stage.clone().unwrap_or(lead.stage);
        lead.timezone = update.timezone.clone().or(lead.timezone);
        for (name, value) in &update.fields {
            if value.is_null() {
                lead.fields.remove(name);
            } else {
                lead.fields.insert(name.clone(), value.clone());
            }
        }
        match rules::checked(lead) {
            // What the edit does not name stays as it was written.
            Ok(lead) if update.email.is_none() => Ok(Self {
                email: self.email.clone(),
                ..lead
            }),
            Ok(lead) => Ok(lead),
            Err(problems) => {
                let first = problems.into_iter().next();
                let (field, expected) =
                    first.map_or_else(Default::default, |first| (first.field, first.expected));
                Err(EditRefusal::Field { field, expected })
            }
        }
    }

    /// Returns the lead with its score moved, within 0 to 100.
    #[must_use]
    pub fn scored(&self, change: ScoreChange) -> Self {
        let score = change.set.unwrap_or(self.score).saturating_add(change.add);
        Self {
            score: score.clamp(0, SCORE_MAX),
            ..self.clone()
        }
    }
}

impl KeyedEdit {
    /// What the edit did to `before`, for whoever asked.
    #[must_use]
    pub fn result(&self, before: &Lead, after: &Lead) -> LeadEdited {
        LeadEdited {
            lead_id: after.id,
            changed: rules::difference(before, after),
            stage: after.stage.clone(),
            score: after.score,
            score_before: before.score,
            assigned_to: after.assigned_to,
        }
    }

    /// The facts that follow from the edit; none when nothing changed.
    #[must_use]
    pub fn facts(&self, before: &Lead, after: &Lead) -> Vec<Observation> {
        let changed = rules::difference(before, after);
        let mut kinds = Vec::new();
        if !changed.is_empty() {
            kinds.push(EventType::LEAD_UPDATED);
        }
        if after.is_qualified() && !before.is_qualified() {
            kinds.push(EventType::LEAD_QUALIFIED);
        }
        let fact = |kind: EventType| Observation {
            id: fact_id(self.planned_at, &self.key, &kind),
            account_id: self.account_id,
            kind,
            at: self.at,
            lead_id: Some(after.id),
            call_id: None,
            caused_by: Some(self.run_id),
            trace: None,
            data: json!({"changed": changed, "source": "workflow", "stage": after.stage, "score": after.score}),
        };
        kinds.into_iter().map(fact).collect()
    }
}

/// The id of the fact of this kind that an edit leads to: the same for every repeat.
#[must_use]
pub fn fact_id(planned_at: Timestamp, key: &str, kind: &EventType) -> ObservationId {
    ObservationId::derived(planned_at, &[key.as_bytes(), kind.as_str().as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead() -> Lead {
        Lead {
            score: 60,
            ..Lead::nameless(
                LeadId::from_bytes([1; 16]),
                AccountId::from_bytes([2; 16]),
                Timestamp::default(),
            )
        }
    }

    fn edit(edit: LeadEdit) -> KeyedEdit {
        KeyedEdit {
            account_id: lead().account_id,
            lead_id: lead().id,
            key: "run/one/0/0".to_owned(),
            planned_at: Timestamp::default(),
            at: Timestamp::default(),
            run_id: RunId::from_bytes([3; 16]),
            edit,
        }
    }

    #[test]
    fn a_score_stays_within_its_bounds() {
        let moved = |set, add| lead().scored(ScoreChange { set, add }).score;
        assert_eq!(moved(None, 10), 70);
        assert_eq!(moved(None, 1_000), 100);
        assert_eq!(moved(None, i32::MIN), 0);
        assert_eq!(moved(Some(5), i32::MAX), 100);
        assert_eq!(moved(Some(40), -15), 25);
    }

    #[test]
    fn an_update_sets_what_it_names_and_null_removes_a_field() {
        let mut before = lead();
        before.fields.insert("plan".to_owned(), json!("gold"));
        let update = LeadUpdate {
            email: Some("Ann@Example.com".to_owned()),
            fields: BTreeMap::from([
                ("plan".to_owned(), Value::Null),
                ("city".to_owned(), json!("Rome")),
            ]),
            ..LeadUpdate::default()
        };
        let after = before.updated(&update).expect("it holds");
        assert_eq!(after.email.as_deref(), Some("ann@example.com"));
        assert_eq!(after.fields, BTreeMap::from([("city".to_owned(), json!("Rome"))]));
        let wrong = LeadUpdate {
            timezone: Some("Mars/Olympus".to_owned()),
            ..LeadUpdate::default()
        };
        let refusal = before.updated(&wrong).expect_err("no such zone");
        assert!(refusal.to_string().starts_with("timezone: expected"), "{refusal}");
    }

    #[test]
    fn becoming_qualified_is_a_fact_of_its_own_and_nothing_is_none() {
        let edit = edit(LeadEdit::Score(ScoreChange::default()));
        let qualified = Lead {
            stage: STAGE_QUALIFIED.to_owned(),
            ..lead()
        };
        let kinds = |before: &Lead, after: &Lead| -> Vec<EventType> {
            let facts = edit.facts(before, after);
            assert!(facts.iter().all(|fact| fact.caused_by == Some(edit.run_id)));
            facts.into_iter().map(|fact| fact.kind).collect()
        };
        assert_eq!(
            kinds(&lead(), &qualified),
            [EventType::LEAD_UPDATED, EventType::LEAD_QUALIFIED]
        );
        assert!(kinds(&lead(), &lead()).is_empty());
        assert!(kinds(&qualified, &qualified).is_empty());
    }
}
