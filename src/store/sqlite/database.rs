//! Opens the store: one connection for the writer, a few for readers, one for checkpoints, each on a thread of its own.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    checkpoint,
    queue::{Closed, Queue},
    readers::{self, READERS, READS_QUEUED_MAX, Read},
    schema,
    writer::{self, CommitCounts, Counters, Panicked, PendingWrite, WRITES_QUEUED_MAX, Write},
};
use crate::{
    domain::ids::AccountId,
    store::{
        Aggregates, Store, StoreError, StoreResult, accounts::Account, leases::NodeRow,
        remembered::Remembered, workflows::WorkflowRow,
    },
};

/// How long a connection waits for another process (a backup, a command-line tool) that holds a lock.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements each connection keeps: all there are.
const STATEMENTS_MAX: usize = 160;

/// Another process serves this file: two would both act on its runs.
#[derive(Debug, thiserror::Error)]
#[error("{} is being served by another process", path.display())]
struct InUse {
    path: PathBuf,
}

/// Every aggregate's implementation: the queues to the threads that hold the connections.
pub(super) struct Sqlite {
    pub(super) writes: Queue<Box<dyn Write>>,
    reads: Queue<Read>,
    counters: Counters,
    pub(super) accounts_read: Remembered<AccountId, Account>,
    /// By account and type of trigger.
    pub(super) triggered_read: Remembered<(AccountId, String), Vec<WorkflowRow>>,
    /// The process that serves the file, once it has said so.
    pub(super) node: Mutex<Option<NodeRow>>,
    /// Does the work itself instead of the threads.
    #[cfg(test)]
    inline: Option<Arc<super::inline::Inline>>,
}

impl Sqlite {
    fn new() -> Self {
        Self {
            writes: Queue::new(WRITES_QUEUED_MAX),
            reads: Queue::new(READS_QUEUED_MAX),
            counters: Counters::default(),
            accounts_read: Remembered::new(),
            triggered_read: Remembered::new(),
            node: Mutex::new(None),
            #[cfg(test)]
            inline: None,
        }
    }

    /// Runs `work` on the writer's connection and returns once it is on disk. What an `Err` had changed is undone.
    pub(super) async fn write<T, F>(&self, work: F) -> StoreResult<T>
    where
        F: FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
        T: Send + 'static,
    {
        #[cfg(test)]
        if let Some(inline) = &self.inline {
            return inline.write(work).await;
        }
        let (caller, answer) = oneshot::channel();
        self.writes
            .push(Box::new(PendingWrite::new(work, caller)))
            .await?;
        answer.await.map_err(|_gone| Closed)?
    }

    /// Writes that wait for the writer.
    #[cfg(test)]
    pub(super) fn queued_writes(&self) -> usize {
        self.writes.len()
    }

    /// Runs `work` on a reader's connection.
    pub(super) async fn read<T, F>(&self, work: F) -> StoreResult<T>
    where
        F: FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
        T: Send + 'static,
    {
        #[cfg(test)]
        if let Some(inline) = &self.inline {
            return inline.read(work).await;
        }
        let (caller, answer) = oneshot::channel();
        let read: Read = Box::new(move |db| {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(db)))
                .unwrap_or_else(|_panic| Err(StoreError::Unavailable(Box::new(Panicked))));
            // A caller who stopped waiting does not want it any more.
            drop(caller.send(outcome));
        });
        self.reads.push(read).await?;
        answer.await.map_err(|_gone| Closed)?
    }
}

/// Keeps the store's threads. Dropped, it writes out what is queued, empties the log and joins them.
pub struct SqliteGuard {
    pub(super) store: Arc<Sqlite>,
    writer: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
    /// Held while this process serves the file.
    _lock: Option<File>,
}

impl SqliteGuard {
    /// What the writer has done so far.
    #[must_use]
    pub fn counts(&self) -> CommitCounts {
        self.store.counters.read()
    }

    /// The same as dropping it, by a name.
    pub fn shutdown(self) {}
}

impl Drop for SqliteGuard {
    fn drop(&mut self) {
        self.store.writes.close();
        self.store.reads.close();
        for thread in self.writer.take().into_iter().chain(self.others.drain(..)) {
            if thread.join().is_err() {
                tracing::error!("a store thread panicked");
            }
        }
    }
}

