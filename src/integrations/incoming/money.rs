//! Sums: services that write `12.50` mean 1250 minor units, of most currencies.

/// Currencies without minor units (ISO 4217).
const WHOLE: [&str; 16] = [
    "bif", "clp", "djf", "gnf", "isk", "jpy", "kmf", "krw", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof",
    "xpf",
];
/// Currencies of a thousand minor units.
const THOUSANDS: [&str; 7] = ["bhd", "iqd", "jod", "kwd", "lyd", "omr", "tnd"];

/// Reads a sum into minor units, exactly; `None` for what is none, or finer than the currency.
pub(super) fn minor_units(text: &str, currency: &str) -> Option<i64> {
    let currency = currency.to_lowercase();
    let digits = if WHOLE.contains(&currency.as_str()) {
        0
    } else if THOUSANDS.contains(&currency.as_str()) {
        3
    } else {
        2
    };
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let part = part.trim_end_matches('0');
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(part) || part.len() > digits {
        return None;
    }
    format!("{whole}{part:0<digits$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_in_every_currency() {
        for (text, currency, expected) in [
            ("12.50", "USD", Some(1_250)),
            ("0.1", "eur", Some(10)),
            ("7", "usd", Some(700)),
            ("1200", "JPY", Some(1_200)),
            ("1200.00", "jpy", Some(1_200)),
            ("1.234", "kwd", Some(1_234)),
            ("1.234", "usd", None),
            ("-5", "usd", None),
            ("", "usd", None),
            ("1e9", "usd", None),
        ] {
            assert_eq!(minor_units(text, currency), expected, "{text} {currency}");
        }
    }
}
