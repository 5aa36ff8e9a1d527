//! The token that ties Twilio's callbacks about a message or a call that we placed to the record of ours.
//!
//! In: a message's id. Out: a text for the callback's address, and back. It proves that the message left, even when the
//! answer of the REST API was lost. HMAC-SHA256 with a signing key; it does not expire: carriers report days later.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::addresses::RETRIED;
use crate::{
    domain::{ids::MessageId, secret::Secret, signing::SigningKeys, time::Timestamp},
    telemetry::traces,
};

/// Name of the query parameter that carries the token.
pub const PARAMETER: &str = "e";
/// Name of the query parameter that carries the trace that the callback belongs to.
pub const TRACE_PARAMETER: &str = "t";
/// Tells this use of the signing keys from every other.
const PURPOSE: &[u8] = b"patchcord message callback 1\n";

/// Returns the `StatusCallback` for the message `id` of a server with this public address.
#[must_use]
pub fn address(public_url: &str, keys: &SigningKeys, id: MessageId, now: Timestamp) -> String {
    format!(
        "{public_url}/twilio/sms/status?{PARAMETER}={}{}{RETRIED}",
        seal(keys, id, now),
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
pub fn seal(keys: &SigningKeys, id: MessageId, now: Timestamp) -> String {
    let said = id.to_string();
    let proof = mac(keys.current(now).secret(), &said).finalize().into_bytes();
    format!("{said}.{}", URL_SAFE_NO_PAD.encode(proof))
}

/// Returns the message that `token` was made for; `None` for any text that [`seal`] did not write with one of these keys.
#[must_use]
pub fn open(keys: &SigningKeys, token: &str) -> Option<MessageId> {
    let (said, proof) = token.split_once('.')?;
    let proof = URL_SAFE_NO_PAD.decode(proof).ok()?;
    let is_ours = keys
        .all()
        .iter()
        .any(|key| mac(key.secret(), said).verify_slice(&proof).is_ok());
    is_ours.then(|| said.parse().ok()).flatten()
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
    use crate::domain::{signing::SIGNS_AFTER, trace::TraceContext};

    const NOW: Timestamp = Timestamp::from_unix_millis(1_795_000_000_000);

    fn keys(digits: &str) -> SigningKeys {
        SigningKeys::of(Secret::new(digits.repeat(32)), NOW)
    }

    #[test]
    fn a_token_names_its_message_and_no_other() {
        let (keys, others) = (keys("00"), keys("11"));
        let (one, other) = (MessageId::fresh(), MessageId::fresh());
        let token = seal(&keys, one, NOW);
        assert_eq!(open(&keys, &token), Some(one));
        let swapped = token.replace(&one.to_string(), &other.to_string());
        assert_eq!(open(&keys, &swapped), None);
        assert_eq!(open(&others, &token), None);
        for nonsense in ["", ".", "msg_1.abc", "%"] {
            assert_eq!(open(&keys, nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn a_token_outlives_its_key_s_turn_to_sign_and_not_the_key() {
        let (old, id) = (keys("00"), MessageId::fresh());
        let both = old.with(Secret::new("11".repeat(32)), NOW).expect("room");
        let settled = NOW.plus(SIGNS_AFTER);
        let (before, after) = (seal(&both, id, NOW), seal(&both, id, settled));
        assert_eq!(before, seal(&old, id, NOW), "the fresh key does not sign yet");
        assert_ne!(before, after);
        assert_eq!((open(&both, &before), open(&both, &after)), (Some(id), Some(id)));
        let (kept, retired) = both.without_earlier(settled.plus(SIGNS_AFTER)).expect("retired");
        assert_eq!((open(&kept, &before), open(&kept, &after)), (None, Some(id)));
        assert_eq!(open(&retired, &after), None);
    }

    #[tokio::test]
    async fn the_address_of_what_is_traced_carries_the_trace_before_the_retry_rule() {
        let keys = keys("00");
        let id = MessageId::fresh();
        let place = TraceContext::new([7; 16], [9; 8]);
        let traced = traces::within(place, async { address("https://h.example", &keys, id, NOW) }).await;
        let place = place.expect("ids that stand for something");
        let (own, rest) = traced.split_once("&t=").expect("it carries the trace");
        assert_eq!(rest, format!("{place}{RETRIED}"));
        let untraced = address("https://h.example", &keys, id, NOW);
        assert_eq!(untraced, format!("{own}{RETRIED}"));
    }

    #[test]
    fn the_address_stays_well_below_twilios_limit() {
        let address = address("https://calls.example.com", &keys("00"), MessageId::fresh(), NOW);
        assert!(
            address.starts_with("https://calls.example.com/twilio/sms/status?e=msg_"),
            "{address}"
        );
        assert!(address.len() < 300, "{}", address.len());
    }
}
