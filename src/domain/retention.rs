//! Retention: how long an account keeps what was said and done, and how far it has been swept.

use serde::{Deserialize, Serialize};

use super::{
    ids::AccountId,
    resource::{Resource, ResourceKey, ResourceKind},
    time::Timestamp,
};

/// The longest that may be asked for: ten years.
pub const DAYS_MAX: u16 = 3_650;

/// How many days an account keeps what; nothing: for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// What was said on a call, and where its recording lies: counted from the call's beginning.
    #[schema(minimum = 1, maximum = 3650, example = 90)]
    pub transcripts_days: Option<u16>,
    /// What messages say: counted from when they were made.
    #[schema(minimum = 1, maximum = 3650, example = 365)]
    pub messages_days: Option<u16>,
    /// What ended runs did, step by step: counted from their end.
    #[schema(minimum = 1, maximum = 3650, example = 180)]
    pub runs_days: Option<u16>,
}

/// What is swept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swept {
    Transcripts,
    Messages,
    Runs,
}

impl Swept {
    /// Everything that is.
    pub const ALL: [Self; 3] = [Self::Transcripts, Self::Messages, Self::Runs];
}

impl Retention {
    /// Whether nothing is ever swept.
    #[must_use]
    pub fn keeps_everything(&self) -> bool {
        *self == Self::default()
    }

    /// How many days this is kept.
    #[must_use]
    pub const fn days(&self, swept: Swept) -> Option<u16> {
        match swept {
            Swept::Transcripts => self.transcripts_days,
            Swept::Messages => self.messages_days,
            Swept::Runs => self.runs_days,
        }
    }

    /// The moment before which this is not kept any more.
    #[must_use]
    pub fn cutoff(&self, swept: Swept, now: Timestamp) -> Option<Timestamp> {
        let days = u64::from(self.days(swept)?);
        Some(now.minus(std::time::Duration::from_secs(days * 24 * 3_600)))
    }
}

/// How much one sweep took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SweepCounts {
    pub transcripts: u64,
    pub messages: u64,
    pub runs: u64,
}

impl SweepCounts {
    /// Where this is counted.
    pub const fn of(&mut self, swept: Swept) -> &mut u64 {
        match swept {
            Swept::Transcripts => &mut self.transcripts,
            Swept::Messages => &mut self.messages,
            Swept::Runs => &mut self.runs,
        }
    }
}

/// How far a sweep has come through one list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lane {
    /// Where it goes on; nothing: at the beginning.
    pub cursor: Option<String>,
    pub is_over: bool,
}

/// The sweep of an account: the one under way, or the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionSweep {
    pub account_id: AccountId,
    /// When it began; what it takes is older by as much as the account says.
    pub began_at: Timestamp,
    pub is_over: bool,
    pub transcripts: Lane,
    pub messages: Lane,
    pub runs: Lane,
    pub counts: SweepCounts,
    pub created_at: Timestamp,
}

impl RetentionSweep {
    /// The first sweep of an account.
    #[must_use]
    pub fn first(account_id: AccountId, at: Timestamp) -> Self {
        Self {
            account_id,
            began_at: at,
            is_over: false,
            transcripts: Lane::default(),
            messages: Lane::default(),
            runs: Lane::default(),
            counts: SweepCounts::default(),
            created_at: at,
        }
    }

    /// The next one, from the beginning.
    #[must_use]
    pub fn again(&self, at: Timestamp) -> Self {
        Self {
            created_at: self.created_at,
            ..Self::first(self.account_id, at)
        }
    }

    /// How far it has come through a list.
    pub const fn lane(&mut self, swept: Swept) -> &mut Lane {
        match swept {
            Swept::Transcripts => &mut self.transcripts,
            Swept::Messages => &mut self.messages,
            Swept::Runs => &mut self.runs,
        }
    }
}

impl Resource for RetentionSweep {
    const KIND: ResourceKind = ResourceKind::RetentionSweep;

    fn account_id(&self) -> AccountId {
        self.account_id
    }

    fn key(&self) -> ResourceKey {
        *self.account_id.as_bytes()
    }

    fn created_at(&self) -> Timestamp {
        self.created_at
    }

    fn state(&self) -> &'static str {
        if self.is_over { "over" } else { "sweeping" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_kept_for_good() {
        let now = Timestamp::from_unix_millis(100 * 24 * 3_600_000);
        let kept = Retention {
            messages_days: Some(30),
            ..Retention::default()
        };
        assert_eq!(
            kept.cutoff(Swept::Messages, now),
            Some(Timestamp::from_unix_millis(70 * 24 * 3_600_000))
        );
        assert_eq!(kept.cutoff(Swept::Runs, now), None);
        assert!(!kept.keeps_everything() && Retention::default().keeps_everything());
    }
}
