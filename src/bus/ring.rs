//! The last mile of the live stream: a bounded ring of recent facts for replay and a broadcast to this process's watchers.
//!
//! In: facts, each either put in order here or with its place in the shared stream. Out: subscriptions per account. A watcher that
//! falls behind by the ring's size gets a gap, never unbounded memory.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::broadcast;

use super::live::{LiveFact, LiveMessage};
use crate::domain::{ids::AccountId, time::Timestamp};

/// Facts kept for replay and for slow watchers, over all accounts.
pub const RING_FACTS_MAX: usize = 16_384;

/// A fact's place in an account's shared stream: milliseconds and a number within them.
pub(super) type Place = (u64, u64);

/// The ring. Cheap to clone.
#[derive(Clone)]
pub(super) struct Ring {
    /// Tells this process's cursors from an earlier one's.
    epoch: u64,
    recent: Arc<Mutex<Recent>>,
    sender: broadcast::Sender<Item>,
}

struct Recent {
    next: u64,
    facts: VecDeque<Arc<LiveMessage>>,
}

/// What watchers of the process are told.
#[derive(Clone)]
pub(super) enum Item {
    /// `place` is none for a fact that was put in order here.
    Fact {
        message: Arc<LiveMessage>,
        place: Option<Place>,
    },
    /// Facts of other nodes about this account, or about any, may be missing.
    Lost(Option<AccountId>),
}

/// The part of the ring that a new watcher gets.
pub(super) struct Since {
    pub replay: Vec<Arc<LiveMessage>>,
    pub gap: bool,
    pub cursor: String,
    pub receiver: broadcast::Receiver<Item>,
}

impl Ring {
    /// `epoch` is any number that differs from process to process.
    pub(super) fn new(epoch: u64) -> Self {
        let (sender, _) = broadcast::channel(RING_FACTS_MAX);
        let recent = Recent {
            next: 1,
            facts: VecDeque::new(),
        };
        Self {
            epoch,
            recent: Arc::new(Mutex::new(recent)),
            sender,
        }
    }

    /// Puts a fact in order, keeps it for replay and tells the watchers. Never waits.
    pub(super) fn publish(&self, account_id: AccountId, at: Timestamp, fact: LiveFact) {
        // The lock is held over the send so that the ring and the watchers see one order.
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let cursor = format!("{:x}-{}", self.epoch, recent.next);
        let message = Arc::new(LiveMessage {
            cursor,
            at,
            account_id,
            fact,
        });
        recent.next += 1;
        if recent.facts.len() == RING_FACTS_MAX {
            recent.facts.pop_front();
        }
        recent.facts.push_back(Arc::clone(&message));
        self.tell(Item::Fact { message, place: None });
    }

    /// Tells the watchers what has its place already.
    pub(super) fn tell(&self, item: Item) {
        // An error only says that nobody watches.
        let _ = self.sender.send(item);
    }

    /// Everything from here on.
    pub(super) fn receiver(&self) -> broadcast::Receiver<Item> {
        self.sender.subscribe()
    }

    /// What was missed since `since`, and everything from here on without a hole.
    pub(super) fn since(&self, account_id: AccountId, since: Option<&str>) -> Since {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.sender.subscribe();
        let cursor = format!("{:x}-{}", self.epoch, recent.next - 1);
        let Some(since) = since else {
            return Since {
                replay: Vec::new(),
                gap: false,
                cursor,
                receiver,
            };
        };
        let kept = u64::try_from(recent.facts.len()).unwrap_or(u64::MAX);
        let first_kept = recent.next - kept;
        let after = since
            .split_once('-')
            .filter(|(epoch, _)| u64::from_str_radix(epoch, 16) == Ok(self.epoch))
            .and_then(|(_, number)| number.parse::<u64>().ok())
            .filter(|number| *number < recent.next);
        let gap = after.is_none_or(|number| number + 1 < first_kept);
        let skip = after.map_or(0, |number| (number + 1).saturating_sub(first_kept));
        let replay = recent
            .facts
            .iter()
            .skip(usize::try_from(skip).unwrap_or(usize::MAX))
            .filter(|message| message.account_id == account_id)
            .cloned()
            .collect();
        Since {
            replay,
            gap,
            cursor,
            receiver,
        }
    }
}
