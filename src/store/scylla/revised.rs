//! Rows that are one JSON body under a revision: read, changed, and written back only if nobody wrote in between.
//!
//! Every write is one lightweight transaction, conditional on the revision that was read, so a revision is written once. That
//! settles an outcome that is not known: read back at SERIAL, the row is as it was (the write did not happen), or at the next
//! revision with this body (it did) or another (it did not). Beyond the next revision it cannot be told, and the error stands.

use serde::{Serialize, de::DeserializeOwned};

use super::{
    fields::{Row, Values, values},
    rows::{Conditional, Scylla},
    values::body,
};
use crate::store::{StoreError, StoreResult};

/// How often a change is tried against others, before the store counts as busy.
pub(super) const TRIES_MAX: u32 = 40;

/// The statements of one table whose rows are a body under a revision.
pub(super) struct Revised {
    /// `SELECT revision, body … WHERE key`.
    pub(super) read: &'static str,
    /// `UPDATE … SET revision = ?, body = ? WHERE key IF revision = ?`; a null revision means that there is no row.
    pub(super) write: &'static str,
}

/// A row as it stands.
#[derive(Debug, Clone)]
pub(super) struct Stored<T> {
    pub(super) revision: u64,
    /// `None` for a row that was deleted: its key is never used again.
    pub(super) value: Option<T>,
}

/// What becomes of a row that was read.
pub(super) enum Change<T, R> {
    Keep(R),
    Write(T, R),
}

/// Whether a row was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Fresh,
    /// A row has this key, or had it before it was deleted.
    Exists,
}

impl Scylla {
    /// Reads a row; `None` when there never was one.
    pub(super) async fn stored<T: DeserializeOwned>(
        &self,
        table: &Revised,
        key: &Values,
    ) -> StoreResult<Option<Stored<T>>> {
        match self.select_one(table.read, key.clone()).await? {
            Some(row) => stored_of(row),
            None => Ok(None),
        }
    }

    /// As [`Scylla::stored`], without those that were deleted.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        table: &Revised,
        key: &Values,
    ) -> StoreResult<Option<T>> {
        Ok(self.stored(table, key).await?.and_then(|stored| stored.value))
    }

    /// Makes a row at revision 1, unless its key was used before.
    pub(super) async fn make(
        &self,
        table: &Revised,
        key: &Values,
        value: &impl Serialize,
    ) -> StoreResult<Made> {
        let body = body(value)?;
        let made = self
            .write_revision(table, key, None, Some(&body), Vec::new())
            .await?;
        Ok(if made { Made::Fresh } else { Made::Exists })
    }

    /// Writes the revision after `from`, together with `more` of the same partition. False when somebody else has.
    pub(super) async fn write_revision(
        &self,
        table: &Revised,
        key: &Values,
        from: Option<u64>,
        body: Option<&str>,
        more: Vec<(&'static str, Values)>,
    ) -> StoreResult<bool> {
        let next = from.map_or(1, |revision| revision.saturating_add(1));
        let mut write = values![next, body];
        write.extend(key.iter().cloned());
        write.extend(values![from]);
        let mut statements = vec![(table.write, write)];
        statements.extend(more);
        for _ in 0..TRIES_MAX {
            let error = match self.conditional(statements.clone()).await? {
                Conditional::Applied => return Ok(true),
                Conditional::Refused => return Ok(false),
                Conditional::Unknown(error) => error,
            };
            let found = match self.select_serial(table.read, key.clone()).await? {
                Some(row) => revision_of(row)?,
                None => (None, None),
            };
            if found.0 == Some(next) {
                return Ok(found.1.as_deref() == body);
            }
            if found.0 != from {
                return Err(error);
            }
        }
        Err(StoreError::Busy)
    }

    /// Reads a row, lets `change` decide, and writes what it made of it; again when somebody else was faster. `None` when there
    /// is no row.
    pub(super) async fn revise<T, R>(
        &self,
        table: &Revised,
        key: &Values,
        mut change: impl FnMut(T) -> StoreResult<Change<T, R>> + Send,
    ) -> StoreResult<Option<R>>
    where
        T: Serialize + DeserializeOwned + Send,
        R: Send,
    {
        for _ in 0..TRIES_MAX {
            let Some(stored) = self.stored::<T>(table, key).await? else {
                return Ok(None);
            };
            let Some(value) = stored.value else {
                return Ok(None);
            };
            let (next, answer) = match change(value)? {
                Change::Keep(answer) => return Ok(Some(answer)),
                Change::Write(next, answer) => (body(&next)?, answer),
            };
            let from = Some(stored.revision);
            if self
                .write_revision(table, key, from, Some(&next), Vec::new())
                .await?
            {
                return Ok(Some(answer));
            }
        }
        Err(StoreError::Busy)
    }
}

fn revision_of(mut row: Row) -> StoreResult<(Option<u64>, Option<String>)> {
    Ok((row.take_if_any(0)?, row.take_if_any(1)?))
}

fn stored_of<T: DeserializeOwned>(row: Row) -> StoreResult<Option<Stored<T>>> {
    let (Some(revision), body) = revision_of(row)? else {
        return Ok(None);
    };
    let value = body.map(|body| serde_json::from_str(&body)).transpose()?;
    Ok(Some(Stored { revision, value }))
}
