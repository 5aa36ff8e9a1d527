//! Shopify's webhooks (<https://shopify.dev/docs/apps/build/webhooks>): the topic and the signature are in headers.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::Mac as _;
use serde_json::{Map, Value, json};

use super::{
    money::minor_units,
    signature,
    translate::{Arrived, Refusal, Translated, phone, put, text_at},
};
use crate::domain::{observation::EventType, secret::Secret};

/// One topic of Shopify's for each of our events: an order is told of in several, and must be heard of once.
const KINDS: &[(&str, EventType)] = &[("orders/paid", EventType::PURCHASE_COMPLETED)];
const SIGNATURE: &str = "X-Shopify-Hmac-Sha256";

pub(super) fn check(secret: &Secret, arrived: Arrived<'_>) -> Result<(), Refusal> {
    let shown = arrived.header("x-shopify-hmac-sha256");
    if shown.is_empty() {
        return Err(Refusal::Forged(format!(
            "`{SIGNATURE}` is missing: was it sent by somebody else?"
        )));
    }
    let expected = signature::code(secret, &[arrived.body]);
    if STANDARD
        .decode(shown.trim())
        .is_ok_and(|bytes| expected.verify_slice(&bytes).is_ok())
    {
        return Ok(());
    }
    Err(Refusal::Forged(format!(
        "`{SIGNATURE}` was not made with this webhook's secret: compare the secret with the one that Shopify shows"
    )))
}

pub(super) fn read(arrived: Arrived<'_>) -> Result<Translated, Refusal> {
    let body = Value::Object(arrived.object()?);
    let word = arrived.header("x-shopify-topic").to_owned();
    if word.is_empty() {
        let why = "the header `X-Shopify-Topic` is missing: Shopify's webhooks have it";
        return Err(Refusal::Unreadable(why.to_owned()));
    }
    let mut data = Map::new();
    let number = body.get("id").filter(|id| id.is_number() || id.is_string());
    put(
        &mut data,
        "id",
        number.map(|id| json!(id.as_str().map_or_else(|| id.to_string(), str::to_owned))),
    );
    let currency = text_at(&body, &["/currency", "/presentment_currency"]).map(|text| text.to_lowercase());
    let total = text_at(&body, &["/current_total_price", "/total_price"]);
    let amount = total
        .zip(currency.as_ref())
        .and_then(|(total, currency)| minor_units(&total, currency));
    put(&mut data, "amount", amount);
    put(&mut data, "currency", currency);
    put(
        &mut data,
        "email",
        text_at(&body, &["/email", "/contact_email", "/customer/email"]),
    );
    let number = text_at(
        &body,
        &[
            "/phone",
            "/customer/phone",
            "/shipping_address/phone",
            "/billing_address/phone",
            "/customer/default_address/phone",
        ],
    );
    put(&mut data, "phone", phone(number));
    let first = text_at(&body, &["/customer/first_name", "/first_name"]);
    let last = text_at(&body, &["/customer/last_name", "/last_name"]);
    let name: Vec<String> = first.into_iter().chain(last).collect();
    put(&mut data, "name", (!name.is_empty()).then(|| name.join(" ")));
    put(&mut data, "order", text_at(&body, &["/name"]));
    put(
        &mut data,
        "url",
        text_at(&body, &["/abandoned_checkout_url", "/order_status_url"]),
    );
    put(&mut data, "product", text_at(&body, &["/line_items/0/title"]));
    put(&mut data, "shopify_topic", Some(word.clone()));
    let id = arrived.header("x-shopify-webhook-id");
    Ok(Translated {
        kind: KINDS
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, kind)| kind.clone()),
        word,
        id: (!id.is_empty()).then(|| id.to_owned()),
        data,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn an_order_is_read_and_its_signature_checked_over_the_bytes() {
        let secret = Secret::new("shpss_test".to_owned());
        let body =
            json!({"id": 820_982_911, "email": "jon@example.com", "currency": "USD", "total_price": "403.00",
            "customer": {"first_name": "Jon", "last_name": "Doe"}, "line_items": [{"title": "Lamp"}]})
            .to_string();
        let code = STANDARD.encode(
            signature::code(&secret, &[body.as_bytes()])
                .finalize()
                .into_bytes(),
        );
        let headers = BTreeMap::from([
            ("x-shopify-topic".to_owned(), "orders/paid".to_owned()),
            ("x-shopify-webhook-id".to_owned(), "w1".to_owned()),
            ("x-shopify-hmac-sha256".to_owned(), code),
        ]);
        let arrived = Arrived {
            headers: &headers,
            body: body.as_bytes(),
            at: Timestamp::default(),
        };
        assert_eq!(check(&secret, arrived), Ok(()));
        assert!(check(&Secret::new("other".to_owned()), arrived).is_err());
        assert!(
            check(
                &secret,
                Arrived {
                    body: b"{}",
                    ..arrived
                }
            )
            .is_err()
        );
        let read = read(arrived).expect("it is Shopify's");
        assert_eq!(
            (read.kind, read.id.as_deref()),
            (Some(EventType::PURCHASE_COMPLETED), Some("w1"))
        );
        assert_eq!(
            (&read.data["amount"], &read.data["name"], &read.data["id"]),
            (&json!(40_300), &json!("Jon Doe"), &json!("820982911"))
        );
    }
}
