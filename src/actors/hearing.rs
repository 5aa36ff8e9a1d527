//! Listens to one call: frames in, words out.
//!
//! In: both tracks' frames through a bounded channel. Out: [`Heard`] values through a callback; the finals of one speaker come
//! in the order they were said. A task of its own per call: decoding happens in the pool, so a slow recogniser never holds up
//! a frame. An utterance is decoded as soon as it pauses, on the bet that it has ended; most bets are won, which hides the
//! time that decoding takes.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc::{self, Receiver, UnboundedSender},
    task::JoinHandle,
};

use super::asr::{Answer, AsrHandle};
use crate::{
    domain::audio::{Speaker, Track},
    media::{
        frame::AudioFrame,
        pipeline::{Rate, Speech, TrackEvent, TrackPipeline},
    },
};

/// Time between the pause that starts a bet and the end of the utterance.
const BET_AHEAD: Duration = Duration::from_millis(224);
/// A frame handled later than this after it came off the socket is counted.
const LATE: Duration = Duration::from_millis(100);

/// Who speaks on which track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackSpeakers {
    pub inbound: Speaker,
    pub outbound: Speaker,
}

/// One thing heard on a call. Times are milliseconds from the start of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Words that may still change; `stable` is the leading part that two decodings agreed on.
    Partial {
        speaker: Speaker,
        text: String,
        stable: String,
        start_ms: u64,
        end_ms: u64,
    },
    /// The words of an ended utterance.
    Final {
        speaker: Speaker,
        text: String,
        start_ms: u64,
        end_ms: u64,
    },
    /// Audio of a track never arrived.
    Gap {
        speaker: Speaker,
        from_ms: u64,
        to_ms: u64,
    },
    /// Speech that could not be turned into words: too much was waiting, or no model is loaded.
    Shed {
        speaker: Speaker,
        start_ms: u64,
        end_ms: u64,
    },
    /// The frames ended and everything asked has been answered. The last value.
    Ended,
}

/// Listens until `frames` closes; tells `report` what is heard, [`Heard::Ended`] last.
pub fn start<F>(
    speakers: TrackSpeakers,
    asr: AsrHandle,
    mut frames: Receiver<AudioFrame>,
    report: F,
) -> JoinHandle<()>
where
    F: Fn(Heard) + Send + Sync + 'static,
{
    tokio::spawn(async move {
        let (answered, mut answers) = mpsc::unbounded_channel();
        let mut inbound = Ear::new(speakers.inbound, asr.clone(), answered.clone());
        let mut outbound = Ear::new(speakers.outbound, asr, answered);
        let waits = metrics::histogram!("patchcord_frame_wait_seconds");
        let late = metrics::counter!("patchcord_frames_late_total");
        let mut open = true;
        while open || inbound.is_waiting() || outbound.is_waiting() {
            tokio::select! {
                frame = frames.recv(), if open => {
                    let Some(frame) = frame else {
                        open = false;
                        inbound.finish(&report);
                        outbound.finish(&report);
                        continue;
                    };
                    let wait = frame.received.elapsed();
                    waits.record(wait.as_secs_f64());
                    late.increment(u64::from(wait > LATE));
                    match frame.track {
                        Track::Inbound => inbound.hear(&frame, &report),
                        Track::Outbound => outbound.hear(&frame, &report),
                    }
                }
                Some((speaker, question, answer)) = answers.recv() => {
                    let ear = if speaker == inbound.speaker { &mut inbound } else { &mut outbound };
                    ear.take(question, answer, &report);
                }
            }
        }
        report(Heard::Ended);
    })
}

/// Names a question that an ear asked; numbers are never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Utterance(u64),
    SoFar {
        utterance: u64,
        start_ms: u64,
        end_ms: u64,
    },
}

/// An utterance that is being decoded.
struct Asked {
    number: u64,
    ticket: u64,
    start_ms: u64,
    end_ms: u64,
    answer: Option<Answer>,
}

/// One track of a call.
struct Ear {
    speaker: Speaker,
    asr: AsrHandle,
    track: u64,
    pipeline: TrackPipeline,
    answered: UnboundedSender<(Speaker, Question, Answer)>,
    next_number: u64,
    /// Counts the utterances that began: what belongs to an earlier one is stale.
    utterance: u64,
    bet: Option<Asked>,
    /// Ended utterances whose words are not reported yet, in their order.
    ended: VecDeque<Asked>,
    /// Whether the words so far are being decoded.
    looking: bool,
    so_far: String,
    events: Vec<TrackEvent>,
}

impl Ear {
    fn new(speaker: Speaker, asr: AsrHandle, answered: UnboundedSender<(Speaker, Question, Answer)>) -> Self {
        Self {
            speaker,
            track: asr.next_track(),
            asr,
            pipeline: TrackPipeline::new(Rate::Telephone),
            answered,
            next_number: 0,
            utterance: 0,
            bet: None,
            ended: VecDeque::new(),
            looking: false,
            so_far: String::new(),
            events: Vec::new(),
        }
    }

