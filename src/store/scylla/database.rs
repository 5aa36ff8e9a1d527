//! What the aggregates other than runs share: the connection, where facts go, and what is remembered for a moment.

use std::sync::Arc;

use super::{calls_open::OpenHours, observations::Observations, session::Db};
use crate::{
    domain::ids::AccountId,
    store::{accounts::Account, remembered::Remembered, workflows::WorkflowRow},
};

/// The store of everything but runs, facts and leases.
pub(super) struct Scylla {
    pub(super) db: Arc<Db>,
    /// Where the facts go that edits of leads lead to.
    pub(super) observations: Arc<Observations>,
    pub(super) accounts_read: Remembered<AccountId, Account>,
    /// By account and type of trigger.
    pub(super) triggered_read: Remembered<(AccountId, String), Vec<WorkflowRow>>,
    pub(super) open_hours: OpenHours,
}

impl Scylla {
    pub(super) fn new(db: Arc<Db>, observations: Arc<Observations>) -> Self {
        Self {
            db,
            observations,
            accounts_read: Remembered::new(),
            triggered_read: Remembered::new(),
            open_hours: OpenHours::default(),
        }
    }
}
