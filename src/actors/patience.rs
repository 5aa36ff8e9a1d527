//! Doing something with the store until it is done, while the database is away.
//!
//! In: work that may be repeated. Out: its result, as soon as the database answers. For what has no second chance: words that were said on a
//! call are in memory only until they are kept.

use std::{future::Future, time::Duration};

use tokio::time::Instant;

use crate::store::{StoreResult, away};

/// The database may be away for so long; after that the error is passed on.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Between two tries: the first pause, doubled up to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LAST: Duration = Duration::from_secs(1);

/// Does `work` until the store takes it.
///
/// # Errors
/// The store's, when it will not pass or has not for a quarter of an hour.
pub async fn until_done<T, F, Fut>(mut work: F) -> StoreResult<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = StoreResult<T>>,
{
    let until = Instant::now() + PATIENCE;
    let mut pause = PAUSE_FIRST;
    loop {
        match work().await {
            Err(error) if error.is_passing() && Instant::now() < until => {
                tracing::warn!(%error, "the database is away: what is to be kept waits");
                away::pause(pause).await;
                pause = (pause * 2).min(PAUSE_LAST);
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::store::StoreError;

    #[tokio::test(start_paused = true)]
    async fn work_is_repeated_while_the_database_is_away_and_no_longer_than_that() {
        let tries = Cell::new(0);
        let outcome = until_done(|| {
            tries.set(tries.get() + 1);
            let outcome = if tries.get() < 50 {
                Err(StoreError::Busy)
            } else {
                Ok(tries.get())
            };
            async move { outcome }
        })
        .await;
        assert_eq!(outcome.expect("in the end"), 50);
        let began = Instant::now();
        let outcome: StoreResult<()> = until_done(|| async { Err(StoreError::Busy) }).await;
        assert!(matches!(outcome, Err(StoreError::Busy)));
        assert!(began.elapsed() < PATIENCE + PAUSE_LAST);
        let outcome: StoreResult<()> = until_done(|| async { Err(StoreError::BadCursor) }).await;
        assert!(
            matches!(outcome, Err(StoreError::BadCursor)),
            "that will not pass"
        );
    }
}
