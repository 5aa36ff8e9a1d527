//! How fast something may go: so many a second, evenly, with a small burst.
//!
//! The generic cell rate algorithm: one moment says when the next turn would be due if all had come evenly. Pure over the moments it is
//! given; nobody waits in here.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

/// Names that are remembered; a name whose turns are all over is forgotten first.
const NAMES_MAX: usize = 100_000;
/// How much may come at once, as a share of a second: it makes up for timers that ring a little late.
const BURST: Duration = Duration::from_millis(50);

/// Gives out turns by name, each name at the same rate.
#[derive(Debug)]
pub struct Pace {
    interval: Option<Duration>,
    due: BTreeMap<String, Instant>,
}

impl Pace {
    /// `per_second` turns for each name; 0: as many as anyone wants.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self {
            interval: (per_second > 0).then(|| Duration::from_secs(1) / per_second),
            due: BTreeMap::new(),
        }
    }

    /// When `name` may take its next turn; not later than `now`: at once.
    #[must_use]
    pub fn next_turn(&self, name: &str, now: Instant) -> Instant {
        let (Some(interval), Some(due)) = (self.interval, self.due.get(name)) else {
            return now;
        };
        let early = BURST.saturating_sub(interval);
        due.checked_sub(early).map_or(now, |at| at.max(now))
    }

    /// Takes a turn.
    pub fn take(&mut self, name: &str, now: Instant) {
        let Some(interval) = self.interval else { return };
        if self.due.len() >= NAMES_MAX {
            self.due.retain(|_, due| *due > now);
        }
        let due = self.due.entry(name.to_owned()).or_insert(now);
        *due = (*due).max(now) + interval;
    }

    /// Lets `name` have no turn before `at`: others use the same rate.
    pub fn not_before(&mut self, name: &str, at: Instant) {
        let Some(interval) = self.interval else { return };
        // `next_turn` lets a turn come a little early.
        let due = at + BURST.saturating_sub(interval);
        self.due.insert(name.to_owned(), due);
    }

    /// Gives a turn back that was not used.
    pub fn give_back(&mut self, name: &str) {
        if let (Some(interval), Some(due)) = (self.interval, self.due.get_mut(name))
            && let Some(earlier) = due.checked_sub(interval)
        {
            *due = earlier;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes turns as they come due; returns how many came within `span`.
    fn turns(pace: &mut Pace, name: &str, span: Duration) -> u32 {
        let began = Instant::now();
        let mut now = began;
        let mut count = 0;
        loop {
            now = pace.next_turn(name, now);
            if now - began >= span {
                return count;
            }
            pace.take(name, now);
            count += 1;
        }
    }

    #[test]
    fn turns_come_at_the_rate_and_each_name_has_its_own() {
        let mut pace = Pace::new(1);
        assert_eq!(turns(&mut pace, "a", Duration::from_secs(10)), 10);
        assert_eq!(turns(&mut pace, "b", Duration::from_secs(10)), 10);
        let mut pace = Pace::new(200);
        let count = turns(&mut pace, "a", Duration::from_secs(2));
        assert!((400..=410).contains(&count), "{count}");
    }

    #[test]
    fn a_turn_that_was_not_used_is_there_for_the_next() {
        let (mut pace, now) = (Pace::new(1), Instant::now());
        pace.take("a", now);
        assert!(pace.next_turn("a", now) > now);
        pace.give_back("a");
        assert_eq!(pace.next_turn("a", now), now);
    }

    #[test]
    fn a_name_waits_as_long_as_others_need_its_rate() {
        for per_second in [1, 200] {
            let (mut pace, now) = (Pace::new(per_second), Instant::now());
            let later = now + Duration::from_secs(3);
            pace.take("a", now);
            pace.not_before("a", later);
            assert_eq!(pace.next_turn("a", now), later);
            assert_eq!(pace.next_turn("b", now), now);
        }
    }

    #[test]
    fn no_rate_is_no_bound() {
        let (mut pace, now) = (Pace::new(0), Instant::now());
        for _ in 0..1_000 {
            assert_eq!(pace.next_turn("a", now), now);
            pace.take("a", now);
        }
    }
}
