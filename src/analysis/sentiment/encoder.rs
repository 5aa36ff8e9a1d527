//! The sentence encoder: all-MiniLM-L6-v2 fine-tuned to three classes, in 8 bits.
//!
//! In: text. Out: its sentiment, in about 2 ms of one core for a usual utterance. Weights and vocabulary
//! (`assets/sentiment/`) come from `training/train.py`. Runs on the caller's thread and starts no other.

use safetensors::{Dtype, SafeTensors};

use super::{
    linear::{Linear, floats},
    scorer::{Scorer, ScorerError, from_logits},
    wordpiece::WordPiece,
};
use crate::domain::sentiment::{Sentiment, SentimentEngine};

static WEIGHTS: &[u8] = include_bytes!("../../../assets/sentiment/encoder.safetensors");
static VOCABULARY: &str = include_str!("../../../assets/sentiment/vocab.txt");

const LAYERS: usize = 6;
const HEADS: usize = 12;
const WIDTH: usize = 384;
const INNER: usize = 1_536;
const HEAD_WIDTH: usize = WIDTH / HEADS;
const CLASSES: usize = 3;
/// Of a long text only the last pieces count, where the feeling stands. `training/encoder.py` has the same bound.
const PIECES_MAX: usize = 64;
const NORM_EPSILON: f32 = 1e-12;

/// The encoder.
#[derive(Debug, Clone)]
pub struct Encoder {
    vocabulary: WordPiece,
    /// One row of bytes and one scale for each piece.
    pieces: &'static [u8],
    piece_scale: Vec<f32>,
    places: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    head: Vec<f32>,
    head_bias: Vec<f32>,
    gelu: Gelu,
}

#[derive(Debug, Clone)]
struct Layer {
    query_key_value: Linear,
    out: Linear,
    norm_1: Norm,
    up: Linear,
    down: Linear,
    norm_2: Norm,
}

#[derive(Debug, Clone)]
struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Encoder {
    /// The encoder that comes with the program. Takes a few milliseconds: load it once.
    ///
    /// # Errors
    /// [`ScorerError::Malformed`] when the embedded files are not an encoder.
    pub fn shipped() -> Result<Self, ScorerError> {
        let file = SafeTensors::deserialize(WEIGHTS)
            .map_err(|_| ScorerError::Malformed("encoder weights are not a safetensors file"))?;
        let vocabulary = WordPiece::parse(VOCABULARY)?;
        let pieces = file
            .tensor("pieces.weight")
            .map_err(|_| ScorerError::Malformed("encoder lacks its pieces"))?;
        let piece_count = VOCABULARY.lines().count();
        if pieces.dtype() != Dtype::I8 || pieces.shape() != [piece_count, WIDTH] {
            return Err(ScorerError::Malformed(
                "encoder pieces do not belong to the vocabulary",
            ));
        }
        Ok(Self {
            vocabulary,
            pieces: pieces.data(),
            piece_scale: floats(&file, "pieces.scale", piece_count)?,
            places: floats(&file, "places", PIECES_MAX * WIDTH)?,
            norm: Norm::find(&file, "norm")?,
            layers: (0..LAYERS)
                .map(|number| Layer::find(&file, number))
                .collect::<Result<_, _>>()?,
            head: floats(&file, "head.weight", CLASSES * WIDTH)?,
            head_bias: floats(&file, "head.bias", CLASSES)?,
            gelu: Gelu::new(),
        })
    }

    /// Logits for negative, neutral and positive.
    #[must_use]
    pub fn logits(&self, text: &str) -> [f32; CLASSES] {
        let mut rows = self.embed(text);
        for layer in &self.layers {
            layer.apply(&mut rows, &self.gelu);
        }
        let mean = mean_row(&rows);
        let mut logits = [0.0; CLASSES];
        for ((logit, weights), bias) in logits
            .iter_mut()
            .zip(self.head.chunks_exact(WIDTH))
            .zip(&self.head_bias)
        {
            *logit = dot(weights, &mean) + bias;
        }
        logits
    }

    fn embed(&self, text: &str) -> Vec<f32> {
        let mut ids = self.vocabulary.ids(text);
        ids.drain(..ids.len().saturating_sub(PIECES_MAX - 2));
        ids.insert(0, self.vocabulary.begin);
        ids.push(self.vocabulary.end);
        let mut rows = Vec::with_capacity(ids.len() * WIDTH);
        for (id, place) in ids
            .into_iter()
            .map(usize::from)
            .zip(self.places.chunks_exact(WIDTH))
        {
            let piece = &self.pieces[id * WIDTH..][..WIDTH];
            let scale = self.piece_scale[id];
            rows.extend(
                piece
                    .iter()
                    .zip(place)
                    .map(|(byte, at)| f32::from(byte.cast_signed()) * scale + at),
            );
        }
        self.norm.apply(&mut rows);
        rows
    }
}

