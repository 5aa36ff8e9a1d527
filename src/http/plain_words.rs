//! Says what a deserializer found wrong in words for people: what is expected, what was found, what to do.
//!
//! In: serde's sentence about one field. Out: ours. A sentence that is not known stays as it is: those are our own types' words.

/// Returns the sentence in plain words.
#[must_use]
pub fn plain(message: &str) -> String {
    let message = message.trim();
    mismatch(message)
        .or_else(|| unknown_word(message))
        .or_else(|| missing(message))
        .or_else(|| unknown_field(message))
        .or_else(|| repeated(message))
        .or_else(|| counted(message))
        .unwrap_or_else(|| message.to_owned())
}

/// `invalid type: string "x", expected i32`, `invalid value: integer `-1`, expected u32`.
fn mismatch(message: &str) -> Option<String> {
    let rest = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    Some(format!("expected {}, found {}", wanted(expected), seen(found)))
}

/// `unknown variant `x`, expected one of `a`, `b``, or `there are no variants`.
fn unknown_word(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown variant ")?;
    let (found, expected) = rest.split_once(", expected ")?;
    let expected = expected
        .strip_prefix("one of ")
        .map_or_else(|| expected.to_owned(), |words| format!("one of {words}"));
    Some(format!("expected {expected}, found {found}"))
}

fn missing(message: &str) -> Option<String> {
    let name = message.strip_prefix("missing field ")?;
    Some(format!("{name} is missing: give it"))
}

fn unknown_field(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field ")?;
    let (name, expected) = rest.split_once(", ")?;
    let known = expected
        .strip_prefix("expected one of ")
        .or_else(|| expected.strip_prefix("expected "));
    Some(match known {
        Some(known) => format!("there is no field {name}: leave it out; known are {known}"),
        None => format!("there is no field {name}: leave it out"),
    })
}

fn repeated(message: &str) -> Option<String> {
    let name = message.strip_prefix("duplicate field ")?;
    Some(format!("{name} is there twice: leave one out"))
}

/// `invalid length 2, expected a tuple of size 3`.
fn counted(message: &str) -> Option<String> {
    let rest = message.strip_prefix("invalid length ")?;
    let (found, expected) = rest.split_once(", expected ")?;
    Some(format!("expected {}, found {found} entries", wanted(expected)))
}

/// What a type of Rust's is to people.
fn wanted(expected: &str) -> String {
    let plain = match expected {
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "u128" | "usize" => "a whole number that is not negative",
        "f32" | "f64" => "a number",
        "a string" | "str" | "string" | "a borrowed string" | "a character" => "a text",
        "a boolean" | "bool" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        "unit" => "null",
        "any valid JSON value" => "a value",
        other => {
            let is_type = [
                "struct ",
                "enum ",
                "internally tagged enum ",
                "adjacently tagged enum ",
                "variant ",
            ]
            .iter()
            .any(|word| other.starts_with(word));
            return if is_type {
                "an object".to_owned()
            } else {
                other.to_owned()
            };
        }
    };
    plain.to_owned()
}

/// What was found, without the words of the format.
fn seen(found: &str) -> String {
    let kinds = [
        ("string ", "the text "),
        ("integer ", ""),
        ("floating point ", ""),
        ("boolean ", ""),
    ];
    for (word, plain) in kinds {
        if let Some(value) = found.strip_prefix(word) {
            return format!("{plain}{value}");
        }
    }
    match found {
        "null" | "unit value" | "Option value" => "null".to_owned(),
        "sequence" => "a list".to_owned(),
        "map" => "an object".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Colour {
        Red,
        DeepBlue,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    struct Thing {
        size: u32,
        score: Option<i32>,
        colour: Option<Colour>,
        tags: Option<Vec<String>>,
        on: Option<bool>,
    }

    fn said(body: &str) -> String {
        let error = serde_json::from_str::<Thing>(body)
            .expect_err("refused")
            .to_string();
        plain(error.split(" at line ").next().unwrap_or_default())
    }

    #[test]
    fn what_serde_says_is_said_plainly() {
        for (body, expected) in [
            (
                r#"{"size": -1}"#,
                "expected a whole number that is not negative, found `-1`",
            ),
            (
                r#"{"size": "big"}"#,
                "expected a whole number that is not negative, found the text \"big\"",
            ),
            (
                r#"{"size": 1.5}"#,
                "expected a whole number that is not negative, found `1.5`",
            ),
            (
                r#"{"size": 1, "score": true}"#,
                "expected a whole number, found `true`",
            ),
            (
                r#"{"size": 1, "colour": "green"}"#,
                "expected `red` or `deep_blue`, found `green`",
            ),
            (r#"{"size": 1, "tags": {}}"#, "expected a list, found an object"),
            (r#"{"size": 1, "tags": [7]}"#, "expected a text, found `7`"),
            (
                r#"{"size": 1, "on": "yes"}"#,
                "expected true or false, found the text \"yes\"",
            ),
            ("{}", "`size` is missing: give it"),
            (
                r#"{"size": 1, "size": 2}"#,
                "`size` is there twice: leave one out",
            ),
            ("7", "expected an object, found `7`"),
        ] {
            assert_eq!(said(body), expected, "{body}");
        }
        assert!(
            said(r#"{"sise": 1}"#).starts_with("there is no field `sise`: leave it out; known are `size`")
        );
        assert_eq!(
            plain("expected a phone number in E.164 form"),
            "expected a phone number in E.164 form"
        );
    }
}
