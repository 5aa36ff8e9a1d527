//! Leads: the people outside whom calls and messages are about.

mod change;
pub mod columns;
mod edit;
mod filter;
pub mod merge;
pub mod rules;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use change::LeadChange;
pub use edit::{
    AssignRule, Assignee, EditBy, EditRefusal, KeyedEdit, LeadEdit, LeadEdited, LeadUpdate, ScoreChange,
    fact_id,
};
pub use filter::LeadFilter;
pub use merge::{MergeRefusal, Merged};

use super::{
    consent::{Consent, ConsentChange, ContactChannel, OptOut},
    ids::{AccountId, LeadId, UserId},
    phone::PhoneNumber,
    time::Timestamp,
};

/// A person outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Lead {
    #[schema(value_type = String)]
    pub id: LeadId,
    #[schema(value_type = String)]
    pub account_id: AccountId,
    /// Full name; empty for a number that rang before anyone wrote it down.
    pub name: String,
    #[schema(value_type = Option<String>)]
    pub phone: Option<PhoneNumber>,
    pub email: Option<String>,
    /// 0 to 100; workflows branch on it.
    pub score: i32,
    /// Free word for where the person stands: `new`, `qualified`, `customer`.
    pub stage: String,
    /// IANA time zone, when known.
    pub timezone: Option<String>,
    /// True after STOP or by hand: nothing goes to this person by the channels of `opted_out_of`.
    pub opted_out: bool,
    /// What the opt-out covers; empty while `opted_out` is true means everything.
    #[serde(default)]
    pub opted_out_of: BTreeSet<ContactChannel>,
    /// What the person allowed, by channel.
    #[serde(default)]
    pub consent: Consent,
    /// Who of the team looks after the person.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub assigned_to: Option<UserId>,
    /// The account's own fields.
    pub fields: BTreeMap<String, serde_json::Value>,
    /// By what the person is known besides, from duplicates that were merged into this lead; left out when there were none.
    #[serde(default, skip_serializing_if = "Merged::is_nothing")]
    pub merged: Merged,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// Where a lead stands before anybody looked.
pub const STAGE_NEW: &str = "new";
/// Where a lead stands that is worth a call.
pub const STAGE_QUALIFIED: &str = "qualified";

impl Lead {
    /// A lead of whom nothing is known: score 0, stage `new`.
    #[must_use]
    pub fn nameless(id: LeadId, account_id: AccountId, at: Timestamp) -> Self {
        Self {
            id,
            account_id,
            name: String::new(),
            phone: None,
            email: None,
            score: 0,
            stage: STAGE_NEW.to_owned(),
            timezone: None,
            opted_out: false,
            opted_out_of: BTreeSet::new(),
            consent: Consent::default(),
            assigned_to: None,
            fields: BTreeMap::new(),
            merged: Merged::default(),
            created_at: at,
            updated_at: at,
        }
    }

    /// What the person has opted out of.
    #[must_use]
    pub fn opt_out(&self) -> OptOut {
        OptOut {
            opted_out: self.opted_out,
            from: self.opted_out_of.clone(),
        }
    }

    /// Takes on an opt-out that came with the number.
    pub fn join_opt_out(&mut self, other: &OptOut) {
        let mut opt_out = self.opt_out();
        opt_out.join(other);
        self.opted_out = opt_out.opted_out;
        self.opted_out_of = opt_out.from;
    }

    /// Applies a change of opt-out or consent. Returns whether anything is different after it.
    pub fn change_consent(&mut self, change: &ConsentChange) -> bool {
        let (mut opt_out, mut consent) = (self.opt_out(), self.consent);
        change.apply(&mut opt_out, &mut consent);
        let differs = opt_out != self.opt_out() || consent != self.consent;
        self.opted_out = opt_out.opted_out;
        self.opted_out_of = opt_out.from;
        self.consent = consent;
        differs
    }

    /// The name's first word; the whole name when there is only one.
    #[must_use]
    pub fn first_name(&self) -> &str {
        self.name.split_whitespace().next().unwrap_or("")
    }
}
