//! The token that ties Twilio's callbacks about a message or a call that we placed to the record of ours.
//!
//! In: a message's id. Out: a text for the callback's address, and back. It proves that the message left, even when the
//! answer of the REST API was lost. HMAC-SHA256 with the master key; it does not expire: carriers report days later.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::addresses::RETRIED;
use crate::{
    domain::{ids::MessageId, secret::Secret},
    telemetry::traces,
};

/// Name of the query parameter that carries the token.
pub const PARAMETER: &str = "e";
/// Name of the query parameter that carries the trace that the callback belongs to.
pub const TRACE_PARAMETER: &str = "t";
/// Tells this use of the master key from every other.
const PURPOSE: &[u8] = b"patchcord message callback 1\n";

/// Returns the `StatusCallback` for the message `id` of a server with this public address.
#[must_use]
pub fn address(public_url: &str, key: &Secret, id: MessageId) -> String {
    format!(
        "{public_url}/twilio/sms/status?{PARAMETER}={}{}{RETRIED}",
        seal(key, id),
        trace()
    )
}

/// Returns the `StatusCallback` for a call that we place under `token`.
#[must_use]
pub fn call_address(public_url: &str, token: &str) -> String {
    format!(
        "{public_url}/twilio/status?{PARAMETER}={token}{}{RETRIED}",
        trace()
    )
}

/// Returns the address that Twilio asks what to do in a call that we place under `token`, once it is answered.
#[must_use]
pub fn answer_address(public_url: &str, token: &str) -> String {
    format!("{public_url}/twilio/placed?{PARAMETER}={token}{}", trace())
}

/// What is being worked on, so that the callback goes on in its trace: days later, after a restart, on another node.
fn trace() -> String {
    traces::current().map_or_else(String::new, |place| format!("&{TRACE_PARAMETER}={place}"))
}

/// Returns the token of the message `id`: letters, digits, `-`, `_` and one dot.
#[must_use]
pub fn seal(key: &Secret, id: MessageId) -> String {
    let said = id.to_string();
    let proof = mac(key, &said).finalize().into_bytes();
    format!("{said}.{}", URL_SAFE_NO_PAD.encode(proof))
}

/// Returns the message that `token` was made for; `None` for any text that [`seal`] did not write with this key.
#[must_use]
pub fn open(key: &Secret, token: &str) -> Option<MessageId> {
    let (said, proof) = token.split_once('.')?;
    let proof = URL_SAFE_NO_PAD.decode(proof).ok()?;
    mac(key, said).verify_slice(&proof).ok()?;
    said.parse().ok()
}

fn mac(key: &Secret, said: &str) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(PURPOSE);
    mac.update(said.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::trace::TraceContext;

    #[test]
    fn a_token_names_its_message_and_no_other() {
        let key = Secret::new("00".repeat(32));
        let (one, other) = (MessageId::fresh(), MessageId::fresh());
        let token = seal(&key, one);
        assert_eq!(open(&key, &token), Some(one));
        let swapped = token.replace(&one.to_string(), &other.to_string());
        assert_eq!(open(&key, &swapped), None);
        assert_eq!(open(&Secret::new("11".repeat(32)), &token), None);
        for nonsense in ["", ".", "msg_1.abc", "%"] {
            assert_eq!(open(&key, nonsense), None, "{nonsense:?}");
        }
    }

    #[tokio::test]
    async fn the_address_of_what_is_traced_carries_the_trace_before_the_retry_rule() {
        let key = Secret::new("00".repeat(32));
        let id = MessageId::fresh();
        let place = TraceContext::new([7; 16], [9; 8]);
        let traced = traces::within(place, async { address("https://h.example", &key, id) }).await;
        let place = place.expect("ids that stand for something");
        let (own, rest) = traced.split_once("&t=").expect("it carries the trace");
        assert_eq!(rest, format!("{place}{RETRIED}"));
        assert_eq!(address("https://h.example", &key, id), format!("{own}{RETRIED}"));
    }

    #[test]
    fn the_address_stays_well_below_twilios_limit() {
        let key = Secret::new("00".repeat(32));
        let address = address("https://calls.example.com", &key, MessageId::fresh());
        assert!(
            address.starts_with("https://calls.example.com/twilio/sms/status?e=msg_"),
            "{address}"
        );
        assert!(address.len() < 300, "{}", address.len());
    }
}
