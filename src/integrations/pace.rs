//! Keeps a sender within its rate: messages leave evenly, and nobody waits longer than a bound.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Longest anyone waits for a turn: well within the time an effect may take.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Gives out turns, `per_second` of them.
pub(super) struct Pace {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// `per_second` of 0 counts as 1.
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            interval: Duration::from_secs(1) / per_second.max(1),
            next: Mutex::new(None),
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// How long to stay away, when the turn would come later than in 30 s. No turn is used up then.
    pub(super) async fn turn(&self) -> Result<(), Duration> {
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let at = next.map_or(now, |next| next.max(now));
            let wait = at - now;
            if wait > WAIT_MAX {
                return Err(wait);
            }
            *next = Some(at + self.interval);
            at
        };
        tokio::time::sleep_until(at).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_come_evenly_after_the_first() {
        let pace = Pace::new(2);
        let began = Instant::now();
        for _ in 0..5 {
            pace.turn().await.expect("well within the bound");
        }
        assert_eq!(began.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_told_when_to_come_back_and_takes_no_turns() {
        let pace = std::sync::Arc::new(Pace::new(1));
        let waiting: Vec<_> = (0..31)
            .map(|_| {
                let pace = std::sync::Arc::clone(&pace);
                tokio::spawn(async move { pace.turn().await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(pace.turn().await, Err(Duration::from_secs(31)));
        assert_eq!(pace.turn().await, Err(Duration::from_secs(31)));
        for turn in waiting {
            assert_eq!(turn.await.expect("the task ends by itself"), Ok(()));
        }
    }
}