/// Opens the store at `path` for serving, making the file and its folder when they are missing. Blocks for some milliseconds.
///
/// # Errors
/// `Unavailable` when another process serves it, the file is no store of ours, is from a later version, or cannot be written.
pub fn open(path: &Path) -> StoreResult<(Store, SqliteGuard)> {
    open_with_readers(path, READERS)
}

/// As [`open`], with another number of reading connections; 0 counts as 1.
pub fn open_with_readers(path: &Path, readers: usize) -> StoreResult<(Store, SqliteGuard)> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(unavailable)?;
    }
    let lock = lock(path)?;
    open_locked(path, readers, Some(lock))
}

/// Opens the store at `path` beside a process that may be serving it: for command-line tools that change accounts.
///
/// # Errors
/// As [`open`], but for the other process.
pub fn open_beside(path: &Path) -> StoreResult<(Store, SqliteGuard)> {
    open_locked(path, 1, None)
}

/// Takes the lock that says who serves the file.
pub(super) fn lock(path: &Path) -> StoreResult<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::create(PathBuf::from(name)).map_err(unavailable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Unavailable(Box::new(InUse {
            path: path.to_owned(),
        }))),
        Err(TryLockError::Error(error)) => Err(unavailable(error)),
    }
}

fn open_locked(path: &Path, readers: usize, lock: Option<File>) -> StoreResult<(Store, SqliteGuard)> {
    let writer_db = connect(path, WRITER_PRAGMAS)?;
    schema::migrate(&writer_db)?;
    checkpoint::reserve(path).map_err(unavailable)?;
    let store = Arc::new(Sqlite::new());
    let (bell, rung) = checkpoint::bell();
    let checkpoint_db = connect(path, CHECKPOINT_PRAGMAS)?;
    let mut others = vec![spawn("store-checkpoint", move || {
        checkpoint::serve(&checkpoint_db, &rung);
    })?];
    for _ in 0..readers.max(1) {
        let reader_db = connect(path, READER_PRAGMAS)?;
        let served = Arc::clone(&store);
        others.push(spawn("store-reader", move || {
            readers::serve(&reader_db, &served.reads);
        })?);
    }
    let served = Arc::clone(&store);
    let writer = spawn("store-writer", move || {
        writer::serve(&writer_db, &served.writes, &served.counters, &bell);
        checkpoint::truncate(&writer_db);
    })?;
    let guard = SqliteGuard {
        store: Arc::clone(&store),
        writer: Some(writer),
        others,
        _lock: lock,
    };
    Ok((aggregates(&store), guard))
}

/// A store over a connection in memory, as a process that just started has it.
#[cfg(test)]
pub(super) fn open_inline(inline: Arc<super::inline::Inline>) -> Store {
    let store = Sqlite {
        inline: Some(inline),
        ..Sqlite::new()
    };
    aggregates(&Arc::new(store))
}

fn aggregates(store: &Arc<Sqlite>) -> Store {
    Store::from(Aggregates {
        accounts: store.clone(),
        workflows: store.clone(),
        runs: store.clone(),
        leads: store.clone(),
        calls: store.clone(),
        observations: store.clone(),
        alerts: store.clone(),
        tasks: store.clone(),
        messages: store.clone(),
        contacts: store.clone(),
        schedules: store.clone(),
        webhooks: store.clone(),
        resources: store.clone(),
        leases: store.clone(),
        audit: store.clone(),
        keyring: store.clone(),
    })
}

/// FULL: a commit returns when its log is on the disk. The writer never checkpoints inside a commit.
const WRITER_PRAGMAS: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
    PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;";
const CHECKPOINT_PRAGMAS: &str =
    "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -256;";
const READER_PRAGMAS: &str = "PRAGMA query_only = ON; PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY;";

/// Opens one connection.
pub(super) fn connect(path: &Path, pragmas: &str) -> StoreResult<Connection> {
    let db = Connection::open(path)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    db.execute_batch(pragmas)?;
    Ok(db)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> StoreResult<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(unavailable)
}

pub(super) fn unavailable(error: std::io::Error) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}
