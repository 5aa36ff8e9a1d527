//! Marks: what a recovery has to look at, by shard and hour. A mark that is done stays until its hour is dropped whole, so that no
//! scan wades through deleted rows.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

use super::{
    buckets::{Scope, last_closed_hour},
    errors::Unexpected,
    session::{Db, Statement},
};
use crate::{
    domain::{shard::Shard, time::Timestamp},
    store::StoreResult,
};

/// Leaves a mark done that is done already: whoever sets it a second time, late, takes nothing back.
const SET: Statement = Statement::write("INSERT INTO marks (shard, kind, hour, id) VALUES (?, ?, ?, ?)");
const SET_DONE: Statement =
    Statement::write("INSERT INTO marks (shard, kind, hour, id, done) VALUES (?, ?, ?, ?, true)");
const SET_IN_TURN: Statement = Statement::write(
    "INSERT INTO marks (shard, kind, hour, id, done) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?",
);
const OF_HOUR: Statement =
    Statement::read("SELECT id, done FROM marks WHERE shard = ? AND kind = ? AND hour = ?");
const DROP: Statement = Statement::write("DELETE FROM marks WHERE shard = ? AND kind = ? AND hour = ?");

/// What is marked. The numbers are on disk: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarkKind {
    /// A run that stands as running.
    MovingRun,
    /// A fact whose runs may not exist yet.
    FactOnItsWay,
}

impl MarkKind {
    const fn number(self) -> i8 {
        match self {
            Self::MovingRun => 1,
            Self::FactOnItsWay => 2,
        }
    }

    const fn scope(self, shard: Shard) -> Scope<'static> {
        match self {
            Self::MovingRun => Scope::MovingRuns(shard),
            Self::FactOnItsWay => Scope::FactsOnTheirWay(shard),
        }
    }
}

/// One mark's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) kind: MarkKind,
    pub(super) shard: Shard,
    pub(super) hour: i64,
    pub(super) id: [u8; 16],
    /// The revision that it is about, for what may be set again after it was done: the last one has the last word, whatever the clocks
    /// of the nodes say.
    pub(super) turn: Option<u64>,
}

impl Db {
    /// Sets a mark. Before the write that it is for.
    pub(super) async fn mark(&self, mark: Mark) -> StoreResult<()> {
        self.note(mark.kind.scope(mark.shard), mark.hour).await?;
        self.put(mark, false).await
    }

    /// Says that there is nothing left to look at.
    pub(super) async fn mark_done(&self, mark: Mark) -> StoreResult<()> {
        self.put(mark, true).await
    }

    async fn put(&self, mark: Mark, is_done: bool) -> StoreResult<()> {
        let Mark { shard, hour, id, .. } = mark;
        let kind = mark.kind.number();
        match mark.turn {
            Some(turn) => {
                let turn = i64::try_from(turn).unwrap_or(i64::MAX);
                self.write(SET_IN_TURN, (shard, kind, hour, id, is_done, turn))
                    .await
            }
            None if is_done => self.write(SET_DONE, (shard, kind, hour, id)).await,
            None => self.write(SET, (shard, kind, hour, id)).await,
        }
    }

    /// The marks of a shard that are not done.
    pub(super) async fn open_marks(&self, kind: MarkKind, shard: Shard) -> StoreResult<Vec<Mark>> {
        let mut open = Vec::new();
        for hour in self.buckets(kind.scope(shard)).await? {
            open.extend(self.open_marks_of(kind, shard, hour).await?);
        }
        Ok(open)
    }

    /// The hours of a shard's marks that are over, oldest first.
    pub(super) async fn closed_hours(
        &self,
        kind: MarkKind,
        shard: Shard,
        now: Timestamp,
    ) -> StoreResult<Vec<i64>> {
        let closed = last_closed_hour(now);
        let mut hours = self.buckets(kind.scope(shard)).await?;
        hours.retain(|hour| *hour <= closed);
        Ok(hours)
    }

    /// Drops an hour that is over, with every mark in it. Earlier ones must have been dropped before.
    pub(super) async fn drop_hour(&self, kind: MarkKind, shard: Shard, hour: i64) -> StoreResult<()> {
        self.write(DROP, (shard, kind.number(), hour)).await?;
        self.forget_until(kind.scope(shard), hour).await
    }

    /// The marks of one hour that are not done.
    pub(super) async fn open_marks_of(
        &self,
        kind: MarkKind,
        shard: Shard,
        hour: i64,
    ) -> StoreResult<Vec<Mark>> {
        let rows: Vec<(Vec<u8>, Option<bool>)> = self.rows(OF_HOUR, (shard, kind.number(), hour)).await?;
        rows.into_iter()
            .filter(|(_, done)| *done != Some(true))
            .map(|(id, _)| {
                let id = id
                    .try_into()
                    .map_err(|_wrong_length| Unexpected { what: "an id" })?;
                Ok(Mark {
                    kind,
                    shard,
                    hour,
                    id,
                    turn: None,
                })
            })
            .collect()
    }
}

/// What was lately seen, by key, within a bound: when the younger half is full the older one is forgotten.
pub(super) struct Recent<K, V> {
    halves: Mutex<[HashMap<K, V>; 2]>,
    half_max: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Recent<K, V> {
    pub(super) fn new(half_max: usize) -> Self {
        Self {
            halves: Mutex::new([HashMap::new(), HashMap::new()]),
            half_max,
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        let halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        halves.iter().find_map(|half| half.get(key)).cloned()
    }

    pub(super) fn put(&self, key: K, value: V) {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        if halves[0].len() >= self.half_max {
            halves.swap(0, 1);
            halves[0].clear();
        }
        halves[0].insert(key, value);
    }

    pub(super) fn take(&self, key: &K) -> Option<V> {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let [young, old] = &mut *halves;
        let older = old.remove(key);
        young.remove(key).or(older)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lately_seen_is_bounded_and_the_newest_stays() {
        let recent = Recent::new(10);
        for number in 0..100 {
            recent.put(number, number);
        }
        assert_eq!(recent.get(&99), Some(99));
        assert_eq!(recent.get(&0), None);
        assert!((0..100).filter(|number| recent.get(number).is_some()).count() <= 20);
        assert_eq!((recent.take(&99), recent.take(&99)), (Some(99), None));
    }
}
