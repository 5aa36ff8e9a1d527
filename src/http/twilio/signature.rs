//! Checks that a request comes from Twilio: HMAC-SHA1 with the account's primary auth token.
//!
//! In: the address as the outside sees it, what was sent, the signature. Out: whether they belong together.
//! Rules and vectors: <https://www.twilio.com/docs/usage/webhooks/webhooks-security> and the tests of Twilio's libraries.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use url::{Position, Url, form_urlencoded};

use crate::domain::{hex::hex, secret::Secret};

/// Header that carries the signature.
pub const SIGNATURE_HEADER: &str = "x-twilio-signature";
/// Query parameter that carries the hash of a JSON body.
const BODY_HASH_PARAM: &str = "bodySHA256";

/// What a request carries besides its address.
#[derive(Debug, Clone, Copy)]
pub enum Payload<'a> {
    /// Nothing: a GET, or the opening of a WebSocket.
    Nothing,
    /// Decoded names and values of a form.
    Form(&'a [(String, String)]),
    /// Raw bytes of a JSON body.
    Json(&'a [u8]),
}

/// Returns the signature over exactly this `address` but for its fragment. For JSON the address must carry [`with_body_hash`] already.
#[must_use]
pub fn sign(auth_token: &Secret, address: &str, payload: Payload<'_>) -> String {
    let sent = address.split_once('#').map_or(address, |(sent, _)| sent);
    STANDARD.encode(mac(auth_token, sent, payload).finalize().into_bytes())
}

/// Returns `address` with the hash of `body` in its query, as Twilio sends JSON.
#[must_use]
pub fn with_body_hash(address: &str, body: &[u8]) -> String {
    let separator = if address.contains('?') { '&' } else { '?' };
    format!("{address}{separator}{BODY_HASH_PARAM}={}", hash_hex(body))
}

/// Returns whether `signature` was made for this request. Takes as long for a wrong one as for a right one.
#[must_use]
pub fn verify(auth_token: &Secret, address: &Url, payload: Payload<'_>, signature: &str) -> bool {
    if auth_token.is_empty() || !body_is_intact(address, payload) {
        return false;
    }
    let Ok(given) = STANDARD.decode(signature) else {
        return false;
    };
    signed_forms(address)
        .iter()
        .any(|form| mac(auth_token, form, payload).verify_slice(&given).is_ok())
}

fn mac(auth_token: &Secret, address: &str, payload: Payload<'_>) -> Hmac<Sha1> {
    let mut mac =
        Hmac::<Sha1>::new_from_slice(auth_token.expose().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(address.as_bytes());
    if let Payload::Form(params) = payload {
        let mut sorted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, value) in params {
            sorted.entry(name).or_default().insert(value);
        }
        for (name, values) in sorted {
            for value in values {
                mac.update(name.as_bytes());
                mac.update(value.as_bytes());
            }
        }
    }
    mac
}

/// Whether a JSON body is the one whose hash the signed address names.
fn body_is_intact(address: &Url, payload: Payload<'_>) -> bool {
    let Payload::Json(body) = payload else { return true };
    let named = address.query_pairs().find(|(name, _)| name == BODY_HASH_PARAM);
    named.is_some_and(|(_, hash)| hash.eq_ignore_ascii_case(&hash_hex(body)))
}

fn hash_hex(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

/// The ways in which Twilio's signers write one address: with and without port, query as it stands and encoded anew.
fn signed_forms(address: &Url) -> [String; 4] {
    let mut bare = address.clone();
    bare.set_fragment(None);
    let port = bare.port_or_known_default();
    // Fails only for addresses without a host, and those have no port either.
    let _ = bare.set_port(None);
    let with_port = port.map_or_else(
        || bare.to_string(),
        |port| {
            format!(
                "{}:{port}{}",
                &bare[..Position::AfterHost],
                &bare[Position::AfterPort..]
            )
        },
    );
    let legacy = |text: &str| -> String {
        match text.split_once('?') {
            Some((path, query)) => format!("{path}?{}", legacy_query(query)),
            None => text.to_owned(),
        }
    };
    [legacy(bare.as_str()), legacy(&with_port), bare.into(), with_port]
}

/// Encodes a query anew as Node's `querystring` does: equal names together, blanks as `%20`, `'` left alone.
fn legacy_query(query: &str) -> String {
    let mut grouped: Vec<(Cow<'_, str>, Vec<Cow<'_, str>>)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match grouped.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => grouped.push((name, vec![value])),
        }
    }
    let mut encoded = String::with_capacity(query.len());
    for (name, values) in &grouped {
        for value in values {
            if !encoded.is_empty() {
                encoded.push('&');
            }
            encode_component(name, &mut encoded);
            encoded.push('=');
            encode_component(value, &mut encoded);
        }
    }
    encoded
}

