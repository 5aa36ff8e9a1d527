//! The only place that reads the wall clock.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::domain::time::{Timestamp, millis_of};

/// Returns the current moment; the epoch if the machine's clock stands before it.
#[must_use]
pub fn now() -> Timestamp {
    #[cfg(test)]
    if let Some(now) = virtual_time::now() {
        return now;
    }
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_millis(millis_of(since_epoch + ahead()))
}

/// Sets the clock of a test build ahead by so many seconds: days pass between two starts of the program.
pub const AHEAD: &str = "PATCHCORD_TEST_CLOCK_AHEAD_S";

/// Whether this build lets a test set its clock ahead. A release build does not.
pub const MAY_BE_AHEAD: bool = cfg!(debug_assertions);

fn ahead() -> Duration {
    static SECONDS: OnceLock<u64> = OnceLock::new();
    if !MAY_BE_AHEAD {
        return Duration::ZERO;
    }
    let seconds = SECONDS.get_or_init(|| {
        std::env::var(AHEAD)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    });
    Duration::from_secs(*seconds)
}

/// A clock of the test's own, for everything on its thread: it moves with tokio's paused time.
#[cfg(test)]
pub(crate) mod virtual_time {
    use std::cell::Cell;

    use tokio::time::Instant;

    use crate::domain::time::Timestamp;

    thread_local! {
        static BEGUN: Cell<Option<(Timestamp, Instant)>> = const { Cell::new(None) };
    }

    /// Sets this thread's clock to `moment`. To be called inside a runtime whose time is paused.
    pub(crate) fn set(moment: Timestamp) {
        BEGUN.set(Some((moment, Instant::now())));
    }

    /// Gives this thread the wall clock back.
    pub(crate) fn unset() {
        BEGUN.set(None);
    }

    pub(super) fn now() -> Option<Timestamp> {
        BEGUN.get().map(|(moment, begun)| moment.plus(begun.elapsed()))
    }
}
