//! A run's messages and calls to leads, counted from its effects.

use serde::Deserialize;

use super::values::{from_body, millis};
use crate::{
    domain::time::Timestamp,
    store::{
        StoreResult,
        runs::{ContactTally, EffectRow, EffectState},
    },
};

const MINUTE_MS: i64 = 60_000;

/// What of an effect says whom it is for.
#[derive(Deserialize)]
struct Audience {
    #[serde(default)]
    audience: Option<String>,
}

/// Counts the effects for leads by where they stand. An effect that is held is kept as absent, with the gate's reason.
pub(super) fn contact_tally(effects: &[EffectRow], now: Timestamp) -> StoreResult<ContactTally> {
    let minute_ago = millis(now).saturating_sub(MINUTE_MS);
    let mut tally = ContactTally::default();
    for effect in effects {
        let audience: Audience = from_body(&effect.request)?;
        if audience.audience.as_deref() != Some("lead") {
            continue;
        }
        match effect.state {
            EffectState::Confirmed => {
                tally.sent += 1;
                tally.sent_last_minute += u64::from(millis(effect.at) > minute_ago);
            }
            EffectState::Absent if effect.error.is_some() => tally.held += 1,
            EffectState::Claimed | EffectState::Absent => tally.waiting += 1,
            EffectState::Rejected => tally.refused += 1,
            EffectState::Unknown => tally.unknown += 1,
        }
    }
    Ok(tally)
}
