//! What the product keeps, as traits by aggregate. `sqlite/` implements them for one box, `scylla/` for several nodes.
//!
//! Every write that returned is on disk. Every read takes the account it reads for: there is no way to ask across accounts
//! but the recovery scans, which say so by name.

pub mod accounts;
mod aggregates;
pub mod alerts;
pub mod audit;
pub mod away;
pub mod calls;
pub mod contacts;
pub mod copy;
mod cursor;
mod journal_rows;
pub mod keyring;
pub mod kin;
pub mod lead_search;
pub mod leads;
pub mod leases;
pub mod messages;
pub mod observations;
mod passing;
mod remembered;
pub mod resources;
pub mod runs;
pub mod schedules;
pub mod scylla;
pub mod sqlite;
pub mod tasks;
pub mod walking;
pub mod webhooks;
pub mod workflows;

#[cfg(test)]
pub(crate) mod conformance;

pub use accounts::AccountStore;
pub use aggregates::{Aggregates, Store};
pub use alerts::AlertStore;
pub use audit::AuditStore;
pub use calls::CallStore;
pub use contacts::ContactStore;
pub use keyring::KeyringStore;
pub use leads::LeadStore;
pub use leases::LeaseStore;
pub use messages::MessageStore;
pub use observations::ObservationStore;
pub use resources::ResourceStore;
pub use runs::RunStore;
pub use schedules::ScheduleStore;
pub use tasks::TaskStore;
pub use webhooks::WebhookStore;
pub use workflows::WorkflowStore;

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// `what` names the kind (`call`, `workflow`), `id` the one that was asked for.
    #[error("{what} {id} is not in the store")]
    Missing { what: &'static str, id: String },
    /// A unique value is taken by another row.
    #[error("{field} is already in use")]
    Taken { field: &'static str },
    /// Somebody else moved the row first.
    #[error("{what} {id} has moved past revision {revision}")]
    Moved {
        what: &'static str,
        id: String,
        revision: u64,
    },
    /// The writer's lease is over: a newer one acts for the row's shard.
    #[error("{what} {id} belongs to a newer owner than epoch {epoch}")]
    Fenced {
        what: &'static str,
        id: String,
        /// The writer's own.
        epoch: u64,
    },
    #[error("the cursor does not belong to this list")]
    BadCursor,
    /// The write queue is full: the caller may try again.
    #[error("the store is busy")]
    Busy,
    #[error("the database did not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Result of a store operation.
pub type StoreResult<T> = Result<T, StoreError>;

/// Whether a write that may be repeated did something this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    Fresh,
    Duplicate,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Default)]
pub struct PageRequest {
    /// 1 to 200; the store caps it.
    pub limit: u32,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Part of a list, newest first unless the method says otherwise.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
}
