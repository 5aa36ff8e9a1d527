//! Columns of an imported file: which field of a lead each fills, and what a row of cells says of a lead.
//!
//! Pure. What is wrong with a cell is said with the column, the value and what to do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Lead,
    rules::{self, FieldProblem},
};
use crate::domain::phone::PhoneNumber;

/// Longest value that a report repeats.
const VALUE_CHARS_MAX: usize = 100;

/// What a column fills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum LeadColumn {
    Ignored,
    Name,
    FirstName,
    LastName,
    Phone,
    Email,
    Score,
    Stage,
    Timezone,
    OptedOut,
    /// A field of the account's own.
    Own(String),
}

/// Words for each, the field's own name first; the others are what other programs call it.
const WORDS: &[(LeadColumn, &[&str])] = &[
    (
        LeadColumn::Name,
        &[
            "name",
            "full_name",
            "fullname",
            "contact",
            "contact_name",
            "customer",
            "customer_name",
        ],
    ),
    (
        LeadColumn::FirstName,
        &["first_name", "firstname", "given_name", "first"],
    ),
    (
        LeadColumn::LastName,
        &["last_name", "lastname", "surname", "family_name", "last"],
    ),
    (
        LeadColumn::Phone,
        &[
            "phone",
            "phone_number",
            "telephone",
            "tel",
            "mobile",
            "mobile_phone",
            "cell",
            "cell_phone",
        ],
    ),
    (
        LeadColumn::Email,
        &["email", "e_mail", "email_address", "e_mail_address", "mail"],
    ),
    (LeadColumn::Score, &["score", "lead_score"]),
    (
        LeadColumn::Stage,
        &["stage", "lead_stage", "status", "lead_status"],
    ),
    (LeadColumn::Timezone, &["timezone", "time_zone", "tz"]),
    (
        LeadColumn::OptedOut,
        &[
            "opted_out",
            "unsubscribed",
            "do_not_contact",
            "do_not_call",
            "dnc",
        ],
    ),
];

impl From<LeadColumn> for String {
    fn from(column: LeadColumn) -> Self {
        match column {
            LeadColumn::Ignored => Self::new(),
            LeadColumn::Own(name) => format!("fields.{name}"),
            known => WORDS
                .iter()
                .find(|(column, _)| *column == known)
                .and_then(|(_, words)| words.first())
                .map_or_else(Self::new, |word| (*word).to_owned()),
        }
    }
}

impl From<String> for LeadColumn {
    fn from(text: String) -> Self {
        Self::named(&text).unwrap_or(Self::Ignored)
    }
}

impl LeadColumn {
    /// The column that a mapping names: a field, `fields.…`, or nothing at all.
    fn named(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::Ignored);
        }
        if let Some(own) = text.strip_prefix("fields.").filter(|own| !own.is_empty()) {
            return Some(Self::Own(own.to_owned()));
        }
        WORDS
            .iter()
            .find(|(_, words)| words[0] == text)
            .map(|(column, _)| column.clone())
    }

    /// The column that a header means by itself: a field by any of its words, else a field of the account's own.
    fn of_header(header: &str) -> Self {
        let plain = plain(header);
        if plain.is_empty() {
            return Self::Ignored;
        }
        WORDS
            .iter()
            .find(|(_, words)| words.contains(&plain.as_str()))
            .map_or(Self::Own(plain), |(column, _)| column.clone())
    }
}

/// A header as a name: lower case, `_` between its words.
fn plain(header: &str) -> String {
    let words: Vec<String> = header
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.join("_").chars().take(64).collect()
}

/// Decides what each column of a file fills: as `mapping` says by header, else as the header says by itself.
///
/// # Errors
/// Every header of the mapping that the file has not, every field that there is not, and fields that two columns fill.
pub fn columns_of(
    header: &[String],
    mapping: &BTreeMap<String, String>,
) -> Result<Vec<LeadColumn>, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let mut problem = |field: String, expected: String| problems.push(FieldProblem { field, expected });
    for name in mapping
        .keys()
        .filter(|name| !header.iter().any(|one| one.trim() == **name))
    {
        let known = header.join(", ");
        problem(
            format!("mapping.{name}"),
            format!("the file has no column of this name; it has: {known}"),
        );
    }
    let mut columns = Vec::new();
    for name in header {
        let name = name.trim();
        let column = match mapping.get(name) {
            None => LeadColumn::of_header(name),
            Some(field) => LeadColumn::named(field).unwrap_or_else(|| {
                let words: Vec<&str> = WORDS.iter().map(|(_, words)| words[0]).collect();
                let expected = format!(
                    "expected one of {}, `fields.NAME`, or an empty text to leave the column out",
                    words.join(", ")
                );
                problem(format!("mapping.{name}"), expected);
                LeadColumn::Ignored
            }),
        };
        if column != LeadColumn::Ignored && columns.contains(&column) {
            let field = String::from(column.clone());
            problem(
                format!("mapping.{name}"),
                format!("two columns fill `{field}`: map one of them to an empty text to leave it out"),
            );
        }
        columns.push(column);
    }
    let finds_people = [
        LeadColumn::Name,
        LeadColumn::FirstName,
        LeadColumn::LastName,
        LeadColumn::Phone,
        LeadColumn::Email,
    ];
    if problems.is_empty() && !columns.iter().any(|column| finds_people.contains(column)) {
        let expected = "the file needs a column for the name, the phone number or the e-mail address: name it in the first row, or map one";
        problems.push(FieldProblem {
            field: "mapping".to_owned(),
            expected: expected.to_owned(),
        });
    }
    if problems.is_empty() {
        Ok(columns)
    } else {
        Err(problems)
    }
}

