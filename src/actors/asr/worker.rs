//! The life of a worker: takes from the pool's queue, decodes, answers.
//!
//! In: what the queue gives, finals before partials. Out: words, through the callback of each question. A panic while decoding costs
//! the worker its working memory: it is made anew.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::PoisonError,
    time::Instant,
};

use super::{Answer, Reply, Shared, Work};
use crate::media::{
    hygiene,
    pipeline::Speech,
    queue::Job,
    recogniser::{Effort, RecogniseError, Recogniser, Recognition},
};

impl Shared {
    /// The life of a worker.
    pub(super) fn work(&self, recogniser: Box<dyn Recogniser>) {
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

pub(super) fn joined(mut speeches: Vec<Speech>) -> Speech {
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
