//! Reads the streams of the accounts that somebody on this node watches.
//!
//! One connection, one blocking read for all accounts, broken off every [`BLOCK_MS`] so that a new watcher's account is taken in.
//! After a break it goes on where it was, if what it read last is still there; else the watchers are told that facts are missing.

use std::{sync::atomic::Ordering, time::Duration};

use redis::{
    aio::MultiplexedConnection,
    streams::{StreamRangeReply, StreamReadReply},
};

use super::{
    Read, SharedStream,
    entry::{Entry, place_of, text_of},
    generation_key, stream_key, watched_key,
};
use crate::{
    bus::{
        redis::{RedisFault, in_time},
        ring::{Item, Place},
    },
    domain::ids::AccountId,
};

/// How long one read waits for facts.
const BLOCK_MS: u64 = 200;
/// How long its answer may take in all.
const ANSWER_MAX: Duration = Duration::from_millis(1_200);
/// Facts of one account that one read takes.
const COUNT: usize = 512;
/// Before the next try when Redis does not answer.
const PAUSE: Duration = Duration::from_millis(300);
/// How often it is asked whether anybody has ever watched.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// Reads until the process ends.
pub(super) async fn run(stream: SharedStream) {
    let mut was_broken = false;
    let mut generation: Option<String> = None;
    loop {
        while !stream.has_work() {
            stream.0.begun.notified().await;
        }
        if let Err(fault) = follow(&stream, &mut generation, was_broken).await {
            tracing::debug!(%fault, "the shared stream cannot be read");
            was_broken = true;
            tokio::time::sleep(PAUSE).await;
        } else {
            was_broken = false;
        }
    }
}

