//! Twilio's REST API of 2010-04-01, as far as we use it: messages, calls, streams.
//!
//! In: our words. Out: theirs, read strictly, and errors that say whether the request may have been carried out. Twilio takes
//! no idempotency key, so the caller settles what is unknown.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::{ErrorClass, TwilioSettings};
use crate::{
    domain::{ids::CallSid, message::Message, secret::Secret, time::Timestamp},
    integrations::client::{self, HttpClient, Reply, SendError},
};

/// Messages of one sender and receiver that a look-up reads: the newest come first.
const LISTED_MAX: u32 = 100;

/// Why a request gave no result.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// Nothing was sent.
    #[error("Twilio cannot be reached: {0}")]
    Unreached(String),
    /// Twilio said no: nothing was done.
    #[error("{message}")]
    Refused {
        status: u16,
        /// Twilio's error code, when the answer had one.
        code: Option<u32>,
        message: String,
        retry_after: Option<Duration>,
    },
    /// It may have been done.
    #[error("Twilio's answer is not known: {0}")]
    Unknown(String),
}

impl RestError {
    /// What kind of trouble a refusal is.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Refused { status, code, .. } => ErrorClass::of(*code, *status),
            Self::Unreached(_) | Self::Unknown(_) => ErrorClass::Temporary,
        }
    }
}

/// A message to send.
#[derive(Debug, Clone, Copy)]
pub struct NewMessage<'a> {
    pub to: &'a str,
    pub from: &'a str,
    pub body: &'a str,
    pub status_callback: &'a str,
    /// How long Twilio may hold it before it gives up: 1 s to 10 h.
    pub validity: Duration,
}

/// A call to place.
#[derive(Debug, Clone, Copy)]
pub struct NewCall<'a> {
    pub to: &'a str,
    pub from: &'a str,
    /// Asked what to do once it is answered.
    pub url: &'a str,
    pub status_callback: &'a str,
    /// Seconds it rings.
    pub timeout_s: u32,
    /// `Enable` or `DetectMessageEnd`; nothing is detected without.
    pub machine_detection: Option<&'static str>,
}

/// A message or a call of ours as Twilio's answer and its lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Made {
    pub sid: String,
    pub status: String,
    /// A message's text.
    #[serde(default)]
    pub body: String,
    /// A number in quotes; "0" until a Messaging Service has chosen a sender.
    #[serde(default)]
    pub num_segments: Option<String>,
    #[serde(default, deserialize_with = "rfc_2822")]
    pub date_created: Option<Timestamp>,
}

impl Made {
    /// What a callback has proved; `None` while nothing shows that Twilio took the message.
    pub(super) fn known(kept: Message) -> Option<Self> {
        Some(Self {
            sid: kept.provider_id?,
            status: kept.status.as_str().to_owned(),
            body: kept.body,
            num_segments: None,
            date_created: None,
        })
    }
}

/// A call as Twilio knows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KnownCall {
    pub sid: String,
    pub status: String,
    /// Seconds in quotes; absent until the call is over.
    #[serde(default)]
    pub duration: Option<String>,
}

/// What Twilio says of the account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KnownAccount {
    /// `active`, `suspended` or `closed`.
    pub status: String,
    /// `Trial` or `Full`.
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
}

/// A media stream to start on a live call.
#[derive(Debug, Clone)]
pub struct NewStream<'a> {
    pub call: &'a CallSid,
    /// `wss:`, without a query.
    pub url: &'a str,
    pub name: &'a str,
    pub status_callback: &'a str,
    /// Come back in `start.customParameters`.
    pub parameters: &'a [(&'a str, &'a str)],
}

/// A started stream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StartedStream {
    pub sid: String,
}

#[derive(Deserialize)]
struct MessageList {
    messages: Vec<Made>,
}

#[derive(Deserialize)]
struct CallList {
    calls: Vec<Made>,
}

#[derive(Deserialize)]
struct Problem {
    code: Option<u32>,
    message: Option<String>,
}

/// The API for one account. Cheap to clone.
#[derive(Clone)]
pub struct TwilioRest {
    http: HttpClient,
    /// `…/2010-04-01/Accounts/AC…/`
    base: Url,
    account_sid: String,
    auth_token: Secret,
}

/// `twilio.api_base` is no address.
#[derive(Debug, thiserror::Error)]
#[error("twilio.api_base: expected an address like `https://api.twilio.com`")]
pub struct BaseError;

impl TwilioRest {
    /// # Errors
    /// [`BaseError`] when `settings.api_base` is no address.
    pub fn new(http: HttpClient, settings: &TwilioSettings) -> Result<Self, BaseError> {
        let sid = &settings.account_sid;
        let base = format!(
            "{}/2010-04-01/Accounts/{sid}/",
            settings.api_base.trim_end_matches('/')
        );
        let base = Url::parse(&base).map_err(|_not_an_address| BaseError)?;
        Ok(Self {
            http,
            base,
            account_sid: sid.clone(),
            auth_token: settings.auth_token.clone(),
        })
    }

    /// The account itself, with the moment of Twilio's clock: whether the credentials work.
    pub async fn account(&self) -> Result<(KnownAccount, Option<Timestamp>), RestError> {
        let path = format!("../{}.json", self.account_sid);
        let reply = self.reply(self.request(Method::GET, &path)?).await?;
        Ok((read_body(&reply)?, reply.date()))
    }

