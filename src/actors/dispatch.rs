//! Who waits for a place, a turn of the sender's rate, or a provider that works again.
//!
//! In: what arrives, what ends. Out: what may start. Pure over the moments it is given; the actor (`effects`) keeps the time.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{
    breaker::{Breakers, Turned},
    lanes::{Lane, LaneKind, Lanes, Next},
    place::{Line, Place},
    rates::{Limits, RateOf, Rates},
};

/// Effects of one provider that may wait in memory. One more is held back for as long as the queue is long.
pub const WAITING_MAX: usize = 10_000;

/// All that waits and runs.
#[derive(Debug)]
pub struct Dispatch<T> {
    limits: Limits,
    lines: BTreeMap<Line, Counter<T>>,
    rates: Rates,
    breakers: Breakers,
}

#[derive(Debug)]
struct Counter<T> {
    running: usize,
    lanes: Lanes<T>,
    /// The moment a wake-up is set for.
    wake_at: Option<Instant>,
}

impl<T> Dispatch<T> {
    /// Nothing waits, nothing runs.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            lines: BTreeMap::new(),
            rates: Rates::new(&limits),
            breakers: Breakers::new(limits.breaker_after, limits.breaker_pause),
        }
    }

    /// Lets something wait for its turn.
    ///
    /// # Errors
    /// The thing itself and how long the queue will take, when too many wait already.
    pub fn push(&mut self, place: Place, item: T) -> Result<(), (T, Duration)> {
        let backlog = self.backlog(place.lane.kind);
        let counter = self.lines.entry(place.line).or_insert_with(Counter::new);
        if counter.lanes.len() >= WAITING_MAX {
            return Err((item, backlog));
        }
        counter.lanes.push(place.lane, item);
        Ok(())
    }

    /// Puts something back that was taken out: other nodes use the same rate until `at`.
    pub fn put_back(&mut self, place: Place, item: T, whose: RateOf, at: Instant) {
        self.rates.not_before(&place, whose, at);
        let counter = self.lines.entry(place.line).or_insert_with(Counter::new);
        counter.lanes.push_back_first(place.lane, item);
    }

    /// How long a full queue takes at its rate, from 5 s to 10 minutes.
    fn backlog(&self, kind: LaneKind) -> Duration {
        let per_second = match kind {
            LaneKind::Messages => self.limits.messages_per_s,
            LaneKind::Calls => self.limits.calls_per_s,
            LaneKind::Service | LaneKind::Server | LaneKind::House => 0,
        };
        let waiting = u64::try_from(WAITING_MAX).unwrap_or(u64::MAX);
        let seconds = waiting.checked_div(per_second.into()).unwrap_or(0);
        Duration::from_secs(seconds.clamp(5, 600))
    }

    /// Takes the next that may start on the line.
    pub fn next(&mut self, line: Line, now: Instant) -> Next<T> {
        let Self {
            limits,
            lines,
            rates,
            breakers,
        } = self;
        let Some(counter) = lines.get_mut(&line) else {
            return Next::Nobody;
        };
        if counter.running >= limits.concurrency {
            return Next::Nobody;
        }
        let turn = |lane: &Lane| {
            let place = Place {
                line,
                lane: lane.clone(),
            };
            let by_rate = rates.next_turn(&place, now);
            if breakers.all_work() {
                return by_rate;
            }
            match place.target() {
                Some(target) => by_rate.max(breakers.next_turn(&target, now)),
                None => by_rate,
            }
        };
        let next = counter.lanes.pop(now, turn);
        if let Next::Go(lane, _) = &next {
            let place = Place {
                line,
                lane: lane.clone(),
            };
            counter.running += 1;
            rates.take(&place, now);
            if !breakers.all_work()
                && let Some(target) = place.target()
            {
                breakers.take(&target, now);
            }
        }
        next
    }

    /// Something that was started has ended.
    pub fn free(&mut self, line: Line) {
        if let Some(counter) = self.lines.get_mut(&line) {
            counter.running = counter.running.saturating_sub(1);
        }
    }

    /// What was started did not go to the provider after all.
    pub fn give_back(&mut self, place: &Place, now: Instant) {
        self.rates.give_back(place);
        if let Some(target) = place.target() {
            self.breakers.give_back(&target, now);
        }
    }

    /// The provider answered, whatever it said.
    pub fn worked(&mut self, place: &Place) -> Turned {
        if self.breakers.all_work() {
            return Turned::Nothing;
        }
        place
            .target()
            .map_or(Turned::Nothing, |target| self.breakers.worked(&target))
    }

    /// The provider did not work.
    pub fn failed(&mut self, place: &Place, now: Instant) -> Turned {
        place
            .target()
            .map_or(Turned::Nothing, |target| self.breakers.failed(&target, now))
    }

    /// When the provider is tried again, while its breaker is open.
    #[must_use]
    pub fn closed_until(&self, place: &Place, now: Instant) -> Option<Instant> {
        if self.breakers.all_work() {
            return None;
        }
        let next = self.breakers.next_turn(&place.target()?, now);
        (next > now).then_some(next)
    }

    /// How long the provider has done nothing but fail.
    #[must_use]
    pub fn failing_for(&self, place: &Place, now: Instant) -> Duration {
        place
            .target()
            .map_or(Duration::ZERO, |target| self.breakers.failing_for(&target, now))
    }

    /// Takes out everything that waits for the same target as `place`.
    pub fn drain(&mut self, place: &Place) -> Vec<T> {
        let (Some(target), Some(counter)) = (place.target(), self.lines.get_mut(&place.line)) else {
            return Vec::new();
        };
        let line = place.line;
        counter.lanes.drain(|lane| {
            let other = Place {
                line,
                lane: lane.clone(),
            };
            other.target().as_ref() == Some(&target)
        })
    }

    /// How many wait on the line.
    #[must_use]
    pub fn waiting(&self, line: Line) -> usize {
        self.lines.get(&line).map_or(0, |counter| counter.lanes.len())
    }

    /// Whether a wake-up has to be set for `at`: none that is earlier is on its way.
    pub fn must_wake(&mut self, line: Line, at: Instant) -> bool {
        let Some(counter) = self.lines.get_mut(&line) else {
            return false;
        };
        if counter.wake_at.is_some_and(|set| set <= at) {
            return false;
        }
        counter.wake_at = Some(at);
        true
    }

    /// A wake-up for `at` rang.
    pub fn woke(&mut self, line: Line, at: Instant) {
        if let Some(counter) = self.lines.get_mut(&line)
            && counter.wake_at == Some(at)
        {
            counter.wake_at = None;
        }
    }
}