    /// Whether an ended utterance has not been reported.
    fn is_waiting(&self) -> bool {
        !self.ended.is_empty()
    }

    fn hear(&mut self, frame: &AudioFrame, report: &impl Fn(Heard)) {
        let mut events = std::mem::take(&mut self.events);
        self.pipeline.push_frame(frame, &mut events);
        self.follow(events, report);
    }

    fn finish(&mut self, report: &impl Fn(Heard)) {
        let mut events = std::mem::take(&mut self.events);
        self.pipeline.finish(&mut events);
        self.follow(events, report);
    }

    fn follow(&mut self, mut events: Vec<TrackEvent>, report: &impl Fn(Heard)) {
        for event in events.drain(..) {
            match event {
                TrackEvent::Began { .. } => self.forget(),
                TrackEvent::Paused(speech) if !self.asr.is_busy() => {
                    self.bet = Some(self.ask(speech, Instant::now() + BET_AHEAD));
                }
                // Under load the bet is left out: it is decoded once, when it has ended.
                TrackEvent::Paused(_) => (),
                TrackEvent::WentOn => self.drop_bet(),
                TrackEvent::Ended { speech, decoded } => self.end(speech, decoded, report),
                TrackEvent::Dismissed => {
                    self.drop_bet();
                    self.forget();
                }
                TrackEvent::Due(speech) => self.look(speech),
                TrackEvent::Gap { from_ms, to_ms } => report(Heard::Gap {
                    speaker: self.speaker,
                    from_ms,
                    to_ms,
                }),
            }
        }
        self.events = events;
    }

    fn ask(&mut self, speech: Speech, deadline: Instant) -> Asked {
        let number = self.next_number;
        self.next_number += 1;
        let (start_ms, end_ms) = (speech.start_ms, speech.end_ms);
        let ticket = self.asr.ask(
            self.track,
            speech,
            deadline,
            self.reply(Question::Utterance(number)),
        );
        Asked {
            number,
            ticket,
            start_ms,
            end_ms,
            answer: None,
        }
    }

    fn look(&mut self, speech: Speech) {
        if self.looking {
            return;
        }
        self.looking = true;
        let question = Question::SoFar {
            utterance: self.utterance,
            start_ms: speech.start_ms,
            end_ms: speech.end_ms,
        };
        self.asr.ask_partial(self.track, speech, self.reply(question));
    }

    fn reply(&self, question: Question) -> impl FnOnce(Answer) + Send + 'static {
        let (answered, speaker) = (self.answered.clone(), self.speaker);
        move |answer| {
            // A listener that has gone wants no answer.
            drop(answered.send((speaker, question, answer)));
        }
    }

    fn end(&mut self, speech: Speech, decoded: bool, report: &impl Fn(Heard)) {
        let asked = match self.bet.take().filter(|_| decoded) {
            Some(bet) => bet,
            None => self.ask(speech, Instant::now()),
        };
        self.asr.cancel(self.track, None);
        self.ended.push_back(asked);
        self.forget();
        self.report_ended(report);
    }

    fn drop_bet(&mut self) {
        if let Some(bet) = self.bet.take() {
            self.asr.cancel(self.track, Some(bet.ticket));
        }
    }

    fn forget(&mut self) {
        self.utterance += 1;
        self.so_far.clear();
    }

    fn take(&mut self, question: Question, answer: Answer, report: &impl Fn(Heard)) {
        match question {
            Question::Utterance(number) => {
                let asked = self
                    .bet
                    .iter_mut()
                    .chain(&mut self.ended)
                    .find(|asked| asked.number == number);
                // A lost bet is not waited for.
                if let Some(asked) = asked {
                    asked.answer = Some(answer);
                    self.report_ended(report);
                }
            }
            Question::SoFar {
                utterance,
                start_ms,
                end_ms,
            } => {
                self.looking = false;
                let Answer::Words { text, .. } = answer else {
                    return;
                };
                if utterance != self.utterance || text.is_empty() {
                    return;
                }
                let stable = agreed(&self.so_far, &text).to_owned();
                self.so_far.clone_from(&text);
                report(Heard::Partial {
                    speaker: self.speaker,
                    text,
                    stable,
                    start_ms,
                    end_ms,
                });
            }
        }
    }

    /// Reports what has been answered, up to the first that has not.
    fn report_ended(&mut self, report: &impl Fn(Heard)) {
        while let Some(answer) = self.ended.front_mut().and_then(|asked| asked.answer.take()) {
            let Some(asked) = self.ended.pop_front() else {
                return;
            };
            let (speaker, start_ms) = (self.speaker, asked.start_ms);
            match answer {
                Answer::Words { text, .. } if text.is_empty() => (),
                Answer::Words { text, end_ms } => report(Heard::Final {
                    speaker,
                    text,
                    start_ms,
                    end_ms,
                }),
                Answer::Joined => (),
                Answer::Shed | Answer::NoModel | Answer::Failed => {
                    report(Heard::Shed {
                        speaker,
                        start_ms,
                        end_ms: asked.end_ms,
                    });
                }
            }
        }
    }
}

