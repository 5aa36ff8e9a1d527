//! Lists that people page through: positions by account and stretch of time, newest first.
//!
//! A position is written before its row and is only a hint: the row is read before it is shown, and decides whether it is still
//! there and at that place. Stretches that hold nothing cost nothing, because those that do are listed.

use std::future::Future;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    buckets::{Scope, month_of_millis},
    fields::{Int, Row, values},
    rows::Scylla,
    values::millis,
};
use crate::{
    domain::{ids::AccountId, time::Timestamp},
    store::{
        Page, StoreResult,
        cursor::{List, Position, Window},
    },
};

/// Rows that are read at once for one list.
pub(super) const READS_AT_ONCE: usize = 32;

const PLACE: &str = "INSERT INTO positions (account, list, bucket, at, id) VALUES (?, ?, ?, ?, ?)";
const DISPLACE: &str =
    "DELETE FROM positions WHERE account = ? AND list = ? AND bucket = ? AND at = ? AND id = ?";
const BEFORE: &str = "SELECT at, id FROM positions WHERE account = ? AND list = ? AND bucket = ? AND (at, id) < (?, ?) LIMIT ?";
const AFTER: &str =
    "SELECT at, id FROM positions WHERE account = ? AND list = ? AND bucket = ? AND (at, id) > (?, ?)
    ORDER BY at ASC, id ASC LIMIT ?";

/// Which way a list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    NewestFirst,
    OldestFirst,
}

/// A row's place.
pub(super) fn place(at: Timestamp, id: &[u8; 16]) -> Position {
    Position {
        at: millis(at),
        id: *id,
    }
}

/// Workflows are few and share one stretch.
const fn bucket_of(list: List, at: i64) -> i64 {
    match list {
        List::Workflows => 0,
        List::Runs
        | List::Leads
        | List::Calls
        | List::Timeline
        | List::Alerts
        | List::Tasks
        | List::Messages
        | List::Resources(_) => month_of_millis(at),
    }
}

impl Scylla {
    /// Puts a row into its list. To be called before the row is written.
    pub(super) async fn put_position(
        &self,
        account: AccountId,
        list: List,
        position: Position,
    ) -> StoreResult<()> {
        let bucket = bucket_of(list, position.at);
        self.db.note(Scope::ListOfAccount(account, list), bucket).await?;
        let tag = i64::from(list.tag());
        self.write(PLACE, values![account, tag, bucket, position.at, position.id])
            .await
    }

    /// Takes a row out of its list for good.
    pub(super) async fn take_position(
        &self,
        account: AccountId,
        list: List,
        position: Position,
    ) -> StoreResult<()> {
        let tag = i64::from(list.tag());
        let bucket = bucket_of(list, position.at);
        self.write(DISPLACE, values![account, tag, bucket, position.at, position.id])
            .await
    }

    /// Positions of a list beyond `from`, at most `limit`.
    async fn positions(
        &self,
        account: AccountId,
        list: List,
        order: Order,
        from: Position,
        limit: usize,
    ) -> StoreResult<Vec<Position>> {
        let mut buckets = self.db.buckets(Scope::ListOfAccount(account, list)).await?;
        let edge = bucket_of(list, from.at);
        let statement = match order {
            Order::NewestFirst => {
                buckets.retain(|bucket| *bucket <= edge);
                buckets.reverse();
                BEFORE
            }
            Order::OldestFirst => {
                buckets.retain(|bucket| *bucket >= edge);
                AFTER
            }
        };
        let mut found = Vec::new();
        for bucket in buckets {
            let wanted = limit.saturating_sub(found.len());
            if wanted == 0 {
                break;
            }
            let wanted = Int(u32::try_from(wanted).unwrap_or(u32::MAX));
            let tag = i64::from(list.tag());
            let rows = self
                .select(statement, values![account, tag, bucket, from.at, from.id, wanted])
                .await?;
            for row in rows {
                found.push(position_of(row)?);
            }
        }
        Ok(found)
    }

    /// Reads rows of a list beyond `from`, at most `limit`. `read` gives the row of a position, or nothing when it is not there.
    pub(super) async fn rows_of<T, F, R>(
        &self,
        (account, list): (AccountId, List),
        order: Order,
        mut from: Position,
        limit: usize,
        read: F,
    ) -> StoreResult<Vec<(Position, T)>>
    where
        F: Fn(Position) -> R + Send + Sync,
        R: Future<Output = StoreResult<Option<T>>> + Send,
        T: Send,
    {
        let mut rows = Vec::new();
        loop {
            let wanted = limit.saturating_sub(rows.len());
            if wanted == 0 {
                return Ok(rows);
            }
            let positions = self.positions(account, list, order, from, wanted).await?;
            let is_end = positions.len() < wanted;
            from = positions.last().copied().unwrap_or(from);
            let mut reads = stream::iter(positions.into_iter().map(|position| {
                let row = read(position);
                async move { row.await.map(|row| row.map(|row| (position, row))) }
            }))
            .buffered(READS_AT_ONCE);
            while let Some(row) = reads.try_next().await? {
                rows.extend(row);
            }
            if is_end {
                return Ok(rows);
            }
        }
    }

    /// Makes a page of a list, newest first.
    pub(super) async fn page_of<T, F, R>(
        &self,
        account: AccountId,
        list: List,
        window: &Window,
        read: F,
    ) -> StoreResult<Page<T>>
    where
        F: Fn(Position) -> R + Send + Sync,
        R: Future<Output = StoreResult<Option<T>>> + Send,
        T: Send,
    {
        let wanted = usize::try_from(window.fetch).unwrap_or(usize::MAX);
        let rows = self
            .rows_of((account, list), Order::NewestFirst, window.after, wanted, read)
            .await?;
        Ok(window.page(rows))
    }
}

fn position_of(mut row: Row) -> StoreResult<Position> {
    Ok(Position {
        at: row.take(0)?,
        id: row.take(1)?,
    })
}
