//! The calls: where the doors report what the provider says and open a call's audio line.
//!
//! In: facts and streams from the doors. Out: facts kept in the store, then one message to the call's actor.

use std::time::Duration;

use tokio::{sync::mpsc, time::Instant};

use super::{
    call::{CallKind, CallMsg},
    residents::Residents,
};
#[cfg(test)]
use crate::actors::call::CallKey;
use crate::{
    clock,
    domain::{
        audio::Speaker,
        call::CallFact,
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
}

impl CallsHandle {
    /// Ties the store to the call actors.
    #[must_use]
    pub fn new(store: Store, calls: Residents<CallKind>) -> Self {
        Self { store, calls }
    }

    /// Keeps a fact, then tells the call's actor. When this returns, the fact survives a crash.
    ///
    /// # Errors
    /// [`StoreError`](crate::store::StoreError) when it could not be kept; nothing happened then.
    pub async fn report(&self, report: CallReport) -> StoreResult<(CallId, Recorded)> {
        let call_id = call_id(report.account_id, &report.sid);
        let fact = IncomingFact {
            account_id: report.account_id,
            sid: report.sid,
            call_id,
            dedupe_key: report.dedupe_key,
            at: clock::now(),
            fact: report.fact,
        };
        let recorded = self.store.calls.record_fact(fact).await?;
        if recorded == Recorded::Fresh {
            self.calls
                .deliver((report.account_id, call_id), CallMsg::FactsArrived);
        }
        Ok((call_id, recorded))
    }

    /// Opens the call's audio line for one stream.
    ///
    /// # Errors
    /// [`LineError::Store`] when the start of the stream could not be kept.
    pub async fn open_line(&self, opening: LineOpening) -> Result<AudioLine, LineError> {
        let started = CallReport {
            account_id: opening.account_id,
            sid: opening.sid.clone(),
            dedupe_key: format!("stream-started:{}", opening.stream),
            fact: CallFact::StreamStarted {
                stream: opening.stream.clone(),
            },
        };
        let (call_id, _) = self.report(started).await?;
        let mut line = AudioLine {
            frames: None,
            calls: self.clone(),
            call_id,
            began: clock::now(),
            connected_at: Instant::now(),
            opening,
            dropped: 0,
        };
        line.connect();
        Ok(line)
    }

    /// Facts about a call that is heard here came in elsewhere.
    pub(super) fn facts_arrived(&self, account_id: AccountId, call_id: CallId) {
        self.calls.deliver((account_id, call_id), CallMsg::FactsArrived);
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
        let calls = self.calls.clone();
        let report = CallReport {
            account_id: self.opening.account_id,
            sid: self.opening.sid.clone(),
            dedupe_key: format!("stream-stopped:{}", self.opening.stream),
            fact: CallFact::StreamStopped {
                stream: self.opening.stream.clone(),
                clean,
            },
        };
        tokio::spawn(async move {
            if let Err(error) = calls.report(report).await {
                // The watchdog of the call closes the record without this fact.
                tracing::warn!(%error, "the end of a stream could not be kept");
            }
        });
    }
}

impl Drop for AudioLine {
    fn drop(&mut self) {
        self.close(false);
    }
}
