//! The circuit breaker: leaves a provider alone that fails again and again, and tries it with one effect at a time.
//!
//! Closed, everything goes. After so many failures in a row it opens: nothing goes for a pause, then one probe. The probe's success closes
//! it, its failure doubles the pause. What waits meanwhile waits in order; nothing fails because of it. Pure over the moments it
//! is given.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

/// Longest pause between two probes.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// Targets that are remembered at once; beyond it a target that is not known yet counts as working.
const TARGETS_MAX: usize = 10_000;

/// Breakers by target: a provider, or the host of somebody's webhook.
#[derive(Debug)]
pub struct Breakers {
    /// Failures in a row that open one; 0: none ever opens.
    after: u32,
    pause: Duration,
    /// Only those whose last answer was a failure.
    by_target: BTreeMap<String, Breaker>,
}

#[derive(Debug)]
struct Breaker {
    /// When the first of the failures was.
    since: Instant,
    failures: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Closed,
    Open {
        until: Instant,
        pause: Duration,
    },
    /// A probe is on its way.
    Probing {
        since: Instant,
        pause: Duration,
    },
}

/// What an answer did to a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    Opened,
    Closed,
    Nothing,
}

impl Breakers {
    /// Breakers that open after `after` failures in a row and first pause for `pause`.
    #[must_use]
    pub const fn new(after: u32, pause: Duration) -> Self {
        Self {
            after,
            pause,
            by_target: BTreeMap::new(),
        }
    }

    /// Whether no target failed last: nothing needs to be asked for then.
    #[must_use]
    pub fn all_work(&self) -> bool {
        self.by_target.is_empty()
    }

    /// When something may go to `target`; not later than `now`: at once.
    #[must_use]
    pub fn next_turn(&self, target: &str, now: Instant) -> Instant {
        match self.by_target.get(target).map(|breaker| &breaker.state) {
            None | Some(State::Closed) => now,
            Some(State::Open { until, .. }) => (*until).max(now),
            // A probe whose answer was lost must not close the way for ever.
            Some(State::Probing { since, pause }) => (*since + *pause).max(now),
        }
    }

    /// How long `target` has done nothing but fail.
    #[must_use]
    pub fn failing_for(&self, target: &str, now: Instant) -> Duration {
        let breaker = self.by_target.get(target);
        breaker.map_or(Duration::ZERO, |breaker| {
            now.saturating_duration_since(breaker.since)
        })
    }

    /// Something goes to `target`: on an open breaker it is the probe.
    pub fn take(&mut self, target: &str, now: Instant) {
        if let Some(breaker) = self.by_target.get_mut(target)
            && let State::Open { pause, .. } | State::Probing { pause, .. } = breaker.state
        {
            breaker.state = State::Probing { since: now, pause };
        }
    }

    /// What was taken did not go after all.
    pub fn give_back(&mut self, target: &str, now: Instant) {
        if let Some(breaker) = self.by_target.get_mut(target)
            && let State::Probing { pause, .. } = breaker.state
        {
            breaker.state = State::Open { until: now, pause };
        }
    }

    /// The target answered, whatever it said.
    pub fn worked(&mut self, target: &str) -> Turned {
        match self.by_target.remove(target).map(|breaker| breaker.state) {
            Some(State::Open { .. } | State::Probing { .. }) => Turned::Closed,
            Some(State::Closed) | None => Turned::Nothing,
        }
    }

    /// The target did not work.
    pub fn failed(&mut self, target: &str, now: Instant) -> Turned {
        if self.after == 0 || (self.by_target.len() >= TARGETS_MAX && !self.by_target.contains_key(target)) {
            return Turned::Nothing;
        }
        let breaker = self.by_target.entry(target.to_owned()).or_insert(Breaker {
            since: now,
            failures: 0,
            state: State::Closed,
        });
        breaker.failures = breaker.failures.saturating_add(1);
        match breaker.state {
            State::Closed if breaker.failures >= self.after => {
                breaker.state = State::Open {
                    until: now + self.pause,
                    pause: self.pause,
                };
                Turned::Opened
            }
            State::Probing { pause, .. } => {
                let pause = (pause * 2).min(PAUSE_MAX);
                breaker.state = State::Open {
                    until: now + pause,
                    pause,
                };
                Turned::Nothing
            }
            // What was on its way when it opened says nothing new.
            State::Closed | State::Open { .. } => Turned::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(30);

    #[test]
    fn opens_after_failures_in_a_row_and_lets_one_probe_through_at_a_time() {
        let (mut breakers, now) = (Breakers::new(3, PAUSE), Instant::now());
        assert_eq!(breakers.failed("sms", now), Turned::Nothing);
        assert_eq!(breakers.worked("sms"), Turned::Nothing);
        for turned in [Turned::Nothing, Turned::Nothing, Turned::Opened, Turned::Nothing] {
            assert_eq!(breakers.failed("sms", now), turned);
        }
        assert_eq!(breakers.next_turn("sms", now), now + PAUSE);
        assert_eq!(breakers.next_turn("call", now), now, "others go on");
        let later = now + PAUSE;
        assert_eq!(breakers.next_turn("sms", later), later);
        breakers.take("sms", later);
        assert!(breakers.next_turn("sms", later) > later, "one probe at a time");
        breakers.failed("sms", later);
        assert_eq!(
            breakers.next_turn("sms", later),
            later + PAUSE * 2,
            "twice as long"
        );
        assert_eq!(breakers.failing_for("sms", later), PAUSE);
        breakers.take("sms", later + PAUSE * 2);
        assert_eq!(breakers.worked("sms"), Turned::Closed);
        assert_eq!(breakers.failing_for("sms", later), Duration::ZERO);
        assert_eq!(breakers.next_turn("sms", later), later);
    }

    #[test]
    fn a_probe_that_the_gate_held_back_is_no_probe() {
        let (mut breakers, now) = (Breakers::new(1, PAUSE), Instant::now());
        assert_eq!(breakers.failed("sms", now), Turned::Opened);
        let later = now + PAUSE;
        breakers.take("sms", later);
        breakers.give_back("sms", later);
        assert_eq!(breakers.next_turn("sms", later), later);
    }

    #[test]
    fn the_pause_is_bounded_and_zero_switches_it_off() {
        let (mut breakers, mut now) = (Breakers::new(1, PAUSE), Instant::now());
        breakers.failed("sms", now);
        for _ in 0..20 {
            now = breakers.next_turn("sms", now);
            breakers.take("sms", now);
            breakers.failed("sms", now);
        }
        assert_eq!(breakers.next_turn("sms", now) - now, PAUSE_MAX);
        let mut off = Breakers::new(0, PAUSE);
        assert!((0..100).all(|_| off.failed("sms", now) == Turned::Nothing));
    }
}
