//! Imports: files of leads that are taken over row by row, with how far each has come.

use serde::{Deserialize, Serialize};

use super::{
    ids::{AccountId, ImportId, UserId},
    lead::columns::LeadColumn,
    resource::{Resource, ResourceKey, ResourceKind, resource},
    time::Timestamp,
};

/// Most bad rows that a report names.
pub const PROBLEMS_MAX: usize = 200;

/// How an import stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportStatus {
    /// The file is on its way.
    Receiving,
    /// Its rows are taken over.
    Running,
    /// Every row was looked at.
    Done,
    /// The file did not arrive whole; nothing of it was taken over.
    Failed,
}

impl ImportStatus {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// What becomes of a row whose phone number or e-mail address a lead has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDuplicate {
    /// What the row says is laid over the lead; empty cells change nothing.
    #[default]
    Update,
    /// The lead stays as it is.
    Skip,
}

/// A row that was not taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RowProblem {
    /// Counted from 1, the row with the names of the columns included; empty lines are not counted.
    #[schema(example = 17)]
    pub row: u64,
    /// The name of the column; empty for the row as a whole.
    #[schema(example = "Phone")]
    pub column: String,
    /// What stands there, at most 100 characters of it.
    #[schema(example = "555-CALL")]
    pub value: String,
    /// What is expected, and what to do.
    pub message: String,
}

/// A column of the file and what it fills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImportColumn {
    /// Its name in the first row.
    pub header: String,
    /// The field that it fills, `fields.…` for the account's own; empty: left out.
    #[schema(value_type = String, example = "phone")]
    pub field: LeadColumn,
}

/// How many rows came to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImportCounts {
    /// Rows of the file, without the first.
    pub rows: u64,
    /// Rows that were looked at.
    pub done: u64,
    /// Leads that were made.
    pub created: u64,
    /// Leads that were there and changed, or had nothing to change.
    pub updated: u64,
    /// Rows whose lead was there and stayed as it was, as asked.
    pub skipped: u64,
    /// Rows that were not taken over.
    pub bad: u64,
}

/// A file of leads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LeadImport {
    #[schema(value_type = String)]
    pub id: ImportId,
    #[schema(value_type = String)]
    pub account_id: AccountId,
    #[schema(value_type = String)]
    pub created_by: UserId,
    pub status: ImportStatus,
    pub on_duplicate: OnDuplicate,
    /// Whether workflows hear of the leads as `lead.created` and `lead.updated`.
    pub start_workflows: bool,
    /// The country of numbers that are written without one.
    pub calling_code: Option<String>,
    pub columns: Vec<ImportColumn>,
    pub counts: ImportCounts,
    /// The first bad rows, at most 200; `counts.bad` is how many there are.
    pub problems: Vec<RowProblem>,
    /// Why it failed.
    pub error: Option<String>,
    /// Pieces that the file is kept in until they are taken over.
    pub parts: u32,
    /// Pieces that were taken over.
    pub parts_done: u32,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
}

resource!(LeadImport as LeadImport by id {
    fn state(&self) -> &'static str {
        self.status.as_str()
    }
});

/// A piece of a file: some of its rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImportPart {
    pub import_id: ImportId,
    pub account_id: AccountId,
    pub number: u32,
    /// The row of the file that the first of these is.
    pub first_row: u64,
    pub rows: Vec<Vec<String>>,
    pub created_at: Timestamp,
}

impl ImportPart {
    /// The next piece of an import's file.
    #[must_use]
    pub fn of(import: &LeadImport, first_row: u64, rows: Vec<Vec<String>>) -> Self {
        Self {
            import_id: import.id,
            account_id: import.account_id,
            number: import.parts,
            first_row,
            rows,
            // Their place in a list is their number's business.
            created_at: Timestamp::default(),
        }
    }

    /// The id of a piece.
    #[must_use]
    pub fn key_of(import_id: ImportId, number: u32) -> ResourceKey {
        let parts: [&[u8]; 3] = [b"part", import_id.as_bytes(), &number.to_be_bytes()];
        *ImportId::derived(Timestamp::default(), &parts).as_bytes()
    }
}

impl Resource for ImportPart {
    const KIND: ResourceKind = ResourceKind::ImportPart;

    fn account_id(&self) -> AccountId {
        self.account_id
    }

    fn key(&self) -> ResourceKey {
        Self::key_of(self.import_id, self.number)
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn group(&self) -> Option<ResourceKey> {
        Some(*self.import_id.as_bytes())
    }

    fn state(&self) -> &'static str {
        "waiting"
    }
}
