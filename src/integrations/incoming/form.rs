//! Forms of web pages: fields as a browser posts them, or as a flat JSON object.

use serde_json::{Map, Value};
use url::form_urlencoded;

use super::translate::{Arrived, Refusal, Translated, phone};
use crate::domain::email;

/// Most fields of a form.
const FIELDS_MAX: usize = 200;
/// What pages call the fields that say who it is; the first that is there and holds counts.
const EMAILS: [&str; 5] = ["email", "e_mail", "email_address", "mail", "your_email"];
const PHONES: [&str; 6] = [
    "phone",
    "phone_number",
    "tel",
    "telephone",
    "mobile",
    "your_phone",
];

pub(super) fn read(arrived: Arrived<'_>) -> Result<Translated, Refusal> {
    let is_json = arrived.header("content-type").starts_with("application/json");
    let mut data = if is_json {
        arrived.object()?
    } else {
        fields(arrived.body)?
    };
    if data.len() > FIELDS_MAX {
        return Err(Refusal::Unreadable(format!(
            "the form has more than {FIELDS_MAX} fields"
        )));
    }
    let named = |data: &Map<String, Value>, names: &[&str]| -> Vec<String> {
        let fields = data
            .iter()
            .filter(|(field, _)| names.contains(&plain(field).as_str()));
        fields
            .filter_map(|(_, value)| value.as_str().map(str::to_owned))
            .collect()
    };
    let email = named(&data, &EMAILS).iter().find_map(|text| email::normal(text));
    let phone = named(&data, &PHONES)
        .into_iter()
        .find_map(|text| phone(Some(text)));
    for (field, value) in [("email", email), ("phone", phone)] {
        if let Some(value) = value {
            data.insert(field.to_owned(), Value::String(value));
        }
    }
    Ok(Translated {
        word: "submitted".to_owned(),
        kind: None,
        id: None,
        data,
    })
}

/// A field's name as ours are written.
fn plain(field: &str) -> String {
    let words: Vec<String> = field
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.join("_")
}

/// Fields that come twice, such as boxes that were ticked, are a list.
fn fields(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let mut data = Map::new();
    for (field, value) in form_urlencoded::parse(body) {
        let value = Value::String(value.into_owned());
        match data.get_mut(field.as_ref()) {
            None => {
                data.insert(field.into_owned(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    if data.is_empty() {
        return Err(Refusal::Unreadable("the form has no fields".to_owned()));
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn fields_are_taken_as_they_are_and_say_who_it_is() {
        let headers = BTreeMap::new();
        let read = |body: &[u8]| {
            read(Arrived {
                headers: &headers,
                body,
                at: Timestamp::default(),
            })
        };
        let form = read(b"Your+Email=Ann%40Example.com&Tel=%2B1+415+555+0100&topic=roof&topic=wall")
            .expect("a form");
        let expected = json!({"Your Email": "Ann@Example.com", "Tel": "+1 415 555 0100", "topic": ["roof", "wall"],
            "email": "ann@example.com", "phone": "+14155550100"});
        assert_eq!(Value::Object(form.data), expected);
        assert!(read(b"").is_err());
    }
}
