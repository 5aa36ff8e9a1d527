//! Drops what is over: sessions, and answers that were kept for a repeat.
//!
//! Nothing waits for it: whatever is over opens nothing and is not repeated any more. This only gives its room back. Every node
//! of several does it; what is gone is gone.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::{context::Context, idempotency};
use crate::{clock, store::StoreResult};

/// Between two times.
const EVERY: Duration = Duration::from_secs(3_600);

/// Begins at once and goes on until the server stops.
pub fn start(context: Context) {
    let mut stopping = context.stopping.clone();
    // An error means that the sender is gone, which is a stop as well.
    let stopped = async move { drop(stopping.wait_for(|is_stopping| *is_stopping).await) };
    tokio::spawn(async move {
        let mut stopped = std::pin::pin!(stopped);
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => clean(&context).await,
                () = &mut stopped => return,
            }
        }
    });
}

async fn clean(context: &Context) {
    let now = clock::now();
    let accounts = &context.store.accounts;
    report("sessions", accounts.forget_sessions(now).await);
    report(
        "answers",
        accounts.forget_answers(idempotency::kept_since(now)).await,
    );
}

fn report(what: &str, dropped: StoreResult<u64>) {
    match dropped {
        Ok(dropped) => tracing::debug!(what, dropped, "what is over was dropped"),
        Err(error) => {
            tracing::warn!(what, %error, "what is over could not be dropped: tried again in an hour")
        }
    }
}
