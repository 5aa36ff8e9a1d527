//! One entry of a shared stream: a fact, or the mark that facts are missing before it.

use redis::{FromRedisValue, streams::StreamId};

use crate::{
    bus::{live::LiveFact, ring::Place},
    domain::{ids::AccountId, time::Timestamp},
};

/// A fact on its way to Redis.
pub(super) struct Outgoing {
    pub account_id: AccountId,
    pub at: Timestamp,
    pub fact: LiveFact,
}

/// An entry as it was read.
pub(super) struct Entry {
    pub place: Place,
    /// Node and number of the fact.
    id: String,
    /// None for a mark, and for a fact of another program's version.
    pub fact: Option<(Timestamp, LiveFact)>,
    is_mark: bool,
}

/// Names of an entry's fields.
pub(super) const ID: &str = "i";
pub(super) const AT: &str = "t";
pub(super) const FACT: &str = "f";
pub(super) const MARK: &str = "gap";

impl Entry {
    /// Reads what Redis gave; `None` when its place cannot be read, which Redis writes itself.
    pub(super) fn read(given: &StreamId) -> Option<Self> {
        let text = |name: &str| {
            let value = given.map.get(name)?;
            String::from_redis_value_ref(value).ok()
        };
        let at = text(AT)
            .and_then(|at| at.parse().ok())
            .map(Timestamp::from_unix_millis);
        let fact = text(FACT).and_then(|fact| serde_json::from_str(&fact).ok());
        let is_mark = given.map.contains_key(MARK);
        Some(Self {
            place: place_of(&given.id)?,
            id: text(ID).unwrap_or_default(),
            fact: at.zip(fact),
            is_mark,
        })
    }

    /// Its number, if it came from `node`.
    pub(super) fn number_of(&self, node: &str) -> Option<u64> {
        self.id.strip_prefix(node)?.strip_prefix('-')?.parse().ok()
    }

    /// Whether facts are missing before it. One that cannot be read counts as missing.
    pub(super) fn is_mark(&self) -> bool {
        self.is_mark || self.fact.is_none()
    }
}

/// Reads `1700000000000-3`.
pub(super) fn place_of(text: &str) -> Option<Place> {
    let (millis, number) = text.split_once('-')?;
    Some((millis.parse().ok()?, number.parse().ok()?))
}

/// Writes a place as Redis does.
pub(super) fn text_of((millis, number): Place) -> String {
    format!("{millis}-{number}")
}
