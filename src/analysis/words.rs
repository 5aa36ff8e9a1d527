//! Text as plain words: what keyword search, fillers, cues and the n-gram model compare.
//!
//! In: text as written or as speech recognition gives it. Out: lower-case words without punctuation and
//! apostrophes, so that "Don't!" and "dont" are one word. English only.

/// Splits `text` into lower-case words of letters and digits; apostrophes vanish, anything else separates.
#[must_use]
pub fn plain_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for letter in text.chars() {
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
        } else if !matches!(letter, '\'' | '\u{2019}' | '\u{2018}' | '`') && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Whether `phrase` (plain words separated by single spaces) stands in `words` as whole words.
#[must_use]
pub fn contains_phrase(words: &[String], phrase: &str) -> bool {
    position_of_phrase(words, phrase).is_some()
}

/// The index of the first word of the first place where `phrase` stands in `words`.
#[must_use]
pub fn position_of_phrase(words: &[String], phrase: &str) -> Option<usize> {
    let wanted: Vec<&str> = phrase.split(' ').filter(|word| !word.is_empty()).collect();
    if wanted.is_empty() {
        return None;
    }
    words
        .windows(wanted.len())
        .position(|window| window.iter().zip(&wanted).all(|(have, want)| have == want))
}

/// Words that keep a conversation going and say nothing by themselves. A greeting or a courtesy is one too.
const FILLERS: &[&str] = &[
    "ah", "aha", "alright", "and", "but", "bye", "course", "eh", "er", "erm", "fine", "goodbye", "hello",
    "hey", "hi", "hm", "hmm", "huh", "i", "is", "it", "k", "like", "mhm", "mm", "mmhm", "mmhmm", "mmm", "no",
    "nope", "of", "oh", "ok", "okay", "please", "right", "see", "so", "sure", "thank", "thanks", "that",
    "thats", "there", "uh", "uhhuh", "um", "umm", "well", "yeah", "yep", "yes", "you", "yup",
];
/// Longer than this, even filler words make a sentence.
const FILLER_WORDS_MAX: usize = 4;

/// Whether an utterance carries no feeling and no fact: "okay", "yes", "uh, right". Such do not count as turns.
#[must_use]
pub fn is_filler(text: &str) -> bool {
    let words = plain_words(text);
    words.len() <= FILLER_WORDS_MAX
        && words
            .iter()
            .all(|word| FILLERS.binary_search(&word.as_str()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_punctuation_and_apostrophes_do_not_matter() {
        assert_eq!(
            plain_words("Don’t  you DARE, e-mail me!"),
            ["dont", "you", "dare", "e", "mail", "me"]
        );
        assert!(plain_words(" …, ").is_empty());
    }

    #[test]
    fn a_phrase_is_found_on_word_borders_only() {
        let words = plain_words("I want my money back, now");
        assert!(contains_phrase(&words, "money back"));
        assert!(!contains_phrase(&words, "one"));
        assert!(!contains_phrase(&words, ""));
    }

    #[test]
    fn fillers_are_short_and_empty_of_content() {
        for filler in [
            "Okay.",
            "uh, right",
            "Yes",
            "Mm-hmm",
            "",
            "...",
            "I see",
            "thank you",
        ] {
            assert!(is_filler(filler), "{filler}");
        }
        for content in [
            "No way",
            "I want a manager",
            "yes yes yes yes yes",
            "that is wrong",
        ] {
            assert!(!is_filler(content), "{content}");
        }
    }

    #[test]
    fn the_filler_list_is_sorted_for_its_binary_search() {
        assert!(FILLERS.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
