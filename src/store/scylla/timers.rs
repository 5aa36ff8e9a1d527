//! Wake-ups: one row for each timer that was set, by shard and hour, written before the run's own commit.
//!
//! A row is a hint and the run is the truth: a scan asks the run whether the timer still stands. Rows are never deleted one by one;
//! an hour is dropped whole once it is over and nothing in it stands any more.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    buckets::{Scope, hour_of, last_closed_hour},
    session::{Db, Statement},
    values::Count,
};
use crate::{
    domain::{ids::RunId, shard::Shard, time::Timestamp},
    store::{StoreResult, runs::TimerRow},
};

const SET: Statement =
    Statement::write("INSERT INTO wakeups (shard, hour, due, run, timer) VALUES (?, ?, ?, ?, ?)");
const OF_HOUR: Statement = Statement::read(
    "SELECT due, run, timer FROM wakeups WHERE shard = ? AND hour = ? AND (due, run, timer) > (?, ?, ?) LIMIT ?",
);
const STANDING: Statement =
    Statement::read("SELECT run, due FROM runs WHERE run IN ? AND kind = 2 AND seq = ? AND name = ''");
const DROP: Statement = Statement::write("DELETE FROM wakeups WHERE shard = ? AND hour = ?");

/// Rows that are read and compared with their runs at a time.
const ROWS_PER_LOOK: usize = 1_000;
/// Runs asked for in one request: each is a partition of its own, so the request is spread over the cluster.
const RUNS_PER_READ: usize = 32;
const READS_AT_ONCE: usize = 16;

/// When a timer wakes its run: not before the moment it is set, so that its row never lies in an hour that is over.
pub(super) fn wake_time(due: Timestamp, now: Timestamp) -> Timestamp {
    due.max(now)
}

/// Writes the wake-ups of a transition. Before its commit.
pub(super) async fn set(db: &Db, run: RunId, timers: &[(u64, Timestamp)], now: Timestamp) -> StoreResult<()> {
    for (timer, due) in timers {
        let (shard, due) = (run.shard(), wake_time(*due, now));
        db.note(Scope::Wakeups(shard), hour_of(due)).await?;
        db.write(SET, (shard, hour_of(due), due, run, Count(*timer)))
            .await?;
    }
    Ok(())
}

/// Every timer that stands, by shard, hour, moment, run and number: at most `limit` behind `after`.
pub(super) async fn scan(
    db: &Db,
    shard: Option<Shard>,
    after: Option<TimerRow>,
    limit: usize,
) -> StoreResult<Vec<TimerRow>> {
    let begin = after.map(|row| row.run_id.shard());
    let shards: Vec<Shard> = match shard {
        Some(shard) => vec![shard],
        None => Shard::all().filter(|shard| Some(*shard) >= begin).collect(),
    };
    let hours: Vec<(Shard, Vec<i64>)> = stream::iter(shards)
        .map(async |shard| {
            Ok::<_, crate::store::StoreError>((shard, db.buckets(Scope::Wakeups(shard)).await?))
        })
        .buffered(READS_AT_ONCE)
        .try_collect()
        .await?;
    let mut found = Vec::new();
    for (shard, hours) in hours {
        let behind = after.filter(|row| row.run_id.shard() == shard);
        for hour in hours {
            if behind.is_some_and(|row| hour < hour_of(row.due)) {
                continue;
            }
            let mut place = behind.filter(|row| hour_of(row.due) == hour);
            while found.len() < limit {
                let rows = rows_of(db, shard, hour, place).await?;
                let Some(last) = rows.last() else { break };
                place = Some(*last);
                found.extend(standing(db, rows).await?);
            }
            if found.len() >= limit {
                found.truncate(limit);
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// Drops the hours that are over and in which no timer stands.
pub(super) async fn drop_hours(db: &Db, shard: Shard, now: Timestamp) -> StoreResult<()> {
    let closed = last_closed_hour(now);
    let mut dropped = None;
    'hours: for hour in db.buckets(Scope::Wakeups(shard)).await? {
        if hour > closed {
            break;
        }
        let mut place = None;
        loop {
            let rows = rows_of(db, shard, hour, place).await?;
            let Some(last) = rows.last() else { break };
            place = Some(*last);
            if !standing(db, rows).await?.is_empty() {
                break 'hours;
            }
        }
        db.write(DROP, (shard, hour)).await?;
        dropped = Some(hour);
    }
    match dropped {
        Some(hour) => db.forget_until(Scope::Wakeups(shard), hour).await,
        None => Ok(()),
    }
}

async fn rows_of(db: &Db, shard: Shard, hour: i64, after: Option<TimerRow>) -> StoreResult<Vec<TimerRow>> {
    // No run has the nil id, so nothing lies before it.
    let after = after.unwrap_or(TimerRow {
        due: Timestamp::from_unix_millis(0),
        run_id: RunId::from_bytes([0; 16]),
        timer: 0,
    });
    let limit = i32::try_from(ROWS_PER_LOOK).unwrap_or(i32::MAX);
    let rows: Vec<(Timestamp, RunId, Count)> = db
        .rows(
            OF_HOUR,
            (shard, hour, after.due, after.run_id, Count(after.timer), limit),
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|(due, run_id, Count(timer))| TimerRow { due, run_id, timer })
        .collect())
}

/// The rows whose run says the same, in their order.
async fn standing(db: &Db, rows: Vec<TimerRow>) -> StoreResult<Vec<TimerRow>> {
    let mut by_timer: BTreeMap<u64, Vec<RunId>> = BTreeMap::new();
    for row in &rows {
        by_timer.entry(row.timer).or_default().push(row.run_id);
    }
    let questions: Vec<(u64, Vec<RunId>)> = by_timer
        .into_iter()
        .flat_map(|(timer, mut runs)| {
            runs.sort_unstable();
            runs.dedup();
            let several: Vec<_> = runs
                .chunks(RUNS_PER_READ)
                .map(|some| (timer, some.to_vec()))
                .collect();
            several
        })
        .collect();
    let answers: Vec<Vec<TimerRow>> = stream::iter(questions)
        .map(async |(timer, runs)| {
            let found: Vec<(RunId, Option<Timestamp>)> = db.rows(STANDING, (runs, Count(timer))).await?;
            Ok::<_, crate::store::StoreError>(
                found
                    .into_iter()
                    .filter_map(|(run_id, due)| due.map(|due| TimerRow { due, run_id, timer }))
                    .collect(),
            )
        })
        .buffer_unordered(READS_AT_ONCE)
        .try_collect()
        .await?;
    let standing: BTreeSet<TimerRow> = answers.into_iter().flatten().collect();
    Ok(rows.into_iter().filter(|row| standing.contains(row)).collect())
}
