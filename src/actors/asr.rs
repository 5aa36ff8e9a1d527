//! The speech recogniser's pool: one model, one worker thread a core, one queue.
//!
//! In: speech with a deadline. Out: words, through the callback that came with each; every callback is called once. A handle
//! is a cheap clone and also works with no model: then every question is answered [`Answer::NoModel`] and calls go on.
//! Workers are plain threads: decoding is arithmetic that would starve an async runtime. A panic in one is answered
//! [`Answer::Failed`], costs that worker its working memory and nobody else anything. Workers end with the last handle.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
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
    ggml::ModelError,
    hygiene, model_files,
    pipeline::Speech,
    queue::{Job, Queue},
    recogniser::{Effort, RecogniseError, Recogniser, Recognition},
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

    /// The life of a worker.
    fn work(&self, recogniser: Box<dyn Recogniser>) {
        let mut recogniser = Some(recogniser);
        while let Some((job, effort)) = self.next() {
            let began = Instant::now();
            let (speeches, replies): (Vec<Speech>, Vec<Reply>) = job
                .works
                .into_iter()
                .map(|work| (work.speech, work.reply))
                .unzip();
            let speech = joined(speeches);
            let outcome = match &mut recogniser {
                Some(ready) => catch_unwind(AssertUnwindSafe(|| ready.recognise(&speech, effort))),
                None => Ok(Err(RecogniseError::Model {
                    step: "starting again",
                    source: "no working memory".into(),
                })),
            };
            self.count(effort, began);
            let answer = match outcome {
                Ok(Ok(recognition)) => words(&recognition, &speech),
                Ok(Err(error)) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "an utterance could not be decoded"
                    );
                    Answer::Failed
                }
                Err(_) => {
                    tracing::error!("a speech worker panicked and starts again");
                    metrics::counter!("patchcord_asr_worker_restarts_total").increment(1);
                    recogniser = None;
                    Answer::Failed
                }
            };
            reply_all(answer, replies);
            if recogniser.is_none() {
                recogniser = (self.make)()
                    .inspect_err(|error| tracing::error!(%error, "a speech worker has no memory"))
                    .ok();
            }
        }
    }

    /// Waits for something to do; nothing when the pool ends.
    fn next(&self) -> Option<(Job<Work>, Effort)> {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return None;
            }
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            metrics::gauge!("patchcord_asr_late_seconds")
                .set(state.queue.late_ms(self.ms(Instant::now())) as f64 / 1e3);
            if let Some(job) = state.queue.pop_final() {
                return Some((job, Effort::Final));
            }
            // Half of the workers stay free for finals: a partial under way cannot be stopped.
            if state.partials_under_way < (self.workers / 2).max(1)
                && let Some(job) = state.queue.pop_partial()
            {
                state.partials_under_way += 1;
                return Some((job, Effort::Partial));
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn count(&self, effort: Effort, began: Instant) {
        let kind = match effort {
            Effort::Final => "final",
            Effort::Partial => "partial",
        };
        metrics::histogram!("patchcord_asr_decode_seconds", "kind" => kind)
            .record(began.elapsed().as_secs_f64());
        metrics::counter!("patchcord_asr_decoded_total", "kind" => kind).increment(1);
        if effort == Effort::Partial {
            self.lock().partials_under_way -= 1;
        }
    }
}

fn joined(mut speeches: Vec<Speech>) -> Speech {
    if speeches.len() == 1 {
        return speeches.remove(0);
    }
    let (first, last) = (&speeches[0], &speeches[speeches.len() - 1]);
    Speech {
        samples: speeches
            .iter()
            .flat_map(|speech| speech.samples.iter().copied())
            .collect(),
        rate: first.rate,
        start_ms: first.start_ms,
        end_ms: last.end_ms,
        confidence: speeches
            .iter()
            .map(|speech| speech.confidence)
            .fold(1.0, f32::min),
    }
}

fn words(recognition: &Recognition, speech: &Speech) -> Answer {
    metrics::counter!("patchcord_asr_second_passes_total").increment(u64::from(recognition.passes - 1));
    Answer::Words {
        text: hygiene::clean(recognition, speech),
        end_ms: speech.end_ms,
    }
}

/// The first of several joined questions gets the words.
fn reply_all(answer: Answer, replies: Vec<Reply>) {
    let rest = if matches!(answer, Answer::Words { .. }) {
        Answer::Joined
    } else {
        answer.clone()
    };
    let mut answer = Some(answer);
    for reply in replies {
        reply(answer.take().unwrap_or_else(|| rest.clone()));
    }
}

