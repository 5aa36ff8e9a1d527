//! Calendly's webhooks (<https://developer.calendly.com/api-docs>): `Calendly-Webhook-Signature`, and an invitee in `payload`.

use serde_json::{Map, Value};

use super::{
    signature,
    translate::{Arrived, Refusal, Translated, phone, put, text_at},
};
use crate::domain::{observation::EventType, secret::Secret};

const KINDS: &[(&str, EventType)] = &[
    ("invitee.created", EventType::APPOINTMENT_BOOKED),
    ("invitee.canceled", EventType::APPOINTMENT_CANCELLED),
    ("invitee_no_show.created", EventType::APPOINTMENT_NO_SHOW),
];

pub(super) fn check(secret: &Secret, arrived: Arrived<'_>) -> Result<(), Refusal> {
    let header = (
        "Calendly-Webhook-Signature",
        arrived.header("calendly-webhook-signature"),
    );
    signature::check_timed(secret, header, arrived.body, arrived.at)
}

pub(super) fn read(arrived: Arrived<'_>) -> Result<Translated, Refusal> {
    let event = Value::Object(arrived.object()?);
    let Some(word) = text_at(&event, &["/event"]) else {
        return Err(Refusal::Unreadable(
            "the body has no `event`: Calendly's webhooks have one".to_owned(),
        ));
    };
    let payload = event.get("payload").cloned().unwrap_or_default();
    let mut data = Map::new();
    let invitee = text_at(&payload, &["/uri", "/invitee/uri"]);
    put(&mut data, "id", invitee.clone());
    put(
        &mut data,
        "email",
        text_at(&payload, &["/email", "/invitee/email"]),
    );
    let number = text_at(
        &payload,
        &["/text_reminder_number", "/scheduled_event/location/location"],
    );
    put(&mut data, "phone", phone(number));
    put(&mut data, "name", text_at(&payload, &["/name", "/invitee/name"]));
    put(&mut data, "title", text_at(&payload, &["/scheduled_event/name"]));
    put(
        &mut data,
        "starts_at",
        text_at(&payload, &["/scheduled_event/start_time"]),
    );
    put(
        &mut data,
        "ends_at",
        text_at(&payload, &["/scheduled_event/end_time"]),
    );
    put(
        &mut data,
        "location",
        text_at(
            &payload,
            &[
                "/scheduled_event/location/join_url",
                "/scheduled_event/location/location",
            ],
        ),
    );
    put(&mut data, "timezone", text_at(&payload, &["/timezone"]));
    put(&mut data, "reason", text_at(&payload, &["/cancellation/reason"]));
    put(
        &mut data,
        "rescheduled",
        payload
            .get("rescheduled")
            .filter(|moved| moved.is_boolean())
            .cloned(),
    );
    put(&mut data, "calendly_event", Some(word.clone()));
    Ok(Translated {
        kind: KINDS
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, kind)| kind.clone()),
        // Calendly gives its requests no id; an invitee is created, cancelled and missed once.
        id: invitee.map(|invitee| format!("{word} {invitee}").chars().take(255).collect()),
        word,
        data,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn a_booking_is_read_with_its_time_and_signed_like_stripes() {
        let body = json!({"event": "invitee.created", "payload": {"uri": "https://api.calendly.com/i/1",
            "email": "ann@example.com", "text_reminder_number": "+1 415-555-0100",
            "scheduled_event": {"name": "Intro", "start_time": "2027-01-01T10:00:00Z"}}})
        .to_string();
        let secret = Secret::new("key".to_owned());
        let at = Timestamp::from_unix_millis(1_795_000_000_000);
        let signed = signature::timed(&secret, body.as_bytes(), at);
        let headers = BTreeMap::from([("calendly-webhook-signature".to_owned(), signed)]);
        let arrived = Arrived {
            headers: &headers,
            body: body.as_bytes(),
            at,
        };
        assert_eq!(check(&secret, arrived), Ok(()));
        let read = read(arrived).expect("it is Calendly's");
        assert_eq!(read.kind, Some(EventType::APPOINTMENT_BOOKED));
        assert_eq!(
            (&read.data["phone"], &read.data["title"]),
            (&json!("+14155550100"), &json!("Intro"))
        );
        assert_eq!(
            read.id.as_deref(),
            Some("invitee.created https://api.calendly.com/i/1")
        );
    }
}
