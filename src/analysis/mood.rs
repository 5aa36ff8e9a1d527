//! The mood of one call: scores, trend and alerts as the words come in.
//!
//! In: final utterances and partials with their times, and the scores for the texts it asked to be scored.
//! Out: what changed. Scoring takes milliseconds of CPU and is done by the caller, away from any mailbox:
//!
//! 1. `heard` (or `heard_partial`) says which text wants a score;
//! 2. [`ScoreRequest::answer`] computes it, on a thread that may block;
//! 3. `scored` takes the answer and says what changed.
//!
//! Answers may come late or out of order. Pure: no clock, no I/O; the same inputs give the same changes.

use serde::{Deserialize, Serialize};

use super::{
    cues,
    sentiment::Scorer,
    trend,
    trigger::{Firing, RULE_VERSION, Rule, ScoredTurn, Trigger, Watch},
    turns::{Turn, Turns},
    words::is_filler,
};
use crate::domain::{
    audio::Speaker,
    sentiment::{Sentiment, SentimentEngine, SentimentLabel},
    transcript::Utterance,
};

/// Words of evidence kept of one turn; the end is kept, where the feeling stands.
const EXCERPT_WORDS_MAX: usize = 60;

/// Why an alert or a positive mark was raised: enough to judge it without the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The words of the turn that set it off.
    pub excerpt: String,
    /// Score of that turn, −1.0 to 1.0.
    pub score: f32,
    pub rule: Rule,
    pub rule_version: u32,
    /// The escalation cue found, for the rule that needs one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cue: Option<String>,
    /// The customer's counted turns that made it fire, oldest first, counted from 0.
    pub turns: Vec<u32>,
    /// Begin and end of the turn that set it off, in ms from the start of the stream.
    pub start_ms: u64,
    pub end_ms: u64,
    pub engine: SentimentEngine,
}

/// Whether an alert rests on words that may still change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    Provisional,
    Confirmed,
}

/// Something that became known about the mood of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum MoodChange {
    /// How one of the customer's final utterances sounds by itself.
    Scored { ordinal: u32, sentiment: Sentiment },
    /// Where the running trend stands (−1.0 to 1.0) after the turn that ended at `at_ms`.
    Trend { value: f32, at_ms: u64 },
    /// The negative trigger fired.
    Fired {
        evidence: Evidence,
        certainty: Certainty,
    },
    /// The final words bear out the provisional firing; the evidence is that of the final words.
    Confirmed { evidence: Evidence },
    /// The final words do not bear out the provisional firing, whose evidence this is.
    Retracted { evidence: Evidence },
    /// The customer is plainly happy.
    Positive { evidence: Evidence },
}

/// What hearing something led to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heard {
    /// Text to be scored; hand the answer to [`CallMood::scored`].
    pub request: Option<ScoreRequest>,
    /// What changed already.
    pub changes: Vec<MoodChange>,
}

/// Text that wants a score.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreRequest {
    of: Of,
    turn: Turn,
    utterance_text: String,
    /// Finals of the customer heard when it was asked.
    finals: u32,
}

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// A final utterance, by its ordinal in the call.
    Final(u32),
    Partial,
}

/// The scores for one request.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreAnswer {
    request: ScoreRequest,
    utterance: Sentiment,
    turn: Sentiment,
}

impl ScoreRequest {
    /// Scores the text: milliseconds of CPU for each run of the model, one run when the turn is one utterance.
    #[must_use]
    pub fn answer(self, scorer: &dyn Scorer) -> ScoreAnswer {
        let turn = scorer.score(&self.turn.text);
        let stands_alone = self.utterance_text == self.turn.text || self.of == Of::Partial;
        let utterance = if stands_alone {
            turn
        } else {
            scorer.score(&self.utterance_text)
        };
        ScoreAnswer {
            request: self,
            utterance,
            turn,
        }
    }

    /// Whether it is for words that may still change: the first to be dropped when there is too much to do.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.of == Of::Partial
    }
}

/// The mood of a call so far, summed up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MoodSummary {
    pub trend: f32,
    /// Mean score by quarter of the call; absent where the customer said nothing.
    pub quarters: [Option<f32>; 4],
    /// Last spoken quarter minus the first; absent while only one was spoken in.
    pub shift: Option<f32>,
    pub counted_turns: u32,
    pub negative_turns: u32,
    pub positive_turns: u32,
}