#[cfg(test)]
pub(crate) use tests::prompt_pool;

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::{Receiver, Sender, channel},
        time::Duration,
    };

    use super::*;
    use crate::media::pipeline::Rate;

    /// Says how long the speech is; panics on speech that starts at 666 ms; waits for the gate where there is one.
    pub(crate) struct Fake {
        gate: Option<Arc<Mutex<Receiver<()>>>>,
    }

    impl Recogniser for Fake {
        fn recognise(&mut self, speech: &Speech, effort: Effort) -> Result<Recognition, RecogniseError> {
            if let Some(gate) = &self.gate {
                let wait = gate
                    .lock()
                    .expect("the gate is not poisoned")
                    .recv_timeout(Duration::from_secs(20));
                wait.expect("the test opens the gate");
            }
            assert_ne!(speech.start_ms, 666, "the fake panics when told to");
            let length = speech.end_ms - speech.start_ms;
            let text = if effort == Effort::Final {
                format!("{length} ms")
            } else {
                format!("{length} ms so far")
            };
            Ok(Recognition {
                text,
                mean_logprob: -0.1,
                passes: 1,
            })
        }
    }

    /// A pool of fakes that answer at once.
    pub(crate) fn prompt_pool(workers: usize) -> AsrHandle {
        let settings = AsrSettings {
            workers,
            ..AsrSettings::default()
        };
        AsrHandle::start_with(&settings, Box::new(|| Ok(Box::new(Fake { gate: None })))).expect("fakes start")
    }

    fn gated_pool(settings: AsrSettings) -> (AsrHandle, Sender<()>) {
        let (open, gate) = channel();
        let gate = Arc::new(Mutex::new(gate));
        let make = move || {
            Ok(Box::new(Fake {
                gate: Some(gate.clone()),
            }) as Box<dyn Recogniser>)
        };
        (
            AsrHandle::start_with(&settings, Box::new(make)).expect("fakes start"),
            open,
        )
    }

    fn speech(start_ms: u64, length_ms: u64) -> Speech {
        let samples: Arc<[i16]> = [0; 8].into();
        Speech {
            samples,
            rate: Rate::Telephone,
            start_ms,
            end_ms: start_ms + length_ms,
            confidence: 0.95,
        }
    }

    fn said(text: &str, end_ms: u64) -> Answer {
        Answer::Words {
            text: text.to_owned(),
            end_ms,
        }
    }

    fn wait(answers: &Receiver<(u32, Answer)>) -> (u32, Answer) {
        answers
            .recv_timeout(Duration::from_secs(20))
            .expect("every question is answered")
    }

    fn ask(pool: &AsrHandle, answers: &Sender<(u32, Answer)>, id: u32, speech: Speech) -> u64 {
        let answers = answers.clone();
        pool.ask(1, speech, Instant::now(), move |answer| {
            answers.send((id, answer)).expect("the test listens")
        })
    }

    #[test]
    fn a_question_is_answered_with_words() {
        let (tx, rx) = channel();
        let pool = prompt_pool(2);
        ask(&pool, &tx, 1, speech(100, 900));
        assert_eq!(wait(&rx), (1, said("900 ms", 1_000)));
    }

    #[test]
    fn without_a_model_questions_are_answered_too() {
        let pool = AsrHandle::without_model();
        let (tx, rx) = channel();
        ask(&pool, &tx, 1, speech(0, 100));
        assert_eq!(wait(&rx), (1, Answer::NoModel));
        assert!(!pool.has_model() && !pool.is_busy());
    }

    #[test]
    fn a_panic_costs_one_answer_and_no_worker() {
        let pool = prompt_pool(1);
        let (tx, rx) = channel();
        ask(&pool, &tx, 1, speech(666, 100));
        assert_eq!(wait(&rx), (1, Answer::Failed));
        ask(&pool, &tx, 2, speech(0, 100));
        assert_eq!(wait(&rx), (2, said("100 ms", 100)));
    }

    #[test]
    fn what_waits_when_the_pool_ends_is_answered() {
        let (pool, open) = gated_pool(AsrSettings {
            workers: 1,
            ..AsrSettings::default()
        });
        let (tx, rx) = channel();
        ask(&pool, &tx, 1, speech(0, 100));
        ask(&pool, &tx, 2, speech(0, 200));
        drop(pool);
        open.send(()).expect("the worker waits or has ended");
        let mut answers = [wait(&rx), wait(&rx)];
        answers.sort_by_key(|(id, _)| *id);
        assert_eq!(answers[1].1, Answer::Shed);
    }

    #[test]
    fn a_full_queue_sheds_and_says_so() {
        let (pool, open) = gated_pool(AsrSettings {
            workers: 1,
            queue_max: 1,
            ..AsrSettings::default()
        });
        let (tx, rx) = channel();
        for id in 1..=4 {
            ask(&pool, &tx, id, speech(0, 100));
        }
        for _ in 0..4 {
            open.send(()).expect("the worker waits");
        }
        let answers: Vec<Answer> = (0..4).map(|_| wait(&rx).1).collect();
        assert!(
            answers.iter().filter(|answer| **answer == Answer::Shed).count() >= 2,
            "{answers:?}"
        );
        assert!(answers.contains(&said("100 ms", 100)));
    }

    #[test]
    fn a_question_taken_back_is_answered_as_shed() {
        let (pool, open) = gated_pool(AsrSettings {
            workers: 1,
            ..AsrSettings::default()
        });
        let (tx, rx) = channel();
        ask(&pool, &tx, 1, speech(0, 100));
        // The worker is busy with the first, so the second waits; either way the second is the one taken back.
        let ticket = ask(&pool, &tx, 2, speech(0, 200));
        pool.cancel(1, Some(ticket));
        assert_eq!(wait(&rx), (2, Answer::Shed));
        open.send(()).expect("the worker waits");
        assert_eq!(wait(&rx), (1, said("100 ms", 100)));
    }

    #[test]
    fn the_words_so_far_come_when_nothing_else_waits() {
        let pool = prompt_pool(1);
        let (tx, rx) = channel();
        pool.ask_partial(7, speech(0, 400), move |answer| {
            tx.send((1, answer)).expect("the test listens")
        });
        assert_eq!(wait(&rx), (1, said("400 ms so far", 400)));
        let silent = AsrSettings {
            partials: false,
            workers: 1,
            ..AsrSettings::default()
        };
        let (pool, _open) = gated_pool(silent);
        let (tx, rx) = channel();
        pool.ask_partial(7, speech(0, 400), move |answer| {
            tx.send((1, answer)).expect("the test listens")
        });
        assert_eq!(wait(&rx), (1, Answer::Shed));
    }

    #[test]
    fn joined_speech_is_one_stretch() {
        let one = joined(vec![speech(0, 500), speech(900, 300)]);
        assert_eq!((one.start_ms, one.end_ms, one.samples.len()), (0, 1_200, 16));
    }
}
