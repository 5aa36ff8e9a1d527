//! Edits of a lead as data, whoever orders them: what is to change, who is to look after it, how its score moves.
//!
//! Pure. The store applies an edit to what it holds at that moment, so that of two at once both count, and keeps the facts that follow and
//! the edit's key in the same write, so that a repeat changes nothing twice.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Lead, LeadChange, STAGE_QUALIFIED,
    columns::{CellProblem, LeadRow},
    rules::{self, FieldProblem, SCORE_MAX},
};
use crate::domain::{
    ids::{AccountId, ImportId, LeadId, ObservationId, RunId, UserId},
    observation::{EventType, Observation},
    phone::PhoneNumber,
    time::Timestamp,
    trace::TraceContext,
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
    /// By hand. No run orders it: it is never written down.
    #[serde(skip)]
    Change(LeadChange),
    /// A row of a file, laid over the lead. No run orders it either.
    #[serde(skip)]
    Row(LeadRow),
}

/// Who makes an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditBy {
    /// A run, which repeats it under its key until it is settled.
    Run(RunId),
    /// A person or a program by the API: it may go before it heard how it went, and need not come back.
    Hand {
        /// The revision that it was made from, when that matters.
        read_at: Option<u64>,
    },
    /// An import, which takes the row over again after a crash.
    Import {
        id: ImportId,
        /// Whether workflows hear of it.
        is_told: bool,
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
    pub by: EditBy,
    /// Where it stands in a trace, when it is traced.
    pub trace: Option<TraceContext>,
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
    #[error("{} fields do not hold", .0.len())]
    Fields(Vec<FieldProblem>),
    #[error("{}: {}", .0.column, .0.message)]
    Cell(CellProblem),
    /// Somebody has changed the lead since it was read.
    #[error("the lead is at revision {revision}")]
    Moved { revision: u64 },
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
            Self::Field { .. } | Self::Fields(_) | Self::Cell(_) => "bad_field",
            Self::Moved { .. } => "moved",
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
        rules::checked_after(self, lead).map_err(|problems| {
            let first = problems.into_iter().next();
            let (field, expected) =
                first.map_or_else(Default::default, |first| (first.field, first.expected));
            EditRefusal::Field { field, expected }
        })
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

    /// Refuses an edit that was made from another state of the lead than `before`.
    ///
    /// # Errors
    /// [`EditRefusal::Moved`].
    pub fn check(&self, before: &Lead) -> Result<(), EditRefusal> {
        match self.by {
            EditBy::Hand { read_at: Some(read) } if read != before.revision() => Err(EditRefusal::Moved {
                revision: before.revision(),
            }),
            EditBy::Hand { .. } | EditBy::Run(_) | EditBy::Import { .. } => Ok(()),
        }
    }

    /// Whether whoever makes it comes again under the same key until it has heard how it went.
    #[must_use]
    pub const fn comes_again(&self) -> bool {
        match self.by {
            EditBy::Run(_) | EditBy::Import { .. } => true,
            EditBy::Hand { .. } => false,
        }
    }

    /// Whether workflows hear of what follows; else it stands on the timeline alone.
    #[must_use]
    pub const fn is_told(&self) -> bool {
        match self.by {
            EditBy::Run(_) | EditBy::Hand { .. } => true,
            EditBy::Import { is_told, .. } => is_told,
        }
    }

    /// The facts that follow from the edit; none when nothing changed.
    #[must_use]
    pub fn facts(&self, before: &Lead, after: &Lead) -> Vec<Observation> {
        let changed = rules::difference(before, after);
        if changed.is_empty() {
            return Vec::new();
        }
        let mut updated = match self.by {
            EditBy::Run(_) => json!({"source": "workflow", "stage": after.stage, "score": after.score}),
            EditBy::Hand { .. } => json!({"source": "api"}),
            EditBy::Import { id, .. } => json!({"source": "import", "import_id": id}),
        };
        let told = updated.clone();
        updated["changed"] = json!(changed);
        let mut facts = Vec::new();
        let is_qualified = after.is_qualified() && !before.is_qualified();
        match self.by {
            EditBy::Run(_) => {
                facts.push((EventType::LEAD_UPDATED, updated.clone()));
                if is_qualified {
                    facts.push((EventType::LEAD_QUALIFIED, updated));
                }
            }
            EditBy::Hand { .. } => {
                facts.push((EventType::LEAD_UPDATED, updated));
                if after.opted_out_since(before) {
                    let mut told = told.clone();
                    told["opted_out_of"] = json!(after.opted_out_of);
                    facts.push((EventType::LEAD_OPTED_OUT, told));
                }
                if is_qualified {
                    facts.push((EventType::LEAD_QUALIFIED, told));
                }
            }
            EditBy::Import { .. } => facts.push((EventType::LEAD_UPDATED, updated)),
        }
        facts
            .into_iter()
            .map(|(kind, data)| self.fact(after.id, kind, data))
            .collect()
    }

    fn fact(&self, lead: LeadId, kind: EventType, data: Value) -> Observation {
        Observation {
            id: fact_id(self.planned_at, &self.key, &kind),
            account_id: self.account_id,
            kind,
            at: self.at,
            lead_id: Some(lead),
            call_id: None,
            caused_by: match self.by {
                EditBy::Run(run_id) => Some(run_id),
                EditBy::Hand { .. } | EditBy::Import { .. } => None,
            },
            trace: self.trace,
            data,
        }
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
    use crate::domain::consent::ConsentChange;

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
            by: EditBy::Run(RunId::from_bytes([3; 16])),
            trace: None,
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
            assert!(
                facts
                    .iter()
                    .all(|fact| EditBy::Run(fact.caused_by.expect("a run")) == edit.by)
            );
            facts.into_iter().map(|fact| fact.kind).collect()
        };
        assert_eq!(
            kinds(&lead(), &qualified),
            [EventType::LEAD_UPDATED, EventType::LEAD_QUALIFIED]
        );
        assert!(kinds(&lead(), &lead()).is_empty());
        assert!(kinds(&qualified, &qualified).is_empty());
    }

    #[test]
    fn an_edit_by_hand_tells_of_an_opt_out_and_one_of_an_import_of_the_change_alone() {
        let change = LeadChange {
            stage: Some(STAGE_QUALIFIED.to_owned()),
            consent: ConsentChange::stop(),
            ..LeadChange::default()
        };
        let after = lead().changed(&change).expect("it holds");
        let kinds = |by: EditBy| -> Vec<EventType> {
            let keyed = KeyedEdit {
                by,
                ..edit(LeadEdit::Change(change.clone()))
            };
            let facts = keyed.facts(&lead(), &after);
            facts.into_iter().map(|fact| fact.kind).collect()
        };
        assert_eq!(
            kinds(EditBy::Hand { read_at: None }),
            [
                EventType::LEAD_UPDATED,
                EventType::LEAD_OPTED_OUT,
                EventType::LEAD_QUALIFIED
            ]
        );
        let import = EditBy::Import {
            id: ImportId::from_bytes([5; 16]),
            is_told: false,
        };
        assert_eq!(kinds(import), [EventType::LEAD_UPDATED]);
    }

    #[test]
    fn an_edit_that_was_made_from_another_state_is_refused() {
        let from = |read_at| KeyedEdit {
            by: EditBy::Hand { read_at },
            ..edit(LeadEdit::Change(LeadChange::default()))
        };
        let moved = lead().scored(ScoreChange { set: None, add: 1 });
        assert_ne!(moved.revision(), lead().revision());
        let read = Some(lead().revision());
        assert_eq!(from(read).check(&lead()), Ok(()));
        assert_eq!(from(None).check(&moved), Ok(()));
        let revision = moved.revision();
        assert_eq!(from(read).check(&moved), Err(EditRefusal::Moved { revision }));
    }
}
