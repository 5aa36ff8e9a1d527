//! Partial changes: a field left out stays, `null` empties it, a value replaces it.

use serde::{Deserialize, Deserializer};

use super::error::ApiError;
use crate::store::StoreError;

/// What a change says about a field that may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Left out.
    #[default]
    Keep,
    /// `null`.
    Clear,
    Set(T),
}

impl<T> Patch<T> {
    /// The field after the change.
    pub fn over(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }

    /// What was said, if anything; inside, `None` empties the field.
    pub fn said(self) -> Option<Option<T>> {
        match self {
            Self::Keep => None,
            Self::Clear => Some(None),
            Self::Set(value) => Some(Some(value)),
        }
    }
}

/// For `#[serde(deserialize_with)]` beside `default`: being called at all means that the field is there.
///
/// # Errors
/// When the value is not a `T`.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Patch<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.map_or(Patch::Clear, Patch::Set))
}

/// What a failed look-up of the thing that `field` names means: the field is wrong, not the address.
#[must_use]
pub fn reference(field: &str, error: StoreError) -> ApiError {
    match error {
        StoreError::Missing { what, .. } => {
            ApiError::field(field, format!("there is no {what} with this id"))
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Change {
        #[serde(deserialize_with = "present")]
        note: Patch<String>,
    }

    #[test]
    fn left_out_null_and_value_are_three_things() {
        for (body, after) in [
            ("{}", Some("old")),
            (r#"{"note": null}"#, None),
            (r#"{"note": "new"}"#, Some("new")),
        ] {
            let change: Change = serde_json::from_str(body).expect("a change");
            assert_eq!(
                change.note.over(Some("old".to_owned())).as_deref(),
                after,
                "{body}"
            );
        }
    }
}
