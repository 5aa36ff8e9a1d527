//! The store without threads, for tests on a virtual clock: the same SQL on one connection in memory.
//!
//! Time that is paused runs ahead whenever every task waits, so nothing may happen on another thread. What a write meets is
//! decided by its [`Weather`]: it may fail before its commit, or after it, or be the last thing the process does.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::Connection;

use super::{database, schema};
use crate::store::{Store, StoreError, StoreResult};

/// What becomes of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    /// Nothing was written, and the caller hears so.
    FailsBefore,
    /// It was written, but the caller hears of a failure.
    FailsAfter,
    /// The process ends before anything was written.
    DiesBefore,
    /// The process ends when it was written and nobody had heard so.
    DiesAfter,
}

/// Decides what operations meet.
pub(crate) trait Weather: Send + Sync {
    fn of_write(&self) -> Fate;
    /// [`Fate::Done`] or [`Fate::FailsBefore`].
    fn of_read(&self) -> Fate;
    /// How long the disk takes.
    fn delay(&self) -> Duration;
    /// Ends the process; the caller does not go on.
    fn die(&self);
}

/// What outlives a process.
pub(crate) struct Inline {
    db: Mutex<Connection>,
    weather: Arc<dyn Weather>,
}

#[derive(Debug, thiserror::Error)]
#[error("the weather is bad")]
struct BadWeather;

impl Inline {
    /// An empty store.
    pub(crate) fn new(weather: Arc<dyn Weather>) -> Arc<Self> {
        let db = Connection::open_in_memory().expect("memory is enough for a store");
        db.set_prepared_statement_cache_capacity(256);
        schema::migrate(&db).expect("an empty file takes all steps");
        Arc::new(Self {
            db: Mutex::new(db),
            weather,
        })
    }

    /// The store as a process that just started has it.
    pub(crate) fn open(self: &Arc<Self>) -> Store {
        database::open_inline(Arc::clone(self))
    }

    pub(super) async fn write<T>(&self, work: impl FnOnce(&Connection) -> StoreResult<T>) -> StoreResult<T> {
        tokio::time::sleep(self.weather.delay()).await;
        let fate = self.weather.of_write();
        if fate == Fate::DiesBefore {
            return self.end().await;
        }
        if fate == Fate::FailsBefore {
            return Err(bad_weather());
        }
        let outcome = commit(&self.db(), work);
        if fate == Fate::DiesAfter {
            return self.end().await;
        }
        tokio::time::sleep(self.weather.delay()).await;
        if fate == Fate::FailsAfter {
            return Err(bad_weather());
        }
        outcome
    }

    pub(super) async fn read<T>(&self, work: impl FnOnce(&Connection) -> StoreResult<T>) -> StoreResult<T> {
        tokio::task::yield_now().await;
        if self.weather.of_read() == Fate::FailsBefore {
            return Err(bad_weather());
        }
        work(&self.db())
    }

    async fn end<T>(&self) -> T {
        self.weather.die();
        std::future::pending().await
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn commit<T>(db: &Connection, work: impl FnOnce(&Connection) -> StoreResult<T>) -> StoreResult<T> {
    db.execute_batch("BEGIN")?;
    let outcome = work(db);
    db.execute_batch(if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    outcome
}

fn bad_weather() -> StoreError {
    StoreError::Unavailable(Box::new(BadWeather))
}
