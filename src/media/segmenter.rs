//! Decides where utterances begin and end.
//!
//! In: one speech probability per window of 32 ms. Out: what follows from it, in window numbers. It owns no audio and no
//! clock: time is the count of windows. Measured choices are in `docs/speech.md`.

use std::collections::VecDeque;

/// Length of a window.
pub const WINDOW_MS: u64 = 32;
/// A window with at least this probability is speech.
const SPEECH: f32 = 0.5;
/// Windows of speech in a row that open an utterance.
const ONSET_WINDOWS: u64 = 2;
/// Windows before the onset that belong to the utterance: the detector hears soft beginnings late.
const LEAD_WINDOWS: u64 = 8;
/// Windows after the last speech that belong to it: soft ends.
const TAIL_WINDOWS: u64 = 6;
/// Windows without speech after which the utterance is decoded, on the bet that it has ended.
const EAGER_WINDOWS: u64 = 6;
/// Windows without speech that end it.
const END_WINDOWS: u64 = 13;
/// Windows of speech without which it was a click.
const SPEECH_WINDOWS_MIN: u64 = 4;
/// Length at which it is cut although speech goes on: 14 s.
const LENGTH_WINDOWS_MAX: u64 = 437;
/// The cut lies between this (8 s) and the end, where speech was least probable.
const CUT_WINDOWS_MIN: u64 = 250;
/// Distance of the moments at which the words so far are worth a look: 1 s.
const PARTIAL_WINDOWS: u64 = 31;

/// A stretch of windows that holds one utterance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// First window of audio, lead included, and the one after the last, tail included.
    pub from: u64,
    pub to: u64,
    /// First window of speech, and the one after the last.
    pub speech_from: u64,
    pub speech_to: u64,
    /// Mean probability of its speech windows.
    pub confidence: f32,
}

/// What a window brought about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cue {
    /// Somebody began to speak at this window.
    Began { window: u64 },
    /// It may have ended: decode this.
    Paused(Span),
    /// It had not: the span of the last pause is void.
    WentOn,
    /// It has ended. The span is that of the last pause unless it was cut.
    Ended(Span),
    /// It was a click: nothing of what was said since it began counts.
    Dismissed,
    /// A good moment to look at the words so far.
    Due(Span),
}

/// An utterance that is going on.
#[derive(Debug, Clone, Copy)]
struct Open {
    from: u64,
    speech_from: u64,
    speech_to: u64,
    speech_windows: u64,
    probability_sum: f32,
    paused: bool,
    /// Window from which the next look is counted.
    looked: u64,
}

/// Follows one track.
#[derive(Debug, Default)]
pub struct Segmenter {
    /// Windows seen.
    now: u64,
    /// Speech windows in a row while nothing is open.
    run: u64,
    run_sum: f32,
    open: Option<Open>,
    /// Audio before this window belongs to an earlier utterance.
    free_from: u64,
    /// Probabilities of the open utterance's later part, for the place of a cut.
    recent: VecDeque<f32>,
}

impl Segmenter {
    /// Takes the probability of the next window; appends what follows to `cues`.
    pub fn push(&mut self, probability: f32, cues: &mut Vec<Cue>) {
        self.now += 1;
        match self.open.take() {
            None => self.wait(probability, cues),
            Some(open) => self.go_on(open, probability, cues),
        }
    }

    /// Ends what is going on, because the audio ends here; appends what follows to `cues`.
    pub fn finish(&mut self, cues: &mut Vec<Cue>) {
        if let Some(open) = self.open.take() {
            self.close(&open, open.speech_to + TAIL_WINDOWS, cues);
        }
        self.run = 0;
    }

    /// Goes to `window` without having seen what lies between: nothing may be open.
    pub fn jump(&mut self, window: u64) {
        debug_assert!(self.open.is_none(), "what is open is finished before a jump");
        self.now = window.max(self.now);
        self.free_from = self.now;
        self.run = 0;
    }

