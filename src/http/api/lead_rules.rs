//! What a lead may look like: the limits of its fields, and how texts are brought into one form.

use crate::{
    domain::{
        lead::{
            EditRefusal, Lead,
            rules::{self, FieldProblem},
        },
        phone::PhoneNumber,
    },
    http::{
        error::{ApiError, ApiResult, FieldError},
        revision::IfMatch,
    },
    store::StoreError,
};

/// Returns the lead with its texts in one form.
///
/// # Errors
/// [`ApiError::Invalid`] with every field that does not hold.
pub fn checked(lead: Lead) -> ApiResult<Lead> {
    rules::checked(lead).map_err(invalid)
}

fn invalid(problems: Vec<FieldProblem>) -> ApiError {
    let errors = problems
        .into_iter()
        .map(|problem| FieldError::new(problem.field, problem.expected));
    ApiError::Invalid(errors.collect())
}

/// What a refused change is answered with.
#[must_use]
pub fn refused(refusal: EditRefusal, read_at: IfMatch) -> ApiError {
    match refusal {
        EditRefusal::LeadGone(_) => ApiError::Missing { what: "lead" },
        EditRefusal::PhoneTaken => StoreError::Taken { field: "phone" }.into(),
        EditRefusal::Fields(problems) => invalid(problems),
        EditRefusal::Moved { revision } => read_at.moved("lead", revision),
        EditRefusal::Field { field, expected } => ApiError::field(field, expected),
        EditRefusal::Cell(problem) => ApiError::field(problem.column, problem.message),
        EditRefusal::UnknownUser(_) | EditRefusal::NoAgents => {
            ApiError::field("assigned_to", refusal.to_string())
        }
    }
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
    rules::normal_email(text).ok_or_else(|| ApiError::field("email", "expected an e-mail address"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{
        ids::{AccountId, LeadId},
        time::Timestamp,
    };

    fn lead() -> Lead {
        Lead {
            name: "Ann Lee".to_owned(),
            email: Some("Ann@Example.com".to_owned()),
            score: 50,
            timezone: Some("America/New_York".to_owned()),
            ..Lead::nameless(LeadId::fresh(), AccountId::fresh(), Timestamp::default())
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
    fn a_space_stands_for_the_plus_sign_in_a_query() {
        assert_eq!(
            phone_of_query(" 14155550100").expect("a number").as_str(),
            "+14155550100"
        );
        assert!(phone_of_query("14155550100").is_err());
    }
}
