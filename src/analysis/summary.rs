//! What was said in a call, in a few lines: facts of the record and words taken from the transcript as they are.
//!
//! In: the call's record and its utterances. Out: a text for people. It is an extract: nothing is put into other words, and what
//! was not heard is not in it. Which words tell most is chosen by how they sound, by cues, by what they promise or ask, and by where they
//! stand. English only, as the cues are.

use std::collections::BTreeSet;

use super::{
    cues,
    words::{contains_phrase, is_filler, plain_words},
};
use crate::domain::{
    audio::Speaker,
    call::{Call, CallStatus},
    message::Direction,
    transcript::Utterance,
};

/// Most utterances of each part.
const TELLING_MAX: usize = 4;
const PROMISES_MAX: usize = 3;
const QUESTIONS_MAX: usize = 3;
/// Longest piece of one utterance, in characters.
const PIECE_CHARS_MAX: usize = 240;
/// Fewer words seldom say anything by themselves.
const WORDS_MIN: usize = 4;
/// A mood nearer to zero than this is called even.
const MOOD_MIN: f32 = 0.2;

/// How somebody says that they will do something.
const PROMISES: &[&str] = &[
    "i will",
    "ill send",
    "ill call",
    "ill get",
    "ill make",
    "ill check",
    "ill have",
    "ill look",
    "we will",
    "well send",
    "well call",
    "well get",
    "let me send",
    "i am going to",
    "im going to",
    "we are going to",
    "were going to",
    "you will get",
    "you will receive",
    "youll get",
    "youll receive",
    "i promise",
];

/// Writes the summary of a call.
#[must_use]
pub fn summary(call: &Call, transcript: &[Utterance]) -> String {
    let mut lines = vec![facts(call)];
    let said: Vec<Said<'_>> = transcript
        .iter()
        .map(Said::of)
        .filter(|said| said.words.len() >= WORDS_MIN && !is_filler(&said.utterance.text))
        .collect();
    if transcript.is_empty() {
        lines.push("Nothing was transcribed.".to_owned());
        return lines.join("\n");
    }
    let mut shown = BTreeSet::new();
    let promises = of_kind(&said, &mut shown, PROMISES_MAX, Said::is_promise);
    let questions = of_kind(&said, &mut shown, QUESTIONS_MAX, |said| {
        said.utterance.speaker == Speaker::Customer && said.is_question()
    });
    let telling = telling(&said, &shown);
    for (title, part) in [
        ("In their own words:", telling),
        ("Promised:", promises),
        ("Asked:", questions),
    ] {
        if !part.is_empty() {
            lines.push(title.to_owned());
            lines.extend(part.iter().map(|said| said.line()));
        }
    }
    lines.join("\n")
}

/// The record in one line.
fn facts(call: &Call) -> String {
    let direction = match call.direction {
        Direction::Inbound => "Inbound",
        Direction::Outbound => "Outbound",
    };
    let length = call
        .duration_s
        .map_or_else(String::new, |seconds| format!(", {seconds} seconds"));
    let outcome = match call.status {
        CallStatus::Completed if call.voicemail => "a message was left",
        CallStatus::Completed => "completed",
        CallStatus::Busy => "busy",
        CallStatus::Failed => "failed",
        CallStatus::NoAnswer => "not answered",
        CallStatus::Canceled => "cancelled",
        CallStatus::Queued | CallStatus::Initiated | CallStatus::Ringing | CallStatus::InProgress => {
            "under way"
        }
    };
    let mood = call.trend.map_or_else(String::new, |trend| {
        let word = if trend <= -MOOD_MIN {
            "unhappy"
        } else if trend >= MOOD_MIN {
            "happy"
        } else {
            "even"
        };
        format!(" The customer sounded {word} at the end ({trend:.2} of -1 to 1).")
    });
    format!(
        "{direction} call from {} to {}{length}, {outcome}.{mood}",
        call.from, call.to
    )
}

/// One utterance with its plain words.
struct Said<'a> {
    utterance: &'a Utterance,
    words: Vec<String>,
}

impl<'a> Said<'a> {
    fn of(utterance: &'a Utterance) -> Self {
        Self {
            utterance,
            words: plain_words(&utterance.text),
        }
    }

    fn is_promise(&self) -> bool {
        let is_ours = self.utterance.speaker == Speaker::Agent;
        is_ours && !self.is_question() && PROMISES.iter().any(|phrase| contains_phrase(&self.words, phrase))
    }

    fn is_question(&self) -> bool {
        self.utterance.text.trim_end().ends_with('?')
    }

    /// How much it tells, beyond where it stands.
    fn weight(&self) -> f32 {
        let feeling = self
            .utterance
            .sentiment
            .map_or(0.0, |sentiment| sentiment.score.abs());
        let cue = if cues::find(&self.utterance.text).is_some() {
            0.6
        } else {
            0.0
        };
        // A whole sentence tells more than a scrap or a question, and a long speech no more than a sentence.
        let is_sentence = self.words.len() >= 2 * WORDS_MIN && !self.is_question();
        feeling + cue + if is_sentence { 0.3 } else { 0.0 }
    }

    /// `1:07 customer: “…”`
    fn line(&self) -> String {
        let seconds = self.utterance.start_ms / 1_000;
        let text = self.utterance.text.trim();
        let mut piece: String = text.chars().take(PIECE_CHARS_MAX).collect();
        if piece.len() < text.len() {
            piece.push('…');
        }
        let who = self.utterance.speaker.as_str();
        format!("{}:{:02} {who}: “{piece}”", seconds / 60, seconds % 60)
    }
}