/// What is wrong with a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellProblem {
    pub column: String,
    pub value: String,
    pub message: String,
}

impl CellProblem {
    pub fn new(column: impl Into<String>, value: &str, message: impl Into<String>) -> Self {
        Self {
            column: column.into(),
            value: value.chars().take(VALUE_CHARS_MAX).collect(),
            message: message.into(),
        }
    }
}

/// What a row says of a lead. What it leaves empty stays as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LeadRow {
    pub name: Option<String>,
    pub phone: Option<PhoneNumber>,
    pub email: Option<String>,
    pub score: Option<i32>,
    pub stage: Option<String>,
    pub timezone: Option<String>,
    /// Only ever taken on: a file lifts nobody's opt-out.
    pub opted_out: bool,
    pub fields: BTreeMap<String, Value>,
}

/// Reads a row.
///
/// # Errors
/// The first cell that does not hold.
pub fn row_of(
    columns: &[LeadColumn],
    header: &[String],
    cells: &[String],
    calling_code: Option<&str>,
) -> Result<LeadRow, CellProblem> {
    if let Some(extra) = cells
        .iter()
        .skip(columns.len())
        .find(|cell| !cell.trim().is_empty())
    {
        let message = "the row has more cells than the first row: put quotation marks around values that hold the delimiter";
        return Err(CellProblem::new("", extra, message));
    }
    let mut row = LeadRow::default();
    let (mut first, mut last) = (None, None);
    for ((column, name), cell) in columns.iter().zip(header).zip(cells) {
        let text = cell.trim();
        if text.is_empty() {
            continue;
        }
        let wrong = |message: &str| CellProblem::new(name.trim(), text, message);
        match column {
            LeadColumn::Ignored => {}
            LeadColumn::Name => row.name = Some(text.to_owned()),
            LeadColumn::FirstName => first = Some(text),
            LeadColumn::LastName => last = Some(text),
            LeadColumn::Phone => row.phone = Some(phone_of(text, calling_code).ok_or_else(|| match calling_code {
                Some(_) => wrong("expected a phone number, like +14155550100 or as it is dialled in its country"),
                None => wrong("expected a phone number with its country, like +14155550100; or give `calling_code` for those without"),
            })?),
            LeadColumn::Email => {
                let email = rules::normal_email(text).ok_or_else(|| wrong("expected an e-mail address, like ann@example.com"))?;
                row.email = Some(email);
            }
            LeadColumn::Score => {
                let score = text.parse().ok().filter(|score| (0..=rules::SCORE_MAX).contains(score));
                row.score = Some(score.ok_or_else(|| wrong("expected a whole number from 0 to 100"))?);
            }
            LeadColumn::Stage => row.stage = Some(text.to_owned()),
            LeadColumn::Timezone => row.timezone = Some(text.to_owned()),
            LeadColumn::OptedOut => row.opted_out = truth_of(text).ok_or_else(|| wrong("expected yes or no"))?,
            LeadColumn::Own(field) => {
                row.fields.insert(field.clone(), Value::String(text.to_owned()));
            }
        }
    }
    if row.name.is_none() && (first.is_some() || last.is_some()) {
        row.name = Some([first, last].into_iter().flatten().collect::<Vec<_>>().join(" "));
    }
    if row.name.is_none() && row.phone.is_none() && row.email.is_none() {
        return Err(CellProblem::new(
            "",
            "",
            "the row has no name, phone number or e-mail address: give it one",
        ));
    }
    Ok(row)
}

