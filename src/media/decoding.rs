//! Picks the words: greedy decoding with Whisper's timestamp rules and the rules that end it.
//!
//! In: the model's scores for every token, step by step. Out: the next token to feed, or the end and why. A model that hears
//! less than 30 s of context says the right sentence and then repeats it without end; the rules here are the cure
//! (`docs/speech.md` has what it costs and gains). Pure arithmetic.

/// Seconds between timestamp tokens.
const TIMESTAMP_S: f32 = 0.02;
/// A closing timestamp this near to the end of the audio ends the decoding.
const END_S: f32 = 0.5;
/// A block of at least so many text tokens that is said twice in a row is a loop.
const REPEATED_TOKENS_MIN: usize = 3;
/// Tokens per second that people reach: a repetition beyond it was not said.
const TOKENS_PER_S_SAID: f32 = 4.5;
/// More tokens than this per second, and on top of these few, nobody says.
const TOKENS_PER_S: f32 = 8.0;
const TOKENS_SPARE: f32 = 8.0;

/// The places in a model's vocabulary that decoding needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    pub size: usize,
    /// Ends the text; every text token is below it.
    pub end: usize,
    /// First timestamp token, 0.00 s.
    pub timestamps: usize,
    /// Text tokens that are no words: brackets, notes.
    pub unspoken: Vec<usize>,
    /// For every text token the first one that reads the same whatever its case and spaces.
    pub folded: Vec<usize>,
}

/// Whether a repetition ends the decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repetition {
    /// The context is short: a repetition is most likely a loop.
    Suspect,
    /// The context is whole: people do say a digit six times.
    Believed,
}

/// Whether the model says when as well as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamps {
    /// They keep a short context from looping.
    Said,
    /// A whole context needs none; without them no moment is taken for the end of a row of equal digits.
    Silent,
}

/// Why decoding ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The model ended it, or said that the audio ends here, or went round in a loop that nobody can have said.
    Said,
    /// A block of tokens came twice in a row; the second is dropped, but it may have been said.
    Repeated,
    /// More tokens than the audio can hold.
    TooLong,
}

/// One decoding.
#[derive(Debug)]
pub struct Greedy<'a> {
    vocabulary: &'a Vocabulary,
    repetition: Repetition,
    timestamps: Timestamps,
    seconds: f32,
    text: Vec<usize>,
    /// The same with every token folded: a loop comes back with another capital.
    folded: Vec<usize>,
    /// Kinds of the last two tokens: whether each was a timestamp.
    last: [bool; 2],
    last_timestamp: usize,
    logprob_sum: f32,
    logprobs: u16,
    ending: Option<Ending>,
}

impl<'a> Greedy<'a> {
    /// Returns a decoding of `seconds` of audio whose prompt ended with the timestamp 0.00, or with the token that says there
    /// are none.
    #[must_use]
    pub fn new(
        vocabulary: &'a Vocabulary,
        seconds: f32,
        repetition: Repetition,
        timestamps: Timestamps,
    ) -> Self {
        Self {
            vocabulary,
            repetition,
            timestamps,
            seconds,
            text: Vec::new(),
            folded: Vec::new(),
            last: [true, true],
            last_timestamp: vocabulary.timestamps,
            logprob_sum: 0.0,
            logprobs: 0,
            ending: None,
        }
    }

    /// Takes the scores of the next token; returns the token to feed, or nothing when decoding has ended.
    pub fn step(&mut self, logits: &mut [f32]) -> Option<usize> {
        if self.ending.is_some() {
            return None;
        }
        self.mask(logits);
        let best = self.choose(logits);
        if best < self.vocabulary.timestamps {
            self.logprob_sum += logits[best] - log_sum_exp(logits);
            self.logprobs = self.logprobs.saturating_add(1);
        }
        match best.cmp(&self.vocabulary.end) {
            std::cmp::Ordering::Less => self.take_text(best),
            std::cmp::Ordering::Equal => self.ending = Some(Ending::Said),
            std::cmp::Ordering::Greater => self.take_timestamp(best),
        }
        self.ending.is_none().then_some(best)
    }

    /// The text tokens, without what was repeated.
    #[must_use]
    pub fn text(&self) -> &[usize] {
        &self.text
    }

    /// Why it ended; [`Ending::TooLong`] while it has not.
    #[must_use]
    pub fn ending(&self) -> Ending {
        self.ending.unwrap_or(Ending::TooLong)
    }

    /// Mean natural logarithm of the chosen tokens' probabilities: how sure the model was, 0 at best.
    #[must_use]
    pub fn mean_logprob(&self) -> f32 {
        if self.logprobs == 0 {
            0.0
        } else {
            self.logprob_sum / f32::from(self.logprobs)
        }
    }

