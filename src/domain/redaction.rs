//! Strikes payment card numbers and social-security numbers out of text before anything stores it.
//!
//! In: text as people or programs write it, or as a recogniser writes what they say ("four one double one"). Out: the same text with
//! every number that is one of the two replaced. Pure. What neither is, a phone number or an order's, is left alone: a card number has a
//! check digit and an issuer's first digits, and nine digits need their dashes or the words "social security" near them.

mod conversation;
mod digits;

use serde_json::Value;
use url::form_urlencoded;

pub use self::conversation::Conversation;
use self::digits::{Piece, pieces, words};

/// What stands where a card number was.
pub const CARD: &str = "[card number]";
/// What stands where a social-security number was.
pub const SECURITY: &str = "[social security number]";

/// Shortest and longest card numbers that are issued.
const CARD_DIGITS_MIN: usize = 14;
const CARD_DIGITS_MAX: usize = 19;
/// Most digits of a telephone number (E.164): that many after a plus sign are one.
const PHONE_DIGITS_MAX: usize = 15;
/// Digits of a social-security number.
const SECURITY_DIGITS: usize = 9;
/// How it is written: the lengths of its groups.
const SECURITY_GROUPS: [usize; 3] = [3, 2, 4];
/// How far before and behind a number the words that say what it is may stand, in bytes.
const CUE_BEFORE: usize = 80;
const CUE_BEHIND: usize = 40;
/// Two words that say that a social-security number is meant.
const CUES: [(&str, &str); 7] = [
    ("social", "security"),
    ("soc", "sec"),
    ("social", "number"),
    ("my", "social"),
    ("your", "social"),
    ("his", "social"),
    ("her", "social"),
];

/// Returns `text` with every card number replaced by [`CARD`] and every social-security number by [`SECURITY`].
#[must_use]
pub fn redact(text: &str) -> String {
    struck(text, false)
}

/// The same for a value whose field or column has a name: nine digits in `ssn` are a social-security number.
#[must_use]
pub fn redact_named(name: &str, text: &str) -> String {
    struck(text, is_security_name(name))
}

/// Redacts every text and number in `value`, at any depth; a number becomes a text.
pub fn redact_json(value: &mut Value) {
    redact_value("", value);
}

/// Redacts the fields of an object.
pub fn redact_fields(fields: &mut serde_json::Map<String, Value>) {
    for (name, value) in fields {
        redact_value(name, value);
    }
}

/// Redacts a request's body: JSON stays JSON and a form a form; anything else is plain text.
#[must_use]
pub fn redact_body(content_type: &str, body: &str) -> String {
    if let Ok(mut value) = serde_json::from_str::<Value>(body) {
        let before = value.clone();
        redact_json(&mut value);
        // As it came, when there is nothing to strike: spaces, order and all.
        return if value == before {
            body.to_owned()
        } else {
            value.to_string()
        };
    }
    if content_type.starts_with("application/x-www-form-urlencoded") {
        let fields: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let redacted: Vec<(String, String)> = fields
            .iter()
            .map(|(name, value)| (name.clone(), redact_named(name, value)))
            .collect();
        if fields != redacted {
            return form_urlencoded::Serializer::new(String::new())
                .extend_pairs(redacted)
                .finish();
        }
    }
    redact(body)
}