    /// Whether nobody speaks and nobody seems to begin.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.open.is_none() && self.run == 0
    }

    /// The first window whose audio may still be asked for.
    #[must_use]
    pub fn keep_from(&self) -> u64 {
        let lead = (self.now - self.run)
            .saturating_sub(LEAD_WINDOWS)
            .max(self.free_from.min(self.now));
        self.open.map_or(lead, |open| open.from)
    }

    fn wait(&mut self, probability: f32, cues: &mut Vec<Cue>) {
        if probability < SPEECH {
            self.run = 0;
            self.run_sum = 0.0;
            return;
        }
        self.run += 1;
        self.run_sum += probability;
        if self.run < ONSET_WINDOWS {
            return;
        }
        let speech_from = self.now - self.run;
        cues.push(Cue::Began { window: speech_from });
        self.recent.clear();
        self.open = Some(Open {
            from: speech_from.saturating_sub(LEAD_WINDOWS).max(self.free_from),
            speech_from,
            speech_to: self.now,
            speech_windows: self.run,
            probability_sum: self.run_sum,
            paused: false,
            looked: speech_from,
        });
        self.run = 0;
        self.run_sum = 0.0;
    }

    fn go_on(&mut self, mut open: Open, probability: f32, cues: &mut Vec<Cue>) {
        self.remember(probability);
        if probability >= SPEECH {
            if open.paused {
                open.paused = false;
                cues.push(Cue::WentOn);
            }
            open.speech_to = self.now;
            open.speech_windows += 1;
            open.probability_sum += probability;
        }
        let silence = self.now - open.speech_to;
        if silence >= END_WINDOWS {
            self.close(&open, open.speech_to + TAIL_WINDOWS, cues);
            return;
        }
        if silence == EAGER_WINDOWS && open.speech_windows >= SPEECH_WINDOWS_MIN {
            open.paused = true;
            cues.push(Cue::Paused(span(&open, open.speech_to + TAIL_WINDOWS)));
        }
        if self.now - open.from >= LENGTH_WINDOWS_MAX {
            open = self.cut(&open, cues);
        } else if silence == 0 && self.now - open.looked >= PARTIAL_WINDOWS {
            open.looked = self.now;
            cues.push(Cue::Due(span(&open, self.now)));
        }
        self.open = Some(open);
    }

    fn remember(&mut self, probability: f32) {
        let kept = usize::try_from(LENGTH_WINDOWS_MAX - CUT_WINDOWS_MIN)
            .expect("a constant below the address space");
        if self.recent.len() == kept {
            self.recent.pop_front();
        }
        self.recent.push_back(probability);
    }

    fn close(&mut self, open: &Open, to: u64, cues: &mut Vec<Cue>) {
        if open.speech_windows < SPEECH_WINDOWS_MIN {
            cues.push(Cue::Dismissed);
            return;
        }
        let ended = span(open, to.min(self.now));
        self.free_from = ended.to;
        cues.push(Cue::Ended(ended));
    }

    /// Ends the utterance where speech was least probable of late; the rest goes on as the next one.
    fn cut(&mut self, open: &Open, cues: &mut Vec<Cue>) -> Open {
        if open.paused {
            cues.push(Cue::WentOn);
        }
        let (back, _) = self
            .recent
            .iter()
            .rev()
            .zip(1_u64..)
            .map(|(&probability, back)| (back, probability))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or((0, 0.0));
        let place = (self.now - back).max(open.from + 1);
        let mut before = span(open, place);
        before.speech_to = before.speech_to.min(place);
        cues.push(Cue::Ended(before));
        self.recent.clear();
        self.free_from = place;
        Open {
            from: place,
            speech_from: place,
            speech_to: open.speech_to.max(place),
            // What was speech on either side is not kept apart; the rest is part of a real utterance either way.
            speech_windows: SPEECH_WINDOWS_MIN,
            probability_sum: before.confidence * 4.0,
            paused: false,
            looked: self.now,
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an utterance has a few hundred windows"
)]
fn span(open: &Open, to: u64) -> Span {
    Span {
        from: open.from,
        to,
        speech_from: open.speech_from,
        speech_to: open.speech_to,
        confidence: open.probability_sum / open.speech_windows as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(segmenter: &mut Segmenter, probabilities: &[(f32, usize)]) -> Vec<Cue> {
        let mut cues = Vec::new();
        for &(probability, count) in probabilities {
            for _ in 0..count {
                segmenter.push(probability, &mut cues);
            }
        }
        cues
    }

    fn ended(cues: &[Cue]) -> Vec<Span> {
        cues.iter()
            .filter_map(|cue| {
                if let Cue::Ended(span) = cue {
                    Some(*span)
                } else {
                    None
                }
            })
            .collect()
    }

    #[test]
    fn an_utterance_pauses_then_ends_with_the_same_span() {
        let cues = run(&mut Segmenter::default(), &[(0.0, 20), (0.9, 20), (0.0, 30)]);
        let [Cue::Began { window: 20 }, Cue::Paused(paused), Cue::Ended(end)] = cues[..] else {
            panic!("{cues:?}")
        };
        assert_eq!(paused, end);
        assert_eq!(
            (end.from, end.speech_from, end.speech_to, end.to),
            (12, 20, 40, 46)
        );
        assert!((end.confidence - 0.9).abs() < 1e-5);
    }

    #[test]
    fn the_end_is_known_within_450_ms_and_the_bet_placed_at_200() {
        let mut segmenter = Segmenter::default();
        run(&mut segmenter, &[(0.9, 10)]);
        assert_eq!(run(&mut segmenter, &[(0.0, 5)]), []);
        assert!(matches!(run(&mut segmenter, &[(0.0, 1)])[..], [Cue::Paused(_)]));
        assert_eq!(run(&mut segmenter, &[(0.0, 6)]), []);
        assert!(matches!(run(&mut segmenter, &[(0.0, 1)])[..], [Cue::Ended(_)]));
        assert!(
            (400..=450).contains(&(END_WINDOWS * WINDOW_MS))
                && (190..=210).contains(&(EAGER_WINDOWS * WINDOW_MS))
        );
    }

    #[test]
    fn a_short_pause_does_not_end_it() {
        let cues = run(
            &mut Segmenter::default(),
            &[(0.9, 10), (0.1, 8), (0.9, 10), (0.0, 20)],
        );
        assert!(matches!(
            cues[..],
            [
                Cue::Began { window: 0 },
                Cue::Paused(_),
                Cue::WentOn,
                Cue::Paused(_),
                Cue::Ended(_)
            ]
        ));
        assert_eq!(ended(&cues)[0].speech_to, 28);
    }

    #[test]
    fn a_click_opens_nothing_or_is_dismissed() {
        assert_eq!(
            run(&mut Segmenter::default(), &[(0.0, 9), (0.9, 1), (0.0, 30)]),
            []
        );
        let cues = run(&mut Segmenter::default(), &[(0.0, 9), (0.9, 3), (0.0, 30)]);
        assert_eq!(cues, [Cue::Began { window: 9 }, Cue::Dismissed]);
    }

    #[test]
    fn endless_speech_is_cut_at_the_least_probable_window() {
        let mut segmenter = Segmenter::default();
        let cues = run(&mut segmenter, &[(0.9, 300), (0.55, 1), (0.9, 200)]);
        let first = ended(&cues)[0];
        assert_eq!((first.from, first.to), (0, 300));
        assert_eq!(segmenter.keep_from(), 300);
        let rest = ended(&run(&mut segmenter, &[(0.0, 13)]))[0];
        assert_eq!((rest.from, rest.to), (300, 507));
    }

    #[test]
    fn no_utterance_is_longer_than_15_s_and_none_overlaps() {
        let mut segmenter = Segmenter::default();
        let mut spans = ended(&run(&mut segmenter, &[(0.8, 3_000)]));
        let mut cues = Vec::new();
        segmenter.finish(&mut cues);
        spans.extend(ended(&cues));
        assert!(spans.iter().all(|s| (s.to - s.from) * WINDOW_MS <= 15_000));
        assert!(spans.windows(2).all(|pair| pair[0].to == pair[1].from));
    }

    #[test]
    fn the_words_so_far_are_due_each_second() {
        let cues = run(&mut Segmenter::default(), &[(0.9, 100)]);
        let due = cues.iter().filter(|cue| matches!(cue, Cue::Due(_))).count();
        assert_eq!(due, 3);
    }

    #[test]
    fn the_end_of_the_audio_ends_the_utterance() {
        let mut segmenter = Segmenter::default();
        let mut cues = run(&mut segmenter, &[(0.0, 5), (0.9, 10)]);
        segmenter.finish(&mut cues);
        assert_eq!(ended(&cues)[0].to, 15);
        assert!(segmenter.is_idle());
    }

    #[test]
    fn a_lead_never_reaches_into_the_utterance_before() {
        let cues = run(
            &mut Segmenter::default(),
            &[(0.9, 10), (0.0, 13), (0.9, 10), (0.0, 13)],
        );
        let spans = ended(&cues);
        assert!(spans[1].from >= spans[0].to, "{spans:?}");
    }

    #[test]
    fn only_audio_that_may_be_asked_for_is_kept() {
        let mut segmenter = Segmenter::default();
        run(&mut segmenter, &[(0.0, 1_000)]);
        assert_eq!(segmenter.keep_from(), 1_000 - LEAD_WINDOWS);
        segmenter.jump(5_000);
        assert_eq!(segmenter.keep_from(), 5_000);
    }
}
