//! Alerts: what a supervisor should look at while it can still be changed.

use serde::{Deserialize, Serialize};

use super::{
    ids::{AccountId, AlertId, CallId, LeadId, RunId, UserId},
    time::Timestamp,
};

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

/// Something raised for the supervisors of an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Alert {
    #[schema(value_type = String)]
    pub id: AlertId,
    #[schema(value_type = String)]
    pub account_id: AccountId,
    /// What kind of thing happened: `negative_sentiment`, `run_stuck`, or a workflow's own word.
    pub kind: String,
    pub severity: Severity,
    pub title: String,
    /// The words, score and rule that led to it.
    pub evidence: serde_json::Value,
    #[schema(value_type = Option<String>)]
    pub call_id: Option<CallId>,
    #[schema(value_type = Option<String>)]
    pub lead_id: Option<LeadId>,
    #[schema(value_type = Option<String>)]
    pub run_id: Option<RunId>,
    #[schema(value_type = String, format = DateTime)]
    pub raised_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub acked_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    pub acked_by: Option<UserId>,
    /// What the person wrote who acknowledged it.
    #[serde(default)]
    pub note: Option<String>,
}
