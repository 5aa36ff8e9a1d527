//! When a call's mood calls for somebody: the negative-sentiment rule, and its mirror for happy customers.
//!
//! In: the customer's counted turns with their scores. Out: at most one firing, then silence until re-armed.
//! Fires when 2 of the last 3 turns are of the kind, or when one is extreme and carries an escalation cue; latched;
//! armed again after 3 other turns in a row and 60 s. Pure: the same turns in the same order fire the same.

use serde::{Deserialize, Serialize};

use crate::domain::sentiment::{Sentiment, SentimentEngine};

/// Changes whenever the rules or their numbers do, so that an old alert can be explained.
pub const RULE_VERSION: u32 = 1;

/// Turns looked back on, and how many of them must be of the kind.
const WINDOW_TURNS: usize = 3;
const REPEATED_TURNS: usize = 2;
/// Other turns in a row, and time since the firing, that arm the trigger again.
const REARM_TURNS: usize = 3;
pub const REARM_MS: u64 = 60_000;
/// Probability from which a turn counts as negative, and from which one with a cue is enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    pub negative_min: f32,
    pub extreme_min: f32,
}

/// Chosen on the developer set for each engine, because the encoder is surer of itself than the n-grams are; what
/// other numbers gave is in `docs/sentiment.md`.
#[must_use]
pub const fn thresholds(engine: SentimentEngine) -> Thresholds {
    match engine {
        SentimentEngine::Encoder => Thresholds {
            negative_min: 0.65,
            extreme_min: 0.965,
        },
        SentimentEngine::Ngram => Thresholds {
            negative_min: 0.5,
            extreme_min: 0.85,
        },
    }
}

/// Probability from which a turn counts as positive: a review is asked for only when it is surely welcome.
pub const POSITIVE_MIN: f32 = 0.6;

/// Which rule fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Two of the last three turns are negative.
    NegativeRepeated,
    /// One turn is very negative and demands, threatens, accuses or rages.
    NegativeExtreme,
    /// Two of the last three turns are positive.
    PositiveRepeated,
}

/// What a trigger watches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    Negative,
    Positive,
}

/// A counted turn as the trigger sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredTurn {
    /// Place among the customer's counted turns; grows.
    pub ordinal: u32,
    pub start_ms: u64,
    pub sentiment: Sentiment,
    pub cue: Option<&'static str>,
}

/// Why a trigger fired.
#[derive(Debug, Clone, PartialEq)]
pub struct Firing {
    pub rule: Rule,
    /// The turns that made it fire, oldest first; the last one set it off.
    pub turns: Vec<u32>,
}

/// One latch.
#[derive(Debug, Clone)]
pub struct Trigger {
    watch: Watch,
    latched: Option<Latched>,
    /// Turns before this one are forgotten: they led to an earlier firing.
    from_ordinal: u32,
}

#[derive(Debug, Clone, Copy)]
struct Latched {
    ordinal: u32,
    at_ms: u64,
}

impl Trigger {
    /// An armed trigger.
    #[must_use]
    pub const fn new(watch: Watch) -> Self {
        Self {
            watch,
            latched: None,
            from_ordinal: 0,
        }
    }

    /// Whether it has fired and is not armed again yet.
    #[must_use]
    pub const fn is_latched(&self) -> bool {
        self.latched.is_some()
    }

    /// Judges the call after a turn was scored, or scored again: `turns` are all counted turns up to that one.
    pub fn judge(&mut self, turns: &[ScoredTurn]) -> Option<Firing> {
        let (latest, before) = turns.split_last()?;
        self.rearm(before, latest.start_ms);
        let firing = self.would_fire(turns)?;
        self.latched = Some(Latched {
            ordinal: latest.ordinal,
            at_ms: latest.start_ms,
        });
        Some(firing)
    }

    /// What `judge` would answer, changing nothing: for words that may still change.
    #[must_use]
    pub fn preview(&self, turns: &[ScoredTurn]) -> Option<Firing> {
        let (latest, before) = turns.split_last()?;
        let mut rearmed = self.clone();
        rearmed.rearm(before, latest.start_ms);
        rearmed.would_fire(turns)
    }

    fn rearm(&mut self, before: &[ScoredTurn], now_ms: u64) {
        let Some(latched) = self.latched else { return };
        let mut calm_turns = 0;
        let has_calmed = before
            .iter()
            .filter(|turn| turn.ordinal > latched.ordinal)
            .any(|turn| {
                calm_turns = if self.watch.matches(&turn.sentiment) {
                    0
                } else {
                    calm_turns + 1
                };
                calm_turns >= REARM_TURNS
            });
        if has_calmed && now_ms.saturating_sub(latched.at_ms) >= REARM_MS {
            self.latched = None;
            self.from_ordinal = latched.ordinal + 1;
        }
    }

    fn would_fire(&self, turns: &[ScoredTurn]) -> Option<Firing> {
        let latest = turns.last()?;
        if self.latched.is_some() || !self.watch.matches(&latest.sentiment) {
            return None;
        }
        let window = &turns[turns.len().saturating_sub(WINDOW_TURNS)..];
        let matching: Vec<u32> = window
            .iter()
            .filter(|turn| turn.ordinal >= self.from_ordinal && self.watch.matches(&turn.sentiment))
            .map(|turn| turn.ordinal)
            .collect();
        if matching.len() >= REPEATED_TURNS {
            return Some(Firing {
                rule: self.watch.repeated(),
                turns: matching,
            });
        }
        let is_extreme = self.watch == Watch::Negative && is_extreme(&latest.sentiment);
        (is_extreme && latest.cue.is_some()).then(|| Firing {
            rule: Rule::NegativeExtreme,
            turns: vec![latest.ordinal],
        })
    }
}

