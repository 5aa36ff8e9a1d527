//! Finds the words an account watches for in what was said.
//!
//! In: text of one utterance and the watched phrases. Out: the phrases found, with the words around them.
//! Whole words, any case, apostrophes and punctuation ignored. Pure.

use super::words::{plain_words, position_of_phrase};

/// Words shown on each side of a found phrase.
const CONTEXT_WORDS: usize = 6;

/// A phrase to watch for, kept in plain words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyword {
    written: String,
    plain: String,
}

impl Keyword {
    /// Takes a phrase as a person wrote it; `None` when it holds no word.
    #[must_use]
    pub fn parse(written: &str) -> Option<Self> {
        let plain = plain_words(written).join(" ");
        (!plain.is_empty()).then(|| Self {
            written: written.trim().to_owned(),
            plain,
        })
    }

    /// The phrase as it was written.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }
}

/// A watched phrase that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeywordHit {
    pub keyword: String,
    /// The phrase with up to six plain words on each side.
    pub excerpt: String,
}

/// The watched phrases that stand in `text`, each once, in the order of `keywords`.
#[must_use]
pub fn find(text: &str, keywords: &[Keyword]) -> Vec<KeywordHit> {
    let words = plain_words(text);
    keywords
        .iter()
        .filter_map(|keyword| {
            let at = position_of_phrase(&words, &keyword.plain)?;
            let from = at.saturating_sub(CONTEXT_WORDS);
            let until = (at + keyword.plain.split(' ').count() + CONTEXT_WORDS).min(words.len());
            Some(KeywordHit {
                keyword: keyword.written.clone(),
                excerpt: words[from..until].join(" "),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_whole_phrases_in_any_case_and_punctuation() {
        let keywords: Vec<Keyword> = ["Don't renew", "lawyer", "art"]
            .iter()
            .filter_map(|text| Keyword::parse(text))
            .collect();
        let hits = find("I said: DONT RENEW it, my part is done.", &keywords);
        assert_eq!(hits.len(), 1);
        assert_eq!(hits[0].keyword, "Don't renew");
        assert_eq!(hits[0].excerpt, "i said dont renew it my part is done");
    }

    #[test]
    fn a_phrase_without_words_is_refused() {
        assert_eq!(Keyword::parse(" ?! "), None);
    }
}
