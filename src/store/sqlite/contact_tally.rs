//! A run's messages and calls to leads, counted from its effects.

use rusqlite::Connection;

use super::columns::{Count, millis};
use crate::{
    domain::{ids::RunId, time::Timestamp},
    store::{
        StoreResult,
        runs::{ContactTally, EffectState},
    },
};

const MINUTE_MS: i64 = 60_000;

/// Counts the run's effects for leads by where they stand. An effect that is held is kept as absent, with the gate's reason.
pub(super) fn contact_tally(db: &Connection, id: RunId, now: Timestamp) -> StoreResult<ContactTally> {
    let mut statement = db.prepare_cached(
        "SELECT state, error IS NOT NULL, at > ?2, count(*) FROM effects
         WHERE run = ?1 AND json_extract(request, '$.audience') = 'lead' GROUP BY 1, 2, 3",
    )?;
    let rows = statement.query_map((id, millis(now).saturating_sub(MINUTE_MS)), |row| {
        Ok((
            row.get::<_, EffectState>(0)?,
            row.get::<_, bool>(1)?,
            row.get::<_, bool>(2)?,
            row.get::<_, Count>(3)?.0,
        ))
    })?;
    let mut tally = ContactTally::default();
    for row in rows {
        let (state, has_reason, is_recent, count) = row?;
        match state {
            EffectState::Confirmed => {
                tally.sent += count;
                tally.sent_last_minute += if is_recent { count } else { 0 };
            }
            EffectState::Absent if has_reason => tally.held += count,
            EffectState::Claimed | EffectState::Absent => tally.waiting += count,
            EffectState::Rejected => tally.refused += count,
            EffectState::Unknown => tally.unknown += count,
        }
    }
    Ok(tally)
}