fn is_extreme(sentiment: &Sentiment) -> bool {
    sentiment.negative >= thresholds(sentiment.engine).extreme_min
}

impl Watch {
    fn matches(self, sentiment: &Sentiment) -> bool {
        match self {
            Self::Negative => {
                let is_sure = sentiment.negative >= thresholds(sentiment.engine).negative_min;
                is_sure && sentiment.negative >= sentiment.positive
            }
            Self::Positive => sentiment.positive >= POSITIVE_MIN && sentiment.positive >= sentiment.negative,
        }
    }

    const fn repeated(self) -> Rule {
        match self {
            Self::Negative => Rule::NegativeRepeated,
            Self::Positive => Rule::PositiveRepeated,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::sentiment::SentimentLabel;

    fn turn(ordinal: u32, start_ms: u64, negative: f32, cue: Option<&'static str>) -> ScoredTurn {
        let positive = (1.0 - negative) / 4.0;
        let sentiment = Sentiment {
            score: positive - negative,
            label: SentimentLabel::Neutral,
            negative,
            positive,
            engine: SentimentEngine::Encoder,
        };
        ScoredTurn {
            ordinal,
            start_ms,
            sentiment,
            cue,
        }
    }

    /// Feeds turns 10 s apart one by one; returns the ordinals at which it fired.
    fn fired_at(negatives: &[f32]) -> Vec<u32> {
        let turns: Vec<ScoredTurn> = (0_u32..)
            .zip(negatives)
            .map(|(i, negative)| turn(i, u64::from(i) * 10_000, *negative, None))
            .collect();
        let mut trigger = Trigger::new(Watch::Negative);
        let mut fired = Vec::new();
        for until in 1..=turns.len() {
            if trigger.judge(&turns[..until]).is_some() {
                fired.push(turns[until - 1].ordinal);
            }
        }
        fired
    }

    #[test]
    fn two_of_three_negative_turns_fire_and_one_does_not() {
        assert_eq!(fired_at(&[0.9, 0.1, 0.1, 0.9, 0.1]), Vec::<u32>::new());
        assert_eq!(fired_at(&[0.7, 0.1, 0.7, 0.9]), [2]);
        assert_eq!(fired_at(&[0.7, 0.7]), [1]);
    }

    #[test]
    fn one_extreme_turn_fires_only_with_a_cue() {
        let mut trigger = Trigger::new(Watch::Negative);
        assert_eq!(trigger.judge(&[turn(0, 0, 0.98, None)]), None);
        assert_eq!(trigger.judge(&[turn(0, 0, 0.9, Some("manager"))]), None);
        let firing = trigger.judge(&[turn(0, 0, 0.98, Some("manager"))]);
        assert_eq!(
            firing,
            Some(Firing {
                rule: Rule::NegativeExtreme,
                turns: vec![0]
            })
        );
        assert!(trigger.is_latched());
    }

    #[test]
    fn after_a_firing_it_needs_three_calm_turns_and_a_minute() {
        assert_eq!(
            fired_at(&[0.9, 0.9, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9]),
            [1, 7],
            "50 s after the first is too soon"
        );
        assert_eq!(
            fired_at(&[0.9, 0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.9, 0.9]),
            [1],
            "never three calm in a row"
        );
    }

    #[test]
    fn a_preview_changes_nothing() {
        let turns = [turn(0, 0, 0.9, None), turn(1, 10_000, 0.9, None)];
        let mut trigger = Trigger::new(Watch::Negative);
        assert!(trigger.preview(&turns).is_some());
        assert!(trigger.judge(&turns).is_some());
        assert_eq!(trigger.preview(&turns), None);
    }

    proptest! {
        #[test]
        fn never_fires_twice_without_three_calm_turns_and_a_minute_between(
            steps in prop::collection::vec((0.0_f32..=1.0, 1_u64..40_000, any::<bool>()), 1..60),
        ) {
            let mut turns = Vec::new();
            let mut now_ms = 0;
            let mut trigger = Trigger::new(Watch::Negative);
            let mut last: Option<usize> = None;
            for (at, (negative, gap_ms, has_cue)) in steps.into_iter().enumerate() {
                now_ms += gap_ms;
                let ordinal = u32::try_from(at).expect("at most 60 turns");
                turns.push(turn(ordinal, now_ms, negative, has_cue.then_some("manager")));
                let Some(firing) = trigger.judge(&turns) else { continue };
                prop_assert!(negative >= thresholds(SentimentEngine::Encoder).negative_min);
                prop_assert_eq!(firing.turns.last().copied(), Some(ordinal));
                if let Some(previous) = last {
                    let calm = turns[previous + 1..at].iter().map(|t| t.sentiment.negative < thresholds(SentimentEngine::Encoder).negative_min);
                    let longest = calm.fold((0, 0), |(run, best), calm| {
                        let run = if calm { run + 1 } else { 0 };
                        (run, usize::max(run, best))
                    });
                    prop_assert!(longest.1 >= REARM_TURNS);
                    prop_assert!(now_ms - turns[previous].start_ms >= REARM_MS);
                }
                last = Some(at);
            }
        }
    }
}