fn encode_component(text: &str, encoded: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
    const SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";

    fn token() -> Secret {
        Secret::new("12345".to_owned())
    }

    fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn digits_form() -> Vec<(String, String)> {
        form(&[
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
        ])
    }

    fn holds(address: &str, payload: Payload<'_>, signature: &str) -> bool {
        verify(
            &token(),
            &Url::parse(address).expect("an address"),
            payload,
            signature,
        )
    }

    #[test]
    fn accepts_the_published_form_vectors() {
        for (address, signature) in [
            (ADDRESS, SIGNATURE),
            (
                "https://mycompany.com:443/myapp.php?foo=1&bar=2",
                "kvajT1Ptam85bY51eRf/AJRuM3w=",
            ),
            (
                "http://mycompany.com:80/myapp.php?foo=1&bar=2",
                "0ZXoZLH/DfblKGATFgpif+LLRf4=",
            ),
            (
                "http://mycompany.com:1234/myapp.php?foo=1&bar=2",
                "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
            ),
            (
                "https://user:pass@mycompany.com/myapp.php?foo=1&bar=2",
                "CukzLTc1tT5dXEDIHm/tKBanW10=",
            ),
            (
                "https://mycompany.com/myapp.php?foo=1&bar=2&Body=It's+amazing",
                "TfZzewPq8wqrGlMfyAud8+/IvJ0=",
            ),
        ] {
            assert!(
                holds(address, Payload::Form(&digits_form()), signature),
                "{address}"
            );
        }
    }

    #[test]
    fn signs_repeated_names_once_a_value_and_sorted() {
        let repeated = form(&[
            ("Sid", "CA123"),
            ("SidAccount", "AC123"),
            ("Digits", "5678"),
            ("Digits", "1234"),
            ("Digits", "1234"),
        ]);
        assert_eq!(
            sign(&token(), ADDRESS, Payload::Form(&repeated)),
            "IK+Dwps556ElfBT0I3Rgjkr1wJU="
        );
        let binding = form(&[
            ("MessagingBinding.Address", "+1415xxxxxxx"),
            ("MessagingBinding.Address", "+1325xxxxxxx"),
        ]);
        assert_eq!(
            sign(&token(), ADDRESS, Payload::Form(&binding)),
            "83O6e2vORAoJHUNzJjDWN1jz+BA="
        );
    }

    #[test]
    fn checks_a_json_body_by_its_hash() {
        let body = br#"{"property": "value", "boolean": true}"#;
        let address = with_body_hash(ADDRESS, body);
        assert!(
            address.ends_with("&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620")
        );
        assert!(holds(
            &address,
            Payload::Json(body),
            "a9nBmqA0ju/hNViExpshrM61xv4="
        ));
        assert!(!holds(
            &address,
            Payload::Json(b"{}"),
            "a9nBmqA0ju/hNViExpshrM61xv4="
        ));
        let unnamed = sign(&token(), ADDRESS, Payload::Json(body));
        assert!(
            !holds(ADDRESS, Payload::Json(body), &unnamed),
            "a body without its hash is not covered"
        );
    }

    #[test]
    fn signs_the_opening_of_a_websocket_over_its_own_scheme() {
        let signature = "okykUWKkAOgQseVjzERZh4soLeU=";
        assert_eq!(
            sign(&token(), "wss://mycompany.com/media", Payload::Nothing),
            signature
        );
        assert!(holds("wss://mycompany.com/media", Payload::Nothing, signature));
        assert!(holds(
            "wss://mycompany.com:443/media",
            Payload::Nothing,
            signature
        ));
        assert!(!holds("https://mycompany.com/media", Payload::Nothing, signature));
    }

    #[test]
    fn accepts_the_address_with_and_without_its_port() {
        for (seen, signed) in [
            ("https://mycompany.com/v", "https://mycompany.com:443/v"),
            ("https://mycompany.com:443/v", "https://mycompany.com/v"),
            ("https://mycompany.com:8443/v", "https://mycompany.com/v"),
            ("http://mycompany.com/v?a=1", "http://mycompany.com:80/v?a=1"),
        ] {
            let signature = sign(&token(), signed, Payload::Form(&digits_form()));
            assert!(
                holds(seen, Payload::Form(&digits_form()), &signature),
                "{seen} signed as {signed}"
            );
        }
    }

    #[test]
    fn accepts_the_query_encoded_anew_and_ignores_the_fragment() {
        let legacy = sign(
            &token(),
            "https://mycompany.com/v?a=It's%20fine&b=2",
            Payload::Nothing,
        );
        assert!(holds(
            "https://mycompany.com/v?a=It's+fine&b=2",
            Payload::Nothing,
            &legacy
        ));
        let bare = sign(&token(), "https://mycompany.com/v", Payload::Nothing);
        assert!(holds("https://mycompany.com/v#rc=5", Payload::Nothing, &bare));
    }

    #[test]
    fn refuses_another_token_address_or_value_and_whatever_is_no_signature() {
        let params = digits_form();
        assert!(!holds(
            "https://mycompany.com/myapp.php?foo=1&bar=3",
            Payload::Form(&params),
            SIGNATURE
        ));
        assert!(!holds(
            "https://mycompany.com/myapp.php/?foo=1&bar=2",
            Payload::Form(&params),
            SIGNATURE
        ));
        assert!(!holds(ADDRESS, Payload::Form(&params[1..]), SIGNATURE));
        for nonsense in ["", "RSOYDt4T", "not base64!", &SIGNATURE[..27]] {
            assert!(!holds(ADDRESS, Payload::Form(&params), nonsense), "{nonsense:?}");
        }
        let address = Url::parse(ADDRESS).expect("an address");
        let nobody = Secret::new(String::new());
        let signature = sign(&nobody, ADDRESS, Payload::Nothing);
        assert!(
            !verify(&nobody, &address, Payload::Nothing, &signature),
            "an empty token proves nothing"
        );
    }
}
