//! The one thread that writes: takes what is queued, commits it together, answers afterwards.
//!
//! A lone write is committed at once; while a commit waits for the disk, others queue and share the next one. Each write runs
//! in a savepoint of its own, so that one that fails undoes only itself. Nobody is answered before COMMIT returned, and if
//! COMMIT fails everybody in it is told so, even who had failed by themselves: their reason may have been a lost neighbour.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    checkpoint::CheckpointBell,
    queue::{LastTaker, Queue},
};
use crate::store::{StoreError, StoreResult};

/// Most writes in one commit.
pub(super) const WRITES_PER_COMMIT_MAX: usize = 256;
/// Once the writes of a commit have run this long, and as long as the last flush took, it is closed and the rest goes into
/// the next: on a slow disk a fuller commit is quicker for everybody (152 flushes/s: 6,500 appends/s at 2 ms alone).
const COMMIT_FILL: Duration = Duration::from_millis(2);
const COMMIT_FILL_MAX: Duration = Duration::from_millis(20);
/// Writes that may wait for the writer; beyond it callers wait for room and then get `Busy`.
pub(super) const WRITES_QUEUED_MAX: usize = 8_192;

/// A whole commit failed; every write in it did.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the commit failed")]
struct CommitFailed(#[source] Arc<rusqlite::Error>);

/// A write or read ran into a bug of ours and was undone.
#[derive(Debug, thiserror::Error)]
#[error("a store operation panicked")]
pub(super) struct Panicked;

/// One queued write, whatever it returns.
pub(super) trait Write: Send {
    /// Runs it; false when it failed and must be undone.
    fn run(&mut self, db: &Connection) -> bool;
    /// Tells the caller, once it is known what became of the commit.
    fn answer(self: Box<Self>, failed: Option<Arc<rusqlite::Error>>);
}

/// A write with the caller who waits for it.
pub(super) struct PendingWrite<T, F> {
    work: Option<F>,
    outcome: Option<StoreResult<T>>,
    caller: oneshot::Sender<StoreResult<T>>,
}

impl<T, F> PendingWrite<T, F> {
    pub(super) fn new(work: F, caller: oneshot::Sender<StoreResult<T>>) -> Self {
        Self {
            work: Some(work),
            outcome: None,
            caller,
        }
    }
}

impl<T: Send, F: FnOnce(&Connection) -> StoreResult<T> + Send> Write for PendingWrite<T, F> {
    fn run(&mut self, db: &Connection) -> bool {
        let Some(work) = self.work.take() else {
            return false;
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(db)))
            .unwrap_or_else(|_panic| Err(StoreError::Unavailable(Box::new(Panicked))));
        let is_ok = outcome.is_ok();
        self.outcome = Some(outcome);
        is_ok
    }

    fn answer(self: Box<Self>, failed: Option<Arc<rusqlite::Error>>) {
        let outcome = match (failed, self.outcome) {
            (None, Some(outcome)) => outcome,
            (Some(error), _) => Err(StoreError::Unavailable(Box::new(CommitFailed(error)))),
            (None, None) => Err(StoreError::Unavailable(Box::new(Panicked))),
        };
        // A caller who stopped waiting has its write all the same: it is on disk.
        drop(self.caller.send(outcome));
    }
}

/// How much went through the writer since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CommitCounts {
    pub commits: u64,
    pub writes: u64,
}

/// The writer's running counts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    commits: AtomicU64,
    writes: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> CommitCounts {
        CommitCounts {
            commits: self.commits.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
        }
    }

    fn add(&self, writes: usize) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.writes
            .fetch_add(u64::try_from(writes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Serves the queue until it is closed and empty. Runs on its own thread.
pub(super) fn serve(
    db: &Connection,
    queue: &Queue<Box<dyn Write>>,
    counters: &Counters,
    bell: &CheckpointBell,
) {
    let _taker = LastTaker(queue);
    let mut queued = VecDeque::with_capacity(WRITES_PER_COMMIT_MAX);
    let mut fill_max = COMMIT_FILL;
    while queue.take(WRITES_PER_COMMIT_MAX, &mut queued) {
        while !queued.is_empty() {
            let mut done = Vec::with_capacity(queued.len());
            let began = Instant::now();
            let flushed = commit(db, fill_max, &mut queued, &mut done);
            let failed = match flushed {
                Ok(flush) => {
                    fill_max = flush.clamp(COMMIT_FILL, COMMIT_FILL_MAX);
                    None
                }
                Err(error) => {
                    tracing::error!(error = %error, writes = done.len(), "store commit failed");
                    roll_back(db);
                    Some(Arc::new(error))
                }
            };
            counters.add(done.len());
            metrics::histogram!("patchcord_store_commit_seconds").record(began.elapsed());
            metrics::counter!("patchcord_store_writes_total")
                .increment(u64::try_from(done.len()).unwrap_or(u64::MAX));
            let written = done.len();
            for write in done {
                write.answer(failed.clone());
            }
            bell.written(db, written);
        }
    }
}

/// Runs queued writes in one transaction and moves them to `done`: those, and no others, stand or fall with the result.
/// Returns how long COMMIT took.
fn commit(
    db: &Connection,
    fill_max: Duration,
    queued: &mut VecDeque<Box<dyn Write>>,
    done: &mut Vec<Box<dyn Write>>,
) -> rusqlite::Result<Duration> {
    let began = Instant::now();
    let opened = db
        .prepare_cached("BEGIN IMMEDIATE")
        .and_then(|mut begin| begin.execute([]));
    if let Err(error) = opened {
        done.extend(queued.drain(..));
        return Err(error);
    }
    // A write that is alone needs no savepoint: what undoes it is the end of the transaction.
    let is_alone = queued.len() == 1;
    let mut end = "COMMIT";
    while let Some(mut write) = queued.pop_front() {
        let ran = if is_alone {
            if !write.run(db) {
                end = "ROLLBACK";
            }
            Ok(())
        } else {
            run_in_savepoint(db, write.as_mut())
        };
        done.push(write);
        ran?;
        if began.elapsed() > fill_max {
            break;
        }
    }
    let flushing = Instant::now();
    db.prepare_cached(end)?.execute([])?;
    Ok(flushing.elapsed())
}

fn run_in_savepoint(db: &Connection, write: &mut dyn Write) -> rusqlite::Result<()> {
    db.prepare_cached("SAVEPOINT one")?.execute([])?;
    if !write.run(db) {
        db.prepare_cached("ROLLBACK TO one")?.execute([])?;
    }
    db.prepare_cached("RELEASE one")?.execute([]).map(drop)
}

/// Leaves a transaction that could not be committed. SQLite may have left it by itself (disk full, I/O error).
pub(super) fn roll_back(db: &Connection) {
    if db.is_autocommit() {
        return;
    }
    if let Err(error) = db.execute_batch("ROLLBACK") {
        tracing::error!(error = %error, "store rollback failed");
    }
}