    /// Removes what may not come next.
    fn mask(&self, logits: &mut [f32]) {
        let v = self.vocabulary;
        for &token in &v.unspoken {
            logits[token] = f32::NEG_INFINITY;
        }
        logits[v.end + 1..v.timestamps].fill(f32::NEG_INFINITY);
        if self.timestamps == Timestamps::Silent {
            logits[v.timestamps..].fill(f32::NEG_INFINITY);
            return;
        }
        match self.last {
            // Two timestamps, or the first: text or the end.
            [true, true] => logits[v.timestamps..].fill(f32::NEG_INFINITY),
            // A timestamp that closed a piece of text: the one that opens the next, or the end.
            [false, true] => {
                logits[..v.end].fill(f32::NEG_INFINITY);
                logits[v.timestamps..self.last_timestamp].fill(f32::NEG_INFINITY);
            }
            // After text: time moves on.
            [_, false] => logits[v.timestamps..=self.last_timestamp].fill(f32::NEG_INFINITY),
        }
    }

    fn choose(&self, logits: &[f32]) -> usize {
        let v = self.vocabulary;
        let text = arg_max(&logits[..=v.end]);
        let time = v.timestamps + arg_max(&logits[v.timestamps..]);
        // All timestamps together against the best word: when, not what, is then the question.
        let is_time = log_sum_exp(&logits[v.timestamps..]) > logits[text];
        if is_time { time } else { text }
    }

    fn take_text(&mut self, token: usize) {
        self.text.push(token);
        self.folded.push(self.vocabulary.folded[token]);
        self.last = [self.last[1], false];
        let tokens = f32::from(u16::try_from(self.text.len()).unwrap_or(u16::MAX));
        if self.repetition == Repetition::Suspect
            && let Some(length) = repeated_tail(&self.folded)
        {
            let is_sayable = tokens <= TOKENS_PER_S_SAID * self.seconds;
            self.text.truncate(self.text.len() - length);
            self.ending = Some(if is_sayable {
                Ending::Repeated
            } else {
                Ending::Said
            });
        } else if tokens >= TOKENS_SPARE + TOKENS_PER_S * self.seconds {
            self.ending = Some(Ending::TooLong);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "there are 1,501 timestamps")]
    fn take_timestamp(&mut self, token: usize) {
        let closes = !self.last[1];
        self.last = [self.last[1], true];
        self.last_timestamp = token;
        let at_s = (token - self.vocabulary.timestamps) as f32 * TIMESTAMP_S;
        if closes && at_s >= self.seconds - END_S {
            self.ending = Some(Ending::Said);
        }
    }
}

/// Returns the length of the block, at least three tokens, that ends `text` and stands before itself too.
fn repeated_tail(text: &[usize]) -> Option<usize> {
    let n = text.len();
    (REPEATED_TOKENS_MIN..=n / 2).find(|&p| text[n - p..] == text[n - 2 * p..n - p])
}

fn arg_max(logits: &[f32]) -> usize {
    let mut best = 0;
    let mut high = f32::NEG_INFINITY;
    // Blocks first: their maxima are found without branches.
    for (at, block) in logits.chunks(64).enumerate() {
        let top = block.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if top > high {
            high = top;
            best = at;
        }
    }
    let start = best * 64;
    let inside = logits[start..]
        .iter()
        .take(64)
        .position(|v| *v >= high)
        .unwrap_or(0);
    start + inside
}

fn log_sum_exp(logits: &[f32]) -> f32 {
    let high = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if high == f32::NEG_INFINITY {
        return high;
    }
    let mut sums = [0.0_f32; 16];
    for block in logits.chunks(16) {
        for (sum, logit) in sums.iter_mut().zip(block) {
            *sum += exp_fast(logit - high);
        }
    }
    high + sums.iter().sum::<f32>().ln()
}

