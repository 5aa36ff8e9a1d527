//! Which leads are wanted, as data.
//!
//! Pure: the same lead and filter always give the same answer, on every store.

use std::{collections::BTreeMap, time::Duration};

use jiff::{civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Lead;
use crate::domain::time::{Timestamp, zone};

/// The own field that holds a person's birthday: `1990-04-23` or `04-23`.
pub const BIRTHDAY_FIELD: &str = "birthday";

/// What a lead must be like. What is not said does not matter.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LeadFilter {
    /// One of these; any when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score_min: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score_max: Option<i32>,
    /// Own fields with these values; a number and its text are the same.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Value>,
    /// Whose birthday it is where they live; the zone for those of whom that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birthday_in: Option<String>,
    /// Not older than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_within: Option<Duration>,
    /// Whether those who want no messages count too.
    pub with_opted_out: bool,
}

impl LeadFilter {
    /// Whether `lead` is wanted at `now`.
    #[must_use]
    pub fn matches(&self, lead: &Lead, now: Timestamp) -> bool {
        (self.with_opted_out || !lead.opted_out)
            && (self.stages.is_empty() || self.stages.contains(&lead.stage))
            && self.score_min.is_none_or(|least| lead.score >= least)
            && self.score_max.is_none_or(|most| lead.score <= most)
            && self
                .created_within
                .is_none_or(|span| now.since(lead.created_at) <= span)
            && self.fields.iter().all(|(name, wanted)| {
                lead.fields
                    .get(name)
                    .is_some_and(|kept| are_the_same(kept, wanted))
            })
            && self
                .birthday_in
                .as_deref()
                .is_none_or(|zone| has_birthday(lead, now, zone))
    }
}

fn are_the_same(kept: &Value, wanted: &Value) -> bool {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    kept == wanted || text(kept) == text(wanted)
}

fn has_birthday(lead: &Lead, now: Timestamp, fallback_zone: &str) -> bool {
    let Some((month, day)) = lead
        .fields
        .get(BIRTHDAY_FIELD)
        .and_then(Value::as_str)
        .and_then(month_and_day)
    else {
        return false;
    };
    let place = lead
        .timezone
        .as_deref()
        .and_then(zone)
        .or_else(|| zone(fallback_zone))
        .unwrap_or(TimeZone::UTC);
    let moment = i64::try_from(now.as_unix_millis())
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    let Some(today) = moment.map(|moment| moment.to_zoned(place).date()) else {
        return false;
    };
    let is_leap_child = (month, day) == (2, 29);
    let day = if is_leap_child && !today.in_leap_year() {
        28
    } else {
        day
    };
    (today.month(), today.day()) == (month, day)
}

/// Reads `1990-04-23` or `04-23`.
fn month_and_day(text: &str) -> Option<(i8, i8)> {
    let text = text.trim();
    let whole = if text.len() == 5 {
        // A leap year takes every day there is.
        format!("2000-{text}")
    } else {
        text.get(..10)?.to_owned()
    };
    let date: Date = whole.parse().ok()?;
    Some((date.month(), date.day()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::ids::{AccountId, LeadId};

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn lead() -> Lead {
        Lead {
            score: 60,
            stage: "qualified".to_owned(),
            ..Lead::nameless(
                LeadId::from_bytes([1; 16]),
                AccountId::from_bytes([2; 16]),
                at("2026-11-20T09:00:00Z"),
            )
        }
    }

    fn born(birthday: &str, zone: Option<&str>) -> Lead {
        Lead {
            timezone: zone.map(str::to_owned),
            fields: BTreeMap::from([(BIRTHDAY_FIELD.to_owned(), json!(birthday))]),
            ..lead()
        }
    }

    #[test]
    fn each_part_of_a_filter_must_hold() {
        let now = at("2026-11-21T09:00:00Z");
        let mut gold = lead();
        gold.fields.insert("plan".to_owned(), json!("gold"));
        gold.fields.insert("seats".to_owned(), json!(5));
        let filter = |filter: LeadFilter| filter.matches(&gold, now);
        assert!(filter(LeadFilter::default()));
        let stages = |stage: &str| LeadFilter {
            stages: vec!["new".to_owned(), stage.to_owned()],
            ..LeadFilter::default()
        };
        assert!(filter(stages("qualified")) && !filter(stages("won")));
        let score = |least, most| LeadFilter {
            score_min: Some(least),
            score_max: Some(most),
            ..LeadFilter::default()
        };
        assert!(filter(score(60, 60)) && !filter(score(61, 100)) && !filter(score(0, 59)));
        let field = |name: &str, value: Value| LeadFilter {
            fields: BTreeMap::from([(name.to_owned(), value)]),
            ..LeadFilter::default()
        };
        assert!(filter(field("plan", json!("gold"))) && !filter(field("plan", json!("tin"))));
        assert!(filter(field("seats", json!("5"))) && !filter(field("city", json!("Rome"))));
        let within = |hours: u64| LeadFilter {
            created_within: Some(Duration::from_secs(hours * 3_600)),
            ..LeadFilter::default()
        };
        assert!(filter(within(24)) && !filter(within(23)));
    }

    #[test]
    fn who_wants_no_messages_counts_only_when_asked_for() {
        let silent = Lead {
            opted_out: true,
            ..lead()
        };
        let now = at("2026-11-21T09:00:00Z");
        assert!(!LeadFilter::default().matches(&silent, now));
        let all = LeadFilter {
            with_opted_out: true,
            ..LeadFilter::default()
        };
        assert!(all.matches(&silent, now));
    }

    #[test]
    fn a_birthday_is_where_the_person_lives() {
        let filter = LeadFilter {
            birthday_in: Some("America/New_York".to_owned()),
            ..LeadFilter::default()
        };
        // 23:30 on the 22nd in New York, 13:30 on the 23rd in Tokyo.
        let now = at("2026-04-23T03:30:00Z");
        assert!(filter.matches(&born("1990-04-22", None), now));
        assert!(!filter.matches(&born("1990-04-23", None), now));
        assert!(filter.matches(&born("04-23", Some("Asia/Tokyo")), now));
        assert!(!filter.matches(&born("tomorrow", None), now));
        assert!(!filter.matches(&lead(), now));
    }

    #[test]
    fn a_child_of_the_leap_day_has_a_birthday_every_year() {
        let filter = LeadFilter {
            birthday_in: Some("UTC".to_owned()),
            ..LeadFilter::default()
        };
        let leap_child = born("2004-02-29", None);
        assert!(filter.matches(&leap_child, at("2027-02-28T12:00:00Z")));
        assert!(filter.matches(&leap_child, at("2028-02-29T12:00:00Z")));
        assert!(!filter.matches(&leap_child, at("2028-02-28T12:00:00Z")));
    }
}
