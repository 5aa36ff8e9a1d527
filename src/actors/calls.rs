//! The calls: where the doors report what the provider says and open a call's audio line.
//!
//! In: facts and streams from the doors. Out: facts kept in the store, then one message to the call's actor.

use std::time::Duration;

use ractor::{ActorCell, SpawnErr};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use super::{
    call::{CallKind, CallMsg},
    cluster::{neighbours::Neighbours, words::Word},
    open_lines::{OpenLine, OpenLines},
    patience::until_done,
    residents::Residents,
};
#[cfg(test)]
use crate::actors::call::CallKey;
use crate::{
    clock,
    domain::{
        audio::Speaker,
        call::{Call, CallFact},
        ids::{AccountId, CallId, CallSid, StreamSid},
        shard::Shard,
        time::Timestamp,
    },
    media::frame::AudioFrame,
    store::{Recorded, Store, StoreResult, calls::IncomingFact},
};

/// Frames that may wait between the socket and the hearing task: 2 tracks × 50 a second × 4 s.
pub const LINE_FRAMES_MAX: usize = 400;

/// Between two tries to find somebody who hears a call.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);
/// How long the database may take with the start of a stream before it is heard all the same: its frames wait on the wire.
const KEPT_WITHIN: Duration = Duration::from_millis(500);

/// One fact from a door.
#[derive(Debug, Clone)]
pub struct CallReport {
    pub account_id: AccountId,
    pub sid: CallSid,
    /// The same fact always carries the same text.
    pub dedupe_key: String,
    pub fact: CallFact,
}

/// One stream that was opened for a call.
#[derive(Debug, Clone)]
pub struct LineOpening {
    pub account_id: AccountId,
    pub sid: CallSid,
    pub stream: StreamSid,
    /// Who is heard on the inbound track.
    pub inbound: Speaker,
}

/// Why no line could be opened.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error("the stream could not be recorded")]
    Store(#[from] crate::store::StoreError),
}

/// Returns the id a provider's call always has with us.
#[must_use]
pub fn call_id(account_id: AccountId, sid: &CallSid) -> CallId {
    CallId::of_provider(account_id, sid)
}

/// The calls. Cheap to clone.
#[derive(Clone)]
pub struct CallsHandle {
    store: Store,
    calls: Residents<CallKind>,
    neighbours: Neighbours,
    lines: OpenLines,
}

impl CallsHandle {
    /// Starts the call actors of this kind under `supervisor`.
    ///
    /// # Errors
    /// When the supervisor is no longer alive.
    pub async fn start(kind: CallKind, supervisor: ActorCell) -> Result<Self, SpawnErr> {
        Ok(Self {
            store: kind.store.clone(),
            neighbours: kind.neighbours.clone(),
            lines: kind.lines.clone(),
            calls: Residents::start(kind, supervisor).await?,
        })
    }

    /// Keeps a fact, then tells the call's actor. When this returns, the fact survives a crash.
    ///
    /// # Errors
    /// [`StoreError`](crate::store::StoreError) when it could not be kept; nothing happened then.
    pub async fn report(&self, report: CallReport) -> StoreResult<(CallId, Recorded)> {
        self.report_of(report, clock::now()).await
    }

    /// A call as all its facts have it at this moment: its record follows a moment later.
    ///
    /// # Errors
    /// [`StoreError`](crate::store::StoreError) when the facts cannot be read.
    pub async fn current(&self, account_id: AccountId, sid: &CallSid) -> StoreResult<Call> {
        let id = call_id(account_id, sid);
        let facts = self.store.calls.facts(id).await?;
        let first = facts.first().map(|fact| fact.at).unwrap_or_default();
        let mut call = Call::new(id, account_id, sid.clone(), first);
        for fact in facts {
            call.apply(&fact.fact, fact.at);
        }
        Ok(call)
    }

    /// The same of a fact that was heard `at` some moment.
    async fn report_of(&self, report: CallReport, at: Timestamp) -> StoreResult<(CallId, Recorded)> {
        let call_id = call_id(report.account_id, &report.sid);
        let fact = IncomingFact {
            account_id: report.account_id,
            sid: report.sid,
            call_id,
            dedupe_key: report.dedupe_key,
            at,
            fact: report.fact,
        };
        let recorded = self.store.calls.record_fact(fact).await?;
        // One that is there already may be so by a try that did not hear of it, and told nobody.
        self.calls
            .deliver((report.account_id, call_id), CallMsg::FactsArrived);
        Ok((call_id, recorded))
    }

    /// Opens the call's audio line for one stream. A database that is away is not waited for: the call is heard, and what is to be kept of
    /// it is kept when it is back.
    ///
    /// # Errors
    /// [`LineError::Store`] when the start of the stream cannot be kept.
    pub async fn open_line(&self, opening: LineOpening) -> Result<AudioLine, LineError> {
        let key = (opening.account_id, call_id(opening.account_id, &opening.sid));
        let open = self.lines.open(key);
        let started = CallReport {
            account_id: opening.account_id,
            sid: opening.sid.clone(),
            dedupe_key: format!("stream-started:{}", opening.stream),
            fact: CallFact::StreamStarted {
                stream: opening.stream.clone(),
                inbound: Some(opening.inbound),
            },
        };
        let began = clock::now();
        let mut keeping = self.keep(started, began);
        match tokio::time::timeout(KEPT_WITHIN, &mut keeping).await {
            Ok(Ok(kept)) => kept?,
            Ok(Err(error)) => tracing::error!(%error, "keeping the start of a stream broke off"),
            Err(_) => tracing::warn!("a stream is heard before its start is kept"),
        }
        let mut line = AudioLine {
            frames: None,
            open: Some(open),
            calls: self.clone(),
            call_id: key.1,
            began,
            connected_at: Instant::now(),
            opening,
            dropped: 0,
        };
        line.connect();
        Ok(line)
    }

