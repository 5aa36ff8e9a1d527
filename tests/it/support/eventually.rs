//! Waits for a fact under a deadline. The one place in the tests that lets time pass.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, MissedTickBehavior};

/// How long a fact may take before the test says it never came. Generous: a loaded machine is not a failure.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(25);

/// Looks until `is_so`, or until `patience` is over: then the test goes on without it.
pub async fn at_most(patience: Duration, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    let mut looks = tokio::time::interval(Duration::from_millis(1));
    while !is_so() && started.elapsed() < patience {
        looks.tick().await;
    }
}

/// Lets a moment pass, for a kill whose moment is drawn by chance.
pub async fn a_moment(moment: Duration) {
    // Nothing is waited for: the time-out is the point.
    drop(tokio::time::timeout(moment, std::future::pending::<()>()).await);
}

/// Looks until `look` finds something, and returns it.
///
/// # Panics
/// When `what` did not happen within [`DEADLINE`].
pub async fn eventually<T, F, Fut>(what: &str, look: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    eventually_within(DEADLINE, what, look).await
}

/// Like [`eventually`], with its own deadline.
///
/// # Panics
/// When `what` did not happen in time.
pub async fn eventually_within<T, F, Fut>(deadline: Duration, what: &str, mut look: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let started = Instant::now();
    let mut looks = tokio::time::interval(PAUSE);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < deadline, "{what}: not within {deadline:?}");
    }
}
