//! What a lead may look like: the limits of its fields, how texts are brought into one form, and in what two states differ.
//!
//! The same for whoever writes: a person by the API, an import, a run.

use super::Lead;
pub use crate::domain::email::normal as normal_email;
use crate::domain::{email, time};

/// Longest name of a person.
const NAME_CHARS_MAX: usize = 200;
/// Longest stage.
const STAGE_CHARS_MAX: usize = 50;
/// Scores lie between 0 and this.
pub const SCORE_MAX: i32 = 100;
/// Most fields an account keeps about one lead.
pub const FIELDS_MAX: usize = 100;
/// Longest name of such a field.
const FIELD_NAME_CHARS_MAX: usize = 64;
/// Longest value of such a field, as JSON.
const FIELD_VALUE_BYTES_MAX: usize = 8 * 1024;

/// A field that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// `email`, `fields.plan`.
    pub field: String,
    /// What would hold.
    pub expected: String,
}

impl FieldProblem {
    fn new(field: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            expected: expected.into(),
        }
    }
}

/// Returns the lead with its texts in one form.
///
/// # Errors
/// Every field that does not hold.
pub fn checked(mut lead: Lead) -> Result<Lead, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let name = lead.name.trim().to_owned();
    lead.name = name;
    if lead.name.chars().count() > NAME_CHARS_MAX {
        let expected = format!("expected at most {NAME_CHARS_MAX} characters");
        problems.push(FieldProblem::new("name", expected));
    }
    lead.email = lead.email.and_then(|text| {
        email::normal(&text).or_else(|| {
            problems.push(FieldProblem::new("email", "expected an e-mail address"));
            None
        })
    });
    if !(0..=SCORE_MAX).contains(&lead.score) {
        problems.push(FieldProblem::new("score", format!("expected 0 to {SCORE_MAX}")));
    }
    if !(1..=STAGE_CHARS_MAX).contains(&lead.stage.chars().count()) {
        let expected = format!("expected 1 to {STAGE_CHARS_MAX} characters");
        problems.push(FieldProblem::new("stage", expected));
    }
    if let Some(zone) = &lead.timezone
        && time::zone(zone).is_none()
    {
        let expected = "expected an IANA time zone like `America/New_York`";
        problems.push(FieldProblem::new("timezone", expected));
    }
    problems.extend(own_fields(&lead));
    if problems.is_empty() {
        Ok(lead)
    } else {
        Err(problems)
    }
}

/// As [`checked`], for a lead that is changed: an address that the change leaves alone stays as it was written.
///
/// # Errors
/// Every field that does not hold.
pub fn checked_after(before: &Lead, after: Lead) -> Result<Lead, Vec<FieldProblem>> {
    let is_left_alone = after.email == before.email;
    let after = checked(after)?;
    Ok(if is_left_alone {
        Lead {
            email: before.email.clone(),
            ..after
        }
    } else {
        after
    })
}

fn own_fields(lead: &Lead) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if lead.fields.len() > FIELDS_MAX {
        problems.push(FieldProblem::new(
            "fields",
            format!("expected at most {FIELDS_MAX} fields"),
        ));
    }
    for (name, value) in &lead.fields {
        if name.is_empty() || name.chars().count() > FIELD_NAME_CHARS_MAX {
            let expected = format!("expected field names of 1 to {FIELD_NAME_CHARS_MAX} characters");
            problems.push(FieldProblem::new("fields", expected));
        } else if value.to_string().len() > FIELD_VALUE_BYTES_MAX {
            let expected = format!("expected at most {FIELD_VALUE_BYTES_MAX} bytes");
            problems.push(FieldProblem::new(format!("fields.{name}"), expected));
        }
    }
    problems
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
        ("assigned_to", before.assigned_to != after.assigned_to),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{
        ids::{AccountId, LeadId},
        time::Timestamp,
    };

    #[test]
    fn says_in_what_two_states_differ() {
        let before = Lead::nameless(LeadId::fresh(), AccountId::fresh(), Timestamp::default());
        let mut after = before.clone();
        after.score = 60;
        after.fields.insert("tier".to_owned(), json!("gold"));
        assert_eq!(difference(&before, &after), ["score", "fields.tier"]);
        assert!(difference(&before, &before).is_empty());
    }
}
