//! Tasks: what a team member has to do.

use serde::{Deserialize, Serialize};

use super::{
    ids::{AccountId, CallId, LeadId, RunId, TaskId},
    time::Timestamp,
};

/// How soon a task should be picked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Low,
    Normal,
    High,
    Urgent,
}

/// Whether a task still waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    Open,
    Done,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Task {
    #[schema(value_type = String)]
    pub id: TaskId,
    #[schema(value_type = String)]
    pub account_id: AccountId,
    pub title: String,
    pub notes: String,
    pub priority: Priority,
    pub status: TaskStatus,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    pub lead_id: Option<LeadId>,
    #[schema(value_type = Option<String>)]
    pub call_id: Option<CallId>,
    #[schema(value_type = Option<String>)]
    pub run_id: Option<RunId>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub done_at: Option<Timestamp>,
    /// How often it was finished.
    #[serde(default)]
    pub times_done: u32,
}
