//! E-mail addresses in the one form they are kept and compared in.

/// Longest e-mail address (RFC 5321: 254 with the brackets taken off).
pub const ADDRESS_CHARS_MAX: usize = 254;

/// Brings an e-mail address into the form it is kept in; `None` when it cannot be one.
#[must_use]
pub fn normal(text: &str) -> Option<String> {
    let email = text.trim().to_lowercase();
    let (local, domain) = email.rsplit_once('@')?;
    let is_plain = email.chars().all(|c| !c.is_whitespace() && !c.is_control());
    let is_formed =
        !local.is_empty() && !domain.is_empty() && !domain.starts_with('.') && !domain.ends_with('.');
    (is_plain && is_formed && email.chars().count() <= ADDRESS_CHARS_MAX).then_some(email)
}

/// How addresses are compared: without regard to case and to spaces around them. Rows of other writers may hold any spelling.
#[must_use]
pub fn folded(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Reads addresses separated by commas into their normal form.
///
/// # Errors
/// The first part that is no address; an empty text when there is none at all.
pub fn normal_list(text: &str) -> Result<Vec<String>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let addresses: Vec<String> = parts
        .map(|part| normal(part).ok_or_else(|| part.to_owned()))
        .collect::<Result<_, _>>()?;
    if addresses.is_empty() {
        return Err(String::new());
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_is_kept_in_one_form() {
        assert_eq!(normal(" Ann@Example.COM "), Some("ann@example.com".to_owned()));
        for wrong in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "a b@example.com",
            "ann@.com",
            "ann@example.",
        ] {
            assert_eq!(normal(wrong), None, "{wrong:?}");
        }
    }
}
