//! What a lead may look like: the limits of its fields, and how texts are brought into one form.

use crate::{
    domain::{lead::Lead, phone::PhoneNumber},
    http::{
        auth::session::{NAME_CHARS_MAX, normal_email},
        error::{ApiError, ApiResult, FieldError},
    },
};

/// Longest stage.
const STAGE_CHARS_MAX: usize = 50;
/// Most fields an account keeps about one lead.
const FIELDS_MAX: usize = 100;
/// Longest name of such a field.
const FIELD_NAME_CHARS_MAX: usize = 64;
/// Longest value of such a field, as JSON.
const FIELD_VALUE_BYTES_MAX: usize = 8 * 1024;

/// Returns the lead with its texts in one form.
///
/// # Errors
/// [`ApiError::Invalid`] with every field that does not hold.
pub fn checked(mut lead: Lead) -> ApiResult<Lead> {
    let mut errors = Vec::new();
    let name = lead.name.trim().to_owned();
    lead.name = name;
    if lead.name.chars().count() > NAME_CHARS_MAX {
        errors.push(FieldError::new(
            "name",
            format!("expected at most {NAME_CHARS_MAX} characters"),
        ));
    }
    lead.email = lead.email.and_then(|text| {
        normal_email(&text).or_else(|| {
            errors.push(FieldError::new("email", "expected an e-mail address"));
            None
        })
    });
    if !(0..=100).contains(&lead.score) {
        errors.push(FieldError::new("score", "expected 0 to 100"));
    }
    let stage_chars = lead.stage.chars().count();
    if !(1..=STAGE_CHARS_MAX).contains(&stage_chars) {
        errors.push(FieldError::new(
            "stage",
            format!("expected 1 to {STAGE_CHARS_MAX} characters"),
        ));
    }
    if let Some(zone) = &lead.timezone
        && crate::workflows::calendar::zone(zone).is_none()
    {
        errors.push(FieldError::new(
            "timezone",
            "expected an IANA time zone like `America/New_York`",
        ));
    }
    errors.extend(field_errors(&lead));
    if errors.is_empty() {
        Ok(lead)
    } else {
        Err(ApiError::Invalid(errors))
    }
}

fn field_errors(lead: &Lead) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if lead.fields.len() > FIELDS_MAX {
        errors.push(FieldError::new(
            "fields",
            format!("expected at most {FIELDS_MAX} fields"),
        ));
    }
    for (name, value) in &lead.fields {
        if name.is_empty() || name.chars().count() > FIELD_NAME_CHARS_MAX {
            let message = format!("expected field names of 1 to {FIELD_NAME_CHARS_MAX} characters");
            errors.push(FieldError::new("fields", message));
        } else if value.to_string().len() > FIELD_VALUE_BYTES_MAX {
            let message = format!("expected at most {FIELD_VALUE_BYTES_MAX} bytes");
            errors.push(FieldError::new(format!("fields.{name}"), message));
        }
    }
    errors
}

/// The words of the fields in which two states of a lead differ.
#[must_use]
pub fn difference(before: &Lead, after: &Lead) -> Vec<String> {
    let mut words: Vec<String> = [
        ("name", before.name != after.name),
        ("phone", before.phone != after.phone),
        ("email", before.email != after.email),
        ("score", before.score != after.score),
        ("stage", before.stage != after.stage),
        ("timezone", before.timezone != after.timezone),
        ("opted_out", before.opted_out != after.opted_out),
        ("opted_out_of", before.opted_out_of != after.opted_out_of),
        ("consent", before.consent != after.consent),
    ]
    .into_iter()
    .filter(|(_, differs)| *differs)
    .map(|(word, _)| word.to_owned())
    .collect();
    let names = before.fields.keys().chain(after.fields.keys());
    let names: std::collections::BTreeSet<_> = names.collect();
    words.extend(
        names
            .into_iter()
            .filter(|name| before.fields.get(*name) != after.fields.get(*name))
            .map(|name| format!("fields.{name}")),
    );
    words
}

/// Reads a phone number from a query, where an unescaped plus sign arrives as a space.
///
/// # Errors
/// [`ApiError::Invalid`] when it is none.
pub fn phone_of_query(text: &str) -> ApiResult<PhoneNumber> {
    let text = text
        .strip_prefix(' ')
        .map_or_else(|| text.to_owned(), |rest| format!("+{rest}"));
    text.parse()
        .map_err(|error| ApiError::field("phone", format!("{error}")))
}

/// Reads an e-mail address.
///
/// # Errors
/// [`ApiError::Invalid`] when it is none.
pub fn email(text: &str) -> ApiResult<String> {
    normal_email(text).ok_or_else(|| ApiError::field("email", "expected an e-mail address"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::domain::{
        ids::{AccountId, LeadId},
        time::Timestamp,
    };

    fn lead() -> Lead {
        Lead {
            id: LeadId::fresh(),
            account_id: AccountId::fresh(),
            name: "Ann Lee".to_owned(),
            phone: None,
            email: Some("Ann@Example.com".to_owned()),
            score: 50,
            stage: "new".to_owned(),
            timezone: Some("America/New_York".to_owned()),
            opted_out: false,
            opted_out_of: std::collections::BTreeSet::new(),
            consent: crate::domain::consent::Consent::default(),
            fields: BTreeMap::new(),
            created_at: Timestamp::from_unix_millis(0),
            updated_at: Timestamp::from_unix_millis(0),
        }
    }

    #[test]
    fn names_every_field_that_does_not_hold() {
        let mut wrong = lead();
        wrong.score = 101;
        wrong.email = Some("nobody".to_owned());
        wrong.timezone = Some("Mars/Olympus".to_owned());
        wrong.stage = String::new();
        wrong.fields.insert("big".to_owned(), json!("x".repeat(9_000)));
        let problem = checked(wrong).expect_err("refused").problem();
        let fields: Vec<_> = problem.errors.into_iter().map(|error| error.field).collect();
        assert_eq!(fields, ["email", "score", "stage", "timezone", "fields.big"]);
        assert_eq!(
            checked(lead()).expect("holds").email.as_deref(),
            Some("ann@example.com")
        );
    }

    #[test]
    fn says_in_what_two_states_differ() {
        let before = lead();
        let mut after = before.clone();
        after.score = 60;
        after.fields.insert("tier".to_owned(), json!("gold"));
        assert_eq!(difference(&before, &after), ["score", "fields.tier"]);
        assert!(difference(&before, &before).is_empty());
    }

    #[test]
    fn a_space_stands_for_the_plus_sign_in_a_query() {
        assert_eq!(
            phone_of_query(" 14155550100").expect("a number").as_str(),
            "+14155550100"
        );
        assert!(phone_of_query("14155550100").is_err());
    }
}
