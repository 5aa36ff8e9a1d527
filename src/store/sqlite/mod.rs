//! The embedded store: SQLite with one writer thread that commits many writes together.
//!
//! `database` opens it and ties the parts together; `writer`, `readers` and `checkpoint` are its threads, all fed by `queue`;
//! `schema` and `columns` say how things look on disk, `remembered` spares re-reading; then one file per aggregate, named like the trait's.
//! The only place with SQL.

use super::{cursor, journal_rows};

mod backup;
mod checkpoint;
mod columns;
mod database;
mod export;
#[cfg(test)]
pub(crate) mod inline;
mod inspect;
mod queue;
mod readers;
mod schema;
mod writer;

mod accounts;
mod alerts;
mod audit;
mod calls;
mod contact_tally;
mod contacts;
mod keyring;
mod lead_edits;
mod lead_merges;
mod leads;
mod leases;
mod messages;
mod numbers;
mod observations;
mod people;
mod resources;
mod run_list;
mod runs;
mod schedules;
mod sessions;
mod tasks;
mod webhooks;
mod workflows;

#[cfg(test)]
mod tests;

pub use backup::{Copied, Restored, copy_to, restore};
pub use database::{SqliteGuard, open, open_beside, open_with_readers};
pub use export::{Export, NotedEdit, Turn};
pub use inspect::{Inspection, inspect, is_up_to_date};
pub use writer::CommitCounts;
