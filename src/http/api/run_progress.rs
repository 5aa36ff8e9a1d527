//! How far a run with many messages has come: what went, what is held, what was refused, how fast.

use serde::Serialize;

use crate::{
    clock,
    domain::{
        ids::{AccountId, RunId},
        time::Timestamp,
    },
    store::{RunStore, StoreResult, runs::ContactTally},
};

/// A run's messages and calls to leads, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RunProgress {
    pub sent: u64,
    /// Held back by the gate, for quiet hours, a cap or a provider that does not work.
    pub held: u64,
    /// Refused by the gate or the provider.
    pub refused: u64,
    /// On its way, or waiting for its turn.
    pub waiting: u64,
    /// Nobody can say yet whether it went.
    pub unknown: u64,
    /// Sent in the last minute.
    pub per_minute: u64,
    /// When what waits and is unknown will have gone at this rate; absent while nothing goes. What is held is not in it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub done_at: Option<Timestamp>,
}

/// Counts a run's messages and calls; `None` when it makes none.
///
/// # Errors
/// When the store cannot be read.
pub async fn progress_of(
    runs: &dyn RunStore,
    account_id: AccountId,
    id: RunId,
) -> StoreResult<Option<RunProgress>> {
    let now = clock::now();
    let tally = runs.contact_tally(account_id, id, now).await?;
    Ok(shown(tally, now))
}

fn shown(tally: ContactTally, now: Timestamp) -> Option<RunProgress> {
    let ContactTally {
        sent,
        held,
        refused,
        waiting,
        unknown,
        sent_last_minute,
    } = tally;
    let open = waiting.saturating_add(unknown);
    if sent + held + refused + open == 0 {
        return None;
    }
    let done_at = open
        .saturating_mul(60_000)
        .checked_div(sent_last_minute)
        .filter(|_| open > 0)
        .map(|left_ms| now.plus(std::time::Duration::from_millis(left_ms)));
    Some(RunProgress {
        sent,
        held,
        refused,
        waiting,
        unknown,
        per_minute: sent_last_minute,
        done_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_far_it_is_and_when_it_will_be_done() {
        let now = Timestamp::from_unix_millis(1_795_000_000_000);
        let tally = ContactTally {
            sent: 200,
            held: 3,
            refused: 2,
            waiting: 29,
            unknown: 1,
            sent_last_minute: 60,
        };
        let progress = shown(tally, now).expect("there is something to show");
        assert_eq!(
            progress.done_at,
            Some(now.plus(std::time::Duration::from_secs(30)))
        );
        let stalled = ContactTally {
            sent_last_minute: 0,
            ..tally
        };
        assert_eq!(shown(stalled, now).and_then(|progress| progress.done_at), None);
        assert_eq!(shown(ContactTally::default(), now), None);
    }
}