impl Scorer for Encoder {
    fn score(&self, text: &str) -> Sentiment {
        from_logits(self.logits(text), SentimentEngine::Encoder)
    }
}

impl Layer {
    fn find(file: &SafeTensors<'static>, number: usize) -> Result<Self, ScorerError> {
        let name = |part: &str| format!("layers.{number}.{part}");
        Ok(Self {
            query_key_value: Linear::find(file, &name("qkv"), WIDTH, 3 * WIDTH)?,
            out: Linear::find(file, &name("out"), WIDTH, WIDTH)?,
            norm_1: Norm::find(file, &name("norm_1"))?,
            up: Linear::find(file, &name("up"), WIDTH, INNER)?,
            down: Linear::find(file, &name("down"), INNER, WIDTH)?,
            norm_2: Norm::find(file, &name("norm_2"))?,
        })
    }

    fn apply(&self, rows: &mut [f32], gelu: &Gelu) {
        let mixed = attend(&self.query_key_value.apply(rows));
        add(rows, &self.out.apply(&mixed));
        self.norm_1.apply(rows);
        let mut inner = self.up.apply(rows);
        gelu.apply(&mut inner);
        add(rows, &self.down.apply(&inner));
        self.norm_2.apply(rows);
    }
}

/// Softmax attention of every head; rows are query, key and value side by side.
fn attend(rows: &[f32]) -> Vec<f32> {
    let tokens = rows.len() / (3 * WIDTH);
    let scale = 1.0 / f32::from(u8::try_from(HEAD_WIDTH).expect("a head is 32 wide")).sqrt();
    let part = |token: usize, which: usize, head: usize| {
        &rows[token * 3 * WIDTH + which * WIDTH + head * HEAD_WIDTH..][..HEAD_WIDTH]
    };
    let mut mixed = vec![0.0; tokens * WIDTH];
    let mut shares = vec![0.0; tokens];
    for head in 0..HEADS {
        for token in 0..tokens {
            let query = part(token, 0, head);
            for (other, share) in shares.iter_mut().enumerate() {
                *share = dot(query, part(other, 1, head)) * scale;
            }
            softmax(&mut shares);
            let target = &mut mixed[token * WIDTH + head * HEAD_WIDTH..][..HEAD_WIDTH];
            for (other, share) in shares.iter().enumerate() {
                for (sum, value) in target.iter_mut().zip(part(other, 2, head)) {
                    *sum += share * value;
                }
            }
        }
    }
    mixed
}

fn softmax(values: &mut [f32]) {
    let highest = values.iter().copied().fold(f32::MIN, f32::max);
    let mut sum = 0.0;
    for value in values.iter_mut() {
        *value = (*value - highest).exp();
        sum += *value;
    }
    for value in values.iter_mut() {
        *value /= sum;
    }
}

