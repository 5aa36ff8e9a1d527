//! Birthdays: at 09:00 in each lead's zone, once a year.

use std::{str::FromStr as _, time::Duration};

use jiff::civil;
use serde_json::json;

use crate::{
    domain::{
        ids::ObservationId,
        lead::Lead,
        observation::{EventType, Observation},
        time::Timestamp,
    },
    workflows::{
        calendar::{self, Zone, start_of, zone_of},
        definition::TimeOfDay,
    },
};

/// The field of a lead that says when it was born.
const BIRTHDAY_FIELD: &str = "birthday";
/// When birthdays are, in the lead's zone: 09:00.
const BIRTHDAY_MINUTE: u16 = 9 * 60;
/// Zones differ from UTC by whole quarters of an hour: birthdays begin on one.
const QUARTER_MS: u64 = 15 * 60_000;

/// When birthdays may begin next, anywhere.
#[must_use]
pub fn next_quarter(now: Timestamp) -> Timestamp {
    Timestamp::from_unix_millis((now.as_unix_millis() / QUARTER_MS + 1) * QUARTER_MS)
}

/// The days (`MM-DD`) that a birthday may be written as to begin between `considered` and `now`, anywhere.
#[must_use]
pub fn birthdays_between(considered: Timestamp, now: Timestamp) -> Vec<String> {
    // A birthday that is over is not celebrated: two days back and one ahead cover every zone.
    let day = Duration::from_secs(86_400);
    let from =
        Timestamp::from_unix_millis(now.as_unix_millis().saturating_sub(2 * 86_400_000)).max(considered);
    let utc = Zone::utc();
    let last = calendar::local(now.plus(day), &utc).date;
    let mut date = calendar::local(from, &utc).date.yesterday().unwrap_or(last);
    let mut days = Vec::new();
    while date <= last && days.len() < 8 {
        days.extend(written_as(date));
        let Ok(next) = date.tomorrow() else { break };
        date = next;
    }
    days
}

/// How birthdays that are on `date` are written: on 28 February of a common year those of the 29th are too.
fn written_as(date: civil::Date) -> Vec<String> {
    let mut days = vec![format!("{:02}-{:02}", date.month(), date.day())];
    if !date.in_leap_year() && (date.month(), date.day()) == (2, 28) {
        days.push("02-29".to_owned());
    }
    days
}

/// The fact that it is the lead's birthday, when 09:00 in its zone came after `considered` and not after `now`, and it still is.
#[must_use]
pub fn birthday(
    lead: &Lead,
    settings_zone: Option<&str>,
    considered: Timestamp,
    now: Timestamp,
) -> Option<Observation> {
    let (zone, _) = zone_of(Some(lead), settings_zone);
    let today = calendar::local(now, &zone).date;
    let written = lead.fields.get(BIRTHDAY_FIELD)?.as_str()?.trim();
    let day = written.get(written.len().checked_sub(5)?..)?;
    if !written_as(today).iter().any(|today| today == day) {
        return None;
    }
    let begins = start_of(today, TimeOfDay::from_minutes(BIRTHDAY_MINUTE)?, &zone);
    if begins <= considered || begins > now {
        return None;
    }
    let year = today.year();
    let age = civil::Date::from_str(written).ok().map(|born| year - born.year());
    Some(Observation {
        // Once a year, whatever else happens.
        id: ObservationId::derived(
            Timestamp::default(),
            &[b"birthday", lead.id.as_bytes(), &year.to_be_bytes()],
        ),
        account_id: lead.account_id,
        kind: EventType::LEAD_BIRTHDAY,
        at: begins,
        lead_id: Some(lead.id),
        call_id: None,
        caused_by: None,
        trace: None,
        data: json!({"birthday": written, "age": age, "timezone": zone.name()}),
    })
}
