//! Time in pieces: partitions that would grow without end are cut by hour or month, and a scope remembers which pieces it has.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use super::{
    expiries::Ending,
    session::{Db, Statement},
    values::millis,
};
use crate::{
    domain::{
        ids::{AccountId, WorkflowId},
        observation::EventType,
        shard::Shard,
        time::Timestamp,
    },
    store::{StoreResult, cursor::List},
};

const NOTE: Statement = Statement::write("INSERT INTO buckets (scope, bucket) VALUES (?, ?)");
const LIST: Statement = Statement::read("SELECT bucket FROM buckets WHERE scope = ?");
/// One range tombstone in place of one for each row.
const FORGET: Statement = Statement::write("DELETE FROM buckets WHERE scope = ? AND bucket <= ?");

const HOUR_MS: i64 = 3_600_000;
/// A month of 30 days: pieces need no calendar.
const MONTH_MS: i64 = 30 * 24 * HOUR_MS;
/// How long after its end an hour is left alone: a slow writer, or one whose clock is behind, may still add to it.
const HOUR_GRACE_MS: i64 = 10 * 60_000;
/// Pieces that are known to be noted. Full, it is emptied: noting one again costs a write.
const NOTED_MAX: usize = 100_000;

/// Whose pieces they are. The numbers are on disk: never reuse one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'a> {
    Wakeups(Shard),
    MovingRuns(Shard),
    FactsOnTheirWay(Shard),
    RunsOfAccount(AccountId),
    RunsOfWorkflow(WorkflowId),
    FactsOfKind(AccountId, &'a EventType),
    OwnFacts(AccountId),
    ListOfAccount(AccountId, List),
    Endings(Ending),
    OpenCalls(Shard),
}

impl Scope<'_> {
    fn key(self) -> Vec<u8> {
        let (tag, id): (u8, Vec<u8>) = match self {
            Self::Wakeups(shard) => (1, shard.number().to_be_bytes().to_vec()),
            Self::MovingRuns(shard) => (2, shard.number().to_be_bytes().to_vec()),
            Self::FactsOnTheirWay(shard) => (3, shard.number().to_be_bytes().to_vec()),
            Self::RunsOfAccount(id) => (4, id.as_bytes().to_vec()),
            Self::RunsOfWorkflow(id) => (5, id.as_bytes().to_vec()),
            Self::FactsOfKind(id, kind) => (6, [id.as_bytes(), kind.as_str().as_bytes()].concat()),
            Self::OwnFacts(id) => (7, id.as_bytes().to_vec()),
            Self::ListOfAccount(id, list) => (8, [id.as_bytes().as_slice(), &[list.tag()]].concat()),
            Self::Endings(ending) => (9, ending.number().to_be_bytes().to_vec()),
            Self::OpenCalls(shard) => (10, shard.number().to_be_bytes().to_vec()),
        };
        [&[tag], id.as_slice()].concat()
    }
}

/// Pieces that this process has noted.
#[derive(Default)]
pub(super) struct Noted(Mutex<BTreeSet<(Vec<u8>, i64)>>);

impl Noted {
    fn holds(&self, piece: &(Vec<u8>, i64)) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(piece)
    }

    fn add(&self, piece: (Vec<u8>, i64)) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= NOTED_MAX {
            noted.clear();
        }
        noted.insert(piece);
    }

    fn remove_until(&self, scope: &[u8], bucket: i64) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.retain(|(known, piece)| known != scope || *piece > bucket);
    }
}

/// The hour of a moment.
pub(super) fn hour_of(at: Timestamp) -> i64 {
    millis(at) / HOUR_MS
}

/// The month of a moment.
pub(super) fn month_of(at: Timestamp) -> i64 {
    millis(at) / MONTH_MS
}

/// The month of a position in a list.
pub(super) const fn month_of_millis(at: i64) -> i64 {
    at / MONTH_MS
}

/// The last hour that nobody adds to any more.
pub(super) fn last_closed_hour(now: Timestamp) -> i64 {
    (millis(now) - HOUR_GRACE_MS) / HOUR_MS - 1
}

impl Db {
    /// Remembers that the scope has something in this piece. Before what is in it is written, so that nothing is out of sight.
    pub(super) async fn note(&self, scope: Scope<'_>, bucket: i64) -> StoreResult<()> {
        let piece = (scope.key(), bucket);
        if self.noted.holds(&piece) {
            return Ok(());
        }
        self.write(NOTE, (&piece.0, bucket)).await?;
        self.noted.add(piece);
        Ok(())
    }

    /// The pieces that the scope has, oldest first.
    pub(super) async fn buckets(&self, scope: Scope<'_>) -> StoreResult<Vec<i64>> {
        let found: Vec<(i64,)> = self.rows(LIST, (scope.key(),)).await?;
        Ok(found.into_iter().map(|(bucket,)| bucket).collect())
    }

    /// Forgets the piece and every one before it: they are dropped.
    pub(super) async fn forget_until(&self, scope: Scope<'_>, bucket: i64) -> StoreResult<()> {
        let key = scope.key();
        self.noted.remove_until(&key, bucket);
        self.write(FORGET, (key, bucket)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_closed_ten_minutes_after_its_end() {
        let end = Timestamp::from_unix_millis(3_600_000 * 500);
        let before = Timestamp::from_unix_millis(end.as_unix_millis() + 599_999);
        let after = Timestamp::from_unix_millis(end.as_unix_millis() + 600_000);
        assert_eq!((last_closed_hour(before), last_closed_hour(after)), (498, 499));
        assert_eq!(hour_of(end), 500);
    }

    #[test]
    fn scopes_tell_their_kinds_and_ids_apart() {
        let account = AccountId::from_bytes([1; 16]);
        let workflow = WorkflowId::from_bytes([1; 16]);
        assert_ne!(
            Scope::RunsOfAccount(account).key(),
            Scope::RunsOfWorkflow(workflow).key()
        );
        let kinds = [EventType::CALL_BUSY, EventType::CALL_FAILED];
        assert_ne!(
            Scope::FactsOfKind(account, &kinds[0]).key(),
            Scope::FactsOfKind(account, &kinds[1]).key()
        );
    }
}