/// The first utterances that fit; they are not shown a second time.
fn of_kind<'s, 'a>(
    said: &'s [Said<'a>],
    shown: &mut BTreeSet<u32>,
    max: usize,
    fits: impl Fn(&Said<'a>) -> bool,
) -> Vec<&'s Said<'a>> {
    let found: Vec<&Said<'a>> = said.iter().filter(|said| fits(said)).take(max).collect();
    shown.extend(found.iter().map(|said| said.utterance.ordinal));
    found
}

/// The utterances that tell most, in the order they were said. What the customer called about stands at the beginning, so their first
/// words count more; of each side at least one is taken, if it said anything.
fn telling<'s, 'a>(said: &'s [Said<'a>], shown: &BTreeSet<u32>) -> Vec<&'s Said<'a>> {
    let first = said
        .iter()
        .find(|said| said.utterance.speaker == Speaker::Customer)
        .map(|said| said.utterance.ordinal);
    let mut left: Vec<&Said<'a>> = said
        .iter()
        .filter(|said| !shown.contains(&said.utterance.ordinal))
        .collect();
    let weight = |said: &Said<'a>| {
        let is_first = first == Some(said.utterance.ordinal);
        said.weight() + if is_first { 1.0 } else { 0.0 }
    };
    left.sort_by(|one, other| weight(other).total_cmp(&weight(one)));
    let mut taken: Vec<&Said<'a>> = Vec::new();
    for speaker in [Speaker::Customer, Speaker::Agent] {
        taken.extend(left.iter().find(|said| said.utterance.speaker == speaker));
    }
    for said in left {
        let is_taken = taken
            .iter()
            .any(|other| other.utterance.ordinal == said.utterance.ordinal);
        if !is_taken && taken.len() < TELLING_MAX && weight(said) > 0.0 {
            taken.push(said);
        }
    }
    taken.sort_by_key(|said| (said.utterance.start_ms, said.utterance.ordinal));
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        ids::{AccountId, CallId, CallSid},
        sentiment::{Sentiment, SentimentEngine, SentimentLabel},
        time::Timestamp,
    };

    fn call() -> Call {
        let mut call = Call::new(
            CallId::fresh(),
            AccountId::fresh(),
            CallSid::new("CA1"),
            Timestamp::default(),
        );
        "+14155550123".clone_into(&mut call.from);
        "+14155550199".clone_into(&mut call.to);
        call.status = CallStatus::Completed;
        call.duration_s = Some(185);
        call.trend = Some(-0.42);
        call
    }

    fn said(ordinal: u32, speaker: Speaker, text: &str, score: Option<f32>) -> Utterance {
        Utterance {
            ordinal,
            speaker,
            text: text.to_owned(),
            start_ms: u64::from(ordinal) * 20_000,
            end_ms: u64::from(ordinal) * 20_000 + 4_000,
            sentiment: score.map(|score| Sentiment {
                score,
                label: SentimentLabel::Neutral,
                negative: 0.0,
                positive: 0.0,
                engine: SentimentEngine::Ngram,
            }),
        }
    }

    #[test]
    fn tells_what_was_called_about_how_it_went_what_was_promised_and_asked() {
        use Speaker::{Agent, Customer};
        let transcript = [
            said(0, Agent, "Hello, this is Acme, how can I help you?", None),
            said(
                1,
                Customer,
                "My order has not arrived and it is two weeks late.",
                Some(-0.3),
            ),
            said(2, Agent, "Okay.", None),
            said(
                3,
                Customer,
                "This is ridiculous, I want my money back!",
                Some(-0.95),
            ),
            said(4, Agent, "I understand, the parcel was lost on its way.", None),
            said(5, Customer, "When will I get it?", Some(-0.1)),
            said(6, Agent, "I will send a new one today by express.", None),
            said(7, Customer, "Thank you.", Some(0.6)),
        ];
        let told = summary(&call(), &transcript);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(
            lines,
            [
                "Inbound call from +14155550123 to +14155550199, 185 seconds, completed. The customer sounded unhappy at the end (-0.42 of -1 to 1).",
                "In their own words:",
                "0:20 customer: “My order has not arrived and it is two weeks late.”",
                "1:00 customer: “This is ridiculous, I want my money back!”",
                "1:20 agent: “I understand, the parcel was lost on its way.”",
                "Promised:",
                "2:00 agent: “I will send a new one today by express.”",
                "Asked:",
                "1:40 customer: “When will I get it?”",
            ]
        );
    }

    #[test]
    fn a_call_of_which_nothing_was_heard_is_its_record() {
        let mut call = call();
        call.trend = None;
        call.voicemail = true;
        assert_eq!(
            summary(&call, &[]),
            "Inbound call from +14155550123 to +14155550199, 185 seconds, a message was left.\nNothing was transcribed."
        );
        let filler = [said(0, Speaker::Customer, "Uh, yes.", None)];
        assert!(!summary(&call, &filler).contains("own words"));
    }

    #[test]
    fn it_stays_short_however_long_the_call_was() {
        let transcript: Vec<Utterance> = (0..500)
            .map(|ordinal| {
                let speaker = if ordinal % 2 == 0 {
                    Speaker::Agent
                } else {
                    Speaker::Customer
                };
                let text = if ordinal % 3 == 0 {
                    "will you ".repeat(200) + "?"
                } else {
                    "i will do it ".repeat(200)
                };
                said(ordinal, speaker, &text, Some(0.5))
            })
            .collect();
        let told = summary(&call(), &transcript);
        assert!(told.chars().count() < 3_500, "{}", told.len());
        assert!(told.lines().count() <= 1 + 3 + TELLING_MAX + PROMISES_MAX + QUESTIONS_MAX);
    }
}
