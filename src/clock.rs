//! The only place that reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::time::{Timestamp, millis_of};

/// Returns the current moment; the epoch if the machine's clock stands before it.
#[must_use]
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_millis(millis_of(since_epoch))
}