fn redact_value(name: &str, value: &mut Value) {
    match value {
        Value::String(text) => *text = redact_named(name, text),
        Value::Number(number) => {
            let text = number.to_string();
            let redacted = redact_named(name, &text);
            if redacted != text {
                *value = Value::String(redacted);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| redact_value(name, value)),
        Value::Object(fields) => redact_fields(fields),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Whether a field of this name holds a social-security number: `ssn`, `customerSSN`, `social_security_number`.
fn is_security_name(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let is_word = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word.eq_ignore_ascii_case("ssn"));
    is_word || plain.contains("socialsecurity") || plain.starts_with("ssn") || plain.ends_with("ssn")
}

/// Replaces what is found; `is_cued` says that nine digits are a social-security number wherever they stand.
fn struck(text: &str, is_cued: bool) -> String {
    let pieces = pieces(text);
    let count: usize = pieces.iter().map(|piece| piece.digits.len()).sum();
    if count < SECURITY_DIGITS {
        return text.to_owned();
    }
    let cues = cues(text);
    let near = |from: usize, to: usize| {
        is_cued
            || cues.iter().any(|cue| {
                cue.1 <= from && from - cue.1 <= CUE_BEFORE || cue.0 >= to && cue.0 - to <= CUE_BEHIND
            })
    };
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    let mut at = 0;
    while at < pieces.len() {
        let card = longest_card(&pieces[at..], text).map(|last| (last, CARD));
        let Some((last, mark)) =
            card.or_else(|| security(&pieces, at, text, &near).map(|last| (last, SECURITY)))
        else {
            at += 1;
            continue;
        };
        out.push_str(&text[copied..pieces[at].from]);
        out.push_str(mark);
        copied = pieces[at + last].to;
        at += last + 1;
    }
    out.push_str(&text[copied..]);
    out
}

/// Whether `text` speaks of social-security numbers.
fn is_cue(text: &str) -> bool {
    !cues(text).is_empty()
}

/// Where words stand that say that a social-security number is meant.
fn cues(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut before: Option<(usize, String)> = None;
    for (from, word) in words(text) {
        let to = from + word.len();
        let lower = word.to_ascii_lowercase();
        let is_sign = lower == "ss" && text[to..].starts_with('#');
        if lower == "ssn" || is_sign {
            found.push((from, to));
        }
        if let Some((start, first)) = &before
            && CUES.contains(&(first.as_str(), lower.as_str()))
        {
            found.push((*start, to));
        }
        before = Some((from, lower));
    }
    found
}

/// Returns which piece ends the longest card number that begins with the first.
fn longest_card(pieces: &[Piece], text: &str) -> Option<usize> {
    let is_dialled = text[..pieces.first()?.from].ends_with('+');
    let least = if is_dialled {
        PHONE_DIGITS_MAX + 1
    } else {
        CARD_DIGITS_MIN
    };
    let mut digits = Vec::new();
    let mut found = None;
    for (at, piece) in pieces.iter().enumerate() {
        let joined = at == 0 || is_joint(&text[pieces[at - 1].to..piece.from]);
        if !joined || digits.len() + piece.digits.len() > CARD_DIGITS_MAX {
            break;
        }
        digits.extend_from_slice(&piece.digits);
        if digits.len() >= least && is_card(&digits) {
            found = Some(at);
        }
    }
    found
}

/// Returns how many pieces further a social-security number ends that begins with the piece at `at`.
fn security(pieces: &[Piece], at: usize, text: &str, near: &impl Fn(usize, usize) -> bool) -> Option<usize> {
    let between = |left: usize| &text[pieces[left].to..pieces[left + 1].from];
    let mut count = 0;
    for last in at..pieces.len() {
        if last > at && !is_joint(between(last - 1)) {
            return None;
        }
        count += pieces[last].digits.len();
        if count < SECURITY_DIGITS {
            continue;
        }
        let (from, to) = (pieces[at].from, pieces[last].to);
        let is_continued = (at > 0 && is_tight(between(at - 1)))
            || (last + 1 < pieces.len() && is_tight(between(last)))
            || text[..from].ends_with('+');
        let is_number = count == SECURITY_DIGITS
            && !is_continued
            && (near(from, to) || is_written_security(&pieces[at..=last], text));
        return is_number.then_some(last - at);
    }
    None
}

/// Whether these are three groups with dashes between them, as such numbers are written, and could have been given out.
fn is_written_security(pieces: &[Piece], text: &str) -> bool {
    let has_groups = pieces.len() == SECURITY_GROUPS.len()
        && pieces
            .iter()
            .zip(SECURITY_GROUPS)
            .all(|(piece, length)| piece.is_written && piece.digits.len() == length);
    if !has_groups {
        return false;
    }
    let has_dashes = pieces
        .windows(2)
        .all(|pair| matches!(text[pair[0].to..pair[1].from].trim(), "-" | "‐" | "‑" | "–" | "—"));
    let (from, to) = (pieces[0].from, pieces[2].to);
    let stands_alone =
        !text[..from].ends_with(char::is_alphanumeric) && !text[to..].starts_with(char::is_alphanumeric);
    let value = |piece: &Piece| {
        piece
            .digits
            .iter()
            .fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit))
    };
    let (area, group, serial) = (value(&pieces[0]), value(&pieces[1]), value(&pieces[2]));
    has_dashes && stands_alone && !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0
}

/// Whether what stands between two groups of digits leaves them one number.
fn is_joint(between: &str) -> bool {
    between
        .chars()
        .all(|c| c.is_whitespace() || "-.,/‐‑–—".contains(c))
}

/// Whether what stands between two groups of digits says that they go together: no comma or full stop.
fn is_tight(between: &str) -> bool {
    between.chars().all(|c| c.is_whitespace() || "-/‐‑–—".contains(c))
}

/// Whether these could be a card's: an issuer's first digits, its length, and the check digit.
fn is_card(digits: &[u8]) -> bool {
    let first = |count: usize| {
        digits
            .iter()
            .take(count)
            .fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit))
    };
    let is_issued = match digits.len() {
        // Diners Club.
        14 => matches!(first(2), 30 | 36 | 38 | 39),
        // American Express.
        15 => matches!(first(2), 34 | 37),
        // Visa, Mastercard (two ranges), JCB, Maestro, Discover, UnionPay.
        16..=CARD_DIGITS_MAX => {
            first(1) == 4 || matches!(first(2), 35 | 50..=69) || matches!(first(4), 2221..=2720)
        }
        _ => false,
    };
    is_issued && digits::passes_luhn(digits)
}

#[cfg(test)]
mod tests;
