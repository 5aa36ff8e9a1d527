//! The calendar over every minute around both changes of the clock, against an oracle that only reads the wall.

use std::collections::BTreeMap;

use crate::{
    domain::{ids::AccountId, time::Timestamp},
    workflows::{
        calendar::{
            BusinessHours, Days, Local, Weekday, Zone, is_open, is_within, local, next_end_of, next_local,
            next_open, weekday, zone, zone_of,
        },
        definition::{QuietHours, TimeOfDay},
    },
};

const MINUTE_MS: u64 = 60_000;

/// Zones with an hour, half an hour and no change of the clock, and the moments (UTC) of the two changes of 2026.
const CHANGES: &[(&str, &[&str])] = &[
    (
        "America/New_York",
        &["2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"],
    ),
    ("Europe/London", &["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"]),
    (
        "Australia/Lord_Howe",
        &["2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"],
    ),
    ("Asia/Kolkata", &["2026-03-08T07:00:00Z"]),
];

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn time(text: &str) -> TimeOfDay {
    text.parse().expect("a time of day")
}

fn known(name: &str) -> Zone {
    zone(name).expect("a zone")
}

/// What the wall shows in every minute of the days around a change.
fn walls(zone: &Zone, change: &str, days: u64) -> BTreeMap<u64, Local> {
    let middle = at(change).as_unix_millis() / MINUTE_MS;
    let reach = days * 24 * 60;
    (middle - reach..middle + reach)
        .map(|minute| {
            let moment = Timestamp::from_unix_millis(minute * MINUTE_MS);
            (minute, local(moment, zone))
        })
        .collect()
}

/// The first minute of each day of `days` at which the wall shows `time` or later.
fn beginnings(walls: &BTreeMap<u64, Local>, time: TimeOfDay, days: Days) -> Vec<u64> {
    let mut first: BTreeMap<_, u64> = BTreeMap::new();
    for (minute, wall) in walls.iter().filter(|(_, wall)| wall.time >= time) {
        first.entry(wall.date).or_insert(*minute);
    }
    let fits = |day: Weekday| days.contains(day);
    first
        .into_iter()
        .filter(|(date, _)| fits(date.weekday()))
        .map(|(_, minute)| minute)
        .collect()
}

#[test]
fn the_next_time_of_day_is_the_first_moment_the_wall_shows_it_on_its_day() {
    for (name, changes) in CHANGES {
        let zone = known(name);
        for change in *changes {
            let walls = walls(&zone, change, 3);
            let middle = at(change).as_unix_millis() / MINUTE_MS;
            for wanted in [
                "00:00", "01:00", "01:30", "01:59", "02:00", "02:15", "02:30", "03:00", "09:00",
            ] {
                let beginnings = beginnings(&walls, time(wanted), Days::ALL);
                for minute in middle - 26 * 60..middle + 26 * 60 {
                    let now = Timestamp::from_unix_millis(minute * MINUTE_MS);
                    let found = next_local(now, &zone, time(wanted), Days::ALL);
                    let expected = beginnings
                        .iter()
                        .find(|first| **first > minute)
                        .expect("within three days");
                    assert_eq!(
                        found.as_unix_millis(),
                        expected * MINUTE_MS,
                        "{name} {wanted} after {now}"
                    );
                    assert!(
                        local(found, &zone).time >= time(wanted),
                        "{name} {wanted} after {now}: early"
                    );
                }
            }
        }
    }
}

#[test]
fn quiet_hours_end_at_the_first_minute_that_is_not_quiet() {
    let kinds = [
        ("21:00", "08:00"),
        ("01:30", "02:30"),
        ("22:00", "01:30"),
        ("02:00", "02:15"),
        ("09:00", "17:00"),
    ];
    for (name, changes) in CHANGES {
        let zone = known(name);
        for change in *changes {
            let middle = at(change).as_unix_millis() / MINUTE_MS;
            for (from, until) in kinds {
                let hours = QuietHours {
                    from: time(from),
                    until: time(until),
                };
                let quiet =
                    |minute: u64| is_within(hours, Timestamp::from_unix_millis(minute * MINUTE_MS), &zone);
                for minute in middle - 26 * 60..middle + 26 * 60 {
                    let now = Timestamp::from_unix_millis(minute * MINUTE_MS);
                    let expected = (minute..minute + 3 * 24 * 60)
                        .find(|later| !quiet(*later))
                        .expect("a day has an end");
                    let found = next_end_of(hours, now, &zone);
                    assert_eq!(
                        found.as_unix_millis(),
                        expected * MINUTE_MS,
                        "{name} {from}-{until} at {now}"
                    );
                }
            }
        }
    }
}

