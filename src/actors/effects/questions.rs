//! Who wants to know what about an effect, and how they are told.
//!
//! In: questions, and what became of attempts. Out: one input for each question, in its own terms: who wanted it looked up and who
//! wanted it carried out hear different things of the same end.

use std::collections::BTreeMap;

use crate::{
    domain::time::Timestamp,
    integrations::port::EffectOutcome,
    workflows::{Finding, Input},
};

/// Takes the answers to the run that asked: one that ends the attempt, and before it perhaps the gate's grounds.
pub type Reply = Box<dyn Fn(Input) + Send>;

/// What is asked about an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// Carry it out.
    Act,
    /// Find out whether it was carried out.
    LookUp,
}

/// One question with its way back.
pub struct Question {
    pub ask: Ask,
    /// The attempt that is asked about.
    pub attempt: u32,
    pub reply: Reply,
}

/// Who wants to know, by the key of the effect that waits or is under way: it is there once, whoever asks.
#[derive(Default)]
pub struct Questions(BTreeMap<String, Vec<Question>>);

impl Questions {
    /// Notes who asks. Returns whether they are the first: then the effect has yet to take its turn.
    pub fn add(&mut self, key: &str, question: Question) -> bool {
        let questions = self.0.entry(key.to_owned()).or_default();
        questions.push(question);
        questions.len() == 1
    }

    /// Takes out everybody who asked about an effect.
    pub fn take(&mut self, key: &str) -> Vec<Question> {
        self.0.remove(key).unwrap_or_default()
    }

    /// Tells everybody who wants it carried out on what grounds the gate let it through.
    pub fn tell_judged(&self, key: &str, gate: &serde_json::Value) {
        let asked = self.0.get(key).into_iter().flatten();
        for question in asked.filter(|question| question.ask == Ask::Act) {
            (question.reply)(Input::Judged {
                key: key.to_owned(),
                attempt: question.attempt,
                gate: gate.clone(),
            });
        }
    }

    /// Tells everybody who asked what became of an attempt, in the terms of their question.
    pub fn answer(&mut self, key: &str, outcome: &EffectOutcome) {
        for question in self.take(key) {
            (question.reply)(input_of(key, &question, outcome.clone()));
        }
    }

    /// Tells everybody who asked that nothing was sent and when to come back. Who looked it up learns that it is not there.
    pub fn hold(&mut self, key: &str, until: Timestamp, reason: &str) {
        for question in self.take(key) {
            let (key, attempt) = (key.to_owned(), question.attempt);
            (question.reply)(match question.ask {
                Ask::Act => Input::EffectHeld {
                    key,
                    attempt,
                    until,
                    reason: reason.to_owned(),
                },
                Ask::LookUp => Input::LookedUp {
                    key,
                    attempt,
                    finding: Finding::Absent,
                },
            });
        }
    }
}

fn input_of(key: &str, question: &Question, outcome: EffectOutcome) -> Input {
    let (key, attempt) = (key.to_owned(), question.attempt);
    match (question.ask, outcome) {
        (Ask::Act, EffectOutcome::Confirmed { provider_id, output }) => Input::EffectDone {
            key,
            attempt,
            provider_id,
            output,
        },
        (Ask::Act, EffectOutcome::Rejected(failure)) => Input::EffectFailed {
            key,
            attempt,
            failure,
        },
        (Ask::Act, EffectOutcome::Unknown { message }) => Input::EffectUnknown {
            key,
            attempt,
            message,
        },
        (Ask::LookUp, outcome) => Input::LookedUp {
            key,
            attempt,
            finding: match outcome {
                EffectOutcome::Confirmed { provider_id, output } => Finding::Present { provider_id, output },
                EffectOutcome::Rejected(_) => Finding::Absent,
                EffectOutcome::Unknown { message } => Finding::CannotTell { reason: message },
            },
        },
    }
}
