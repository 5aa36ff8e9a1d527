//! What a token belongs to, remembered for a few seconds, so that a busy client does not cost a database read per request.
//!
//! Bounded in number and in time. Sign-out and rotation in this process forget at once. Other nodes hear of it by Redis; should
//! that word be lost, an ended session opens another node's API for at most [`LIFE_AMONG_NODES`] longer.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::token::TokenHash;
use crate::domain::time::Timestamp;

/// How long an entry is believed where every sign-out passes this process.
pub const LIFE_ALONE: Duration = Duration::from_secs(5);
/// How long it is believed where another node may have ended the session: within a second it is refused everywhere.
pub const LIFE_AMONG_NODES: Duration = Duration::from_millis(900);
/// Most entries; beyond that everything is forgotten and asked for again.
const ENTRIES_MAX: usize = 10_000;

/// The entries.
pub struct TokenCache<T> {
    life: Duration,
    entries: Mutex<BTreeMap<TokenHash, (Timestamp, T)>>,
}

impl<T: Clone> TokenCache<T> {
    /// An empty cache whose entries are believed for `life`.
    #[must_use]
    pub const fn new(life: Duration) -> Self {
        Self {
            life,
            entries: Mutex::new(BTreeMap::new()),
        }
    }

    /// What a token belongs to, if that is known freshly enough.
    #[must_use]
    pub fn get(&self, hash: &TokenHash, now: Timestamp) -> Option<T> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .get(hash)
            .filter(|(until, _)| *until > now)
            .map(|(_, owner)| owner.clone())
    }

    /// Remembers an owner, but never beyond `valid_until`, the end of the token itself.
    pub fn put(&self, hash: TokenHash, owner: T, now: Timestamp, valid_until: Option<Timestamp>) {
        let until = now.plus(self.life);
        let until = valid_until.map_or(until, |end| end.min(until));
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, (until, _)| *until > now);
        }
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(hash, (until, owner));
    }

    /// Forgets the owners that are meant: a session ended, a key or a webhook was deleted.
    pub fn forget(&self, is_meant: impl Fn(&T) -> bool) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, (_, owner)| !is_meant(owner));
    }

    /// Forgets everybody: the next request of each is looked up again.
    pub fn clear(&self) {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_ends_with_its_token_or_its_session() {
        let cache = TokenCache::new(LIFE_ALONE);
        let now = Timestamp::from_unix_millis(1_000);
        let soon = now.plus(Duration::from_secs(1));
        cache.put([1; 32], "ann", now, Some(soon));
        assert_eq!(cache.get(&[1; 32], now), Some("ann"));
        assert_eq!(cache.get(&[1; 32], soon), None);
        cache.put([1; 32], "ann", now, None);
        assert_eq!(cache.get(&[1; 32], now.plus(LIFE_ALONE)), None);
        cache.forget(|owner| *owner == "ben");
        assert_eq!(cache.get(&[1; 32], now), Some("ann"));
        cache.forget(|owner| *owner == "ann");
        assert_eq!(cache.get(&[1; 32], now), None);
    }
}
