//! The account's telephone numbers as Twilio has them: where calls and messages to each are taken.

use reqwest::Method;
use serde::{Deserialize, Deserializer};

use super::rest::{RestError, TwilioRest};

/// A number that is looked for: Twilio finds by parts of it too, so a page may hold others.
const LISTED_MAX: u32 = 50;

/// A number of the account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct KnownNumber {
    pub phone_number: String,
    /// Asked what to do with a call; unless an application or a trunk is.
    #[serde(deserialize_with = "null_is_empty")]
    pub voice_url: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub voice_method: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub voice_application_sid: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub trunk_sid: String,
    /// Told when a call ends.
    #[serde(deserialize_with = "null_is_empty")]
    pub status_callback: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub status_callback_method: String,
    /// Told of a message; unless an application is.
    #[serde(deserialize_with = "null_is_empty")]
    pub sms_url: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub sms_method: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub sms_application_sid: String,
    pub capabilities: Capabilities,
}

/// What a number can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    pub voice: bool,
    pub sms: bool,
}

#[derive(Deserialize)]
struct NumberList {
    incoming_phone_numbers: Vec<KnownNumber>,
}

impl TwilioRest {
    /// A number of the account; `None` when it has no such number.
    pub async fn number(&self, phone: &str) -> Result<Option<KnownNumber>, RestError> {
        let page = LISTED_MAX.to_string();
        let query = [("PhoneNumber", phone), ("PageSize", &page)];
        let request = self.request(Method::GET, "IncomingPhoneNumbers.json")?;
        let list: NumberList = self.read(request.query(&query)).await?;
        let mut numbers = list.incoming_phone_numbers.into_iter();
        Ok(numbers.find(|number| number.phone_number == phone))
    }
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