/// The mood of one call.
#[derive(Debug, Clone)]
pub struct CallMood {
    turns: Turns,
    negative: Trigger,
    positive: Trigger,
    /// The provisional firing that waits for its final, and the finals heard when it fired.
    provisional: Option<(Evidence, u32)>,
    finals: u32,
}

impl Default for CallMood {
    fn default() -> Self {
        Self {
            turns: Turns::default(),
            negative: Trigger::new(Watch::Negative),
            positive: Trigger::new(Watch::Positive),
            provisional: None,
            finals: 0,
        }
    }
}

impl CallMood {
    /// Takes a final utterance of either side.
    pub fn heard(&mut self, utterance: &Utterance) -> Heard {
        if utterance.speaker == Speaker::Customer {
            self.finals = self.finals.saturating_add(1);
        }
        match self.turns.heard(utterance).cloned() {
            Some(turn) => Heard {
                request: Some(ScoreRequest {
                    of: Of::Final(utterance.ordinal),
                    turn,
                    utterance_text: utterance.text.trim().to_owned(),
                    finals: self.finals,
                }),
                changes: Vec::new(),
            },
            None if utterance.speaker == Speaker::Customer => Heard {
                request: None,
                changes: self.retract(),
            },
            None => Heard::default(),
        }
    }

    /// Takes words of either side that may still change. Worth scoring only while an alert could come of it.
    #[must_use]
    pub fn heard_partial(
        &self,
        speaker: Speaker,
        text: &str,
        start_ms: u64,
        end_ms: u64,
    ) -> Option<ScoreRequest> {
        let is_awaited = speaker == Speaker::Customer && self.provisional.is_none() && !is_filler(text);
        is_awaited.then(|| ScoreRequest {
            of: Of::Partial,
            turn: self.turns.with_partial(text.trim(), start_ms, end_ms),
            utterance_text: text.trim().to_owned(),
            finals: self.finals,
        })
    }

    /// Takes the scores that were asked for.
    pub fn scored(&mut self, answer: ScoreAnswer) -> Vec<MoodChange> {
        match answer.request.of {
            Of::Final(ordinal) => self.final_scored(ordinal, answer),
            Of::Partial => self.partial_scored(answer),
        }
    }

    /// The call is over: what was provisional will not be confirmed any more.
    pub fn ended(&mut self) -> Vec<MoodChange> {
        self.retract()
    }

    /// The mood so far.
    #[must_use]
    pub fn summary(&self) -> MoodSummary {
        let mut scores = Vec::new();
        let mut negative_turns = 0;
        let mut positive_turns = 0;
        for (turn, sentiment) in self.scored_turns() {
            scores.push((turn.end_ms, sentiment.score));
            match sentiment.label {
                SentimentLabel::Negative => negative_turns += 1,
                SentimentLabel::Positive => positive_turns += 1,
                SentimentLabel::Neutral => (),
            }
        }
        let quarters = trend::quarter_means(&scores);
        MoodSummary {
            trend: self.trend(),
            quarters,
            shift: trend::shift(&quarters),
            counted_turns: u32::try_from(scores.len()).unwrap_or(u32::MAX),
            negative_turns,
            positive_turns,
        }
    }

    /// The running trend, −1.0 to 1.0; 0.0 before the first score.
    #[must_use]
    pub fn trend(&self) -> f32 {
        self.scored_turns().fold(0.0, |m, (turn, sentiment)| {
            trend::after_turn(m, sentiment.score, turn.word_count())
        })
    }

