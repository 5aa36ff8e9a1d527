//! How many segments a text message takes: what carriers bill and the price list counts.
//!
//! A text of only GSM 03.38 characters has 160 units in one segment and 153 in each of several; any other character makes it
//! UCS-2, with 70 and 67 UTF-16 units.

const GSM_BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// These take an escape before them.
const GSM_EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// Returns how many segments `text` is sent in; an empty text is one.
#[must_use]
pub fn segments(text: &str) -> u64 {
    let units = |c: char| match c {
        c if GSM_BASIC.contains(c) => Some(1),
        c if GSM_EXTENDED.contains(c) => Some(2),
        _ => None,
    };
    let gsm: Option<Vec<usize>> = text.chars().map(units).collect();
    match gsm {
        Some(units) => packed(&units, 160, 153),
        None => packed(&text.chars().map(char::len_utf16).collect::<Vec<_>>(), 70, 67),
    }
}

/// Segments of characters that are never split: all in one of `single` units, else in several of `each`.
fn packed(units: &[usize], single: usize, each: usize) -> u64 {
    if units.iter().sum::<usize>() <= single {
        return 1;
    }
    let mut count = 1;
    let mut used = 0;
    for unit in units {
        if used + unit > each {
            count += 1;
            used = 0;
        }
        used += unit;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_as_carriers_do() {
        for (text, count) in [
            (String::new(), 1),
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            ("ж".repeat(70), 1),
            ("ж".repeat(71), 2),
            ("🙂".repeat(35), 1),
            ("🙂".repeat(36), 2),
        ] {
            assert_eq!(segments(&text), count, "{} characters", text.chars().count());
        }
    }

    #[test]
    fn a_character_of_two_units_is_never_split() {
        // 152 units, then an escaped character that no longer fits into the first segment.
        let text = format!("{}€{}", "a".repeat(152), "a".repeat(151));
        assert_eq!(segments(&text), 2);
        let text = format!("{}€{}", "a".repeat(152), "a".repeat(152));
        assert_eq!(segments(&text), 3);
    }
}