impl LeadRow {
    /// The lead after the row was laid over it.
    ///
    /// # Errors
    /// The first field that does not hold.
    pub fn over(&self, lead: &Lead) -> Result<Lead, CellProblem> {
        let mut after = lead.clone();
        after.name = self.name.clone().unwrap_or(after.name);
        after.phone = self.phone.clone().or(after.phone);
        after.email = self.email.clone().or(after.email);
        after.score = self.score.unwrap_or(after.score);
        after.stage = self.stage.clone().unwrap_or(after.stage);
        after.timezone = self.timezone.clone().or(after.timezone);
        after.fields.extend(self.fields.clone());
        if self.opted_out {
            after.opted_out = true;
            after.opted_out_of.clear();
        }
        rules::checked_after(lead, after).map_err(|problems| {
            let first = problems.into_iter().next();
            first.map_or_else(
                || CellProblem::new("", "", "the row does not hold"),
                |problem| CellProblem::new(problem.field, "", problem.expected),
            )
        })
    }
}

/// Brings a number into E.164. One without its country is read as dialled in the country of `calling_code`.
fn phone_of(text: &str, calling_code: Option<&str>) -> Option<PhoneNumber> {
    let plain: String = text
        .chars()
        .filter(|c| !matches!(c, ' ' | '\u{a0}' | '-' | '.' | '(' | ')' | '/' | '\''))
        .collect();
    if plain.starts_with('+') {
        return plain.replace("+(0)", "+").parse().ok();
    }
    if let Some(international) = plain.strip_prefix("00") {
        return format!("+{international}").parse().ok();
    }
    let code = calling_code?;
    // The leading zero is dialled at home only; North America dials its own calling code instead.
    let national = if code == "1" {
        plain
            .strip_prefix('1')
            .filter(|rest| rest.len() == 10)
            .unwrap_or(&plain)
    } else {
        plain.strip_prefix('0').unwrap_or(&plain)
    };
    format!("+{code}{national}").parse().ok()
}

fn truth_of(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "1" | "true" | "yes" | "y" | "x" => Some(true),
        "0" | "false" | "no" | "n" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn headers_are_known_by_many_words_and_others_become_own_fields() {
        let header = texts(&["First Name", "E-Mail", "Mobile phone", "Company Size", ""]);
        let columns = columns_of(&header, &BTreeMap::new()).expect("they hold");
        let own = LeadColumn::Own("company_size".to_owned());
        assert_eq!(
            columns,
            [
                LeadColumn::FirstName,
                LeadColumn::Email,
                LeadColumn::Phone,
                own,
                LeadColumn::Ignored
            ]
        );
    }

    #[test]
    fn a_mapping_goes_first_and_is_checked() {
        let header = texts(&["Who", "Tel", "Phone"]);
        let mapping = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(one, other)| ((*one).to_owned(), (*other).to_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        let twice = columns_of(&header, &BTreeMap::new()).expect_err("two phones");
        assert!(
            twice[0].expected.contains("two columns fill `phone`"),
            "{twice:?}"
        );
        let columns =
            columns_of(&header, &mapping(&[("Who", "name"), ("Tel", "fields.tel")])).expect("they hold");
        assert_eq!(columns[1], LeadColumn::Own("tel".to_owned()));
        let wrong = columns_of(
            &header,
            &mapping(&[("Nobody", "name"), ("Who", "nmae"), ("Tel", "")]),
        )
        .expect_err("wrong");
        let fields: Vec<_> = wrong.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["mapping.Nobody", "mapping.Who"]);
        assert!(columns_of(&texts(&["Colour"]), &BTreeMap::new()).is_err());
    }

    #[test]
    fn numbers_are_brought_into_one_form() {
        for (text, code, expected) in [
            ("+1 (415) 555-0100", None, Some("+14155550100")),
            ("0041 44 668 18 00", None, Some("+41446681800")),
            ("(415) 555-0100", Some("1"), Some("+14155550100")),
            ("1-415-555-0100", Some("1"), Some("+14155550100")),
            ("044 668 18 00", Some("41"), Some("+41446681800")),
            ("415-555-0100", None, None),
            ("call me", Some("1"), None),
        ] {
            let phone = phone_of(text, code);
            assert_eq!(phone.as_ref().map(PhoneNumber::as_str), expected, "{text}");
        }
    }

    #[test]
    fn a_row_says_what_is_wrong_where_and_what_to_do() {
        let header = texts(&["name", "phone", "score", "opted_out"]);
        let columns = columns_of(&header, &BTreeMap::new()).expect("they hold");
        let row = |cells: &[&str]| row_of(&columns, &header, &texts(cells), None);
        let good = row(&["Ann Lee", "+14155550100", "70", "yes"]).expect("it holds");
        assert!(good.opted_out && good.score == Some(70));
        for (cells, column) in [
            (["Ann", "555", "", ""], "phone"),
            (["Ann", "", "many", ""], "score"),
            (["Ann", "", "", "perhaps"], "opted_out"),
            (["", "", "7", ""], ""),
        ] {
            assert_eq!(row(&cells).expect_err("wrong").column, column, "{cells:?}");
        }
        assert!(row(&["Ann", "", "", "", "five"]).is_err());
        assert!(row(&["Ann"]).is_ok(), "missing cells are empty");
    }
}
