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
mod tests;