impl<T> Counter<T> {
    fn new() -> Self {
        Self {
            running: 0,
            lanes: Lanes::default(),
            wake_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{actors::effects::Ask, domain::ids::AccountId, workflows::Provider};

    const LIMITS: Limits = Limits {
        concurrency: 2,
        messages_per_s: 1,
        account_messages_per_s: 0,
        calls_per_s: 1,
        breaker_after: 2,
        breaker_pause: Duration::from_secs(30),
    };

    fn place(provider: Provider, account_id: AccountId, by: &str) -> Place {
        let kind = if provider == Provider::Sms {
            LaneKind::Messages
        } else {
            LaneKind::Server
        };
        Place {
            line: (provider, Ask::Act),
            lane: Lane {
                account_id,
                kind,
                by: by.to_owned(),
            },
        }
    }

    #[test]
    fn a_sender_keeps_its_rate_and_another_number_does_not_wait_for_it() {
        let (account, now) = (AccountId::fresh(), Instant::now());
        let (one, two) = (
            place(Provider::Sms, account, "+1"),
            place(Provider::Sms, account, "+2"),
        );
        let mut dispatch = Dispatch::new(LIMITS);
        for number in 0..3 {
            dispatch.push(one.clone(), number).expect("room");
        }
        dispatch.push(two.clone(), 10).expect("room");
        assert!(matches!(dispatch.next(one.line, now), Next::Go(_, 0)));
        assert!(matches!(dispatch.next(one.line, now), Next::Go(_, 10)));
        dispatch.free(one.line);
        let Next::NotBefore(at) = dispatch.next(one.line, now) else {
            panic!("a second a message");
        };
        assert!(matches!(dispatch.next(one.line, at), Next::Go(_, 1)));
        // What the gate held back has not used its turn.
        dispatch.free(one.line);
        dispatch.give_back(&one, at);
        assert!(matches!(dispatch.next(one.line, at), Next::Go(_, 2)));
    }

    #[test]
    fn what_other_nodes_used_up_waits_at_the_head_of_its_lane() {
        let (account, now) = (AccountId::fresh(), Instant::now());
        let one = place(Provider::Sms, account, "+1");
        let mut dispatch = Dispatch::new(LIMITS);
        for number in 0..2 {
            dispatch.push(one.clone(), number).expect("room");
        }
        assert!(matches!(dispatch.next(one.line, now), Next::Go(_, 0)));
        let later = now + Duration::from_millis(700);
        dispatch.put_back(one.clone(), 0, RateOf::Sender, later);
        dispatch.free(one.line);
        assert_eq!(dispatch.next(one.line, now), Next::NotBefore(later));
        assert!(matches!(dispatch.next(one.line, later), Next::Go(_, 0)));
        let per_number = (RateOf::Sender, "messages:+1".to_owned(), 1);
        assert_eq!(one.shared_rates(&LIMITS), std::slice::from_ref(&per_number));
        let limits = Limits {
            account_messages_per_s: 3,
            ..LIMITS
        };
        let per_account = (RateOf::Account, format!("messages:{account}"), 3);
        assert_eq!(one.shared_rates(&limits), [per_number, per_account]);
    }

    #[test]
    fn an_account_whose_rate_other_nodes_used_up_waits_with_all_its_numbers_and_alone() {
        let limits = Limits {
            messages_per_s: 0,
            account_messages_per_s: 100,
            ..LIMITS
        };
        let (account, now) = (AccountId::fresh(), Instant::now());
        let (one, two) = (
            place(Provider::Sms, account, "+1"),
            place(Provider::Sms, account, "+2"),
        );
        let mut dispatch = Dispatch::new(limits);
        dispatch.push(one.clone(), 0).expect("room");
        dispatch.push(two.clone(), 1).expect("room");
        assert!(matches!(dispatch.next(one.line, now), Next::Go(_, 0)));
        let later = now + Duration::from_secs(2);
        dispatch.put_back(one.clone(), 0, RateOf::Account, later);
        dispatch.free(one.line);
        assert_eq!(dispatch.next(one.line, now), Next::NotBefore(later));
        let other = place(Provider::Sms, AccountId::fresh(), "+1");
        dispatch.push(other.clone(), 2).expect("room");
        assert!(matches!(dispatch.next(other.line, now), Next::Go(_, 2)));
    }

    #[test]
    fn looking_up_holds_up_nobody_who_sends() {
        let place_of = |ask| Place {
            line: (Provider::Sms, ask),
            ..place(Provider::Sms, AccountId::fresh(), "+1")
        };
        let mut dispatch = Dispatch::new(LIMITS);
        let now = Instant::now();
        for number in 0..3 {
            dispatch.push(place_of(Ask::LookUp), number).expect("room");
        }
        dispatch.push(place_of(Ask::Act), 10).expect("room");
        let looking = (Provider::Sms, Ask::LookUp);
        assert!(matches!(dispatch.next(looking, now), Next::Go(_, 0)));
        assert!(matches!(dispatch.next(looking, now), Next::Go(_, 1)));
        assert_eq!(dispatch.next(looking, now), Next::Nobody, "no place");
        assert!(matches!(
            dispatch.next((Provider::Sms, Ask::Act), now),
            Next::Go(_, 10)
        ));
    }

    #[test]
    fn one_dead_host_is_left_alone_and_its_queue_emptied_while_others_go_on() {
        let (account, now) = (AccountId::fresh(), Instant::now());
        let dead = place(Provider::Webhook, account, "dead.example");
        let alive = place(Provider::Webhook, account, "alive.example");
        let mut dispatch = Dispatch::new(LIMITS);
        dispatch.push(dead.clone(), 1).expect("room");
        dispatch.push(alive.clone(), 2).expect("room");
        assert_eq!(dispatch.failed(&dead, now), Turned::Nothing);
        assert_eq!(dispatch.failed(&dead, now), Turned::Opened);
        assert_eq!(
            dispatch.closed_until(&dead, now),
            Some(now + LIMITS.breaker_pause)
        );
        assert_eq!(dispatch.closed_until(&alive, now), None);
        assert_eq!(dispatch.drain(&dead), [1]);
        assert!(matches!(dispatch.next(alive.line, now), Next::Go(_, 2)));
        let later = now + LIMITS.breaker_pause;
        assert_eq!(dispatch.closed_until(&dead, later), None, "the probe may go");
    }

    #[test]
    fn a_full_queue_says_how_long_it_is() {
        let sms = place(Provider::Sms, AccountId::fresh(), "+1");
        let mut dispatch = Dispatch::new(LIMITS);
        for number in 0..WAITING_MAX {
            dispatch.push(sms.clone(), number).expect("room");
        }
        assert_eq!(dispatch.push(sms, 1), Err((1, Duration::from_secs(600))));
    }
}
