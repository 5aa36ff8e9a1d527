//! Finds the digits of a text, written or spoken, and their places.

/// A stretch of text that says digits.
pub(super) struct Piece {
    pub from: usize,
    pub to: usize,
    pub digits: Vec<u8>,
    /// Whether it is written in digits, not in words.
    pub is_written: bool,
}

/// Finds digits and words that are digits.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
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
                is_written: false,
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
                    is_written: true,
                });
            }
            _ => found.extend(spoken(&lower).map(|digit| Piece {
                from,
                to,
                digits: vec![digit],
                is_written: false,
            })),
        }
    }
    found
}

/// Words and runs of digits with their places.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
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

/// Whether the last digit checks the others.
pub(super) fn passes_luhn(digits: &[u8]) -> bool {
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