    /// Keeps a fact in the background, however long the database is away.
    fn keep(&self, report: CallReport, at: Timestamp) -> JoinHandle<StoreResult<()>> {
        let calls = self.clone();
        tokio::spawn(async move {
            let kept = until_done(|| calls.report_of(report.clone(), at)).await;
            if let Err(error) = &kept {
                // The watchdog of the call closes the record without it.
                tracing::warn!(%error, "a fact about a stream could not be kept");
            }
            kept.map(drop)
        })
    }

    /// Facts about a call came in elsewhere that the node which acts for its shard has to know of.
    pub(super) fn facts_arrived(&self, account_id: AccountId, call_id: CallId) {
        self.calls.deliver((account_id, call_id), CallMsg::FactsArrived);
    }

    /// Whether a call is heard on this node.
    pub(super) fn hears(&self, account_id: AccountId, call_id: CallId) -> bool {
        self.lines.hears((account_id, call_id))
    }

    /// Tells the node that acts for the call's shard that a stream broke off: it sees to it that somebody hears the call.
    fn tell_owner(&self, account_id: AccountId, call_id: CallId) {
        if !self.neighbours.is_here(call_id.shard()) {
            let word = Word::CallFacts { account_id, call_id };
            // Should the shard come here meanwhile, its open calls are taken up.
            self.neighbours.mention(call_id.shard(), word, drop);
        }
    }

    /// Wakes every call of a shard, or of all, that was not settled when its process ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn recover(&self, shard: Option<Shard>) -> StoreResult<usize> {
        let unsettled = self.store.calls.unsettled(shard).await?;
        let count = unsettled.len();
        for (account_id, call_id, _) in unsettled {
            self.calls.deliver((account_id, call_id), CallMsg::Recover);
        }
        Ok(count)
    }
}

#[cfg(test)]
impl CallsHandle {
    /// Ends every call's actor, as a failure would.
    pub(crate) async fn lose_all(&self) {
        let all = std::sync::Arc::new(|_: &CallKey| true);
        self.calls.evict(all, Duration::from_secs(10)).await;
    }
}

/// The way from one stream's socket to its call's hearing task.
///
/// Bounded: a frame that finds it full is dropped and counted, the socket never waits. When the call's actor failed and was made anew,
/// the line connects to the new one: what was said meanwhile is lost, what follows is heard.
pub struct AudioLine {
    open: Option<OpenLine>,
    frames: Option<mpsc::Sender<AudioFrame>>,
    calls: CallsHandle,
    call_id: CallId,
    opening: LineOpening,
    /// When the stream began: its frames' times count from here.
    began: Timestamp,
    connected_at: Instant,
    dropped: u64,
}

impl AudioLine {
    /// Hands a frame on. Returns false when the line was full or closed and the frame is lost.
    pub fn push(&mut self, frame: AudioFrame) -> bool {
        let sent = self.frames.as_ref().map(|frames| frames.try_send(frame));
        let taken = matches!(sent, Some(Ok(())));
        if !taken {
            self.dropped += 1;
            metrics::counter!("patchcord_audio_frames_dropped_total").increment(1);
        }
        let is_cut = matches!(sent, Some(Err(mpsc::error::TrySendError::Closed(_))));
        if is_cut && self.connected_at.elapsed() >= RECONNECT_PAUSE {
            tracing::warn!(call_id = %self.call_id, "nobody hears a call any more: its line is connected again");
            self.connect();
        }
        taken
    }

    /// Connects to the call's actor as it is at this moment.
    fn connect(&mut self) {
        let (frames, line) = mpsc::channel(LINE_FRAMES_MAX);
        self.frames = Some(frames);
        self.connected_at = Instant::now();
        let opened = CallMsg::LineOpened {
            frames: line,
            inbound: self.opening.inbound,
            began: self.began,
        };
        self.calls
            .calls
            .deliver((self.opening.account_id, self.call_id), opened);
    }

    /// Frames lost on this line so far.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The provider said that the stream is over.
    pub fn stop(mut self) {
        self.close(true);
    }

    fn close(&mut self, clean: bool) {
        if self.frames.take().is_none() {
            return;
        }
        self.open = None;
        let calls = self.calls.clone();
        let (account_id, call_id) = (self.opening.account_id, self.call_id);
        let stopped = CallReport {
            account_id,
            sid: self.opening.sid.clone(),
            dedupe_key: format!("stream-stopped:{}", self.opening.stream),
            fact: CallFact::StreamStopped {
                stream: self.opening.stream.clone(),
                clean,
            },
        };
        let kept = self.calls.keep(stopped, clock::now());
        if !clean {
            tokio::spawn(async move {
                if matches!(kept.await, Ok(Ok(()))) {
                    calls.tell_owner(account_id, call_id);
                }
            });
        }
    }
}

impl Drop for AudioLine {
    fn drop(&mut self) {
        self.close(false);
    }
}
