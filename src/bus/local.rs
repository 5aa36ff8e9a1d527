//! The live stream within one process: a bounded ring of recent facts for replay and a broadcast to watchers.
//!
//! In: facts from actors. Out: subscriptions per account. A watcher that falls behind by the ring's size gets a gap, never
//! unbounded memory. The ring is lost with the process: a cursor from before then is answered with a gap.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::broadcast;

use super::live::{LiveFact, LiveMessage};
use crate::domain::{ids::AccountId, time::Timestamp};

/// Facts kept for replay and for slow watchers, over all accounts.
pub const RING_FACTS_MAX: usize = 16_384;

/// The stream. Cheap to clone.
#[derive(Clone)]
pub struct LocalBus {
    /// Tells this process's cursors from an earlier one's.
    epoch: u64,
    ring: Arc<Mutex<Ring>>,
    was_watched: Arc<AtomicBool>,
    sender: broadcast::Sender<Arc<LiveMessage>>,
}

struct Ring {
    next: u64,
    recent: VecDeque<Arc<LiveMessage>>,
}

/// What a new watcher gets.
pub struct Subscription {
    /// Facts after `since`, oldest first.
    pub replay: Vec<Arc<LiveMessage>>,
    /// True when facts after `since` are no longer kept, or `since` is from another process.
    pub gap: bool,
    /// The place in the stream after `replay`: what `since` may be when nothing more comes.
    pub cursor: String,
    receiver: broadcast::Receiver<Arc<LiveMessage>>,
    account_id: AccountId,
}

/// What comes next on a subscription.
#[derive(Debug)]
pub enum Next {
    Fact(Arc<LiveMessage>),
    /// The watcher was too slow: this many facts of all accounts passed by.
    Gap(u64),
    /// The server is stopping.
    Closed,
}

impl LocalBus {
    /// `epoch` is any number that differs from process to process, the start time for example.
    #[must_use]
    pub fn new(epoch: u64) -> Self {
        let (sender, _) = broadcast::channel(RING_FACTS_MAX);
        let ring = Ring {
            next: 1,
            recent: VecDeque::new(),
        };
        Self {
            epoch,
            ring: Arc::new(Mutex::new(ring)),
            was_watched: Arc::default(),
            sender,
        }
    }

    /// Puts a fact on the stream. Never waits; with no watcher it is only kept for replay.
    pub fn publish(&self, account_id: AccountId, at: Timestamp, fact: LiveFact) {
        // The lock is held over the send so that the ring and the watchers see one order.
        let mut ring = self
            .ring
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let cursor = format!("{:x}-{}", self.epoch, ring.next);
        let message = Arc::new(LiveMessage {
            cursor,
            at,
            account_id,
            fact,
        });
        ring.next += 1;
        if ring.recent.len() == RING_FACTS_MAX {
            ring.recent.pop_front();
        }
        ring.recent.push_back(Arc::clone(&message));
        // An error only says that nobody watches.
        let _ = self.sender.send(message);
    }

    /// Whether anybody has ever watched: before that nobody holds a place in the stream, and what costs much to say need not
    /// be said.
    #[must_use]
    pub fn was_watched(&self) -> bool {
        self.was_watched.load(Ordering::Relaxed)
    }

    /// Opens a subscription for one account, with what it missed since `since`.
    #[must_use]
    pub fn subscribe(&self, account_id: AccountId, since: Option<&str>) -> Subscription {
        self.was_watched.store(true, Ordering::Relaxed);
        let ring = self
            .ring
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let receiver = self.sender.subscribe();
        let cursor = format!("{:x}-{}", self.epoch, ring.next - 1);
        let Some(since) = since else {
            return Subscription {
                replay: Vec::new(),
                gap: false,
                cursor,
                receiver,
                account_id,
            };
        };
        let kept = u64::try_from(ring.recent.len()).unwrap_or(u64::MAX);
        let first_kept = ring.next - kept;
        let after = since
            .split_once('-')
            .filter(|(epoch, _)| u64::from_str_radix(epoch, 16) == Ok(self.epoch))
            .and_then(|(_, number)| number.parse::<u64>().ok())
            .filter(|number| *number < ring.next);
        let gap = after.is_none_or(|number| number + 1 < first_kept);
        let skip = after.map_or(0, |number| (number + 1).saturating_sub(first_kept));
        let replay = ring
            .recent
            .iter()
            .skip(usize::try_from(skip).unwrap_or(usize::MAX))
            .filter(|message| message.account_id == account_id)
            .cloned()
            .collect();
        Subscription {
            replay,
            gap,
            cursor,
            receiver,
            account_id,
        }
    }
}

impl Subscription {
    /// Waits for the account's next fact.
    pub async fn next(&mut self) -> Next {
        loop {
            match self.receiver.recv().await {
                Ok(message) if message.account_id == self.account_id => return Next::Fact(message),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(missed)) => return Next::Gap(missed),
                Err(broadcast::error::RecvError::Closed) => return Next::Closed,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{CallId, RunId};

    fn fact(number: u64) -> LiveFact {
        LiveFact::SentimentTrend {
            call_id: CallId::fresh(),
            trend: 0.0,
            at_ms: number,
        }
    }

    fn numbers(messages: &[Arc<LiveMessage>]) -> Vec<u64> {
        messages
            .iter()
            .filter_map(|message| match message.fact {
                LiveFact::SentimentTrend { at_ms, .. } => Some(at_ms),
                _ => None,
            })
            .collect()
    }

    #[tokio::test]
    async fn replays_what_was_missed_and_goes_on_without_a_hole() {
        let bus = LocalBus::new(7);
        let (mine, other) = (AccountId::fresh(), AccountId::fresh());
        let at = Timestamp::from_unix_millis(0);
        for number in 0..4 {
            bus.publish(if number == 2 { other } else { mine }, at, fact(number));
        }
        let mut watcher = bus.subscribe(mine, Some("7-1"));
        assert!(!watcher.gap);
        assert_eq!(numbers(&watcher.replay), [1, 3]);
        bus.publish(mine, at, fact(4));
        let Next::Fact(message) = watcher.next().await else {
            panic!("expected a fact")
        };
        assert_eq!(numbers(&[message]), [4]);
    }

    #[test]
    fn says_gap_for_another_process_and_for_what_is_no_longer_kept() {
        let bus = LocalBus::new(7);
        let account = AccountId::fresh();
        assert!(bus.subscribe(account, Some("6-1")).gap);
        assert!(bus.subscribe(account, Some(&RunId::fresh().to_string())).gap);
        for number in 0..=RING_FACTS_MAX {
            bus.publish(account, Timestamp::from_unix_millis(0), fact(number as u64));
        }
        assert!(bus.subscribe(account, Some("7-0")).gap);
        assert!(!bus.subscribe(account, Some("7-1")).gap);
    }
}
