//! Forgets what an ended run did: everything below its head, and its state.

use super::{
    lwt::Verdict,
    run_rows::{CommitId, STAND, StandRow},
    session::{Db, Statement},
    values::Count,
};
use crate::{
    domain::ids::RunId,
    store::{StoreResult, runs::RunHead},
};

/// The next revision, so that an actor that still holds the run cannot write it again.
const FORGET: Statement = Statement::conditional(
    "UPDATE runs SET revision = ?, commit_id = ?, snapshot = ?, error = ? WHERE run = ? IF revision = ?",
);
const FORGET_ROWS: Statement = Statement::write("DELETE FROM runs WHERE run = ? AND kind = ?");
const FORGET_PARTS: Statement = Statement::write("DELETE FROM run_parts WHERE run = ?");

/// Journal lines, effects, timers, references to parts: the kinds of rows below a head.
const KINDS: [i8; 4] = [0, 1, 2, 3];

/// Forgets an ended run as it was read. Returns whether this was the one that did.
pub(super) async fn forget(db: &Db, head: &RunHead) -> StoreResult<bool> {
    let id = head.id;
    // The rows below go first: after a crash in between the state says that there is something left to forget.
    for kind in KINDS {
        db.write(FORGET_ROWS, (id, kind)).await?;
    }
    db.write(FORGET_PARTS, (id,)).await?;
    let commit = CommitId::fresh();
    let (next, before) = (Count(head.revision.saturating_add(1)), Count(head.revision));
    let (nothing, no_reason) = (Vec::<u8>::new(), String::new());
    let outcome = db
        .conditional(FORGET, (next, commit.0, nothing, no_reason, id, before))
        .await;
    let verdict = db.settled(outcome, || is_standing(db, id, commit)).await?;
    // An ended run is moved by nobody but another who forgets it.
    Ok(verdict == Verdict::Applied)
}

async fn is_standing(db: &Db, id: RunId, commit: CommitId) -> StoreResult<bool> {
    let stand: Option<StandRow> = db.first(STAND, (id,)).await?;
    Ok(stand.is_some_and(|stand| stand.is_of(id, commit)))
}
