//! Filters and tests an expression names but the language does not have.
//!
//! MiniJinja finds out only when it comes by, so a slip in a rarely taken branch would show first at a customer. This reads
//! the source's code parts and asks for every word after `|` and `is`.

use super::expression::{ExpressionError, WordKind, has_word};

/// Checks every filter and test named in `template`.
///
/// # Errors
/// `Syntax`, naming the first unknown word.
pub(super) fn check(template: &str) -> Result<(), ExpressionError> {
    for code in code_parts(template) {
        let tokens = tokens(code);
        for (at, token) in tokens.iter().enumerate() {
            let (kind, name) = match *token {
                "|" => (WordKind::Filter, tokens.get(at + 1)),
                "filter" if at == 0 => (WordKind::Filter, tokens.get(at + 1)),
                "is" if tokens.get(at + 1) == Some(&"not") => (WordKind::Test, tokens.get(at + 2)),
                "is" => (WordKind::Test, tokens.get(at + 1)),
                _ => continue,
            };
            let Some(name) = name.filter(|name| name.starts_with(is_word)) else {
                continue;
            };
            if !has_word(name, kind) {
                let what = match kind {
                    WordKind::Filter => "filter",
                    WordKind::Test => "test",
                };
                return Err(ExpressionError::Syntax(format!("{what} {name} is unknown")));
            }
        }
    }
    Ok(())
}

/// The insides of `{{ … }}` and `{% … %}`; comments are no code.
fn code_parts(template: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some(open) = rest
        .find("{{")
        .into_iter()
        .chain(rest.find("{%"))
        .chain(rest.find("{#"))
        .min()
    {
        let (close, is_code) = match &rest[open..open + 2] {
            "{{" => ("}}", true),
            "{%" => ("%}", true),
            _ => ("#}", false),
        };
        let inside = &rest[open + 2..];
        let length = if is_code {
            code_length(inside, close)
        } else {
            inside.find(close).unwrap_or(inside.len())
        };
        if is_code {
            parts.push(inside[..length].trim_start_matches(['-', '+']));
        }
        rest = inside.get(length + 2..).unwrap_or("");
    }
    parts
}

/// How far the code reaches: to the first `close` outside of a quoted text.
fn code_length(inside: &str, close: &str) -> usize {
    let mut at = 0;
    while at < inside.len() {
        let rest = &inside[at..];
        if rest.starts_with(close) {
            return at;
        }
        at += quoted_length(rest).unwrap_or_else(|| rest.chars().next().map_or(1, char::len_utf8));
    }
    inside.len()
}

/// The length of the quoted text that begins here, if one does.
fn quoted_length(rest: &str) -> Option<usize> {
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}

/// Words and single signs, quoted texts and spaces left out.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let rest = &code[at..];
        if let Some(length) = quoted_length(rest) {
            at += length;
            continue;
        }
        let length = match rest.find(|c: char| !is_word(c)) {
            Some(0) => rest.chars().next().map_or(1, char::len_utf8),
            Some(length) => length,
            None => rest.len(),
        };
        if !rest.starts_with(char::is_whitespace) {
            tokens.push(&rest[..length]);
        }
        at += length;
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
