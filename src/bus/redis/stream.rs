//! The live stream of all nodes: one Redis Stream per account.
//!
//! In: this node's facts. Out: every node's facts to this node's watchers, and what was missed since a cursor, wherever that cursor
//! was given out. Streams are cut at [`STREAM_FACTS_MAX`] facts.
//! While Redis does not answer, this node's own facts go to its watchers by the local ring. When it is back, whoever may have missed
//! another node's facts is told so: watchers at once, and those who come back later by a mark in the stream.

mod entry;
mod reader;
mod writer;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use redis::streams::StreamRangeReply;
use tokio::sync::{Notify, mpsc};

use self::entry::{Entry, Outgoing, place_of, text_of};
use super::{Redis, RedisFault, key};
use crate::{
    bus::{
        live::{LiveFact, LiveMessage},
        local::Subscription,
        ring::{Item, Place, Ring},
    },
    domain::{ids::AccountId, time::Timestamp},
};

/// Facts kept of one account.
pub const STREAM_FACTS_MAX: usize = 16_384;
/// Facts of this node on their way to Redis. One more goes to this node's watchers only, and the others are told of a gap.
const OUTGOING_MAX: usize = 16_384;
/// Facts whose numbers are remembered because they were shown although they may be in Redis too.
const SHOWN_MAX: usize = 16_384;
/// Facts that one question reads: streams are cut a little later than they are full.
const MISSED_MAX: usize = 2 * STREAM_FACTS_MAX;

/// The shared stream. Cheap to clone.
#[derive(Clone)]
pub struct SharedStream(Arc<Inner>);

struct Inner {
    redis: Redis,
    ring: Ring,
    outgoing: mpsc::Sender<Outgoing>,
    was_watched: Arc<AtomicBool>,
    watched: Mutex<BTreeMap<AccountId, Watched>>,
    /// Somebody began to watch.
    begun: Notify,
    /// Accounts with facts that did not get into Redis: their streams get a mark.
    unmarked: Mutex<BTreeSet<AccountId>>,
    /// Numbers of this node's facts that were shown here although Redis may hold them.
    shown: Mutex<BTreeSet<u64>>,
    /// Tells this node's facts from others'.
    node: String,
}

/// How far one account's stream is read.
struct Watched {
    watchers: usize,
    read: Read,
    /// A watcher's view begins before what is read: it is read again from there, and the others skip what they have seen.
    again_from: Option<Place>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// The first watcher is finding out where the stream stands.
    NotYet,
    /// Redis did not answer that question: the reader asks again, and watchers are told of a gap.
    Unknown,
    UpTo(Place),
}

/// Somebody watches an account; dropped, nobody does on its behalf.
pub struct Watching {
    stream: SharedStream,
    account_id: AccountId,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut watched = self.stream.watched();
        if let Some(entry) = watched.get_mut(&self.account_id) {
            entry.watchers = entry.watchers.saturating_sub(1);
            if entry.watchers == 0 {
                watched.remove(&self.account_id);
            }
        }
    }
}

/// What Redis knows of an account's stream.
struct Found {
    /// Drawn once per set of data: another one means that everything was lost.
    generation: String,
    last: Place,
    /// Whether everything after `since` is in `missed`.
    is_whole: bool,
    missed: Vec<Entry>,
}

impl SharedStream {
    /// Starts to write to Redis, and to read from it while somebody watches.
    pub(in crate::bus) fn start(redis: Redis, ring: Ring, was_watched: Arc<AtomicBool>) -> Self {
        let (outgoing, writing) = mpsc::channel(OUTGOING_MAX);
        let stream = Self(Arc::new(Inner {
            redis,
            ring,
            outgoing,
            was_watched,
            watched: Mutex::default(),
            begun: Notify::new(),
            unmarked: Mutex::default(),
            shown: Mutex::default(),
            node: uuid::Uuid::new_v4().simple().to_string(),
        }));
        tokio::spawn(writer::run(stream.clone(), writing));
        tokio::spawn(reader::run(stream.clone()));
        tokio::spawn(reader::learn_of_first_watcher(stream.clone()));
        stream
    }

    /// Sends a fact to every node. Never waits.
    pub(in crate::bus) fn publish(&self, account_id: AccountId, at: Timestamp, fact: LiveFact) {
        let outgoing = Outgoing { account_id, at, fact };
        if let Err(refused) = self.0.outgoing.try_send(outgoing) {
            metrics::counter!("patchcord_live_unshared_total").increment(1);
            let (mpsc::error::TrySendError::Full(outgoing) | mpsc::error::TrySendError::Closed(outgoing)) =
                refused;
            self.show_here(outgoing);
        }
    }

    /// Opens a subscription for one account, with what it missed since `since` on whatever node.
    pub(in crate::bus) async fn subscribe(&self, account_id: AccountId, since: Option<&str>) -> Subscription {
        let watching = self.watch(account_id);
        // Opened before Redis is asked: what comes in between is seen twice and shown once.
        let receiver = self.0.ring.receiver();
        match self.find(account_id, since).await {
            Ok(found) => {
                self.reads_up_to(account_id, found.last);
                let replay = found
                    .missed
                    .iter()
                    .filter_map(|entry| entry.message(account_id, &found.generation));
                Subscription {
                    replay: replay.collect(),
                    gap: since.is_some() && !found.is_whole,
                    cursor: cursor_of(&found.generation, found.last),
                    receiver,
                    account_id,
                    seen: Some(found.last),
                    watching: Some(watching),
                }
            }
            Err(fault) => {
                tracing::warn!(%fault, "a watcher sees this node's facts only until Redis is back");
                self.reads_unknown(account_id);
                let local = self.0.ring.since(account_id, since);
                Subscription {
                    replay: local.replay,
                    gap: local.gap,
                    cursor: local.cursor,
                    receiver: local.receiver,
                    account_id,
                    seen: None,
                    watching: Some(watching),
                }
            }
        }
    }

