//! The speech recogniser's pool: one model, one worker thread a core, one queue.
//!
//! In: speech with a deadline. Out: words, through the callback that came with each; every callback is called once. A handle
//! is a cheap clone and also works with no model: then every question is answered [`Answer::NoModel`] and calls go on.
//! Workers are plain threads: decoding is arithmetic that would starve an async runtime. A panic in one is answered
//! [`Answer::Failed`], costs that worker its working memory and nobody else anything. Workers end with the last handle.

mod worker;

use std::{
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use serde::Deserialize;

use crate::media::{
    ggml::ModelError, model_files, pipeline::Speech, queue::Queue, recogniser::Recogniser,
    whisper::WhisperModel,
};

/// How speech is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AsrSettings {
    /// A model's name (`patchcord model list`) or the path of a ggml file.
    pub model: String,
    /// Where fetched models are kept.
    pub models_dir: PathBuf,
    /// Worker threads; 0 is one a core.
    pub workers: usize,
    /// Utterances that may wait; beyond it the oldest is shed. Partials never make one wait.
    pub queue_max: usize,
    /// Whether words are shown before an utterance ends, when there is time to spare.
    pub partials: bool,
    /// Where `patchcord model fetch` finds ggml files.
    pub download_base: String,
}

impl Default for AsrSettings {
    fn default() -> Self {
        Self {
            model: "tiny.en".to_owned(),
            models_dir: PathBuf::from("data/models"),
            workers: 0,
            queue_max: 256,
            partials: true,
            download_base: "https://huggingface.co/ggerganov/whisper.cpp/resolve/main".to_owned(),
        }
    }
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The words, empty when there were none, and where the speech they are from ends.
    Words { text: String, end_ms: u64 },
    /// They are part of the answer to the utterance before.
    Joined,
    /// Too much was waiting, or the one who asked took the question back.
    Shed,
    /// There is no model.
    NoModel,
    /// The recogniser failed on this.
    Failed,
}

/// Makes a recogniser for a worker.
pub type MakeRecogniser = Box<dyn Fn() -> Result<Box<dyn Recogniser>, ModelError> + Send + Sync>;

type Reply = Box<dyn FnOnce(Answer) + Send>;

/// Reaches the pool.
#[derive(Clone)]
pub struct AsrHandle {
    pool: Option<Arc<Pool>>,
}

/// Ends the workers when the last handle goes.
struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    make: MakeRecogniser,
    workers: usize,
    partials: bool,
    began: Instant,
    next_track: AtomicU64,
    state: Mutex<State>,
    arrived: Condvar,
}

struct State {
    queue: Queue<Work>,
    partials_under_way: usize,
    stopping: bool,
}

struct Work {
    speech: Speech,
    reply: Reply,
}

impl std::fmt::Debug for AsrHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsrHandle")
            .field("has_model", &self.has_model())
            .finish()
    }
}

impl AsrHandle {
    /// Returns a handle that answers every question with "no model": calls go on without words.
    #[must_use]
    pub const fn without_model() -> Self {
        Self { pool: None }
    }

    /// Loads the configured model and starts the workers. Takes a quarter of a second.
    ///
    /// # Errors
    /// [`ModelError`] when the model is missing or cannot be used.
    pub fn start(settings: &AsrSettings) -> Result<Self, ModelError> {
        let path = model_files::path_of(&settings.model, &settings.models_dir)?;
        let model = WhisperModel::load(&path)?;
        let make = move || {
            model
                .recogniser()
                .map(|recogniser| Box::new(recogniser) as Box<dyn Recogniser>)
        };
        Self::start_with(settings, Box::new(make))
    }

