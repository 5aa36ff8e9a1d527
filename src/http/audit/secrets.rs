//! What the audit log must not hold, taken out of what it is shown.
//!
//! By the name of a field, and by the shape of our own tokens wherever they stand: an address of a webhook carries one.

use serde_json::Value;

/// Stands in place of a secret.
const MASK: &str = "***";
/// A field whose name holds one of these holds a secret, whatever it is of.
const SECRET_NAMES: [&str; 9] = [
    "password",
    "secret",
    "authorization",
    "api_key",
    "apikey",
    "cookie",
    "credential",
    "recovery",
    "otpauth",
];
/// Objects whose values may be secrets under any name.
const SECRET_OBJECTS: [&str; 1] = ["headers"];
/// What our tokens begin with, and how many characters follow.
const TOKEN_PREFIXES: [&str; 6] = ["pca_", "pcr_", "pck_", "pct_", "pcs_", "pcw_"];
const TOKEN_CHARS: usize = 43;

/// Masks every secret in `value`.
pub(super) fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if is_secret(name) {
                    hide(field);
                } else if SECRET_OBJECTS.contains(&name.to_ascii_lowercase().as_str()) {
                    hide_within(field);
                } else {
                    mask(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::String(text) => mask_tokens(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    // `tokens` are what is paid with.
    let is_token = name == "token" || name.ends_with("_token");
    is_token || SECRET_NAMES.iter().any(|secret| name.contains(secret))
}

fn hide(value: &mut Value) {
    if !value.is_null() && !value.is_boolean() {
        *value = Value::String(MASK.to_owned());
    }
}

fn hide_within(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(hide_within),
        Value::Array(items) => items.iter_mut().for_each(hide_within),
        other => hide(other),
    }
}

/// Masks our own tokens within a text.
fn mask_tokens(text: &mut String) {
    for prefix in TOKEN_PREFIXES {
        let mut from = 0;
        while let Some(found) = text.get(from..).and_then(|rest| rest.find(prefix)) {
            let begin = from + found + prefix.len();
            let chars = text[begin..]
                .bytes()
                .take_while(|byte| is_token_byte(*byte))
                .count();
            if chars >= TOKEN_CHARS {
                text.replace_range(begin..begin + chars, MASK);
            }
            from = begin;
        }
    }
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_masked_by_name_and_by_shape() {
        let token = format!("pcw_{}", "aB3-".repeat(10) + "xyz");
        let mut shown = json!({"name": "Ann", "tokens": "1.5", "secret": "s", "has_password": true,
            "nested": [{"access_token": "t", "X-Api-Key": "k", "signing-secret": null}],
            "headers": {"X-Custom": "v", "list": ["w"]},
            "url": format!("https://x.example/api/webhooks/user/usr_1/{token}?a=b"), "text": "a pca_ by itself"});
        mask(&mut shown);
        assert_eq!(
            shown,
            json!({"name": "Ann", "tokens": "1.5", "secret": "***", "has_password": true,
                "nested": [{"access_token": "***", "X-Api-Key": "***", "signing-secret": null}],
                "headers": {"X-Custom": "***", "list": ["***"]},
                "url": "https://x.example/api/webhooks/user/usr_1/pcw_***?a=b", "text": "a pca_ by itself"})
        );
    }
}
