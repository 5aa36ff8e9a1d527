//! Rows that are one JSON body under a revision: read, changed, and written back only if nobody wrote in between.
//!
//! Every write is one lightweight transaction, conditional on the revision that was read, so a revision is written once. That
//! settles an outcome that is not known: read back at SERIAL, the row is as it was (the write did not happen), or at the next
//! revision with this body (it did) or another (it did not). Beyond the next revision it cannot be told, and the error stands.

use std::future::Future;

use serde::{Serialize, de::DeserializeOwned};

use super::{
    fields::{Row, Values, values},
    rows::{Conditional, Scylla},
    values::body,
};
use crate::{
    domain::ids::AccountId,
    store::{
        Page, Recorded, StoreError, StoreResult,
        cursor::{List, Position, Window},
    },
};

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

/// How a row stands after a write of it whose outcome was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    /// As before: it may be tried again.
    Before,
    /// As the write made it.
    Ours,
    /// As another's write made it in place of this one.
    Theirs,
    /// Others have moved it on since: it cannot be told.
    Beyond,
}

/// Whether a row was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Fresh,
    /// A row has this key, or had it before it was deleted.
    Exists,
}

impl From<Made> for Recorded {
    fn from(made: Made) -> Self {
        match made {
            Made::Fresh => Self::Fresh,
            Made::Exists => Self::Duplicate,
        }
    }
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

    /// One page of a list of rows by account and id, newest first. `place` says where a row belongs: an entry elsewhere is a hint
    /// that is out of date.
    pub(super) async fn page_of_revised<T: DeserializeOwned + Send>(
        &self,
        table: &Revised,
        account: AccountId,
        list: List,
        window: &Window,
        place: impl Fn(&T) -> Position + Send + Sync,
    ) -> StoreResult<Page<T>> {
        let place = &place;
        self.page_of(account, list, window, |position| async move {
            let row: Option<T> = self.find(table, &values![account, position.id]).await?;
            Ok(row.filter(|row| place(row) == position))
        })
        .await
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
        self.decided(statements, || async {
            let (revision, found) = match self.select_serial(table.read, key.clone()).await? {
                Some(row) => revision_of(row)?,
                None => (None, None),
            };
            Ok::<_, StoreError>(match revision {
                revision if revision == Some(next) && found.as_deref() == body => Stands::Ours,
                revision if revision == Some(next) => Stands::Theirs,
                revision if revision == from => Stands::Before,
                _ => Stands::Beyond,
            })
        })
        .await
    }

    /// Sends a conditional write until its outcome is known: false when it was refused. `stands` reads at SERIAL.
    ///
    /// # Errors
    /// The lost outcome's own error, when it stays unknown.
    pub(super) async fn decided<R>(
        &self,
        statements: Vec<(&'static str, Values)>,
        stands: impl Fn() -> R + Send,
    ) -> StoreResult<bool>
    where
        R: Future<Output = StoreResult<Stands>> + Send,
    {
        let mut lost = None;
        for _ in 0..TRIES_MAX {
            match self.conditional(statements.clone()).await? {
                Conditional::Applied => return Ok(true),
                Conditional::Refused if lost.is_none() => return Ok(false),
                // What refuses it may be the earlier try, which took place late.
                Conditional::Refused => (),
                Conditional::Unknown(error) => lost = Some(error),
            }
            match stands().await? {
                Stands::Ours => return Ok(true),
                Stands::Theirs => return Ok(false),
                Stands::Before => (),
                Stands::Beyond => break,
            }
        }
        Err(lost.unwrap_or(StoreError::Busy))
    }

    /// Removes a row for good; its key is never used again. Returns what it was; `None` when there is none.
    pub(super) async fn remove<T: DeserializeOwned>(
        &self,
        table: &Revised,
        key: &Values,
    ) -> StoreResult<Option<T>> {
        for _ in 0..TRIES_MAX {
            let stored: Option<Stored<T>> = self.stored(table, key).await?;
            let Some(Stored {
                revision,
                value: Some(value),
            }) = stored
            else {
                return Ok(None);
            };
            if self
                .write_revision(table, key, Some(revision), None, Vec::new())
                .await?
            {
                return Ok(Some(value));
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
