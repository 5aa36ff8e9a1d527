//! This process's end of the live stream.
//!
//! In: facts from actors. Out: subscriptions per account. On one box the stream begins and ends here; with Redis every node's facts
//! go through it, so that a watcher sees all of them wherever it is connected. The ring is lost with the process: a cursor from
//! before then is answered with a gap.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::broadcast;

pub use super::ring::RING_FACTS_MAX;
use super::{
    live::{LiveFact, LiveMessage},
    redis::stream::{SharedStream, Watching},
    ring::{Item, Place, Ring},
};
use crate::domain::{ids::AccountId, time::Timestamp};

/// The stream. Cheap to clone.
#[derive(Clone)]
pub struct LocalBus {
    ring: Ring,
    was_watched: Arc<AtomicBool>,
    /// The way through the other nodes, where there are any.
    shared: Option<SharedStream>,
}

/// What a new watcher gets.
pub struct Subscription {
    /// Facts after `since`, oldest first.
    pub replay: Vec<Arc<LiveMessage>>,
    /// True when facts after `since` are no longer kept, or `since` is from another process.
    pub gap: bool,
    /// The place in the stream after `replay`: what `since` may be when nothing more comes.
    pub cursor: String,
    pub(super) receiver: broadcast::Receiver<Item>,
    pub(super) account_id: AccountId,
    /// Up to this place everything is in `replay` or was not asked for.
    pub(super) seen: Option<Place>,
    /// The shared stream is read for the account while somebody watches.
    #[expect(dead_code, reason = "held for what its drop does")]
    pub(super) watching: Option<Watching>,
}

/// What comes next on a subscription.
#[derive(Debug)]
pub enum Next {
    Fact(Arc<LiveMessage>),
    /// The watcher was too slow: this many facts of all accounts passed by.
    Gap(u64),
    /// Facts may be missing, and not because the watcher was slow: the way between the nodes was broken.
    Lost,
    /// The server is stopping.
    Closed,
}

impl LocalBus {
    /// `epoch` is any number that differs from process to process, the start time for example.
    #[must_use]
    pub fn new(epoch: u64) -> Self {
        Self {
            ring: Ring::new(epoch),
            was_watched: Arc::default(),
            shared: None,
        }
    }

    /// The same, with the facts of every node that uses this Redis.
    #[must_use]
    pub fn shared(epoch: u64, redis: super::redis::Redis) -> Self {
        let ring = Ring::new(epoch);
        let was_watched = Arc::<AtomicBool>::default();
        let shared = SharedStream::start(redis, ring.clone(), Arc::clone(&was_watched));
        Self {
            ring,
            was_watched,
            shared: Some(shared),
        }
    }

    /// Puts a fact on the stream. Never waits; with no watcher it is only kept for replay.
    pub fn publish(&self, account_id: AccountId, at: Timestamp, fact: LiveFact) {
        match &self.shared {
            None => self.ring.publish(account_id, at, fact),
            Some(shared) => shared.publish(account_id, at, fact),
        }
    }

    /// Whether anybody has ever watched: before that nobody holds a place in the stream, and what costs much to say need not
    /// be said. Of another node's first watcher this is known half a second later.
    #[must_use]
    pub fn was_watched(&self) -> bool {
        self.was_watched.load(Ordering::Relaxed)
    }

    /// Opens a subscription for one account, with what it missed since `since`.
    pub async fn subscribe(&self, account_id: AccountId, since: Option<&str>) -> Subscription {
        self.was_watched.store(true, Ordering::Relaxed);
        if let Some(shared) = &self.shared {
            return shared.subscribe(account_id, since).await;
        }
        let found = self.ring.since(account_id, since);
        Subscription {
            replay: found.replay,
            gap: found.gap,
            cursor: found.cursor,
            receiver: found.receiver,
            account_id,
            seen: None,
            watching: None,
        }
    }
}

impl Subscription {
    /// Waits for the account's next fact.
    pub async fn next(&mut self) -> Next {
        loop {
            match self.receiver.recv().await {
                Ok(Item::Fact { message, place }) if message.account_id == self.account_id => {
                    if place.is_some() && place <= self.seen {
                        continue;
                    }
                    self.seen = place.or(self.seen);
                    return Next::Fact(message);
                }
                Ok(Item::Lost(about)) if about.is_none_or(|about| about == self.account_id) => {
                    return Next::Lost;
                }
                Ok(Item::Fact { .. } | Item::Lost(_)) => {}
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
        let mut watcher = bus.subscribe(mine, Some("7-1")).await;
        assert!(!watcher.gap);
        assert_eq!(numbers(&watcher.replay), [1, 3]);
        bus.publish(mine, at, fact(4));
        let Next::Fact(message) = watcher.next().await else {
            panic!("expected a fact")
        };
        assert_eq!(numbers(&[message]), [4]);
    }

    #[tokio::test]
    async fn says_gap_for_another_process_and_for_what_is_no_longer_kept() {
        let bus = LocalBus::new(7);
        let account = AccountId::fresh();
        assert!(bus.subscribe(account, Some("6-1")).await.gap);
        assert!(
            bus.subscribe(account, Some(&RunId::fresh().to_string()))
                .await
                .gap
        );
        for number in 0..=RING_FACTS_MAX {
            bus.publish(account, Timestamp::from_unix_millis(0), fact(number as u64));
        }
        assert!(bus.subscribe(account, Some("7-0")).await.gap);
        assert!(!bus.subscribe(account, Some("7-1")).await.gap);
    }
}
