//! What the store has of an erasure that is under way: how much was erased by all attempts together.
//!
//! Written after each page of rows, when something was erased of it, and never before. So the counts only grow, and of what was just being
//! erased when a process died, one page at most is not in them. Two nodes that carry out one erasure at once do not both count: the
//! second to write finds that the row has moved, and pauses.

use crate::{
    domain::erasure::{Erasure, ErasureCounts},
    store::{Store, StoreResult, resources::ResourceRow},
};

/// The erasure as it is stored.
pub(super) struct Tally {
    row: ResourceRow,
    counts: ErasureCounts,
}

impl Tally {
    pub(super) const fn of(row: ResourceRow, erasure: &Erasure) -> Self {
        let counts = erasure.counts;
        Self { row, counts }
    }

    /// Writes down what was erased since the last time.
    ///
    /// # Errors
    /// `Moved` when another node carries the erasure out.
    pub(super) async fn keep(&mut self, store: &Store, erasure: &Erasure) -> StoreResult<()> {
        if erasure.counts == self.counts {
            return Ok(());
        }
        let mut next = self.row.next(erasure)?;
        next.is_open = true;
        store.resources.replace(next.clone()).await?;
        (self.row, self.counts) = (next, erasure.counts);
        Ok(())
    }

    /// Writes the erasure down as done.
    ///
    /// # Errors
    /// As for [`Self::keep`].
    pub(super) async fn close(&self, store: &Store, done: &Erasure) -> StoreResult<()> {
        store.resources.replace(self.row.next(done)?).await
    }
}
