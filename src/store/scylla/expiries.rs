//! What is to be forgotten one day: entries by the day they end, read in order and dropped by the stretch.
//!
//! An entry is written before what it is about and is a hint: whoever forgets looks whether it is really over. Days whose
//! entries are all done with are dropped whole, so no row is ever deleted alone here.

use super::{
    buckets::Scope,
    fields::{Values, values},
    rows::Scylla,
};
use crate::{domain::time::Timestamp, store::StoreResult};

const DAY_MS: u64 = 24 * 3_600_000;
/// Partitions of one day.
const SPREADS: u8 = 16;

const ENTER: &str = "INSERT INTO expiries (kind, day, spread, at, key) VALUES (?, ?, ?, ?, ?)";
const OVER: &str = "SELECT key FROM expiries WHERE kind = ? AND day = ? AND spread = ? AND at < ?";
const DROP_OVER: &str = "DELETE FROM expiries WHERE kind = ? AND day = ? AND spread = ? AND at < ?";
const DROP_DAY: &str = "DELETE FROM expiries WHERE kind = ? AND day = ? AND spread = ?";

/// What ends. The numbers are in the database: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Sessions,
    Answers,
}

impl Ending {
    pub(super) const fn number(self) -> i64 {
        match self {
            Self::Sessions => 101,
            Self::Answers => 102,
        }
    }

    const fn scope(self) -> Scope<'static> {
        Scope::Endings(self)
    }
}

/// The day of a moment, counted from 1970.
pub(super) fn day_of(at: Timestamp) -> i64 {
    i64::try_from(at.as_unix_millis() / DAY_MS).unwrap_or(i64::MAX)
}

impl Scylla {
    /// Notes when something ends.
    pub(super) async fn note_ending(&self, ending: Ending, at: Timestamp, key: &[u8]) -> StoreResult<()> {
        let day = day_of(at);
        self.db.note(ending.scope(), day).await?;
        let sum = key.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        let spread = i64::from(sum % SPREADS);
        self.write(ENTER, values![ending.number(), day, spread, at, key.to_vec()])
            .await
    }

    /// What may have ended before `until`.
    pub(super) async fn ended(&self, ending: Ending, until: Timestamp) -> StoreResult<Vec<Vec<u8>>> {
        let mut keys = Vec::new();
        for (day, spread) in self.days_before(ending, until).await? {
            let over = part(ending, day, spread, Some(until));
            for mut row in self.select(OVER, over).await? {
                keys.push(row.take(0)?);
            }
        }
        Ok(keys)
    }

    /// Drops the entries of what ended before `until`, once all of it is forgotten.
    pub(super) async fn drop_ended(&self, ending: Ending, until: Timestamp) -> StoreResult<()> {
        for (day, spread) in self.days_before(ending, until).await? {
            if day < day_of(until) {
                self.write(DROP_DAY, part(ending, day, spread, None)).await?;
                if spread + 1 == i64::from(SPREADS) {
                    self.db.forget_until(ending.scope(), day).await?;
                }
            } else {
                self.write(DROP_OVER, part(ending, day, spread, Some(until)))
                    .await?;
            }
        }
        Ok(())
    }

    async fn days_before(&self, ending: Ending, until: Timestamp) -> StoreResult<Vec<(i64, i64)>> {
        let mut days = self.db.buckets(ending.scope()).await?;
        days.retain(|day| *day <= day_of(until));
        let spreads = |day| (0..i64::from(SPREADS)).map(move |spread| (day, spread));
        Ok(days.into_iter().flat_map(spreads).collect())
    }
}

fn part(ending: Ending, day: i64, spread: i64, until: Option<Timestamp>) -> Values {
    let mut part = values![ending.number(), day, spread];
    part.extend(until.map(|until| values![until]).into_iter().flatten());
    part
}
