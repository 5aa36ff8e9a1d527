//! Orders what waits for a recogniser.
//!
//! In: works with a track and a deadline in milliseconds of any one clock. Out: which comes next, and what is given up.
//! Finals go by earliest deadline, partials only when no final waits, the newest first, at most one a track. When finals are
//! late by seconds the next utterances of a track are joined; when too many wait the oldest is given up. Pure.

/// Finals later than this are joined with the next ones of their track.
const JOIN_LATE_MS: u64 = 3_000;
/// Joined audio is no longer than this: a model hears 30 s at most.
const JOINED_MS_MAX: u64 = 24_000;

/// One thing to recognise; after joining, several utterances of one track in their order.
#[derive(Debug)]
pub struct Job<T> {
    pub track: u64,
    pub deadline_ms: u64,
    pub works: Vec<T>,
    tickets: Vec<u64>,
    length_ms: u64,
}

/// Where a final came to stand.
#[derive(Debug, PartialEq, Eq)]
pub struct Queued<T> {
    /// Names it for [`Queue::cancel`].
    pub ticket: u64,
    pub joined: bool,
    /// What was given up for it.
    pub shed: Vec<T>,
}

/// What waits.
#[derive(Debug)]
pub struct Queue<T> {
    finals: Vec<Job<T>>,
    partials: Vec<Job<T>>,
    finals_max: usize,
    next_ticket: u64,
}

impl<T> Queue<T> {
    /// Returns an empty queue in which `finals_max` finals may wait.
    #[must_use]
    pub const fn new(finals_max: usize) -> Self {
        Self {
            finals: Vec::new(),
            partials: Vec::new(),
            finals_max,
            next_ticket: 1,
        }
    }

    /// Adds a final of `length_ms` of audio that is wanted by `deadline_ms`.
    pub fn push_final(
        &mut self,
        track: u64,
        deadline_ms: u64,
        length_ms: u64,
        work: T,
        now_ms: u64,
    ) -> Queued<T> {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        if self.late_ms(now_ms) > JOIN_LATE_MS
            && let Some(last) = self
                .finals
                .iter_mut()
                .filter(|job| job.track == track)
                .max_by_key(|job| job.deadline_ms)
            && last.length_ms + length_ms <= JOINED_MS_MAX
        {
            last.works.push(work);
            last.tickets.push(ticket);
            last.length_ms += length_ms;
            return Queued {
                ticket,
                joined: true,
                shed: Vec::new(),
            };
        }
        let shed = if self.finals.len() >= self.finals_max {
            self.give_up_oldest()
        } else {
            Vec::new()
        };
        self.finals.push(Job {
            track,
            deadline_ms,
            works: vec![work],
            tickets: vec![ticket],
            length_ms,
        });
        Queued {
            ticket,
            joined: false,
            shed,
        }
    }

    /// Adds the words so far of a track in the place of its earlier ones; returns what was given up, which is `work` itself
    /// while finals wait.
    pub fn push_partial(&mut self, track: u64, work: T) -> Option<T> {
        if !self.finals.is_empty() {
            return Some(work);
        }
        let earlier = self
            .partials
            .iter()
            .position(|job| job.track == track)
            .map(|at| self.partials.remove(at));
        self.partials.push(Job {
            track,
            deadline_ms: 0,
            works: vec![work],
            tickets: Vec::new(),
            length_ms: 0,
        });
        earlier.and_then(|mut job| job.works.pop())
    }

    /// Takes a final back that nobody wants any more, unless it is under way or joined with others.
    pub fn cancel(&mut self, ticket: u64) -> Option<T> {
        let at = self.finals.iter().position(|job| job.tickets == [ticket])?;
        self.finals.swap_remove(at).works.pop()
    }

    /// Takes back the waiting partial of a track.
    pub fn cancel_partial(&mut self, track: u64) -> Option<T> {
        let at = self.partials.iter().position(|job| job.track == track)?;
        self.partials.remove(at).works.pop()
    }

    /// Returns the most urgent final.
    pub fn pop_final(&mut self) -> Option<Job<T>> {
        let (at, _) = self
            .finals
            .iter()
            .enumerate()
            .min_by_key(|(_, job)| (job.deadline_ms, job.tickets[0]))?;
        Some(self.finals.swap_remove(at))
    }

    /// Returns the newest partial.
    pub fn pop_partial(&mut self) -> Option<Job<T>> {
        self.partials.pop()
    }