    /// Sends a message.
    pub async fn create_message(&self, message: &NewMessage<'_>) -> Result<Made, RestError> {
        let validity = message.validity.as_secs().to_string();
        let form = [
            ("To", message.to),
            ("From", message.from),
            ("Body", message.body),
            ("StatusCallback", message.status_callback),
            ("ValidityPeriod", &validity),
        ];
        self.read(self.request(Method::POST, "Messages.json")?.form(&form))
            .await
    }

    /// The newest messages between two numbers. There is no bound on the date in the request: Twilio compares it with the
    /// day of sending, which a message that still waits does not have.
    pub async fn messages_between(&self, from: &str, to: &str) -> Result<Vec<Made>, RestError> {
        let page = LISTED_MAX.to_string();
        let query = [("To", to), ("From", from), ("PageSize", &page)];
        let list: MessageList = self
            .read(self.request(Method::GET, "Messages.json")?.query(&query))
            .await?;
        Ok(list.messages)
    }

    /// Places a call.
    pub async fn create_call(&self, call: &NewCall<'_>) -> Result<Made, RestError> {
        let timeout = call.timeout_s.to_string();
        let mut form = vec![
            ("To", call.to),
            ("From", call.from),
            ("Url", call.url),
            ("StatusCallback", call.status_callback),
            ("Timeout", &timeout),
        ];
        // Every report that is told: the first proves that the call exists.
        for event in ["initiated", "ringing", "answered", "completed"] {
            form.push(("StatusCallbackEvent", event));
        }
        if let Some(detection) = call.machine_detection {
            form.push(("MachineDetection", detection));
        }
        self.read(self.request(Method::POST, "Calls.json")?.form(&form))
            .await
    }

    /// The newest calls between two numbers.
    pub async fn calls_between(&self, from: &str, to: &str) -> Result<Vec<Made>, RestError> {
        let page = LISTED_MAX.to_string();
        let query = [("To", to), ("From", from), ("PageSize", &page)];
        let list: CallList = self
            .read(self.request(Method::GET, "Calls.json")?.query(&query))
            .await?;
        Ok(list.calls)
    }

    /// What Twilio knows of a call; `None` when it knows nothing. Lags some seconds behind the callbacks.
    pub async fn call(&self, sid: &CallSid) -> Result<Option<KnownCall>, RestError> {
        match self
            .read(self.request(Method::GET, &format!("Calls/{sid}.json"))?)
            .await
        {
            Ok(call) => Ok(Some(call)),
            Err(RestError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends a call that rings or is talked on. `None` when Twilio knows nothing of it.
    pub async fn end_call(&self, sid: &CallSid) -> Result<Option<KnownCall>, RestError> {
        let request = self.request(Method::POST, &format!("Calls/{sid}.json"))?;
        match self.read(request.form(&[("Status", "completed")])).await {
            Ok(call) => Ok(Some(call)),
            Err(RestError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Starts a one-way stream of both tracks on a call that is under way.
    pub async fn start_stream(&self, stream: &NewStream<'_>) -> Result<StartedStream, RestError> {
        let mut form = vec![
            ("Url".to_owned(), stream.url),
            ("Name".to_owned(), stream.name),
            ("Track".to_owned(), "both_tracks"),
            ("StatusCallback".to_owned(), stream.status_callback),
        ];
        for (number, (name, value)) in (1..).zip(stream.parameters) {
            form.push((format!("Parameter{number}.Name"), *name));
            form.push((format!("Parameter{number}.Value"), *value));
        }
        let path = format!("Calls/{}/Streams.json", stream.call);
        self.read(self.request(Method::POST, &path)?.form(&form)).await
    }

    pub(super) fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, RestError> {
        let url = self
            .base
            .join(path)
            .map_err(|error| RestError::Unreached(error.to_string()))?;
        Ok(self
            .http
            .configured(method, url)
            .basic_auth(&self.account_sid, Some(self.auth_token.expose())))
    }

    pub(super) async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, RestError> {
        read_body(&self.reply(request).await?)
    }

    /// An answer that is none of a refusal and a failure.
    async fn reply(&self, request: RequestBuilder) -> Result<Reply, RestError> {
        let reply = client::send(request).await.map_err(|error| match error {
            SendError::Refused(_) | SendError::Invalid(_) | SendError::Unreached(_) => {
                RestError::Unreached(error.to_string())
            }
            SendError::Lost(_) => RestError::Unknown(error.to_string()),
        })?;
        match reply.status {
            200..=299 => Ok(reply),
            // A redirect is not followed: the token must not travel elsewhere.
            300..=499 => Err(refusal(&reply)),
            _ => Err(RestError::Unknown(format!("status {}", reply.status))),
        }
    }
}

fn read_body<T: DeserializeOwned>(reply: &Reply) -> Result<T, RestError> {
    serde_json::from_slice(&reply.body).map_err(|error| {
        RestError::Unknown(format!(
            "{} with a body that cannot be read: {error}",
            reply.status
        ))
    })
}

fn refusal(reply: &Reply) -> RestError {
    let problem = serde_json::from_slice(&reply.body).unwrap_or(Problem {
        code: None,
        message: None,
    });
    RestError::Refused {
        status: reply.status,
        code: problem.code,
        message: problem
            .message
            .unwrap_or_else(|| format!("status {}", reply.status)),
        retry_after: reply.retry_after(),
    }
}

fn rfc_2822<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    let moment = text
        .as_deref()
        .and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
    Ok(moment.and_then(|zoned| {
        let millis = zoned.timestamp().as_millisecond();
        u64::try_from(millis).ok().map(Timestamp::from_unix_millis)
    }))
}
