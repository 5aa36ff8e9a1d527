//! Takes in one webhook: only what Twilio signed, for the configured account.
//!
//! In: an HTTP request. Out: its parameters, or 403 before anything was looked at or changed.

use axum::{
    body::Bytes,
    extract::{FromRequest, OriginalUri, Request},
    http::{HeaderMap, Uri, header},
};
use url::{Url, form_urlencoded};

use super::signature::{self, Payload, SIGNATURE_HEADER};
use crate::{
    domain::{
        call::{CallStatus, Parties},
        ids::{AccountId, AccountSid, CallSid},
        message::Direction,
    },
    http::{
        context::Context,
        error::{ApiError, ApiResult},
    },
    integrations::twilio::{addresses::Addresses, words},
};

/// Largest body taken from Twilio. Its largest, messages with many media, are a few kilobytes.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Longest id taken from Twilio; its own have 34 characters.
const SID_CHARS_MAX: usize = 64;
/// The same on every delivery of one webhook.
const IDEMPOTENCY_HEADER: &str = "i-twilio-idempotency-token";

/// A webhook that Twilio signed.
#[derive(Debug)]
pub struct TwilioRequest {
    /// From the body.
    params: Vec<(String, String)>,
    /// From the address.
    query: Vec<(String, String)>,
    idempotency_token: Option<String>,
}

impl TwilioRequest {
    /// The parameter `name`, when it is there and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        find(&self.params, name)
    }

    /// The parameter `name` of the address that we gave Twilio.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }

    /// The parameter `name` as a number; `None` when it is absent or none.
    #[must_use]
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    /// The parameter `name`.
    ///
    /// # Errors
    /// 400 when it is missing.
    pub fn required(&self, name: &str) -> ApiResult<&str> {
        self.get(name).ok_or_else(|| ApiError::Malformed {
            detail: format!("the parameter {name} is missing"),
        })
    }

    /// The parameter `name` as an id of Twilio's.
    ///
    /// # Errors
    /// 400 when it is missing or could not be one.
    pub fn sid(&self, name: &str) -> ApiResult<&str> {
        let sid = self.required(name)?;
        let is_sid = sid.len() <= SID_CHARS_MAX && sid.bytes().all(|b| b.is_ascii_alphanumeric());
        is_sid.then_some(sid).ok_or_else(|| ApiError::Malformed {
            detail: format!("the parameter {name} is not an id"),
        })
    }

    /// The call this is about.
    ///
    /// # Errors
    /// 400 when it is missing or could not be an id.
    pub fn call(&self) -> ApiResult<CallSid> {
        self.sid("CallSid").map(CallSid::new)
    }

    /// The parameter `name` as a call's status.
    ///
    /// # Errors
    /// 400 when it is missing or none we know.
    pub fn status(&self, name: &str) -> ApiResult<CallStatus> {
        let word = self.required(name)?;
        words::call_status(word).ok_or_else(|| ApiError::Malformed {
            detail: format!("{name} is no call status we know"),
        })
    }

    /// Who calls whom, when the request says so.
    #[must_use]
    pub fn parties(&self) -> Option<Parties> {
        let direction = match self.get("Direction")? {
            inward if inward.starts_with("inbound") => Direction::Inbound,
            _ => Direction::Outbound,
        };
        let text = |name| self.get(name).unwrap_or_default().to_owned();
        Some(Parties {
            direction,
            from: text("From"),
            to: text("To"),
        })
    }

    /// What all deliveries of this webhook have in common; `natural` where Twilio gives no token of its own.
    #[must_use]
    pub fn dedupe_key(&self, door: &str, natural: &[&str]) -> String {
        match &self.idempotency_token {
            Some(token) => format!("{door}#{token}"),
            None => format!("{door}:{}", natural.join(":")),
        }
    }
}

impl FromRequest<Context> for TwilioRequest {
    type Rejection = ApiError;

    async fn from_request(request: Request, context: &Context) -> ApiResult<Self> {
        let (parts, body) = request.into_parts();
        let uri = parts
            .extensions
            .get::<OriginalUri>()
            .map_or(&parts.uri, |original| &original.0);
        let body = axum::body::to_bytes(body, BODY_BYTES_MAX)
            .await
            .map_err(|_| ApiError::TooLarge)?;
        let params = read_params(&parts.headers, &body)?;
        let account =
            find(&params, "AccountSid").ok_or_else(|| refused("no_account", "no AccountSid is named"))?;
        check_account(context, &AccountSid::new(account))?;
        let payload = if is_json(&parts.headers) {
            Payload::Json(&body)
        } else {
            Payload::Form(&params)
        };
        let address = Addresses(&context.settings.public_url).at(path_and_query(uri));
        check_signature(context, &parts.headers, &address, payload)?;
        let token = parts
            .headers
            .get(IDEMPOTENCY_HEADER)
            .and_then(|value| value.to_str().ok());
        let idempotency_token = token.filter(|token| !token.is_empty()).map(str::to_owned);
        let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
        Ok(Self {
            params,
            query,
            idempotency_token,
        })
    }
}

/// Path and query exactly as they were asked for.
pub fn path_and_query(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |asked| asked.as_str())
}

