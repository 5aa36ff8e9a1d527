//! Moods of calls that are played word by word.

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