/// e to the `x`, for `x` up to 0, within 0.01 %: plain arithmetic that the compiler can do on many values at once.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the clamp keeps the value within 127 either way"
)]
fn exp_fast(x: f32) -> f32 {
    let power = x.max(-87.0) * std::f32::consts::LOG2_E;
    let whole = power.floor();
    let part = power - whole;
    let curve = 1.0
        + part
            * (std::f32::consts::LN_2
                + part * (0.240_226_5 + part * (0.055_505_4 + part * (0.009_618_1 + part * 0.001_339_9))));
    let scale = f32::from_bits(((whole as i32 + 127) << 23).cast_unsigned());
    if x < -87.0 { 0.0 } else { curve * scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten words, the end, two specials, 200 timestamps.
    fn vocabulary() -> Vocabulary {
        Vocabulary {
            size: 213,
            end: 10,
            timestamps: 13,
            unspoken: vec![9],
            folded: vec![0, 1, 2, 3, 4, 5, 6, 7, 1, 9],
        }
    }

    fn scores(best: usize) -> Vec<f32> {
        let mut logits = vec![-20.0; 213];
        logits[best] = 5.0;
        logits
    }

    fn decode(seconds: f32, repetition: Repetition, wanted: &[usize]) -> (Vec<usize>, Ending, f32) {
        let vocabulary = vocabulary();
        let mut greedy = Greedy::new(&vocabulary, seconds, repetition, Timestamps::Said);
        for &token in wanted {
            if greedy.step(&mut scores(token)).is_none() {
                break;
            }
        }
        (greedy.text().to_vec(), greedy.ending(), greedy.mean_logprob())
    }

    #[test]
    fn the_models_own_end_is_taken() {
        let (text, ending, logprob) = decode(3.0, Repetition::Suspect, &[1, 2, 3, 10, 4]);
        assert_eq!((text, ending), (vec![1, 2, 3], Ending::Said));
        assert!(logprob > -0.01 && logprob <= 0.0, "{logprob}");
    }

    #[test]
    fn a_timestamp_near_the_end_ends_it_and_an_early_one_does_not() {
        // 2.6 s of 3 s, then 1 s of 3 s (closed and opened again).
        assert_eq!(decode(3.0, Repetition::Suspect, &[1, 2, 13 + 130, 5]).0, [1, 2]);
        assert_eq!(
            decode(3.0, Repetition::Suspect, &[1, 2, 63, 63, 5, 10]).0,
            [1, 2, 5]
        );
    }

    #[test]
    fn a_loop_is_cut_with_its_copy() {
        let tokens = [7, 1, 2, 3, 4, 1, 2, 3, 4, 1];
        let (text, ending, _) = decode(9.0, Repetition::Suspect, &tokens);
        assert_eq!((text, ending), (vec![7, 1, 2, 3, 4], Ending::Repeated));
        let (text, ending, _) = decode(1.5, Repetition::Suspect, &tokens);
        assert_eq!(
            (text, ending),
            (vec![7, 1, 2, 3, 4], Ending::Said),
            "nine tokens in 1.5 s"
        );
    }

    #[test]
    fn a_loop_that_comes_back_with_a_capital_is_cut_too() {
        // Tokens 1 and 8 read the same.
        let (text, ending, _) = decode(1.0, Repetition::Suspect, &[1, 2, 3, 4, 8, 2, 3, 4, 10]);
        assert_eq!((text, ending), (vec![1, 2, 3, 4], Ending::Said));
    }

    #[test]
    fn a_believed_repetition_stays_whole() {
        let five = [5; 6];
        let tokens: Vec<usize> = five.into_iter().chain([10]).collect();
        assert_eq!(decode(3.0, Repetition::Believed, &tokens).0, five);
        assert_eq!(decode(3.0, Repetition::Suspect, &tokens).1, Ending::Repeated);
    }

    #[test]
    fn nobody_speaks_without_end() {
        let tokens: Vec<usize> = (0..500).map(|n| n % 7 + usize::from(n % 11 == 0)).collect();
        let (text, ending, _) = decode(2.0, Repetition::Believed, &tokens);
        assert_eq!((text.len(), ending), (24, Ending::TooLong));
    }

    #[test]
    fn what_is_not_spoken_is_never_chosen() {
        let vocabulary = vocabulary();
        let mut greedy = Greedy::new(&vocabulary, 2.0, Repetition::Suspect, Timestamps::Said);
        let mut logits = scores(9);
        logits[11] = 9.0;
        logits[3] = 0.0;
        assert_eq!(greedy.step(&mut logits), Some(3));
    }

    #[test]
    fn time_never_runs_backwards() {
        let vocabulary = vocabulary();
        let mut greedy = Greedy::new(&vocabulary, 4.0, Repetition::Suspect, Timestamps::Said);
        for token in [1, 80, 80, 2] {
            assert_eq!(greedy.step(&mut scores(token)), Some(token));
        }
        let mut logits = scores(60);
        logits[90] = 4.0;
        assert_eq!(greedy.step(&mut logits), Some(90));
    }

    #[test]
    fn many_timestamps_together_outweigh_a_word() {
        let vocabulary = vocabulary();
        let mut greedy = Greedy::new(&vocabulary, 4.0, Repetition::Suspect, Timestamps::Said);
        assert_eq!(greedy.step(&mut scores(1)), Some(1));
        let mut logits = vec![0.0; 213];
        logits[2] = 3.0;
        logits[100] = 0.5;
        assert_eq!(greedy.step(&mut logits), Some(100));
    }

    #[test]
    fn without_timestamps_a_word_is_not_outvoted_by_a_moment() {
        let vocabulary = vocabulary();
        let mut greedy = Greedy::new(&vocabulary, 4.0, Repetition::Believed, Timestamps::Silent);
        assert_eq!(greedy.step(&mut scores(1)), Some(1));
        let mut logits = vec![0.0; 213];
        logits[2] = 3.0;
        logits[100] = 9.0;
        assert_eq!(greedy.step(&mut logits), Some(2));
    }

    #[test]
    fn the_fast_exponential_is_close() {
        for n in 0..8_000 {
            let x = -(n as f32) / 100.0;
            let error = (exp_fast(x) - x.exp()).abs() / x.exp();
            assert!(error < 1e-4, "{x}: {error}");
        }
        assert!(exp_fast(f32::NEG_INFINITY).abs() < f32::MIN_POSITIVE);
    }

    #[test]
    fn the_best_is_found_wherever_it_is() {
        for at in [0, 63, 64, 150, 199] {
            let mut logits = vec![-1.0; 200];
            logits[at] = 2.0;
            assert_eq!(arg_max(&logits), at);
        }
    }
}
