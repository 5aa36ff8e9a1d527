//! Turns: what the customer says until the agent speaks or 3 s of silence.
//!
//! In: final utterances of both sides, in the order they became final. Out: the customer's turns, the last
//! of which may still grow. A turn made of fillers only does not count. Pure: times come from the utterances.

use super::words::{is_filler, plain_words};
use crate::domain::{audio::Speaker, sentiment::Sentiment, transcript::Utterance};

/// Silence of the customer that ends a turn. People who explain something pause for two seconds and go on: at 1.5 s a real,
/// friendly call fell into two negative turns in one breath and raised an alert.
pub const TURN_GAP_MS: u64 = 3_000;

/// One turn of the customer.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Counts the customer's turns from 0, fillers left out.
    pub ordinal: u32,
    pub text: String,
    pub start_ms: u64,
    pub end_ms: u64,
    /// Grows each time the turn is extended: an answer for an older text is late.
    pub revision: u32,
    /// How the turn as a whole sounds; absent until its score has come.
    pub sentiment: Option<Sentiment>,
}

impl Turn {
    /// Number of plain words in the turn.
    #[must_use]
    pub fn word_count(&self) -> usize {
        plain_words(&self.text).len()
    }
}

/// The customer's turns of one call.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    turns: Vec<Turn>,
    /// End of the agent's last speech that was more than a filler.
    agent_until_ms: Option<u64>,
}

impl Turns {
    /// Takes a final utterance. Returns the customer's turn it began or extended; `None` for the agent and for
    /// fillers, which have nothing to be scored.
    pub fn heard(&mut self, utterance: &Utterance) -> Option<&Turn> {
        match utterance.speaker {
            Speaker::Agent => {
                if !is_filler(&utterance.text) {
                    self.agent_until_ms = self.agent_until_ms.max(Some(utterance.end_ms));
                }
                None
            }
            Speaker::Customer => self.customer_said(utterance),
        }
    }

    /// The turn as it would be if `text`, begun at `start_ms`, became final: what a partial is judged by.
    #[must_use]
    pub fn with_partial(&self, text: &str, start_ms: u64, end_ms: u64) -> Turn {
        match self.turns.last().filter(|turn| self.goes_on(turn, start_ms)) {
            Some(turn) => Turn {
                text: join(&turn.text, text),
                end_ms,
                sentiment: None,
                ..turn.clone()
            },
            None => Turn {
                ordinal: self.next_ordinal(),
                text: text.to_owned(),
                start_ms,
                end_ms,
                revision: 0,
                sentiment: None,
            },
        }
    }

    /// Notes the score of a turn's text at `revision`. Returns whether it was taken: a score for an older text
    /// is dropped once a newer one is known.
    pub fn scored(&mut self, ordinal: u32, revision: u32, sentiment: Sentiment) -> bool {
        let Some(turn) = usize::try_from(ordinal)
            .ok()
            .and_then(|at| self.turns.get_mut(at))
        else {
            return false;
        };
        if revision < turn.revision && turn.sentiment.is_some() {
            return false;
        }
        turn.sentiment = Some(sentiment);
        true
    }

    /// The counted turns in the order they were begun.
    #[must_use]
    pub fn all(&self) -> &[Turn] {
        &self.turns
    }

    fn customer_said(&mut self, utterance: &Utterance) -> Option<&Turn> {
        let filler = is_filler(&utterance.text);
        let goes_on = self
            .turns
            .last()
            .is_some_and(|turn| self.goes_on(turn, utterance.start_ms));
        if goes_on {
            let turn = self.turns.last_mut()?;
            turn.end_ms = turn.end_ms.max(utterance.end_ms);
            if filler {
                return None;
            }
            turn.text = join(&turn.text, &utterance.text);
            turn.revision += 1;
        } else {
            if filler {
                return None;
            }
            self.turns.push(Turn {
                ordinal: self.next_ordinal(),
                text: utterance.text.trim().to_owned(),
                start_ms: utterance.start_ms,
                end_ms: utterance.end_ms,
                revision: 0,
                sentiment: None,
            });
        }
        self.turns.last()
    }

    fn goes_on(&self, turn: &Turn, start_ms: u64) -> bool {
        let agent_answered = self.agent_until_ms.is_some_and(|until_ms| until_ms > turn.end_ms);
        !agent_answered && start_ms.saturating_sub(turn.end_ms) < TURN_GAP_MS
    }

    fn next_ordinal(&self) -> u32 {
        u32::try_from(self.turns.len()).unwrap_or(u32::MAX)
    }
}

fn join(begun: &str, more: &str) -> String {
    format!("{begun} {}", more.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(speaker: Speaker, text: &str, start_ms: u64, end_ms: u64) -> Utterance {
        Utterance {
            ordinal: 0,
            speaker,
            text: text.into(),
            start_ms,
            end_ms,
            sentiment: None,
        }
    }

    #[test]
    fn a_short_pause_extends_the_turn_and_a_long_one_begins_another() {
        let mut turns = Turns::default();
        turns.heard(&said(Speaker::Customer, "I have called twice", 0, 2_000));
        let extended = turns
            .heard(&said(Speaker::Customer, "and nobody helped.", 3_000, 4_000))
            .cloned();
        assert_eq!(
            extended.map(|turn| (turn.text, turn.revision)),
            Some(("I have called twice and nobody helped.".into(), 1))
        );
        turns.heard(&said(Speaker::Customer, "So what happens next?", 7_000, 7_500));
        assert_eq!(turns.all().len(), 2);
    }

    #[test]
    fn the_agents_answer_ends_a_turn_but_the_agents_filler_does_not() {
        let mut turns = Turns::default();
        turns.heard(&said(Speaker::Customer, "My bill is wrong", 0, 1_000));
        turns.heard(&said(Speaker::Agent, "mm-hm", 1_000, 1_200));
        turns.heard(&said(Speaker::Customer, "by forty pounds", 1_500, 2_500));
        assert_eq!(turns.all().len(), 1);
        turns.heard(&said(Speaker::Agent, "Let me look at that", 2_600, 3_000));
        turns.heard(&said(Speaker::Customer, "Please do that today", 3_100, 4_000));
        assert_eq!(turns.all().len(), 2);
    }

    #[test]
    fn fillers_make_no_turn() {
        let mut turns = Turns::default();
        assert!(turns.heard(&said(Speaker::Customer, "Okay.", 0, 300)).is_none());
        assert!(
            turns
                .heard(&said(Speaker::Customer, "uh, yes", 9_000, 9_300))
                .is_none()
        );
        assert!(turns.all().is_empty());
    }

    #[test]
    fn a_late_score_for_an_older_text_is_dropped() {
        let sentiment = Sentiment {
            score: -0.5,
            label: crate::domain::sentiment::SentimentLabel::Negative,
            negative: 0.6,
            positive: 0.1,
            engine: crate::domain::sentiment::SentimentEngine::Ngram,
        };
        let mut turns = Turns::default();
        turns.heard(&said(Speaker::Customer, "It is broken", 0, 1_000));
        turns.heard(&said(Speaker::Customer, "but never mind", 1_200, 2_000));
        assert!(turns.scored(0, 1, sentiment));
        assert!(!turns.scored(
            0,
            0,
            Sentiment {
                score: 0.5,
                ..sentiment
            }
        ));
        assert!(!turns.scored(7, 0, sentiment));
        assert_eq!(turns.all()[0].sentiment, Some(sentiment));
    }
}
