//! Keeps text honest: no words where nobody spoke, no card or social-security numbers.
//!
//! In: what a recogniser made of a stretch of speech. Out: the text that may be stored and shown, empty when it was an
//! invention. Pure.

use super::{pipeline::Speech, recogniser::Recognition};
use crate::domain::redaction;

/// What Whisper writes over noise, music and silence, in lower case without punctuation: captions of its training videos.
const INVENTIONS: [&str; 24] = [
    "thank you",
    "thanks for watching",
    "thank you for watching",
    "thank you very much",
    "thank you so much",
    "thank you so much for watching",
    "please subscribe",
    "subscribe to my channel",
    "like and subscribe",
    "see you next time",
    "see you in the next video",
    "ill see you next time",
    "ill see you in the next video",
    "you",
    "bye",
    "bye bye",
    "oh",
    "hmm",
    "so",
    "the end",
    "music",
    "silence",
    "applause",
    "blank audio",
];
/// Speech less probable than this on the whole may be no speech at all.
const DOUBTFUL_SPEECH: f32 = 0.80;
/// Words less probable than this on the whole (natural logarithm) are guesses.
const GUESSED: f32 = -1.0;
/// Words less probable than this are noise, whatever the detector heard.
const NONSENSE: f32 = -1.8;
/// A caption invented over less speech than this is not believed without a sure detector.
const SHORT_MS: u64 = 320;

/// Returns the text that may be stored: without inventions, with card and social-security numbers struck out.
#[must_use]
pub fn clean(recognition: &Recognition, speech: &Speech) -> String {
    let text = recognition.text.trim();
    let words = bare(text);
    if words.is_empty() || is_invention(&words, recognition, speech) {
        return String::new();
    }
    redaction::redact(text)
}

fn is_invention(words: &str, recognition: &Recognition, speech: &Speech) -> bool {
    let doubtful = speech.confidence < DOUBTFUL_SPEECH;
    let guessed = recognition.mean_logprob < GUESSED;
    let known = INVENTIONS.contains(&words);
    let short = speech.end_ms - speech.start_ms < SHORT_MS;
    recognition.mean_logprob < NONSENSE
        || (doubtful && guessed)
        || (known && (doubtful || guessed || short && words == "you"))
}

/// Lower case, letters, digits and single spaces only.
fn bare(text: &str) -> String {
    let kept: String = text
        .chars()
        .filter(|c| c.is_alphanumeric() || c.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::pipeline::Rate;

    fn cleaned(text: &str, mean_logprob: f32, confidence: f32) -> String {
        let recognition = Recognition {
            text: text.to_owned(),
            mean_logprob,
            passes: 1,
        };
        let samples: std::sync::Arc<[i16]> = [0; 8].into();
        clean(
            &recognition,
            &Speech {
                samples,
                rate: Rate::Telephone,
                start_ms: 0,
                end_ms: 1_000,
                confidence,
            },
        )
    }

    #[test]
    fn sure_speech_keeps_its_words_even_when_they_are_common() {
        assert_eq!(cleaned(" Thank you.", -0.2, 0.97), "Thank you.");
        assert_eq!(
            cleaned("I want my money back!", -0.5, 0.9),
            "I want my money back!"
        );
    }

    #[test]
    fn captions_over_doubtful_speech_are_dropped() {
        assert_eq!(cleaned(" Thank you.", -0.2, 0.6), "");
        assert_eq!(cleaned("Thanks for watching!", -1.2, 0.95), "");
        assert_eq!(cleaned("I'll see you next time.", -0.3, 0.7), "");
    }

    #[test]
    fn guesses_over_doubtful_speech_are_dropped() {
        assert_eq!(cleaned("the moon is a lamp", -1.3, 0.6), "");
        assert_eq!(cleaned("the moon is a lamp", -1.3, 0.95), "the moon is a lamp");
        assert_eq!(cleaned("the moon is a lamp", -2.5, 0.95), "");
    }

    #[test]
    fn punctuation_alone_is_no_text() {
        assert_eq!(cleaned(" ... ", -0.1, 0.99), "");
        assert_eq!(cleaned("", 0.0, 0.99), "");
    }

    #[test]
    fn card_numbers_never_leave() {
        assert_eq!(
            cleaned("It is 4111 1111 1111 1111.", -0.2, 0.99),
            "It is [card number]."
        );
    }
}
