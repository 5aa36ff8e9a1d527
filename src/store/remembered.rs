//! Rows that every event asks for, remembered so that it does not cost a read each: accounts, and workflows by their trigger.
//!
//! A write of this process to what they show forgets them at once; a write of another process (a command-line tool beside the
//! server) is seen after [`LIFE`] at the latest.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How long an entry is believed.
const LIFE: Duration = Duration::from_secs(1);
/// Most entries; beyond that everything is forgotten and read again.
const ENTRIES_MAX: usize = 4_096;

/// What was read a moment ago.
pub(in crate::store) struct Remembered<K, V> {
    /// Counts the writes that made what was read before them stale.
    writes: AtomicU64,
    entries: Mutex<BTreeMap<K, Entry<V>>>,
}

struct Entry<V> {
    value: V,
    /// The count of writes before it was read.
    writes: u64,
    read_at: Instant,
}

impl<K: Ord, V: Clone> Remembered<K, V> {
    pub(in crate::store) const fn new() -> Self {
        Self {
            writes: AtomicU64::new(0),
            entries: Mutex::new(BTreeMap::new()),
        }
    }

    /// What is known freshly enough.
    pub(in crate::store) fn get(&self, key: &K) -> Option<V> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(key)?;
        let is_fresh = entry.writes == self.mark() && entry.read_at.elapsed() < LIFE;
        is_fresh.then(|| entry.value.clone())
    }

    /// To be taken before reading what [`Remembered::put`] is then given.
    pub(in crate::store) fn mark(&self) -> u64 {
        self.writes.load(Ordering::Acquire)
    }

    /// Remembers what was read after `mark` was taken: a write in between makes it stale from the start.
    pub(in crate::store) fn put(&self, key: K, value: V, mark: u64) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        let entry = Entry {
            value,
            writes: mark,
            read_at: Instant::now(),
        };
        entries.insert(key, entry);
    }

    /// Something that entries show was written. To be called after the commit and before its caller is answered.
    pub(in crate::store) fn forget(&self) {
        self.writes.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_makes_stale_what_was_read_before_it_and_what_was_being_read() {
        let remembered = Remembered::new();
        let mark = remembered.mark();
        remembered.put("a", 1, mark);
        assert_eq!(remembered.get(&"a"), Some(1));
        let reading = remembered.mark();
        remembered.forget();
        assert_eq!(remembered.get(&"a"), None);
        remembered.put("a", 1, reading);
        assert_eq!(remembered.get(&"a"), None, "it was read before the write");
        remembered.put("a", 2, remembered.mark());
        assert_eq!(remembered.get(&"a"), Some(2));
        assert_eq!(remembered.get(&"b"), None);
    }
}
