//! What is wrong with a definition, said so that its author can put it right.

use serde::Serialize;

/// One thing that keeps a definition from being published.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Where, as in `nodes[2].params.text`; empty for the definition as a whole.
    pub path: String,
    /// Stable word for programs, `unknown_variable`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl Problem {
    /// Puts the four parts together.
    #[must_use]
    pub fn new(
        path: impl Into<String>,
        code: &str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            code: code.to_owned(),
            message: message.into(),
            fix: fix.into(),
        }
    }

    /// An unknown word among `known`: names the nearest known one, or lists them all when none is near.
    #[must_use]
    pub fn unknown(path: impl Into<String>, code: &str, what: &str, word: &str, known: &[&str]) -> Self {
        let fix = match nearest(word, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("remove `{word}`"),
            None => format!("known: {}", known.join(", ")),
        };
        Self::new(path, code, format!("unknown {what} `{word}`"), fix)
    }
}

/// Similarity from which a known word counts as what was meant (Jaro-Winkler, 0 to 1).
const NEAR: f64 = 0.80;

/// Returns the known word most like `word`, when one is near enough to be what was meant.
#[must_use]
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), *candidate))
        .filter(|(similarity, _)| *similarity >= NEAR)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_nearest_known_word_or_lists_them() {
        let known = ["name", "trigger", "nodes"];
        assert_eq!(nearest("triger", &known), Some("trigger"));
        assert_eq!(nearest("zzz", &known), None);
        let problem = Problem::unknown("zzz", "unknown_field", "field", "zzz", &known);
        assert_eq!(problem.fix, "known: name, trigger, nodes");
    }
}