    fn final_scored(&mut self, ordinal: u32, answer: ScoreAnswer) -> Vec<MoodChange> {
        let ScoreAnswer {
            request,
            utterance,
            turn: sentiment,
        } = answer;
        let mut changes = vec![MoodChange::Scored {
            ordinal,
            sentiment: utterance,
        }];
        if !self
            .turns
            .scored(request.turn.ordinal, request.turn.revision, sentiment)
        {
            return changes;
        }
        changes.push(MoodChange::Trend {
            value: self.trend(),
            at_ms: request.turn.end_ms,
        });
        let judged = self.judged_turns(request.turn.ordinal);
        let is_awaited = self
            .provisional
            .as_ref()
            .is_some_and(|(_, finals)| request.finals > *finals);
        match self.negative.judge(&judged) {
            Some(firing) => {
                let evidence = evidence(firing, &request.turn, &sentiment);
                changes.push(match self.provisional.take_if(|_| is_awaited) {
                    Some(_) => MoodChange::Confirmed { evidence },
                    None => MoodChange::Fired {
                        evidence,
                        certainty: Certainty::Confirmed,
                    },
                });
            }
            None if is_awaited => changes.extend(self.retract()),
            None => (),
        }
        if let Some(firing) = self
            .positive
            .judge(&judged)
            .filter(|_| !self.negative.is_latched())
        {
            changes.push(MoodChange::Positive {
                evidence: evidence(firing, &request.turn, &sentiment),
            });
        }
        changes
    }

    fn partial_scored(&mut self, answer: ScoreAnswer) -> Vec<MoodChange> {
        let ScoreAnswer {
            request,
            turn: sentiment,
            ..
        } = answer;
        let is_late = request.finals != self.finals || self.provisional.is_some();
        if is_late {
            return Vec::new();
        }
        let mut judged: Vec<ScoredTurn> = self.judged_turns(request.turn.ordinal);
        judged.retain(|turn| turn.ordinal < request.turn.ordinal);
        judged.push(scored_turn(&request.turn, sentiment));
        let Some(firing) = self.negative.preview(&judged) else {
            return Vec::new();
        };
        let evidence = evidence(firing, &request.turn, &sentiment);
        self.provisional = Some((evidence.clone(), request.finals));
        vec![MoodChange::Fired {
            evidence,
            certainty: Certainty::Provisional,
        }]
    }

    fn retract(&mut self) -> Vec<MoodChange> {
        self.provisional
            .take()
            .map(|(evidence, _)| MoodChange::Retracted { evidence })
            .into_iter()
            .collect()
    }

    fn scored_turns(&self) -> impl Iterator<Item = (&Turn, Sentiment)> {
        self.turns
            .all()
            .iter()
            .filter_map(|turn| turn.sentiment.map(|sentiment| (turn, sentiment)))
    }

    /// The scored turns up to and with the one of that ordinal.
    fn judged_turns(&self, until: u32) -> Vec<ScoredTurn> {
        self.scored_turns()
            .take_while(|(turn, _)| turn.ordinal <= until)
            .filter(|(turn, _)| !is_unfinished(&turn.text))
            .map(|(turn, sentiment)| scored_turn(turn, sentiment))
            .collect()
    }
}

/// Whether the speaker was cut off in mid-sentence, which the recogniser writes as three dots: half a sentence ("and I know
/// you can't a lot of your...") has no feeling to judge by. It counts once it goes on to an end.
fn is_unfinished(text: &str) -> bool {
    let text = text.trim_end();
    text.ends_with("...") || text.ends_with('…')
}

fn scored_turn(turn: &Turn, sentiment: Sentiment) -> ScoredTurn {
    ScoredTurn {
        ordinal: turn.ordinal,
        start_ms: turn.start_ms,
        sentiment,
        cue: cues::find(&turn.text),
    }
}

fn evidence(firing: Firing, turn: &Turn, sentiment: &Sentiment) -> Evidence {
    let cue = match firing.rule {
        Rule::NegativeExtreme => cues::find(&turn.text).map(str::to_owned),
        Rule::NegativeRepeated | Rule::PositiveRepeated => None,
    };
    Evidence {
        excerpt: last_words(&turn.text),
        score: sentiment.score,
        rule: firing.rule,
        rule_version: RULE_VERSION,
        cue,
        turns: firing.turns,
        start_ms: turn.start_ms,
        end_ms: turn.end_ms,
        engine: sentiment.engine,
    }
}