/// Returns the leading words of `now` that `before` has too, whatever their case and punctuation.
fn agreed<'a>(before: &str, now: &'a str) -> &'a str {
    let bare = |word: &str| {
        word.chars()
            .filter(|c| c.is_alphanumeric())
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    let same = before
        .split_whitespace()
        .zip(now.split_whitespace())
        .take_while(|(a, b)| bare(a) == bare(b))
        .count();
    let mut end = 0;
    for word in now.split_whitespace().take(same) {
        end += now[end..].find(word).expect("the word is from this text") + word.len();
    }
    &now[..end]
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;
    use crate::{actors::asr::prompt_pool, media::mulaw};

    const SPEAKERS: TrackSpeakers = TrackSpeakers {
        inbound: Speaker::Customer,
        outbound: Speaker::Agent,
    };

    /// A made voice of 1.5 s (see `assets/vad/reference.json`).
    fn voice() -> Vec<u8> {
        let json: serde_json::Value = serde_json::from_str(include_str!("../../assets/vad/reference.json"))
            .expect("the fixture is JSON");
        let text = json["mulaw_base64"].as_str().expect("it has samples");
        base64::engine::general_purpose::STANDARD
            .decode(text)
            .expect("the samples are base64")
    }

    fn call() -> Vec<u8> {
        [
            vec![mulaw::SILENCE; 8_000],
            voice(),
            vec![mulaw::SILENCE; 12_000],
            voice(),
            vec![mulaw::SILENCE; 8_000],
        ]
        .concat()
    }

    /// Plays `bytes` on both tracks and returns everything heard.
    async fn listen(asr: AsrHandle, bytes: &[u8]) -> Vec<Heard> {
        let (frames, received) = mpsc::channel(64);
        let (heard, mut all) = mpsc::unbounded_channel();
        let task = start(SPEAKERS, asr, received, move |value| {
            heard.send(value).expect("the test listens")
        });
        for (chunk, payload) in (1_u64..).zip(bytes.chunks(160)) {
            for track in [Track::Inbound, Track::Outbound] {
                let frame = AudioFrame {
                    track,
                    timestamp_ms: (chunk - 1) * 20,
                    chunk,
                    payload: payload.to_vec(),
                    received: Instant::now(),
                };
                frames.send(frame).await.expect("it listens");
            }
        }
        drop(frames);
        task.await.expect("it ends by itself");
        let mut values = Vec::new();
        while let Some(value) = all.recv().await {
            values.push(value);
        }
        values
    }

    #[tokio::test]
    async fn both_speakers_are_heard_once_each_time_and_the_end_comes_last() {
        let heard = listen(prompt_pool(2), &call()).await;
        for speaker in [Speaker::Customer, Speaker::Agent] {
            let starts: Vec<u64> = heard
                .iter()
                .filter_map(|value| match value {
                    Heard::Final {
                        speaker: who,
                        start_ms,
                        ..
                    } if *who == speaker => Some(*start_ms),
                    _ => None,
                })
                .collect();
            assert_eq!(starts.len(), 2, "{heard:?}");
            assert!(
                starts[0].abs_diff(1_000) < 130 && starts[1].abs_diff(4_000) < 130,
                "{starts:?}"
            );
        }
        assert_eq!(heard.last(), Some(&Heard::Ended));
        assert_eq!(heard.iter().filter(|value| **value == Heard::Ended).count(), 1);
    }

    #[tokio::test]
    async fn without_a_model_the_call_goes_on_and_says_what_was_not_heard() {
        let heard = listen(AsrHandle::without_model(), &call()).await;
        assert_eq!(
            heard
                .iter()
                .filter(|value| matches!(value, Heard::Shed { .. }))
                .count(),
            4
        );
        assert_eq!(heard.last(), Some(&Heard::Ended));
    }

    #[tokio::test]
    async fn a_call_without_audio_ends() {
        assert_eq!(listen(prompt_pool(1), &[]).await, [Heard::Ended]);
    }

    #[test]
    fn the_stable_part_is_what_two_decodings_agree_on() {
        assert_eq!(agreed("I want my", "I want, my money back"), "I want, my");
        assert_eq!(agreed("", "I want"), "");
        assert_eq!(agreed("He wants it", "I want it"), "");
        assert_eq!(agreed("five five five", "five five"), "five five");
    }
}
