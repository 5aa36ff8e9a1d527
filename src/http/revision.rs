//! `If-Match`: the revision a client has read. A change that comes with an old one is refused, so that nobody overwrites what
//! they have not seen.

use axum::{extract::FromRequestParts, http::header, http::request::Parts};

use super::error::{ApiError, ApiResult};

/// The revision a change was made from; none when the client does not care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IfMatch(pub Option<u64>);

impl IfMatch {
    /// Refuses a change that was made from another revision than the `stored` one. `given` is the one in the body, if any.
    ///
    /// # Errors
    /// [`ApiError::Conflict`] with both revisions.
    pub fn check(self, given: Option<u64>, what: &str, stored: u64) -> ApiResult<()> {
        match self.0.into_iter().chain(given).find(|read| *read != stored) {
            None => Ok(()),
            Some(read) => Err(moved(what, stored, read)),
        }
    }

    /// What a change is answered with that the store refused because of its revision.
    #[must_use]
    pub fn moved(self, what: &str, stored: u64) -> ApiError {
        moved(what, stored, self.0.unwrap_or_default())
    }
}

fn moved(what: &str, stored: u64, read: u64) -> ApiError {
    ApiError::Conflict {
        code: "moved",
        detail: format!("the {what} is at revision {stored}, this was made from {read}: read it again"),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        match parts.headers.get(header::IF_MATCH) {
            None => Ok(Self(None)),
            Some(value) => value.to_str().ok().and_then(read).ok_or_else(|| {
                ApiError::field("If-Match", "expected the revision that was read, like \"3\"")
            }),
        }
    }
}

/// Reads `"3"`, `3`, `W/"3"` or `*`.
fn read(text: &str) -> Option<IfMatch> {
    let text = text.trim();
    if text == "*" {
        return Some(IfMatch(None));
    }
    let tag = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
    tag.parse().ok().map(|revision| IfMatch(Some(revision)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_revision_in_every_spelling_and_nothing_else() {
        for text in ["3", "\"3\"", "W/\"3\"", " 3 "] {
            assert_eq!(read(text), Some(IfMatch(Some(3))), "{text:?}");
        }
        assert_eq!(read("*"), Some(IfMatch(None)));
        for text in ["", "\"\"", "three", "3, 4", "-1"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn header_and_body_must_both_be_the_stored_revision() {
        assert!(IfMatch(None).check(None, "workflow", 5).is_ok());
        assert!(IfMatch(Some(5)).check(Some(5), "workflow", 5).is_ok());
        for (header, body) in [(Some(4), None), (None, Some(4)), (Some(5), Some(6))] {
            let refused = IfMatch(header).check(body, "workflow", 5).expect_err("refused");
            assert_eq!(refused.problem().status, 409);
        }
    }
}
