//! The pool with recognisers that answer when the test lets them.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

use super::{worker::joined, *};
use crate::media::{
    pipeline::Rate,
    recogniser::{Effort, RecogniseError, Recognition},
};

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
