//! Stripe's events (<https://docs.stripe.com/webhooks>): `Stripe-Signature`, and an object in `data.object`.

use serde_json::{Map, Value};

use super::{
    signature,
    translate::{Arrived, Refusal, Translated, phone, put, text_at},
};
use crate::domain::{observation::EventType, secret::Secret};

/// One event of Stripe's for each of ours: a payment is told of in several, and must be heard of once.
const KINDS: &[(&str, EventType)] = &[
    ("payment_intent.succeeded", EventType::PAYMENT_RECEIVED),
    ("payment_intent.payment_failed", EventType::PAYMENT_FAILED),
    ("checkout.session.completed", EventType::PURCHASE_COMPLETED),
    ("quote.finalized", EventType::QUOTE_SENT),
];

pub(super) fn check(secret: &Secret, arrived: Arrived<'_>) -> Result<(), Refusal> {
    let header = ("Stripe-Signature", arrived.header("stripe-signature"));
    signature::check_timed(secret, header, arrived.body, arrived.at)
}

pub(super) fn read(arrived: Arrived<'_>) -> Result<Translated, Refusal> {
    let event = Value::Object(arrived.object()?);
    let Some(word) = text_at(&event, &["/type"]) else {
        return Err(Refusal::Unreadable(
            "the body has no `type`: Stripe's events have one".to_owned(),
        ));
    };
    let object = event.pointer("/data/object").cloned().unwrap_or_default();
    let mut data = Map::new();
    let amount = ["/amount_received", "/amount_total", "/amount_paid", "/amount"]
        .iter()
        .find_map(|pointer| object.pointer(pointer)?.as_i64());
    put(&mut data, "id", text_at(&object, &["/id"]));
    put(&mut data, "amount", amount);
    put(&mut data, "currency", text_at(&object, &["/currency"]));
    who(&object, &mut data);
    put(&mut data, "product", text_at(&object, &["/description"]));
    put(&mut data, "customer", text_at(&object, &["/customer"]));
    put(
        &mut data,
        "reason",
        text_at(&object, &["/last_payment_error/message"]),
    );
    // What we, or the account, wrote there comes back.
    put(&mut data, "lead_id", text_at(&object, &["/metadata/lead_id"]));
    put(&mut data, "quote_id", text_at(&object, &["/metadata/quote_id"]));
    put(
        &mut data,
        "metadata",
        object
            .get("metadata")
            .filter(|metadata| metadata.is_object())
            .cloned(),
    );
    put(&mut data, "stripe_event", Some(word.clone()));
    Ok(Translated {
        kind: KINDS
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, kind)| kind.clone()),
        word,
        id: text_at(&event, &["/id"]),
        data,
    })
}

/// Whom it is about, wherever an object of Stripe's says so.
fn who(object: &Value, data: &mut Map<String, Value>) {
    put(
        data,
        "email",
        text_at(
            object,
            &[
                "/customer_details/email",
                "/customer_email",
                "/receipt_email",
                "/billing_details/email",
                "/charges/data/0/billing_details/email",
                "/email",
            ],
        ),
    );
    let number = text_at(
        object,
        &[
            "/customer_details/phone",
            "/customer_phone",
            "/billing_details/phone",
            "/shipping/phone",
            "/phone",
        ],
    );
    put(data, "phone", phone(number));
    put(
        data,
        "name",
        text_at(
            object,
            &[
                "/customer_details/name",
                "/customer_name",
                "/billing_details/name",
                "/name",
            ],
        ),
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn a_payment_is_read_with_who_paid() {
        let body = json!({"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": {
            "id": "pi_1", "amount": 2_000, "amount_received": 1_900, "currency": "usd",
            "receipt_email": "ann@example.com", "metadata": {"quote_id": "quote_1"}}}})
        .to_string();
        let headers = BTreeMap::new();
        let arrived = Arrived {
            headers: &headers,
            body: body.as_bytes(),
            at: Timestamp::default(),
        };
        let read = read(arrived).expect("it is Stripe's");
        assert_eq!(
            (read.kind, read.id.as_deref()),
            (Some(EventType::PAYMENT_RECEIVED), Some("evt_1"))
        );
        let expected = json!({"id": "pi_1", "amount": 1_900, "currency": "usd", "email": "ann@example.com",
            "quote_id": "quote_1", "metadata": {"quote_id": "quote_1"}, "stripe_event": "payment_intent.succeeded"});
        assert_eq!(Value::Object(read.data), expected);
        assert!(
            check(&Secret::new("whsec".to_owned()), arrived).is_err(),
            "it is not signed"
        );
    }
}