    /// Shows a fact to this node's watchers although the others may not get it.
    fn show_here(&self, outgoing: Outgoing) {
        let mut unmarked = self.0.unmarked.lock().unwrap_or_else(PoisonError::into_inner);
        unmarked.insert(outgoing.account_id);
        drop(unmarked);
        self.0
            .ring
            .publish(outgoing.account_id, outgoing.at, outgoing.fact);
    }

    fn remember_shown(&self, number: u64) {
        let mut shown = self.0.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.len() >= SHOWN_MAX {
            shown.pop_first();
        }
        shown.insert(number);
    }

    fn was_shown(&self, entry: &Entry) -> bool {
        let shown = self.0.shown.lock().unwrap_or_else(PoisonError::into_inner);
        entry
            .number_of(&self.0.node)
            .is_some_and(|number| shown.contains(&number))
    }

    fn watched(&self) -> MutexGuard<'_, BTreeMap<AccountId, Watched>> {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, account_id: AccountId) -> Watching {
        let mut watched = self.watched();
        let entry = watched.entry(account_id).or_insert(Watched {
            watchers: 0,
            read: Read::NotYet,
            again_from: None,
        });
        entry.watchers += 1;
        drop(watched);
        Watching {
            stream: self.clone(),
            account_id,
        }
    }

    fn reads_up_to(&self, account_id: AccountId, place: Place) {
        let mut watched = self.watched();
        let Some(entry) = watched.get_mut(&account_id) else {
            return;
        };
        match entry.read {
            // Nothing was read so far, so nobody can have missed anything before the first place that is known.
            Read::NotYet => entry.read = Read::UpTo(place),
            Read::Unknown => {
                entry.read = Read::UpTo(place);
                self.0.ring.tell(Item::Lost(Some(account_id)));
            }
            Read::UpTo(read) if place < read => {
                entry.again_from = Some(entry.again_from.map_or(place, |from| from.min(place)));
            }
            Read::UpTo(_) => {}
        }
        drop(watched);
        self.0.begun.notify_one();
    }

    fn reads_unknown(&self, account_id: AccountId) {
        if let Some(entry) = self.watched().get_mut(&account_id)
            && entry.read == Read::NotYet
        {
            entry.read = Read::Unknown;
        }
        self.0.begun.notify_one();
    }

    /// Where the account's stream stands, and what came after `since`.
    async fn find(&self, account_id: AccountId, since: Option<&str>) -> Result<Found, RedisFault> {
        let stream = stream_key(account_id);
        let wanted = since.and_then(|since| {
            let (generation, place) = since.strip_prefix('r')?.split_once('-')?;
            Some((generation.to_owned(), place_of(place)?))
        });
        let from = wanted.as_ref().map_or((u64::MAX, u64::MAX), |(_, place)| *place);
        let draw = uuid::Uuid::new_v4().simple().to_string();
        let mut questions = redis::pipe();
        questions
            .cmd("SET")
            .arg(generation_key())
            .arg(draw)
            .arg("NX")
            .ignore()
            .cmd("GET")
            .arg(generation_key())
            .cmd("SET")
            .arg(watched_key())
            .arg(1)
            .ignore()
            .cmd("XREVRANGE")
            .arg(&stream)
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(1)
            .cmd("XRANGE")
            .arg(&stream)
            .arg(text_of(from))
            .arg("+")
            .arg("COUNT")
            .arg(MISSED_MAX);
        let (generation, last, after): (String, StreamRangeReply, StreamRangeReply) =
            self.0.redis.ask_all(&questions).await?;
        let last = last.ids.first().and_then(|id| place_of(&id.id)).unwrap_or((0, 0));
        let mut missed: Vec<Entry> = after.ids.iter().filter_map(Entry::read).collect();
        let is_whole = match &wanted {
            None => since.is_none(),
            Some((known, _)) if *known != generation => false,
            // From before the first fact: whole unless the beginning has been cut off by now.
            Some((_, (0, 0))) => missed.len() < STREAM_FACTS_MAX,
            // The fact that was seen last is still there, so nothing behind it has been cut off.
            Some((_, place)) => missed.first().is_some_and(|first| first.place == *place),
        };
        let is_whole = is_whole && missed.len() < MISSED_MAX;
        missed.retain(|entry| entry.place > from && entry.place <= last);
        let is_marked = missed.iter().any(Entry::is_mark);
        Ok(Found {
            generation,
            // A fact that came between the two questions is left to the reader.
            last,
            is_whole: is_whole && !is_marked,
            missed,
        })
    }

    fn is_watched(&self) -> bool {
        self.0.was_watched.load(Ordering::Relaxed)
    }
}

fn stream_key(account_id: AccountId) -> String {
    key(&["live", &account_id.to_string()])
}

fn generation_key() -> String {
    key(&["live", "generation"])
}

fn watched_key() -> String {
    key(&["live", "watched"])
}

fn cursor_of(generation: &str, place: Place) -> String {
    format!("r{generation}-{}", text_of(place))
}

impl Entry {
    /// What watchers see of it; nothing of a mark.
    fn message(&self, account_id: AccountId, generation: &str) -> Option<Arc<LiveMessage>> {
        let (at, fact) = self.fact.clone()?;
        Some(Arc::new(LiveMessage {
            cursor: cursor_of(generation, self.place),
            at,
            account_id,
            fact,
        }))
    }
}

#[cfg(test)]
mod tests;
