//! Scores sentiment on a thread of its own, for all calls.
//!
//! In: score requests of calls, first come first served. Out: answers, through the callback that came with each.
//! Bounded: when [`BACKLOG_SHED`] requests wait, the n-gram model answers at once on the caller's thread (microseconds) and
//! the score says so; partials are dropped then, since their final will be scored anyway.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc::{Receiver, SyncSender, sync_channel},
};

use crate::analysis::{
    ScoreAnswer, ScoreRequest, Scorer,
    sentiment::{Ngram, ScorerError, shipped},
};

/// Requests that may wait for the encoder: at 10 ms each, the last is answered after 0.6 s.
pub const BACKLOG_SHED: usize = 64;

/// Takes the answer to the call that asked.
type Reply = Box<dyn FnOnce(ScoreAnswer) + Send>;

struct Job {
    request: ScoreRequest,
    reply: Reply,
}

/// Scores sentiment. Cheap to clone.
#[derive(Clone)]
pub struct ScoringHandle {
    jobs: SyncSender<Job>,
    waiting: Arc<AtomicUsize>,
    fallback: Arc<Ngram>,
}

impl ScoringHandle {
    /// Loads the shipped models and starts the thread.
    ///
    /// # Errors
    /// [`ScorerError`] when the models in the binary cannot be used.
    pub fn start() -> Result<Self, ScorerError> {
        let fallback = Arc::new(Ngram::shipped()?);
        let scorer = shipped()?;
        let (jobs, queue) = sync_channel(BACKLOG_SHED);
        let waiting = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&waiting);
        let thread = std::thread::Builder::new().name("sentiment".to_owned());
        if let Err(error) = thread.spawn(move || work(&queue, scorer.as_ref(), &counter)) {
            // Every request is then answered by the n-gram model, and says so.
            tracing::error!(%error, "the sentiment thread could not be started");
        }
        Ok(Self {
            jobs,
            waiting,
            fallback,
        })
    }

    /// Scores `request`; `reply` is called once, unless it is a partial that was dropped.
    pub fn score(&self, request: ScoreRequest, reply: Reply) {
        let depth = self.waiting.fetch_add(1, Ordering::Relaxed) + 1;
        metrics::gauge!("patchcord_sentiment_waiting")
            .set(f64::from(u32::try_from(depth).unwrap_or(u32::MAX)));
        let Err(refused) = self.jobs.try_send(Job { request, reply }) else {
            return;
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        let (std::sync::mpsc::TrySendError::Full(job) | std::sync::mpsc::TrySendError::Disconnected(job)) =
            refused;
        metrics::counter!("patchcord_sentiment_shed_total").increment(1);
        if !job.request.is_partial() {
            (job.reply)(job.request.answer(self.fallback.as_ref()));
        }
    }
}

fn work(queue: &Receiver<Job>, scorer: &dyn Scorer, waiting: &AtomicUsize) {
    while let Ok(job) = queue.recv() {
        let started = std::time::Instant::now();
        let answer = job.request.answer(scorer);
        waiting.fetch_sub(1, Ordering::Relaxed);
        metrics::histogram!("patchcord_sentiment_seconds").record(started.elapsed().as_secs_f64());
        (job.reply)(answer);
    }
}
