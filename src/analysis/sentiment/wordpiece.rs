//! Splits text into the word pieces the encoder was trained on.
//!
//! In: text. Out: ids into the shipped vocabulary, without the marks for begin and end. English: accents are
//! taken off Latin letters, other scripts become the unknown piece. Greedy longest match, as BERT does it;
//! `training/encoder.py` splits the same way by the tokenizers library.

use std::collections::HashMap;

use super::scorer::ScorerError;

const UNKNOWN: &str = "[UNK]";
const BEGIN: &str = "[CLS]";
const END: &str = "[SEP]";
/// A longer word is not looked at: it is the unknown piece.
const WORD_LETTERS_MAX: usize = 100;

/// A vocabulary, one piece a line; the line number is the id. Pieces that go on a word begin with `##`.
#[derive(Debug, Clone)]
pub struct WordPiece {
    begins: HashMap<&'static str, u16>,
    continues: HashMap<&'static str, u16>,
    unknown: u16,
    pub begin: u16,
    pub end: u16,
}

impl WordPiece {
    /// Reads a vocabulary file.
    ///
    /// # Errors
    /// [`ScorerError::Malformed`] for one without its special pieces or with too many.
    pub fn parse(text: &'static str) -> Result<Self, ScorerError> {
        let mut begins = HashMap::new();
        let mut continues = HashMap::new();
        for (line, piece) in text.lines().enumerate() {
            let id =
                u16::try_from(line).map_err(|_| ScorerError::Malformed("vocabulary has too many pieces"))?;
            match piece.strip_prefix("##") {
                Some(rest) if !rest.is_empty() => continues.insert(rest, id),
                Some(_) | None => begins.insert(piece, id),
            };
        }
        let special = |name: &str| {
            begins
                .get(name)
                .copied()
                .ok_or(ScorerError::Malformed("vocabulary lacks a special piece"))
        };
        let (unknown, begin, end) = (special(UNKNOWN)?, special(BEGIN)?, special(END)?);
        Ok(Self {
            begins,
            continues,
            unknown,
            begin,
            end,
        })
    }

    /// The ids of the pieces of `text`.
    #[must_use]
    pub fn ids(&self, text: &str) -> Vec<u16> {
        let mut ids = Vec::new();
        for word in words(text) {
            self.push_word(&word, &mut ids);
        }
        ids
    }

    fn push_word(&self, word: &str, ids: &mut Vec<u16>) {
        let known = ids.len();
        let mut rest = word;
        if word.chars().count() > WORD_LETTERS_MAX {
            rest = "";
            ids.push(self.unknown);
        }
        while !rest.is_empty() {
            let pieces = if rest.len() == word.len() {
                &self.begins
            } else {
                &self.continues
            };
            let longest = ends_of_letters(rest)
                .rev()
                .find_map(|end| pieces.get(&rest[..end]).map(|id| (*id, end)));
            let Some((id, end)) = longest else {
                ids.truncate(known);
                ids.push(self.unknown);
                return;
            };
            ids.push(id);
            rest = &rest[end..];
        }
    }
}

fn ends_of_letters(text: &str) -> impl DoubleEndedIterator<Item = usize> {
    text.char_indices().map(|(at, letter)| at + letter.len_utf8())
}

/// Lower-case words and single punctuation marks.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for letter in text.chars() {
        let letter = plain_quote(letter);
        let is_mark = is_mark(letter);
        if letter.is_whitespace() || is_mark {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            if is_mark {
                words.push(letter.to_string());
            }
        } else if !letter.is_control() && letter != '\u{fffd}' {
            word.extend(letter.to_lowercase().filter_map(without_accent));
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Typographic apostrophes are the ASCII one, as in the training lines.
const fn plain_quote(letter: char) -> char {
    match letter {
        '\u{2018}' | '\u{2019}' | '\u{02bc}' => '\'',
        other => other,
    }
}

const fn is_mark(letter: char) -> bool {
    letter.is_ascii_punctuation()
        || matches!(letter, '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{a1}' | '\u{a7}' | '\u{ab}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}')
}

/// The Latin letter under an accent; a lone accent vanishes. The letters are lower case already.
fn without_accent(letter: char) -> Option<char> {
    Some(match letter {
        '\u{300}'..='\u{36f}' => return None,
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => 'c',
        'ď' => 'd',
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => 'e',
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => 'g',
        'ì' | 'í' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' => 'i',
        'ñ' | 'ń' | 'ņ' | 'ň' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ō' | 'ŏ' | 'ő' => 'o',
        'ŕ' | 'ŗ' | 'ř' => 'r',
        'ś' | 'ŝ' | 'ş' | 'š' => 's',
        'ţ' | 'ť' => 't',
        'ù' | 'ú' | 'û' | 'ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => 'u',
        'ý' | 'ÿ' | 'ŷ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces() -> WordPiece {
        WordPiece::parse("[PAD]\n[UNK]\n[CLS]\n[SEP]\n'\n!\ncafe\nun\n##happy\n##hap\nt\ndon\n##")
            .expect("whole")
    }

    #[test]
    fn the_longest_piece_wins_and_marks_stand_alone() {
        assert_eq!(pieces().ids("Unhappy! DON\u{2019}T"), [7, 8, 5, 11, 4, 10]);
    }

    #[test]
    fn accents_fall_and_unknown_words_are_one_piece() {
        assert_eq!(pieces().ids("Café unhop 電話 \u{7}"), [6, 1, 1]);
        assert_eq!(pieces().ids(&"x".repeat(5_000)), [1]);
        assert_eq!(pieces().ids(" \n\t"), Vec::<u16>::new());
    }

    #[test]
    fn a_vocabulary_without_its_marks_is_refused() {
        assert!(matches!(WordPiece::parse("a\nb"), Err(ScorerError::Malformed(_))));
    }
}
