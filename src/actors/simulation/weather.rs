//! What the store meets: failures before and after the commit, and the end of the process at a write drawn from the seed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use super::dice::Dice;
use crate::store::sqlite::inline::{Fate, Weather};

/// Of a thousand writes, so many fail before their commit, and as many after it.
const FAILURES_PER_MILLE: u64 = 15;
/// Of a thousand reads, so many fail.
const READ_FAILURES_PER_MILLE: u64 = 3;

/// The weather of a saga.
pub(super) struct Storm {
    dice: Dice,
    is_calm: AtomicBool,
    /// Writes until the process ends; 0 while it does not.
    writes_left: AtomicU64,
    death: Notify,
    failures: AtomicU64,
    deaths: AtomicU64,
}

impl Storm {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            dice: Dice::new(seed),
            is_calm: AtomicBool::new(true),
            writes_left: AtomicU64::new(0),
            death: Notify::new(),
            failures: AtomicU64::new(0),
            deaths: AtomicU64::new(0),
        })
    }

    /// From here on operations fail, and the write number `writes_left` is the last.
    pub(super) fn rise(&self, writes_left: u64) {
        self.writes_left.store(writes_left, Ordering::Relaxed);
        self.is_calm.store(false, Ordering::Relaxed);
    }

    /// From here on all goes well.
    pub(super) fn calm(&self) {
        self.is_calm.store(true, Ordering::Relaxed);
    }

    /// Waits for the end of the process.
    pub(super) async fn death(&self) {
        self.death.notified().await;
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(super) fn deaths(&self) -> u64 {
        self.deaths.load(Ordering::Relaxed)
    }

    fn failed(&self, fate: Fate) -> Fate {
        self.failures.fetch_add(1, Ordering::Relaxed);
        fate
    }
}

impl Weather for Storm {
    fn of_write(&self) -> Fate {
        if self.is_calm.load(Ordering::Relaxed) {
            return Fate::Done;
        }
        if self.writes_left.fetch_sub(1, Ordering::Relaxed) <= 1 {
            self.calm();
            return if self.dice.below(2) == 0 {
                Fate::DiesBefore
            } else {
                Fate::DiesAfter
            };
        }
        match self.dice.below(1_000) {
            rolled if rolled < FAILURES_PER_MILLE => self.failed(Fate::FailsBefore),
            rolled if rolled < 2 * FAILURES_PER_MILLE => self.failed(Fate::FailsAfter),
            _ => Fate::Done,
        }
    }

    fn of_read(&self) -> Fate {
        let is_calm = self.is_calm.load(Ordering::Relaxed);
        if !is_calm && self.dice.below(1_000) < READ_FAILURES_PER_MILLE {
            return self.failed(Fate::FailsBefore);
        }
        Fate::Done
    }

    fn delay(&self) -> Duration {
        Duration::from_micros(self.dice.below(3_000))
    }

    fn die(&self) {
        self.deaths.fetch_add(1, Ordering::Relaxed);
        self.death.notify_one();
    }
}