/// Checks that `account` is the configured one.
///
/// # Errors
/// 403 for any other, and for all when none is configured.
pub fn check_account(context: &Context, account: &AccountSid) -> ApiResult<()> {
    let own = &context.twilio.account_sid;
    if own.is_empty() || account.as_str() != own {
        return Err(refused("foreign_account", "the AccountSid is not ours"));
    }
    Ok(())
}

/// Checks that Twilio signed the request to `address`.
///
/// # Errors
/// 403 when the signature is missing or wrong.
pub fn check_signature(
    context: &Context,
    headers: &HeaderMap,
    address: &str,
    payload: Payload<'_>,
) -> ApiResult<()> {
    let given = headers
        .get(SIGNATURE_HEADER)
        .and_then(|value| value.to_str().ok());
    let given = given.ok_or_else(|| refused("no_signature", "the request carries no X-Twilio-Signature"))?;
    let address =
        Url::parse(address).map_err(|_| refused("bad_signature", "the address cannot be checked"))?;
    if !signature::verify(&context.twilio.auth_token, &address, payload, given) {
        return Err(refused(
            "bad_signature",
            "X-Twilio-Signature does not fit the request",
        ));
    }
    Ok(())
}

/// Returns our account that the configured Twilio account belongs to.
///
/// # Errors
/// 403 while there is no account at all; 503 when the store does not answer.
pub async fn account(context: &Context) -> ApiResult<AccountId> {
    if let Some(known) = context.twilio_account.get() {
        return Ok(*known);
    }
    let first = context.store.accounts.first_account().await?;
    let first =
        first.ok_or_else(|| refused("no_account", "there is no account yet: set up the first admin"))?;
    Ok(*context.twilio_account.get_or_init(|| first.id))
}

/// A 403, counted and logged: a wrong signature is either an attack or a wrong setting.
pub fn refused(code: &'static str, detail: &str) -> ApiError {
    metrics::counter!("patchcord_twilio_refused_total", "reason" => code).increment(1);
    tracing::warn!(code, "a request to a Twilio door was refused");
    ApiError::Refused {
        code,
        detail: detail.to_owned(),
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(known, _)| known == name);
    found
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().starts_with("application/json"))
}

/// Reads a form; of a JSON object, the fields that are texts, numbers or truth values.
fn read_params(headers: &HeaderMap, body: &Bytes) -> ApiResult<Vec<(String, String)>> {
    if !is_json(headers) {
        return Ok(form_urlencoded::parse(body).into_owned().collect());
    }
    let fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(body).map_err(|error| ApiError::Malformed {
            detail: format!("the body is no JSON object: {error}"),
        })?;
    let plain = fields.into_iter().filter_map(|(name, value)| match value {
        serde_json::Value::String(text) => Some((name, text)),
        serde_json::Value::Number(number) => Some((name, number.to_string())),
        serde_json::Value::Bool(flag) => Some((name, flag.to_string())),
        serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
    });
    Ok(plain.collect())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn request(params: &[(&str, &str)], token: Option<&str>) -> TwilioRequest {
        let params = params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        TwilioRequest {
            params,
            query: Vec::new(),
            idempotency_token: token.map(str::to_owned),
        }
    }

    #[test]
    fn an_empty_parameter_counts_as_absent() {
        let request = request(
            &[
                ("ForwardedFrom", ""),
                ("CallDuration", "12"),
                ("SipResponseCode", "x"),
            ],
            None,
        );
        assert_eq!(request.get("ForwardedFrom"), None);
        assert_eq!(request.number::<u32>("CallDuration"), Some(12));
        assert_eq!(request.number::<u16>("SipResponseCode"), None);
    }

    #[test]
    fn an_id_is_letters_and_digits() {
        assert!(request(&[("CallSid", "CA1234567890ABCDE")], None).call().is_ok());
        for wrong in ["", "CA 1", "CA.1", "../CA1", &"A".repeat(65)] {
            assert!(request(&[("CallSid", wrong)], None).call().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn deliveries_of_one_webhook_share_their_key() {
        let natural = ["CA1", "2", "completed"];
        assert_eq!(
            request(&[], None).dedupe_key("status", &natural),
            "status:CA1:2:completed"
        );
        assert_eq!(
            request(&[], Some("abc")).dedupe_key("status", &natural),
            "status#abc"
        );
    }

    #[test]
    fn reads_the_plain_fields_of_json() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        let body = Bytes::from_static(br#"{"AccountSid":"AC1","CallDuration":7,"Nested":{"a":1}}"#);
        let params = read_params(&headers, &body).expect("an object");
        assert_eq!(find(&params, "CallDuration"), Some("7"));
        assert_eq!(params.len(), 2);
        assert!(read_params(&headers, &Bytes::from_static(b"[1]")).is_err());
    }

    #[test]
    fn directions_follow_the_leg_that_runs_our_twiml() {
        let direction = |word| {
            request(&[("Direction", word)], None)
                .parties()
                .map(|parties| parties.direction)
        };
        assert_eq!(direction("inbound"), Some(Direction::Inbound));
        assert_eq!(direction("outbound-api"), Some(Direction::Outbound));
        assert_eq!(direction(""), None);
    }
}
