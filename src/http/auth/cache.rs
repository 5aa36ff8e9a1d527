//! Who a token belongs to, remembered for a few seconds, so that a busy client does not cost a database read per request.
//!
//! Bounded in number and in time. Sign-out and rotation in this process forget at once. Other nodes hear of it by Redis; should
//! that word be lost, an ended session opens another node's API for at most [`LIFE_AMONG_NODES`] longer.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{Caller, Via, token::TokenHash};
use crate::domain::time::Timestamp;

/// How long an entry is believed where every sign-out passes this process.
pub const LIFE_ALONE: Duration = Duration::from_secs(5);
/// How long it is believed where another node may have ended the session: within a second it is refused everywhere.
pub const LIFE_AMONG_NODES: Duration = Duration::from_millis(900);
/// Most entries; beyond that everything is forgotten and asked for again.
const ENTRIES_MAX: usize = 10_000;

/// The entries.
pub struct CallerCache {
    life: Duration,
    entries: Mutex<BTreeMap<TokenHash, (Timestamp, Caller)>>,
}

impl CallerCache {
    /// An empty cache whose entries are believed for `life`.
    #[must_use]
    pub const fn new(life: Duration) -> Self {
        Self {
            life,
            entries: Mutex::new(BTreeMap::new()),
        }
    }

    /// The caller a token belongs to, if that is known freshly enough.
    #[must_use]
    pub fn get(&self, hash: &TokenHash, now: Timestamp) -> Option<Caller> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .get(hash)
            .filter(|(until, _)| *until > now)
            .map(|(_, caller)| caller.clone())
    }

    /// Remembers a caller, but never beyond `valid_until`, the end of the token itself.
    pub fn put(&self, hash: TokenHash, caller: Caller, now: Timestamp, valid_until: Option<Timestamp>) {
        let until = now.plus(self.life);
        let until = valid_until.map_or(until, |end| end.min(until));
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, (until, _)| *until > now);
        }
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(hash, (until, caller));
    }

    /// Forgets whoever came by `via`: its session ended or its key was deleted.
    pub fn forget(&self, via: Via) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, (_, caller)| caller.via != via);
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
    use crate::{
        domain::ids::{AccountId, SessionId, UserId},
        store::accounts::Role,
    };

    fn caller() -> Caller {
        Caller {
            account_id: AccountId::fresh(),
            user_id: UserId::fresh(),
            role: Role::Agent,
            via: Via::Session(SessionId::fresh()),
        }
    }

    #[test]
    fn an_entry_ends_with_its_token_or_its_session() {
        let cache = CallerCache::new(LIFE_ALONE);
        let now = Timestamp::from_unix_millis(1_000);
        let soon = now.plus(Duration::from_secs(1));
        let one = caller();
        cache.put([1; 32], one.clone(), now, Some(soon));
        assert_eq!(cache.get(&[1; 32], now), Some(one.clone()));
        assert_eq!(cache.get(&[1; 32], soon), None);
        cache.put([1; 32], one.clone(), now, None);
        assert_eq!(cache.get(&[1; 32], now.plus(LIFE_ALONE)), None);
        cache.forget(one.via);
        assert_eq!(cache.get(&[1; 32], now), None);
    }
}