/// Four running sums, so that one addition need not wait for the last.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 4];
    for (a, b) in a.chunks_exact(4).zip(b.chunks_exact(4)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

fn add(rows: &mut [f32], more: &[f32]) {
    for (value, more) in rows.iter_mut().zip(more) {
        *value += more;
    }
}

fn mean_row(rows: &[f32]) -> Vec<f32> {
    let mut mean = vec![0.0; WIDTH];
    for row in rows.chunks_exact(WIDTH) {
        add(&mut mean, row);
    }
    let tokens = f32::from(u16::try_from(rows.len() / WIDTH).expect("at most 64 pieces"));
    for value in &mut mean {
        *value /= tokens;
    }
    mean
}

impl Norm {
    fn find(file: &SafeTensors<'static>, name: &str) -> Result<Self, ScorerError> {
        Ok(Self {
            weight: floats(file, &format!("{name}.weight"), WIDTH)?,
            bias: floats(file, &format!("{name}.bias"), WIDTH)?,
        })
    }

    fn apply(&self, rows: &mut [f32]) {
        let width = f32::from(u16::try_from(WIDTH).expect("a row is 384 wide"));
        for row in rows.chunks_exact_mut(WIDTH) {
            let mean = row.iter().sum::<f32>() / width;
            let variance = row
                .iter()
                .map(|value| (value - mean) * (value - mean))
                .sum::<f32>()
                / width;
            let inverse = 1.0 / (variance + NORM_EPSILON).sqrt();
            for ((value, weight), bias) in row.iter_mut().zip(&self.weight).zip(&self.bias) {
                *value = (*value - mean) * inverse * weight + bias;
            }
        }
    }
}

/// The Gaussian error linear unit from a table, straight lines between its points: below 1e-5 off.
#[derive(Debug, Clone)]
struct Gelu {
    table: Vec<f32>,
}

impl Gelu {
    /// Beyond ±6 the unit is 0 or the value itself to 1e-8.
    const REACH: f32 = 6.0;
    const STEPS_PER_ONE: f32 = 256.0;
    const STEPS: u16 = 12 * 256;

    fn new() -> Self {
        let points =
            (0..=Self::STEPS + 1).map(|step| gelu(f32::from(step) / Self::STEPS_PER_ONE - Self::REACH));
        Self {
            table: points.collect(),
        }
    }

    fn apply(&self, values: &mut [f32]) {
        for value in values {
            if *value >= Self::REACH {
                continue;
            }
            if *value <= -Self::REACH {
                *value = 0.0;
                continue;
            }
            let at = (*value + Self::REACH) * Self::STEPS_PER_ONE;
            let step = whole(at);
            let (low, high) = (self.table[usize::from(step)], self.table[usize::from(step) + 1]);
            *value = low + (high - low) * (at - f32::from(step));
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 to 3072: cut to the step below"
)]
fn whole(value: f32) -> u16 {
    value as u16
}

/// x · Φ(x); the error function by Abramowitz and Stegun 7.1.26, good to 1.5e-7.
fn gelu(x: f32) -> f32 {
    let x = f64::from(x);
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let series = t
        * (0.254_829_592
            + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let erf = (1.0 - series * (-z * z).exp()).copysign(x);
    narrow(0.5 * x * (1.0 + erf))
}

#[expect(clippy::cast_possible_truncation, reason = "a table of f32 is what is wanted")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sentiment::SentimentLabel;

    /// Logits as PyTorch computes them in full precision from the same weights.
    static PARITY: &str = include_str!("../../../assets/sentiment/parity.jsonl");
    /// What rounding activations to 8 bits may cost, in probability.
    const APART_MAX: f32 = 0.1;
    const APART_MEAN_MAX: f32 = 0.01;

    #[derive(serde::Deserialize)]
    struct Fixture {
        text: String,
        logits: [f32; CLASSES],
    }

    #[test]
    fn agrees_with_torch_on_the_fixture_lines() {
        let encoder = Encoder::shipped().expect("the shipped files are an encoder");
        let mut worst = 0.0_f32;
        let mut sum = 0.0;
        let mut count = 0.0;
        for line in PARITY.lines() {
            let fixture: Fixture = serde_json::from_str(line).expect("the fixture is our own");
            let wanted = from_logits(fixture.logits, SentimentEngine::Encoder);
            let got = encoder.score(&fixture.text);
            let apart = (wanted.negative - got.negative)
                .abs()
                .max((wanted.positive - got.positive).abs());
            assert!(apart < APART_MAX, "{}: {wanted:?}, got {got:?}", fixture.text);
            worst = worst.max(apart);
            sum += apart;
            count += 1.0;
        }
        assert!(
            count > 50.0 && sum / count < APART_MEAN_MAX,
            "mean {}, worst {worst}",
            sum / count
        );
        println!("parity over {count} lines: mean {}, worst {worst}", sum / count);
    }

    #[test]
    fn knows_plain_feelings() {
        let encoder = Encoder::shipped().expect("the shipped files are an encoder");
        for (text, label) in [
            (
                "You have lied to me twice and I want my money back",
                SentimentLabel::Negative,
            ),
            (
                "i want to talk to your manager right now",
                SentimentLabel::Negative,
            ),
            ("My order number is five five two.", SentimentLabel::Neutral),
            (
                "I couldn't be happier, thank you so much!",
                SentimentLabel::Positive,
            ),
        ] {
            assert_eq!(encoder.score(text).label, label, "{text}");
        }
    }

    #[test]
    fn takes_any_text() {
        let encoder = Encoder::shipped().expect("the shipped files are an encoder");
        for text in ["", " ", "\u{0}\u{fffd}", "電話", &"angry ".repeat(10_000)] {
            let sentiment = encoder.score(text);
            assert!(sentiment.score.is_finite() && sentiment.score.abs() <= 1.0);
        }
    }

    #[test]
    fn the_gelu_table_is_close() {
        let table = Gelu::new();
        for step in -1_400_i16..=1_400 {
            let x = f32::from(step) * 0.005;
            let mut value = [x];
            table.apply(&mut value);
            assert!((value[0] - gelu(x)).abs() < 2e-5, "{x}");
        }
    }
}
