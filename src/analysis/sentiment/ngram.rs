//! The shed tier: a linear model over hashed word n-grams, microseconds an utterance.
//!
//! In: text. Out: its sentiment. The weights (`assets/sentiment/ngram.bin`) come from `training/train.py`, whose
//! `ngram_features` must count exactly as this file does. Used when the encoder has no time.

use super::scorer::{Scorer, ScorerError, from_logits};
use crate::{
    analysis::words::plain_words,
    domain::sentiment::{Sentiment, SentimentEngine},
};

static SHIPPED: &[u8] = include_bytes!("../../../assets/sentiment/ngram.bin");

const MAGIC: &[u8; 8] = b"PCNGRAM1";
const BUCKETS: usize = 1 << 16;
const CLASSES: usize = 3;
/// Magic, scale, bias of each class.
const HEADER_BYTES: usize = 8 + 4 + 4 * CLASSES;
/// Longest n-gram in words.
const WORDS_MAX: usize = 3;
/// Of a long text only the end counts, where the feeling stands.
const TEXT_WORDS_MAX: usize = 64;

/// The n-gram model.
#[derive(Debug, Clone)]
pub struct Ngram {
    scale: f32,
    bias: [f32; CLASSES],
    /// One signed byte for each bucket and class.
    weights: &'static [u8],
}

impl Ngram {
    /// The model that comes with the program.
    ///
    /// # Errors
    /// [`ScorerError::Malformed`] when the embedded file is not a model.
    pub fn shipped() -> Result<Self, ScorerError> {
        Self::parse(SHIPPED)
    }

    fn parse(bytes: &'static [u8]) -> Result<Self, ScorerError> {
        let (header, weights) = bytes
            .split_at_checked(HEADER_BYTES)
            .ok_or(ScorerError::Malformed("n-gram header is cut off"))?;
        if !header.starts_with(MAGIC) || weights.len() != BUCKETS * CLASSES {
            return Err(ScorerError::Malformed("n-gram file has another layout"));
        }
        let mut numbers = header[MAGIC.len()..]
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
        let mut next = || {
            numbers
                .next()
                .ok_or(ScorerError::Malformed("n-gram header is cut off"))
        };
        Ok(Self {
            scale: next()?,
            bias: [next()?, next()?, next()?],
            weights,
        })
    }
}

impl Scorer for Ngram {
    fn score(&self, text: &str) -> Sentiment {
        let buckets = features(text);
        let mut sums = [0_i32; CLASSES];
        for bucket in &buckets {
            for (sum, weight) in sums.iter_mut().zip(&self.weights[bucket * CLASSES..][..CLASSES]) {
                *sum += i32::from(weight.cast_signed());
            }
        }
        let count = f32::from(u16::try_from(buckets.len()).unwrap_or(u16::MAX)).max(1.0);
        let unit = self.scale / count.sqrt();
        let mut logits = self.bias;
        for (logit, sum) in logits.iter_mut().zip(sums) {
            // Sums stay below 192 features of at most 127: exact in 16 bits.
            *logit += unit * f32::from(i16::try_from(sum).unwrap_or(i16::MAX));
        }
        from_logits(logits, SentimentEngine::Ngram)
    }
}

/// The buckets of all runs of 1 to 3 words, with repetitions; "^" stands before the first word.
fn features(text: &str) -> Vec<usize> {
    let mut words = plain_words(text);
    words.drain(..words.len().saturating_sub(TEXT_WORDS_MAX));
    words.insert(0, "^".to_owned());
    let mut buckets = Vec::with_capacity(words.len() * WORDS_MAX);
    for at in 0..words.len() {
        let mut hash = FNV_OFFSET;
        for word in words[at..].iter().take(WORDS_MAX) {
            hash = fnv1a(hash, word.as_bytes());
            hash = fnv1a(hash, b" ");
            buckets.push(usize::from(fold(hash)));
        }
    }
    buckets
}

const FNV_OFFSET: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

fn fnv1a(hash: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(FNV_PRIME)
    })
}

/// Both halves of a hash folded into a bucket number.
fn fold(hash: u32) -> u16 {
    let [a, b, c, d] = hash.to_le_bytes();
    u16::from_le_bytes([a ^ c, b ^ d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sentiment::SentimentLabel;

    #[test]
    fn the_shipped_model_knows_plain_feelings() {
        let model = Ngram::shipped().expect("the shipped file is a model");
        assert_eq!(
            model.score("this is terrible, I hate it").label,
            SentimentLabel::Negative
        );
        assert_eq!(
            model.score("thank you so much, you were wonderful").label,
            SentimentLabel::Positive
        );
        assert!(model.score("this is terrible, I hate it").engine == SentimentEngine::Ngram);
    }

    #[test]
    fn features_do_not_depend_on_case_or_punctuation() {
        assert_eq!(features("Don't, EVER!"), features("dont ever"));
        assert_eq!(features("a b c").len(), 4 + 3 + 2);
        assert!(features(&"word ".repeat(500)).len() <= 3 * (TEXT_WORDS_MAX + 1));
    }

    #[test]
    fn another_layout_is_refused() {
        assert!(matches!(
            Ngram::parse(b"PCNGRAM1"),
            Err(ScorerError::Malformed(_))
        ));
        assert!(Ngram::parse(SHIPPED).is_ok());
    }
}