    /// Starts the workers with any recogniser.
    ///
    /// # Errors
    /// That of `make`, when it fails for the first of them.
    pub fn start_with(settings: &AsrSettings, make: MakeRecogniser) -> Result<Self, ModelError> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let workers = if settings.workers == 0 {
            cores
        } else {
            settings.workers
        };
        // One of each before any thread exists, so that a model that cannot be used is known here.
        let recognisers = (0..workers).map(|_| make()).collect::<Result<Vec<_>, _>>()?;
        let shared = Arc::new(Shared {
            make,
            workers,
            partials: settings.partials,
            began: Instant::now(),
            next_track: AtomicU64::new(1),
            state: Mutex::new(State {
                queue: Queue::new(settings.queue_max),
                partials_under_way: 0,
                stopping: false,
            }),
            arrived: Condvar::new(),
        });
        for (at, recogniser) in recognisers.into_iter().enumerate() {
            let shared = shared.clone();
            let name = format!("asr-{at}");
            let thread = thread::Builder::new().name(name);
            thread
                .spawn(move || shared.work(recogniser))
                .map_err(|source| ModelError::Io {
                    path: "a worker thread".into(),
                    source,
                })?;
        }
        Ok(Self {
            pool: Some(Arc::new(Pool { shared })),
        })
    }

    /// Whether speech becomes words.
    #[must_use]
    pub const fn has_model(&self) -> bool {
        self.pool.is_some()
    }

    /// Returns a number for a track of a call that no other track has.
    #[must_use]
    pub fn next_track(&self) -> u64 {
        self.shared()
            .map_or(0, |shared| shared.next_track.fetch_add(1, Ordering::Relaxed))
    }

    /// Asks for the words of an utterance by `deadline`; returns what takes the question back.
    pub fn ask(
        &self,
        track: u64,
        speech: Speech,
        deadline: Instant,
        reply: impl FnOnce(Answer) + Send + 'static,
    ) -> u64 {
        let Some(shared) = self.shared() else {
            reply(Answer::NoModel);
            return 0;
        };
        let length_ms = speech.end_ms.saturating_sub(speech.start_ms);
        let work = Work {
            speech,
            reply: Box::new(reply),
        };
        let queued = {
            let mut state = shared.lock();
            state.queue.push_final(
                track,
                shared.ms(deadline),
                length_ms,
                work,
                shared.ms(Instant::now()),
            )
        };
        shared.arrived.notify_one();
        metrics::counter!("patchcord_asr_joined_total").increment(u64::from(queued.joined));
        shed(queued.shed, "final");
        queued.ticket
    }

    /// Asks for the words so far, if there is time; a later question about the same track replaces it.
    pub fn ask_partial(&self, track: u64, speech: Speech, reply: impl FnOnce(Answer) + Send + 'static) {
        let Some(shared) = self.shared().filter(|shared| shared.partials) else {
            reply(Answer::Shed);
            return;
        };
        let work = Work {
            speech,
            reply: Box::new(reply),
        };
        let given_up = shared.lock().queue.push_partial(track, work);
        shared.arrived.notify_one();
        shed(given_up, "partial");
    }

    /// Takes a question back, and the one about the words so far with it; what is under way is answered all the same.
    pub fn cancel(&self, track: u64, ticket: Option<u64>) {
        let Some(shared) = self.shared() else { return };
        let (taken, partial) = {
            let mut state = shared.lock();
            (
                ticket.and_then(|ticket| state.queue.cancel(ticket)),
                state.queue.cancel_partial(track),
            )
        };
        for work in taken.into_iter().chain(partial) {
            (work.reply)(Answer::Shed);
        }
    }

    /// Whether more utterances wait than workers could begin at once: then nothing is decoded on a bet.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.shared()
            .is_some_and(|shared| shared.lock().queue.finals() >= shared.workers)
    }

    /// How late the most urgent waiting utterance is.
    #[must_use]
    pub fn late_ms(&self) -> u64 {
        self.shared()
            .map_or(0, |shared| shared.lock().queue.late_ms(shared.ms(Instant::now())))
    }

    fn shared(&self) -> Option<&Arc<Shared>> {
        self.pool.as_ref().map(|pool| &pool.shared)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let left = {
            let mut state = self.shared.lock();
            state.stopping = true;
            state.queue.drain()
        };
        self.shared.arrived.notify_all();
        shed(left, "final");
    }
}

fn shed(works: impl IntoIterator<Item = Work>, kind: &'static str) {
    for work in works {
        metrics::counter!("patchcord_asr_shed_total", "kind" => kind).increment(1);
        (work.reply)(Answer::Shed);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that could panic runs under the lock, so a poisoned queue is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ms(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
pub(crate) use tests::prompt_pool;

#[cfg(test)]
mod tests;
