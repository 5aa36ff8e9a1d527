//! What waits for its turn, in lanes: order within a lane, turns between lanes.
//!
//! A lane is an account and what it sends by (a number, a host). Each lane is in order; the lanes take turns, so that the thousand messages of one
//! account do not hold up the one message of another, and a lane that must wait holds up nobody.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

use crate::domain::ids::AccountId;

/// Whose and by what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    pub account_id: AccountId,
    pub kind: LaneKind,
    /// The sender's number, the host of a webhook, or empty.
    pub by: String,
}

/// Which rates and breakers a lane is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LaneKind {
    /// A number's text messages.
    Messages,
    /// A number's calls.
    Calls,
    /// One service for everybody.
    Service,
    /// Somebody's own server.
    Server,
    /// Nothing leaves.
    House,
}

/// Whatever waits.
#[derive(Debug)]
pub struct Lanes<T> {
    by_lane: BTreeMap<Lane, VecDeque<T>>,
    /// The lanes with something in them, in the order of their turns.
    turns: VecDeque<Lane>,
    len: usize,
}

/// Who is next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<T> {
    Go(Lane, T),
    /// Something waits, and nothing of it may go before.
    NotBefore(Instant),
    Nobody,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self {
            by_lane: BTreeMap::new(),
            turns: VecDeque::new(),
            len: 0,
        }
    }
}

impl<T> Lanes<T> {
    /// How many wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Lets something wait at the end of its lane.
    pub fn push(&mut self, lane: Lane, item: T) {
        self.len += 1;
        if let Some(waiting) = self.by_lane.get_mut(&lane) {
            waiting.push_back(item);
            return;
        }
        self.turns.push_back(lane.clone());
        self.by_lane.insert(lane, VecDeque::from([item]));
    }

    /// Puts something back at the head of its lane: it was not its turn after all.
    pub fn push_back_first(&mut self, lane: Lane, item: T) {
        self.len += 1;
        if let Some(waiting) = self.by_lane.get_mut(&lane) {
            waiting.push_front(item);
            return;
        }
        self.turns.push_front(lane.clone());
        self.by_lane.insert(lane, VecDeque::from([item]));
    }

    /// Takes out everything in the lanes that are meant.
    pub fn drain(&mut self, is_meant: impl Fn(&Lane) -> bool) -> Vec<T> {
        let mut drained = Vec::new();
        self.turns.retain(|lane| {
            let is_meant = is_meant(lane);
            if is_meant {
                drained.extend(self.by_lane.remove(lane).into_iter().flatten());
            }
            !is_meant
        });
        self.len -= drained.len();
        drained
    }

    /// Takes the first item of the next lane whose turn it may be; `turn` says when a lane may go.
    pub fn pop(&mut self, now: Instant, turn: impl Fn(&Lane) -> Instant) -> Next<T> {
        let mut earliest: Option<Instant> = None;
        for at in 0..self.turns.len() {
            let Some(lane) = self.turns.get(at) else { break };
            let when = turn(lane);
            if when > now {
                earliest = Some(earliest.map_or(when, |earliest| earliest.min(when)));
                continue;
            }
            let Some(lane) = self.turns.remove(at) else { break };
            let Some(waiting) = self.by_lane.get_mut(&lane) else {
                break;
            };
            let item = waiting.pop_front();
            if waiting.is_empty() {
                self.by_lane.remove(&lane);
            } else {
                self.turns.push_back(lane.clone());
            }
            let Some(item) = item else { break };
            self.len -= 1;
            return Next::Go(lane, item);
        }
        earliest.map_or(Next::Nobody, Next::NotBefore)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn lane(account_id: AccountId, by: &str) -> Lane {
        Lane {
            account_id,
            kind: LaneKind::Server,
            by: by.to_owned(),
        }
    }

    #[test]
    fn a_thousand_of_one_account_do_not_starve_another() {
        let (big, small) = (lane(AccountId::fresh(), "a"), lane(AccountId::fresh(), "a"));
        let mut lanes = Lanes::default();
        for number in 0..1_000 {
            lanes.push(big.clone(), number);
        }
        lanes.push(small.clone(), 5_000);
        lanes.push(small, 5_001);
        let now = Instant::now();
        let first: Vec<_> = (0..5)
            .map(|_| match lanes.pop(now, |_| now) {
                Next::Go(_, number) => number,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(first, [0, 5_000, 1, 5_001, 2], "in turn, and each in order");
        assert_eq!(lanes.len(), 997);
    }

    #[test]
    fn a_lane_that_must_wait_holds_up_nobody_and_says_until_when() {
        let account = AccountId::fresh();
        let (slow, quick) = (lane(account, "slow"), lane(account, "quick"));
        let mut lanes = Lanes::default();
        lanes.push(slow.clone(), 1);
        lanes.push(quick, 2);
        let now = Instant::now();
        let soon = now + Duration::from_secs(1);
        let turn = |lane: &Lane| if *lane == slow { soon } else { now };
        assert!(matches!(lanes.pop(now, turn), Next::Go(_, 2)));
        assert_eq!(lanes.pop(now, turn), Next::NotBefore(soon));
        assert!(matches!(lanes.pop(soon, turn), Next::Go(_, 1)));
        assert_eq!(lanes.pop(soon, turn), Next::Nobody);
    }
}
