//! Leads: the people outside whom calls and messages are about.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    ids::{AccountId, LeadId},
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
    /// True after STOP or by hand: no message goes to this person.
    pub opted_out: bool,
    /// The account's own fields.
    pub fields: BTreeMap<String, serde_json::Value>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl Lead {
    /// The name's first word; the whole name when there is only one.
    #[must_use]
    pub fn first_name(&self) -> &str {
        self.name.split_whitespace().next().unwrap_or("")
    }
}