fn last_words(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words[words.len().saturating_sub(EXCERPT_WORDS_MAX)..].join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Scores by the first word: "bad" is very negative, "good" very positive, anything else neutral.
    struct ByFirstWord;

    impl Scorer for ByFirstWord {
        fn score(&self, text: &str) -> Sentiment {
            let (negative, positive, label) = match text.split(' ').next() {
                Some("bad") => (0.98, 0.0, SentimentLabel::Negative),
                Some("good") => (0.0, 0.9, SentimentLabel::Positive),
                _ => (0.1, 0.1, SentimentLabel::Neutral),
            };
            Sentiment {
                score: positive - negative,
                label,
                negative,
                positive,
                engine: SentimentEngine::Ngram,
            }
        }
    }

    fn said(ordinal: u32, text: &str) -> Utterance {
        let start_ms = u64::from(ordinal) * 10_000;
        Utterance {
            ordinal,
            speaker: Speaker::Customer,
            text: text.into(),
            start_ms,
            end_ms: start_ms + 3_000,
            sentiment: None,
        }
    }

    fn hear(mood: &mut CallMood, ordinal: u32, text: &str) -> Vec<MoodChange> {
        let heard = mood.heard(&said(ordinal, text));
        let mut changes = heard.changes;
        if let Some(request) = heard.request {
            changes.extend(mood.scored(request.answer(&ByFirstWord)));
        }
        changes
    }

    fn hear_partial(mood: &mut CallMood, ordinal: u32, text: &str) -> Vec<MoodChange> {
        let start_ms = u64::from(ordinal) * 10_000;
        let request = mood.heard_partial(Speaker::Customer, text, start_ms, start_ms + 1_000);
        request
            .map(|request| mood.scored(request.answer(&ByFirstWord)))
            .unwrap_or_default()
    }

    fn alerts(changes: &[MoodChange]) -> Vec<&'static str> {
        changes
            .iter()
            .filter_map(|change| match change {
                MoodChange::Fired {
                    certainty: Certainty::Provisional,
                    ..
                } => Some("provisional"),
                MoodChange::Fired {
                    certainty: Certainty::Confirmed,
                    ..
                } => Some("fired"),
                MoodChange::Confirmed { .. } => Some("confirmed"),
                MoodChange::Retracted { .. } => Some("retracted"),
                MoodChange::Positive { .. } => Some("positive"),
                MoodChange::Scored { .. } | MoodChange::Trend { .. } => None,
            })
            .collect()
    }

    #[test]
    fn a_second_negative_turn_fires_with_its_evidence() {
        let mut mood = CallMood::default();
        assert_eq!(alerts(&hear(&mut mood, 0, "bad line again")), Vec::<&str>::new());
        let changes = hear(&mut mood, 1, "bad answers from you people");
        let Some(MoodChange::Fired { evidence, .. }) = changes.last() else {
            panic!("{changes:?}")
        };
        assert_eq!(evidence.excerpt, "bad answers from you people");
        assert_eq!(
            (evidence.rule, evidence.turns.as_slice()),
            (Rule::NegativeRepeated, [0, 1].as_slice())
        );
        assert_eq!((evidence.start_ms, evidence.end_ms), (10_000, 13_000));
        assert!(mood.trend() < -0.4);
        assert_eq!(mood.summary().negative_turns, 2);
    }

    #[test]
    fn a_sentence_broken_off_sets_nothing_off_until_it_ends() {
        let mut mood = CallMood::default();
        assert_eq!(alerts(&hear(&mut mood, 0, "bad line again")), Vec::<&str>::new());
        assert_eq!(
            alerts(&hear(&mut mood, 1, "bad and I know you can't...")),
            Vec::<&str>::new()
        );
        assert_eq!(
            alerts(&hear(&mut mood, 2, "bad answers from you people")),
            ["fired"]
        );
        for (text, broken_off) in [
            ("I know you…", true),
            ("I know you... ", true),
            ("I know. You.", false),
        ] {
            assert_eq!(is_unfinished(text), broken_off, "{text}");
        }
    }

    #[test]
    fn a_provisional_firing_is_confirmed_by_its_final_once() {
        let mut mood = CallMood::default();
        assert_eq!(
            alerts(&hear_partial(&mut mood, 0, "bad manager")),
            ["provisional"]
        );
        assert_eq!(
            alerts(&hear_partial(&mut mood, 0, "bad manager please")),
            Vec::<&str>::new()
        );
        assert_eq!(
            alerts(&hear(&mut mood, 0, "bad manager please call")),
            ["confirmed"]
        );
        assert_eq!(alerts(&mood.ended()), Vec::<&str>::new());
    }

    #[test]
    fn a_provisional_firing_is_retracted_by_a_calm_final_a_filler_or_the_end() {
        for last in [Some("a manager called me"), Some("okay"), None] {
            let mut mood = CallMood::default();
            assert_eq!(
                alerts(&hear_partial(&mut mood, 0, "bad manager")),
                ["provisional"]
            );
            let changes = match last {
                Some(text) => hear(&mut mood, 0, text),
                None => mood.ended(),
            };
            assert_eq!(alerts(&changes), ["retracted"], "{last:?}");
        }
    }

    #[test]
    fn a_partial_scored_after_its_final_says_nothing() {
        let mut mood = CallMood::default();
        let late = mood
            .heard_partial(Speaker::Customer, "bad manager", 0, 1_000)
            .expect("worth scoring");
        hear(&mut mood, 0, "a manager called me");
        assert_eq!(mood.scored(late.answer(&ByFirstWord)), Vec::new());
    }

    #[test]
    fn an_extended_turn_is_scored_as_a_whole_and_the_utterance_by_itself() {
        let mut mood = CallMood::default();
        hear(&mut mood, 0, "bad start");
        let more = Utterance {
            start_ms: 3_500,
            end_ms: 5_000,
            ordinal: 1,
            ..said(1, "good end")
        };
        let request = mood.heard(&more).request.expect("it is no filler");
        let changes = mood.scored(request.answer(&ByFirstWord));
        let Some(MoodChange::Scored {
            ordinal: 1,
            sentiment,
        }) = changes.first()
        else {
            panic!("{changes:?}")
        };
        assert_eq!(sentiment.label, SentimentLabel::Positive);
        assert_eq!(mood.summary().counted_turns, 1);
        assert_eq!(mood.summary().negative_turns, 1, "the turn begins with bad");
    }

    #[test]
    fn happy_customers_are_marked_once() {
        let mut mood = CallMood::default();
        let marks: Vec<&str> = (0..6)
            .flat_map(|at| alerts(&hear(&mut mood, at, "good work everybody")))
            .collect();
        assert_eq!(marks, ["positive"]);
    }

    proptest! {
        #[test]
        fn every_provisional_firing_is_settled_once_and_nothing_else_is(
            steps in prop::collection::vec((0_usize..6, any::<bool>(), any::<bool>()), 1..40),
        ) {
            const TEXTS: [&str; 6] =
                ["bad manager", "bad line again", "good work everybody", "my number is four", "okay", "bad bad bad"];
            let mut mood = CallMood::default();
            let mut changes = Vec::new();
            let mut late = Vec::new();
            for (ordinal, (text, has_partial, is_late)) in (0_u32..).zip(steps) {
                if has_partial {
                    changes.extend(hear_partial(&mut mood, ordinal, TEXTS[text]));
                }
                let heard = mood.heard(&said(ordinal, TEXTS[(text + usize::from(is_late)) % TEXTS.len()]));
                changes.extend(heard.changes);
                let answer = heard.request.map(|request| request.answer(&ByFirstWord));
                if is_late {
                    late.extend(answer);
                } else if let Some(answer) = answer {
                    changes.extend(mood.scored(answer));
                    changes.extend(late.drain(..).flat_map(|answer| mood.scored(answer)).collect::<Vec<_>>());
                }
            }
            changes.extend(late.drain(..).flat_map(|answer| mood.scored(answer)).collect::<Vec<_>>());
            changes.extend(mood.ended());
            let mut is_open = false;
            for alert in alerts(&changes) {
                match alert {
                    "provisional" => prop_assert!(!std::mem::replace(&mut is_open, true)),
                    "confirmed" | "retracted" => prop_assert!(std::mem::replace(&mut is_open, false)),
                    _ => (),
                }
            }
            prop_assert!(!is_open);
            prop_assert!((-1.0..=1.0).contains(&mood.trend()));
        }
    }
}
