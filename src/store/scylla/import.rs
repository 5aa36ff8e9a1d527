//! What a copy of another store writes that no trait does: versions by themselves, edits that were made elsewhere, whose turn it is.

use std::sync::Arc;

use super::{
    database::Scylla,
    fields::{Int, values},
    lead_edits::{TURNS, turn_key},
    revised::{Change, Made},
    rows::Conditional,
};
use crate::{
    domain::{
        consent::OptOut,
        ids::{AccountId, LeadId, UserId},
    },
    store::{StoreError, StoreResult, workflows::WorkflowVersion},
};

const VERSION: &str =
    "INSERT INTO workflows (id, version, published_at, definition) VALUES (?, ?, ?, ?) IF NOT EXISTS";
const NOTE: &str =
    "INSERT INTO leads (account, id, key, result, facts) VALUES (?, ?, ?, ?, '[]') IF NOT EXISTS USING TTL ?";
const NOTED: &str = "SELECT result FROM leads WHERE account = ? AND id = ? AND key = ?";
/// As long as edits that are made here.
const NOTED_FOR: Int = Int(180 * 24 * 3_600);

/// Writes into a store that nothing serves.
pub struct Importer(pub(super) Arc<Scylla>);

impl Importer {
    /// Keeps a version; one that is there stays.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn add_version(&self, version: &WorkflowVersion) -> StoreResult<()> {
        let row = values![
            version.workflow_id,
            version.version,
            version.published_at,
            version.definition
        ];
        self.once(VERSION, row).await
    }

    /// Notes that a lead was edited under this key, all facts of which are kept; what is noted stays.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn note_edit(
        &self,
        (account, lead): (AccountId, LeadId),
        key: &str,
        result: &str,
    ) -> StoreResult<()> {
        self.once(NOTE, values![account, lead, key, result, NOTED_FOR])
            .await
    }

    /// What is noted under a key.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn noted_edit(
        &self,
        (account, lead): (AccountId, LeadId),
        key: &str,
    ) -> StoreResult<Option<String>> {
        let row = self.0.select_one(NOTED, values![account, lead, key]).await?;
        row.map(|mut row| row.take(0)).transpose()
    }

    /// Sets who of a pool was given a lead last.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn set_turn(&self, account: AccountId, pool: &[UserId], last: UserId) -> StoreResult<()> {
        let key = turn_key(account, pool);
        let moved = self.0.revise(&TURNS, &key, |before: UserId| {
            Ok(if before == last {
                Change::Keep(())
            } else {
                Change::Write(last, ())
            })
        });
        if moved.await?.is_none() && self.0.make(&TURNS, &key, &last).await? == Made::Exists {
            return Err(StoreError::Busy);
        }
        Ok(())
    }

    /// Who of a pool was given a lead last.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn turn(&self, account: AccountId, pool: &[UserId]) -> StoreResult<Option<UserId>> {
        self.0.find(&TURNS, &turn_key(account, pool)).await
    }

    /// Keeps what a number has opted out of that no lead has.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn keep_opt_out(&self, account: AccountId, key: &str, opt_out: &OptOut) -> StoreResult<()> {
        self.0.keep_opt_out(account, key, opt_out).await
    }

    async fn once(&self, text: &'static str, row: super::fields::Values) -> StoreResult<()> {
        match self.0.conditional(vec![(text, row)]).await? {
            Conditional::Applied | Conditional::Refused => Ok(()),
            // The copy as a whole may be repeated.
            Conditional::Unknown(error) => Err(error),
        }
    }
}
