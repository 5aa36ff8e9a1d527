//! Brings this node's facts into Redis, many at a time.
//!
//! When that fails, they are shown to this node's watchers, and Redis is left alone for [`PAUSE`]: what comes meanwhile is shown at
//! once. The first batch that goes through again begins with a mark in the stream of every account that misses something.

use std::{collections::BTreeSet, sync::PoisonError, time::Duration};

use tokio::{sync::mpsc, time::Instant};

use super::{
    STREAM_FACTS_MAX, SharedStream,
    entry::{AT, FACT, ID, MARK, Outgoing},
    stream_key,
};
use crate::{bus::redis::RedisFault, domain::ids::AccountId};

/// Facts that go in one round trip.
const BATCH_MAX: usize = 512;
/// How long Redis is left alone after it failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How long an account's stream is kept after its last fact.
const KEPT_S: u64 = 7 * 24 * 3_600;

/// Writes until the process ends.
pub(super) async fn run(stream: SharedStream, mut writing: mpsc::Receiver<Outgoing>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let mut number: u64 = 0;
    let mut closed_until: Option<Instant> = None;
    loop {
        let has_marks = !stream.unmarked().is_empty();
        let waited = async { writing.recv_many(&mut batch, BATCH_MAX).await };
        let received = match (has_marks, closed_until) {
            (false, _) => Some(waited.await),
            // Marks do not wait for the next fact.
            (true, until) => {
                let until = until.unwrap_or_else(Instant::now);
                tokio::time::timeout_at(until, waited).await.ok()
            }
        };
        if received == Some(0) {
            return;
        }
        if closed_until.is_some_and(|until| Instant::now() < until) {
            batch.drain(..).for_each(|outgoing| stream.show_here(outgoing));
            continue;
        }
        let count = u64::try_from(batch.len()).unwrap_or(0);
        match write(&stream, &batch, number).await {
            Ok(()) => closed_until = None,
            Err(fault) => {
                if closed_until.is_none() {
                    tracing::warn!(%fault, "live facts do not reach other nodes");
                }
                closed_until = Some(Instant::now() + PAUSE);
                for (at, outgoing) in (number..).zip(batch.drain(..)) {
                    // It may have got there all the same.
                    stream.remember_shown(at);
                    stream.show_here(outgoing);
                }
            }
        }
        number += count;
        batch.clear();
    }
}

fn id_of(stream: &SharedStream, number: u64) -> String {
    format!("{}-{number}", stream.0.node)
}

async fn write(stream: &SharedStream, batch: &[Outgoing], first: u64) -> Result<(), RedisFault> {
    let marks = stream.unmarked();
    let mut commands = redis::pipe();
    for account in &marks {
        commands
            .cmd("XADD")
            .arg(stream_key(*account))
            .arg("MAXLEN")
            .arg("~")
            .arg(STREAM_FACTS_MAX)
            .arg("*")
            .arg(MARK)
            .arg(1)
            .ignore();
    }
    let mut accounts = BTreeSet::new();
    for (number, outgoing) in (first..).zip(batch) {
        let fact = serde_json::to_string(&outgoing.fact).expect("a live fact has only text keys");
        commands
            .cmd("XADD")
            .arg(stream_key(outgoing.account_id))
            .arg("MAXLEN")
            .arg("~")
            .arg(STREAM_FACTS_MAX)
            .arg("*")
            .arg(ID)
            .arg(id_of(stream, number))
            .arg(AT)
            .arg(outgoing.at.as_unix_millis())
            .arg(FACT)
            .arg(fact)
            .ignore();
        accounts.insert(outgoing.account_id);
    }
    for account in accounts {
        commands
            .cmd("EXPIRE")
            .arg(stream_key(account))
            .arg(KEPT_S)
            .ignore();
    }
    stream.0.redis.ask_all::<()>(&commands).await?;
    let mut unmarked = stream.0.unmarked.lock().unwrap_or_else(PoisonError::into_inner);
    unmarked.retain(|account| !marks.contains(account));
    Ok(())
}

impl SharedStream {
    fn unmarked(&self) -> BTreeSet<AccountId> {
        self.0
            .unmarked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