#[test]
fn business_hours_begin_at_the_first_open_minute() {
    let hours = BusinessHours {
        days: Days::WORKDAYS,
        from: time("09:00"),
        to: time("17:30"),
    };
    let odd = BusinessHours {
        days: Days::ALL,
        from: time("01:45"),
        to: time("02:20"),
    };
    for (name, changes) in CHANGES {
        let zone = known(name);
        for change in *changes {
            let middle = at(change).as_unix_millis() / MINUTE_MS;
            for hours in [hours, odd] {
                let open =
                    |minute: u64| is_open(&hours, Timestamp::from_unix_millis(minute * MINUTE_MS), &zone);
                let mut expected = (middle..middle + 14 * 24 * 60)
                    .find(|minute| open(*minute))
                    .expect("a week has workdays");
                for minute in (middle - 50 * 60..=middle).rev() {
                    if open(minute) {
                        expected = minute;
                    }
                    let now = Timestamp::from_unix_millis(minute * MINUTE_MS);
                    let found = next_open(&hours, now, &zone);
                    assert_eq!(found.as_unix_millis(), expected * MINUTE_MS, "{name} at {now}");
                }
            }
        }
    }
}

#[test]
fn moments_within_a_minute_are_not_rounded_down() {
    let zone = known("America/New_York");
    let hours = QuietHours {
        from: time("21:00"),
        until: time("08:00"),
    };
    assert!(is_within(hours, at("2026-06-01T11:59:59.999Z"), &zone));
    assert!(!is_within(hours, at("2026-06-01T12:00:00Z"), &zone));
    assert!(is_within(hours, at("2026-06-02T01:00:00Z"), &zone));
    assert_eq!(
        next_end_of(hours, at("2026-06-01T11:59:59.999Z"), &zone),
        at("2026-06-01T12:00:00Z")
    );
    assert_eq!(
        next_local(at("2026-06-01T13:00:00.000Z"), &zone, time("09:00"), Days::ALL),
        at("2026-06-02T13:00:00Z"),
    );
    assert_eq!(
        next_local(at("2026-06-01T12:59:59.999Z"), &zone, time("09:00"), Days::ALL),
        at("2026-06-01T13:00:00Z"),
    );
}

#[test]
fn the_rules_for_skipped_and_repeated_times_in_new_york() {
    let zone = known("America/New_York");
    // 02:30 is skipped on 8 March: it is reached when the clock jumps from 02:00 to 03:00.
    let found = next_local(at("2026-03-08T05:00:00Z"), &zone, time("02:30"), Days::ALL);
    assert_eq!(found, at("2026-03-08T07:00:00Z"));
    // 01:30 comes twice on 1 November: the first counts, and only the first.
    let found = next_local(at("2026-11-01T04:00:00Z"), &zone, time("01:30"), Days::ALL);
    assert_eq!(found, at("2026-11-01T05:30:00Z"));
    assert_eq!(
        next_local(found, &zone, time("01:30"), Days::ALL),
        at("2026-11-02T06:30:00Z")
    );
    let mondays = Days::of(&[Weekday::Monday]).expect("one day");
    let found = next_local(at("2026-11-23T14:00:00Z"), &zone, time("09:00"), mondays);
    assert_eq!(found, at("2026-11-30T14:00:00Z"));
}

#[test]
fn the_leads_zone_is_its_own_else_its_numbers_else_the_workflows() {
    let mut lead = super::story::lead(AccountId::from_bytes([7; 16]));
    lead.timezone = Some("Asia/Kolkata".to_owned());
    lead.phone = "+12125550100".parse().ok();
    let name =
        |lead: &crate::domain::lead::Lead| zone_of(Some(lead), Some("Europe/London")).0.name().to_owned();
    assert_eq!(name(&lead), "Asia/Kolkata");
    // A zone that does not exist is passed over rather than believed.
    lead.timezone = Some("Mars/Olympus".to_owned());
    assert_eq!(name(&lead), "America/New_York");
    lead.phone = "+61412345678".parse().ok();
    assert_eq!(name(&lead), "Europe/London");
    assert_eq!(zone_of(None, None).0, Zone::utc());
}

#[test]
fn weekdays_have_two_names_and_zones_are_real() {
    assert_eq!(weekday("Mon"), Some(Weekday::Monday));
    assert_eq!(weekday("sunday"), Some(Weekday::Sunday));
    for wrong in ["", "m", "mo", "mond", "8"] {
        assert_eq!(weekday(wrong), None, "{wrong:?}");
    }
    for name in ["UTC", "America/New_York", "Etc/GMT+5"] {
        assert!(zone(name).is_some(), "{name}");
    }
    for wrong in [
        "",
        "America/Nowhere",
        "EST5EDT,M3.2.0,M11.1.0",
        "+02:00",
        "../../etc/passwd",
    ] {
        assert!(zone(wrong).is_none(), "{wrong:?}");
    }
}