/// Learns that somebody has begun to watch anywhere, once.
pub(super) async fn learn_of_first_watcher(stream: SharedStream) {
    let question = {
        let mut question = redis::cmd("GET");
        question.arg(watched_key());
        question
    };
    while !stream.is_watched() {
        if let Ok(Some(_)) = stream.0.redis.ask::<Option<u64>>(&question).await {
            stream.0.was_watched.store(true, Ordering::Relaxed);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Reads while somebody watches and Redis answers.
async fn follow(
    stream: &SharedStream,
    generation: &mut Option<String>,
    was_broken: bool,
) -> Result<(), RedisFault> {
    let mut connection = stream.0.redis.own_connection(ANSWER_MAX).await?;
    let found = the_generation(&mut connection).await?;
    let is_other = generation.as_ref().is_some_and(|known| *known != found);
    if is_other {
        start_over(stream);
    } else if was_broken {
        see_what_was_missed(stream, &mut connection).await?;
    }
    *generation = Some(found.clone());
    loop {
        place_unknown(stream, &mut connection).await?;
        let places = stream.places();
        if places.is_empty() {
            return Ok(());
        }
        let now = read(stream, &mut connection, &places, &found).await?;
        if now.as_ref() != Some(&found) {
            // Flushed: a fact may have been lost between its writing and our reading.
            start_over(stream);
            *generation = None;
            return Ok(());
        }
    }
}

async fn the_generation(connection: &mut MultiplexedConnection) -> Result<String, RedisFault> {
    let draw = uuid::Uuid::new_v4().simple().to_string();
    let mut questions = redis::pipe();
    questions
        .cmd("SET")
        .arg(generation_key())
        .arg(draw)
        .arg("NX")
        .ignore()
        .cmd("SET")
        .arg(watched_key())
        .arg(1)
        .ignore()
        .cmd("GET")
        .arg(generation_key());
    let (generation,): (String,) = in_time(questions.query_async(connection)).await?;
    Ok(generation)
}

/// Everything that was there is gone: the streams are read from their beginning.
fn start_over(stream: &SharedStream) {
    for entry in stream.watched().values_mut() {
        entry.read = Read::UpTo((0, 0));
    }
    stream.0.ring.tell(Item::Lost(None));
}

/// Tells those watchers whose stream no longer holds what they saw last.
async fn see_what_was_missed(
    stream: &SharedStream,
    connection: &mut MultiplexedConnection,
) -> Result<(), RedisFault> {
    for (account_id, place) in stream.places() {
        if place == (0, 0) {
            continue;
        }
        let mut question = redis::cmd("XRANGE");
        question
            .arg(stream_key(account_id))
            .arg(text_of(place))
            .arg(text_of(place));
        let still: StreamRangeReply = in_time(question.query_async(connection)).await?;
        if still.ids.is_empty() {
            stream.0.ring.tell(Item::Lost(Some(account_id)));
        }
    }
    Ok(())
}

/// Finds a place for accounts whose first watcher came while Redis did not answer.
async fn place_unknown(
    stream: &SharedStream,
    connection: &mut MultiplexedConnection,
) -> Result<(), RedisFault> {
    let unknown: Vec<AccountId> = stream
        .watched()
        .iter()
        .filter(|(_, entry)| entry.read == Read::Unknown)
        .map(|(account_id, _)| *account_id)
        .collect();
    for account_id in unknown {
        let mut question = redis::cmd("XREVRANGE");
        question
            .arg(stream_key(account_id))
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(1);
        let last: StreamRangeReply = in_time(question.query_async(connection)).await?;
        let place = last.ids.first().and_then(|id| place_of(&id.id)).unwrap_or((0, 0));
        stream.reads_up_to(account_id, place);
    }
    Ok(())
}

/// One read of all streams. Returns the generation after it.
async fn read(
    stream: &SharedStream,
    connection: &mut MultiplexedConnection,
    places: &[(AccountId, Place)],
    generation: &str,
) -> Result<Option<String>, RedisFault> {
    let mut questions = redis::pipe();
    questions
        .cmd("XREAD")
        .arg("COUNT")
        .arg(COUNT)
        .arg("BLOCK")
        .arg(BLOCK_MS)
        .arg("STREAMS");
    for (account_id, _) in places {
        questions.arg(stream_key(*account_id));
    }
    for (_, place) in places {
        questions.arg(text_of(*place));
    }
    questions.cmd("GET").arg(generation_key());
    let answer = tokio::time::timeout(ANSWER_MAX, questions.query_async(connection)).await;
    let (read, now): (Option<StreamReadReply>, Option<String>) = answer
        .map_err(|_| RedisFault::TooSlow(ANSWER_MAX))?
        .map_err(RedisFault::NoAnswer)?;
    for found in read.into_iter().flat_map(|read| read.keys) {
        let about = places
            .iter()
            .find(|(account_id, _)| stream_key(*account_id) == found.key);
        let Some((account_id, _)) = about else { continue };
        for entry in found.ids.iter().filter_map(Entry::read) {
            stream.show(*account_id, &entry, generation);
        }
    }
    Ok(now)
}

impl SharedStream {
    /// Whether there is a stream to read, or one whose place must be found.
    fn has_work(&self) -> bool {
        self.watched().values().any(|entry| entry.read != Read::NotYet)
    }

    /// Where to read on, by account.
    fn places(&self) -> Vec<(AccountId, Place)> {
        self.watched()
            .iter_mut()
            .filter_map(|(account_id, entry)| match entry.read {
                Read::UpTo(place) => Some((*account_id, entry.again_from.take().unwrap_or(place))),
                Read::NotYet | Read::Unknown => None,
            })
            .collect()
    }

    /// Shows an entry to this node's watchers and notes how far the stream is read.
    fn show(&self, account_id: AccountId, entry: &Entry, generation: &str) {
        if let Some(watched) = self.watched().get_mut(&account_id) {
            watched.read = Read::UpTo(entry.place);
        }
        if self.was_shown(entry) {
            return;
        }
        match entry.message(account_id, generation) {
            Some(message) => self.0.ring.tell(Item::Fact {
                message,
                place: Some(entry.place),
            }),
            // This node's watchers saw this node's facts; a mark of its own tells them nothing, but is rare.
            None => self.0.ring.tell(Item::Lost(Some(account_id))),
        }
    }
}
