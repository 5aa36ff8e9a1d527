//! One armed timer in 30 bytes: a million parked runs are a million of these.
//!
//! Ordered so that a max-heap gives the earliest first. The due time keeps 48 bits of milliseconds, which end in the year 10889.

use std::cmp::Ordering;

use crate::{
    domain::{ids::RunId, time::Timestamp},
    store::runs::TimerRow,
};

/// The latest moment that fits.
const DUE_MAX: u64 = (1 << 48) - 1;

/// Due time, run and number, each with its highest byte first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct TimerEntry {
    due: [u8; 6],
    run: [u8; 16],
    timer: [u8; 8],
}

impl TimerEntry {
    /// Packs a row. A due time that does not fit is the latest one that does.
    pub(super) fn of(row: &TimerRow) -> Self {
        let [_, _, due @ ..] = row.due.as_unix_millis().min(DUE_MAX).to_be_bytes();
        Self {
            due,
            run: *row.run_id.as_bytes(),
            timer: row.timer.to_be_bytes(),
        }
    }

    /// The row it was packed from.
    pub(super) fn row(&self) -> TimerRow {
        let mut due = [0; 8];
        due[2..].copy_from_slice(&self.due);
        TimerRow {
            due: Timestamp::from_unix_millis(u64::from_be_bytes(due)),
            run_id: RunId::from_bytes(self.run),
            timer: u64::from_be_bytes(self.timer),
        }
    }
}

impl Ord for TimerEntry {
    /// The earlier is the greater.
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |entry: &Self| (entry.due, entry.run, entry.timer);
        key(other).cmp(&key(self))
    }
}

impl PartialOrd for TimerEntry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_small_and_gives_back_what_it_was_made_of() {
        assert_eq!(size_of::<TimerEntry>(), 30);
        for due in [0, 1, 0xffff, 1_795_000_000_123, DUE_MAX] {
            let row = TimerRow {
                due: Timestamp::from_unix_millis(due),
                run_id: RunId::fresh(),
                timer: due / 7,
            };
            assert_eq!(TimerEntry::of(&row).row(), row);
        }
    }

    #[test]
    fn the_earlier_is_the_greater() {
        let entry = |due, timer| {
            TimerEntry::of(&TimerRow {
                due: Timestamp::from_unix_millis(due),
                run_id: RunId::from_bytes([1; 16]),
                timer,
            })
        };
        assert!(entry(255, 0) > entry(256, 0));
        assert!(entry(256, 1) > entry(256, 2));
    }
}
