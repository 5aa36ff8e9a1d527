//! The database's return, told to whoever waits for it.
//!
//! In: word of a store that had lost its database and has it again. Out: pauses that end then. A process has one database, so there is one
//! word for all of it; one that comes for nothing ends a pause early and does no harm. A store in a file is never away.

use std::{sync::LazyLock, time::Duration};

use tokio::sync::watch;

/// Counts the returns.
static RETURNS: LazyLock<watch::Sender<u64>> = LazyLock::new(|| watch::Sender::new(0));

/// Says that the database is back.
pub fn tell_back() {
    RETURNS.send_modify(|count| *count += 1);
}

/// Wakes at every return from here on.
#[must_use]
pub fn returns() -> watch::Receiver<u64> {
    RETURNS.subscribe()
}

/// Waits before something is tried again: for `longest`, or until the database is back.
pub async fn pause(longest: Duration) {
    // Without a return the time is over, which is no error.
    drop(tokio::time::timeout(longest, returns().changed()).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pause_ends_when_the_database_is_back() {
        let waiting = tokio::spawn(pause(Duration::from_secs(3_600)));
        // The task may not have begun to wait: a word from before that does not count.
        let telling = async {
            while !waiting.is_finished() {
                tell_back();
                tokio::task::yield_now().await;
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(60), telling).await;
        told.expect("it ends long before its time");
    }
}
