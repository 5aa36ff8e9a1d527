//! Moves what was committed from the write-ahead log into the database file, on its own thread and connection.
//!
//! SQLite's own checkpoints run inside a commit and were seen to stall it for 3.3 s under big batches. A passive checkpoint
//! beside the writer delays nobody, but under steady load it never reaches the end of a log that keeps growing. So once the
//! log is long, the writer finishes the small rest itself between two commits, and the log starts over.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    time::Duration,
};

use rusqlite::Connection;

/// Writes after which the passive checkpoint is asked for: about 4 MB of log.
const PASSIVE_WRITES: usize = 500;
/// Bytes of log after which the writer finishes the checkpoint itself.
const LOG_LONG_BYTES: u64 = 64 << 20;

/// What the writer rings after it has committed.
pub(super) struct CheckpointBell {
    log: PathBuf,
    ring: SyncSender<()>,
    writes: Cell<usize>,
}

/// Returns the writer's bell and the end the checkpoint thread waits on.
pub(super) fn bell(database: &Path) -> (CheckpointBell, Receiver<()>) {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let (ring, rung) = sync_channel(1);
    (
        CheckpointBell {
            log: PathBuf::from(log),
            ring,
            writes: Cell::new(0),
        },
        rung,
    )
}

impl CheckpointBell {
    /// Notes that `writes` were committed; `db` is the writer's connection, outside a transaction.
    pub(super) fn written(&self, db: &Connection, writes: usize) {
        let since_last = self.writes.get() + writes;
        if since_last < PASSIVE_WRITES {
            self.writes.set(since_last);
            return;
        }
        self.writes.set(0);
        let log_bytes = std::fs::metadata(&self.log).map_or(0, |meta| meta.len());
        if log_bytes > LOG_LONG_BYTES {
            truncate(db);
        } else {
            match self.ring.try_send(()) {
                // A full channel means the thread is at it already.
                Ok(()) | Err(TrySendError::Full(())) => (),
                Err(TrySendError::Disconnected(())) => {
                    tracing::error!("the store's checkpoint thread is gone")
                }
            }
        }
    }
}

/// Serves the bell until the writer is gone. Runs on its own thread.
pub(super) fn serve(db: &Connection, rung: &Receiver<()>) {
    while rung.recv().is_ok() {
        if let Err(error) = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_row| Ok(())) {
            tracing::warn!(error = %error, "store checkpoint failed");
        }
    }
}

/// Empties the log, unless somebody reads from it: then it is left for the next time. Does not wait.
pub(super) fn truncate(db: &Connection) {
    let emptied = db
        .busy_timeout(Duration::ZERO)
        .and_then(|()| db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(())))
        .and_then(|()| db.busy_timeout(super::database::BUSY_TIMEOUT));
    if let Err(error) = emptied {
        tracing::warn!(error = %error, "store checkpoint failed");
    }
}
