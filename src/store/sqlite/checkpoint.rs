//! Moves what was committed from the write-ahead log into the database file, on its own thread and connection.
//!
//! SQLite's own checkpoints run inside a commit and were seen to stall it for 3.3 s under big batches. A passive checkpoint
//! beside the writer delays nobody, but under steady load it never reaches the end of a log that keeps growing. So once the
//! log is long, the writer finishes the small rest itself between two commits, and the log starts over.
//!
//! The log's file is made long at the start and never cut while it is served: writing over what is there costs the file system
//! no bookkeeping, and the bookkeeping was more than half of a commit (0.5 ms against 0.2 ms).

use std::{
    cell::Cell,
    fs::OpenOptions,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};

use rusqlite::Connection;

/// Writes after which the passive checkpoint is asked for: about 4 MB of log when they come in batches, 20 MB one by one.
const PASSIVE_WRITES: usize = 500;
/// Pages of log after which the writer finishes the checkpoint itself: 256 MiB. Commits wait meanwhile, about 20 ms; at 64 MiB and a
/// thousand runs a second that met one effect in forty, and their p99.
const LOG_LONG_PAGES: i64 = 65_536;
/// Length that the log's file is given at the start.
const LOG_RESERVED_BYTES: u64 = 8 << 20;

/// What the writer rings after it has committed.
pub(super) struct CheckpointBell {
    ring: SyncSender<()>,
    writes: Cell<usize>,
    log_is_long: Arc<AtomicBool>,
}

/// The other end: what the checkpoint thread waits on.
pub(super) struct Rung {
    rung: Receiver<()>,
    log_is_long: Arc<AtomicBool>,
}

/// Returns the writer's bell and the end the checkpoint thread waits on.
pub(super) fn bell() -> (CheckpointBell, Rung) {
    let (ring, rung) = sync_channel(1);
    let log_is_long = Arc::new(AtomicBool::new(false));
    let bell = CheckpointBell {
        ring,
        writes: Cell::new(0),
        log_is_long: Arc::clone(&log_is_long),
    };
    (bell, Rung { rung, log_is_long })
}

impl CheckpointBell {
    /// Notes that `writes` were committed; `db` is the writer's connection, outside a transaction.
    pub(super) fn written(&self, db: &Connection, writes: usize) {
        if self.log_is_long.swap(false, Ordering::Relaxed) {
            checkpoint(db, "PRAGMA wal_checkpoint(RESTART)");
        }
        let since_last = self.writes.get() + writes;
        if since_last < PASSIVE_WRITES {
            self.writes.set(since_last);
            return;
        }
        self.writes.set(0);
        match self.ring.try_send(()) {
            // A full channel means the thread is at it already.
            Ok(()) | Err(TrySendError::Full(())) => (),
            Err(TrySendError::Disconnected(())) => tracing::error!("the store's checkpoint thread is gone"),
        }
    }
}

/// Serves the bell until the writer is gone. Runs on its own thread.
pub(super) fn serve(db: &Connection, bell: &Rung) {
    while bell.rung.recv().is_ok() {
        let pages = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(1));
        match pages {
            Ok(pages) => bell.log_is_long.store(pages > LOG_LONG_PAGES, Ordering::Relaxed),
            Err(error) => tracing::warn!(error = %error, "store checkpoint failed"),
        }
    }
}

/// Makes the log's file long. What is behind the log's end is never read: its pages carry no checksum of this log. Only ever
/// appends, so that a tool that writes to the store at this moment loses nothing.
///
/// # Errors
/// When the disk is full or the file cannot be written.
pub(super) fn reserve(database: &Path) -> std::io::Result<()> {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    let mut log = OpenOptions::new().append(true).open(name)?;
    let zeros = [0_u8; 64 << 10];
    while log.metadata()?.len() < LOG_RESERVED_BYTES {
        log.write_all(&zeros)?;
    }
    log.sync_all()
}

/// Empties the log and its file, unless somebody reads from it: then it is left for the next time. Does not wait.
pub(super) fn truncate(db: &Connection) {
    checkpoint(db, "PRAGMA wal_checkpoint(TRUNCATE)");
}

fn checkpoint(db: &Connection, pragma: &str) {
    let done = db
        .busy_timeout(Duration::ZERO)
        .and_then(|()| db.query_row(pragma, [], |_row| Ok(())))
        .and_then(|()| db.busy_timeout(super::database::BUSY_TIMEOUT));
    if let Err(error) = done {
        tracing::warn!(error = %error, "store checkpoint failed");
    }
}
