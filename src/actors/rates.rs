//! How fast effects may go: each sender's rate, and an account's over all its numbers.

use std::time::Duration;

use tokio::time::Instant;

use super::{effects::Ask, lanes::LaneKind, pace::Pace, place::Place};
use crate::domain::ids::AccountId;

/// What may be done at once, and how fast.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Places of each provider.
    pub concurrency: usize,
    /// Messages a second of one number.
    pub messages_per_s: u32,
    /// Messages a second of one account, over all its numbers.
    pub account_messages_per_s: u32,
    /// Calls a second of one number.
    pub calls_per_s: u32,
    pub breaker_after: u32,
    pub breaker_pause: Duration,
}

/// Whose rate is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateOf {
    /// The number's.
    Sender,
    /// The account's, over all its numbers.
    Account,
}

/// The turns of senders: their numbers, their accounts.
#[derive(Debug)]
pub(super) struct Rates {
    numbers: Pace,
    accounts: Pace,
    callers: Pace,
}

impl Rates {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            numbers: Pace::new(limits.messages_per_s),
            accounts: Pace::new(limits.account_messages_per_s),
            callers: Pace::new(limits.calls_per_s),
        }
    }

    pub(super) fn next_turn(&self, place: &Place, now: Instant) -> Instant {
        let lane = &place.lane;
        match (place.line.1, lane.kind) {
            (Ask::Act, LaneKind::Messages) => self
                .numbers
                .next_turn(&lane.by, now)
                .max(self.accounts.next_turn(&name_of(lane.account_id), now)),
            (Ask::Act, LaneKind::Calls) => self.callers.next_turn(&lane.by, now),
            (Ask::Act, LaneKind::Service | LaneKind::Server | LaneKind::House) | (Ask::LookUp, _) => now,
        }
    }

    pub(super) fn take(&mut self, place: &Place, now: Instant) {
        let lane = &place.lane;
        match (place.line.1, lane.kind) {
            (Ask::Act, LaneKind::Messages) => {
                self.numbers.take(&lane.by, now);
                self.accounts.take(&name_of(lane.account_id), now);
            }
            (Ask::Act, LaneKind::Calls) => self.callers.take(&lane.by, now),
            (Ask::Act, LaneKind::Service | LaneKind::Server | LaneKind::House) | (Ask::LookUp, _) => {}
        }
    }

    pub(super) fn not_before(&mut self, place: &Place, whose: RateOf, at: Instant) {
        let lane = &place.lane;
        match (place.line.1, lane.kind, whose) {
            (Ask::Act, LaneKind::Messages, RateOf::Sender) => self.numbers.not_before(&lane.by, at),
            (Ask::Act, LaneKind::Messages, RateOf::Account) => {
                self.accounts.not_before(&name_of(lane.account_id), at);
            }
            (Ask::Act, LaneKind::Calls, _) => self.callers.not_before(&lane.by, at),
            (Ask::Act, LaneKind::Service | LaneKind::Server | LaneKind::House, _) | (Ask::LookUp, _, _) => {}
        }
    }

    pub(super) fn give_back(&mut self, place: &Place) {
        let lane = &place.lane;
        match (place.line.1, lane.kind) {
            (Ask::Act, LaneKind::Messages) => {
                self.numbers.give_back(&lane.by);
                self.accounts.give_back(&name_of(lane.account_id));
            }
            (Ask::Act, LaneKind::Calls) => self.callers.give_back(&lane.by),
            (Ask::Act, LaneKind::Service | LaneKind::Server | LaneKind::House) | (Ask::LookUp, _) => {}
        }
    }
}

fn name_of(account: AccountId) -> String {
    account.to_string()
}
