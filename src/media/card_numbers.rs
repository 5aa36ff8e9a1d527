//! Strikes payment card numbers out of text before anything stores it.
//!
//! In: text as a recogniser writes it: digits in any grouping, or spoken ("four one double one"). Out: the same text with every
//! run of 13 to 19 digits that passes the Luhn check replaced. Pure.

/// What stands where a card number was.
pub const REDACTED: &str = "[card number]";

const DIGITS_MIN: usize = 13;
const DIGITS_MAX: usize = 19;

/// A stretch of text that says digits.
struct Piece {
    from: usize,
    to: usize,
    digits: Vec<u8>,
}

/// Returns `text` with every card number replaced by [`REDACTED`].
#[must_use]
pub fn redact(text: &str) -> String {
    let pieces = pieces(text);
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    let mut at = 0;
    while at < pieces.len() {
        if let Some(last) = longest_card(&pieces[at..], text) {
            out.push_str(&text[copied..pieces[at].from]);
            out.push_str(REDACTED);
            copied = pieces[at + last].to;
            at += last + 1;
        } else {
            at += 1;
        }
    }
    out.push_str(&text[copied..]);
    out
}

/// Returns which piece ends the longest card number that begins with the first.
fn longest_card(pieces: &[Piece], text: &str) -> Option<usize> {
    let mut digits = Vec::new();
    let mut found = None;
    for (at, piece) in pieces.iter().enumerate() {
        let joined = at == 0 || is_joint(&text[pieces[at - 1].to..piece.from]);
        if !joined || digits.len() + piece.digits.len() > DIGITS_MAX {
            break;
        }
        digits.extend_from_slice(&piece.digits);
        if digits.len() >= DIGITS_MIN && passes_luhn(&digits) {
            found = Some(at);
        }
    }
    found
}

/// Whether what stands between two groups of digits leaves them one number.
fn is_joint(between: &str) -> bool {
    between.chars().all(|c| c.is_whitespace() || "-.,/".contains(c))
}

/// Finds digits and words that are digits.
fn pieces(text: &str) -> Vec<Piece> {
    let mut found: Vec<Piece> = Vec::new();
    let mut times = None;
    for (from, word) in words(text) {
        let to = from + word.len();
        let lower = word.to_ascii_lowercase();
        if let Some(count) = times.take().filter(|_| spoken(&lower).is_some()) {
            let (start, count): (usize, usize) = count;
            let digits = spoken(&lower)
                .into_iter()
                .flat_map(|digit| std::iter::repeat_n(digit, count))
                .collect();
            found.push(Piece {
                from: start,
                to,
                digits,
            });
            continue;
        }
        match lower.as_str() {
            "double" => times = Some((from, 2)),
            "triple" | "treble" => times = Some((from, 3)),
            _ if word.bytes().all(|b| b.is_ascii_digit()) => {
                found.push(Piece {
                    from,
                    to,
                    digits: word.bytes().map(|b| b - b'0').collect(),
                });
            }
            _ => found.extend(spoken(&lower).map(|digit| Piece {
                from,
                to,
                digits: vec![digit],
            })),
        }
    }
    found
}

/// Words and runs of digits with their places.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let from = rest + text[rest..].find(|c: char| c.is_ascii_alphanumeric())?;
        let tail = &text[from..];
        let is_digit = tail.as_bytes()[0].is_ascii_digit();
        let same = |c: char| c.is_ascii_alphanumeric() && c.is_ascii_digit() == is_digit;
        let to = from + tail.find(|c: char| !same(c)).unwrap_or(tail.len());
        rest = to;
        Some((from, &text[from..to]))
    })
}

fn spoken(word: &str) -> Option<u8> {
    Some(match word {
        "zero" | "oh" | "o" | "nought" | "naught" => 0,
        "one" => 1,
        "two" => 2,
        "three" => 3,
        "four" => 4,
        "five" => 5,
        "six" => 6,
        "seven" => 7,
        "eight" => 8,
        "nine" | "niner" => 9,
        _ => return None,
    })
}

fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, &digit)| match (at % 2, u32::from(digit) * 2) {
            (0, _) => u32::from(digit),
            (_, twice) if twice > 9 => twice - 9,
            (_, twice) => twice,
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_in_every_grouping_are_struck_out() {
        for card in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "3782 822463 10005",
            "4-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1",
        ] {
            assert_eq!(
                redact(&format!("My card is {card}, please.")),
                "My card is [card number], please.",
                "{card}"
            );
        }
    }

    #[test]
    fn spoken_cards_are_struck_out() {
        let spoken = "four one one one one one one one one one one one one one one one";
        assert_eq!(redact(&format!("it's {spoken} okay")), "it's [card number] okay");
        let doubled = "Four one double one triple one one, one one one one one one one one";
        assert_eq!(redact(&format!("{doubled}.")), "[card number].");
        assert_eq!(
            redact("five five five five, 5555 5555 four four four four"),
            "[card number]"
        );
    }

    #[test]
    fn other_numbers_stay() {
        for text in [
            "Call me at 1 800 555 0199.",
            "Order 4111 1111 1111 1112 is late.",
            "one two three four five",
            "It was 2026-10-23 at 10:15, order 12345678.",
            "oh no, one of them",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn a_card_inside_a_sentence_leaves_the_rest() {
        assert_eq!(
            redact("ends in 42, number 5555 5555 5555 4444 expiry 12 27"),
            "ends in 42, number [card number] expiry 12 27"
        );
    }

    #[test]
    fn letters_of_any_script_do_no_harm() {
        let text = "née 4 für 12 ✓ – 日本 4111";
        assert_eq!(redact(text), text);
    }
}