    /// Finals that wait.
    #[must_use]
    pub const fn finals(&self) -> usize {
        self.finals.len()
    }

    /// How late the most urgent waiting final is, in milliseconds.
    #[must_use]
    pub fn late_ms(&self, now_ms: u64) -> u64 {
        self.finals
            .iter()
            .map(|job| now_ms.saturating_sub(job.deadline_ms))
            .max()
            .unwrap_or(0)
    }

    /// Returns everything that waits: nothing will come of it.
    pub fn drain(&mut self) -> Vec<T> {
        self.finals
            .drain(..)
            .chain(self.partials.drain(..))
            .flat_map(|job| job.works)
            .collect()
    }

    fn give_up_oldest(&mut self) -> Vec<T> {
        self.pop_final().map(|job| job.works).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finals(queue: &mut Queue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.pop_final())
            .flat_map(|job| job.works)
            .collect()
    }

    #[test]
    fn the_earliest_deadline_comes_first_and_equals_keep_their_order() {
        let mut queue = Queue::new(9);
        for (track, deadline, work) in [(1, 300, "c"), (2, 100, "a"), (3, 200, "b1"), (4, 200, "b2")] {
            queue.push_final(track, deadline, 1_000, work, 0);
        }
        assert_eq!(finals(&mut queue), ["a", "b1", "b2", "c"]);
    }

    #[test]
    fn a_partial_gives_way_to_finals_and_to_its_successor() {
        let mut queue = Queue::new(9);
        assert_eq!(queue.push_partial(1, "one"), None);
        assert_eq!(queue.push_partial(2, "two"), None);
        assert_eq!(queue.push_partial(1, "one again"), Some("one"));
        queue.push_final(3, 0, 1_000, "final", 0);
        assert_eq!(queue.push_partial(4, "late"), Some("late"));
        assert_eq!(queue.pop_partial().map(|job| job.works), Some(vec!["one again"]));
    }

    #[test]
    fn late_finals_of_one_track_are_joined_up_to_a_length() {
        let mut queue = Queue::new(9);
        queue.push_final(1, 1_000, 9_000, "a", 1_000);
        queue.push_final(2, 1_000, 9_000, "other", 1_000);
        assert!(
            !queue.push_final(1, 2_000, 9_000, "b", 2_000).joined,
            "not late yet"
        );
        assert!(queue.push_final(1, 4_500, 9_000, "c", 4_500).joined);
        assert!(
            !queue.push_final(1, 5_000, 9_000, "d", 5_000).joined,
            "would be too long"
        );
        let jobs: Vec<Vec<&str>> = std::iter::from_fn(|| queue.pop_final())
            .map(|job| job.works)
            .collect();
        assert_eq!(jobs, [vec!["a"], vec!["other"], vec!["b", "c"], vec!["d"]]);
    }

    #[test]
    fn a_full_queue_gives_up_its_oldest() {
        let mut queue = Queue::new(2);
        queue.push_final(1, 10, 1_000, "a", 0);
        queue.push_final(2, 20, 1_000, "b", 0);
        assert_eq!(queue.push_final(3, 30, 1_000, "c", 0).shed, ["a"]);
        assert_eq!(finals(&mut queue), ["b", "c"]);
    }

    #[test]
    fn what_is_taken_back_is_gone_unless_it_was_joined() {
        let mut queue = Queue::new(9);
        let first = queue.push_final(1, 0, 1_000, "a", 0).ticket;
        let second = queue.push_final(1, 5_000, 1_000, "b", 5_000);
        assert!(second.joined);
        assert_eq!((queue.cancel(first), queue.cancel(second.ticket)), (None, None));
        let third = queue.push_final(2, 5_000, 1_000, "c", 5_000).ticket;
        assert_eq!((queue.cancel(third), queue.cancel(third)), (Some("c"), None));
    }

    #[test]
    fn lateness_is_that_of_the_most_urgent() {
        let mut queue = Queue::new(9);
        assert_eq!(queue.late_ms(9_999), 0);
        queue.push_final(1, 500, 1_000, "a", 0);
        queue.push_final(2, 900, 1_000, "b", 0);
        assert_eq!((queue.late_ms(400), queue.late_ms(1_000)), (0, 500));
        assert_eq!(queue.drain().len(), 2);
        assert_eq!(queue.finals(), 0);
    }
}
