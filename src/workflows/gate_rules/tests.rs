//! The rules over people, hours and places; quiet hours minute by minute over changes of the clock.

use proptest::prelude::*;

use super::*;
use crate::{
    domain::{
        consent::{ConsentChange, OptOutChange},
        ids::{AccountId, LeadId},
    },
    workflows::calendar::zone,
};

const MINUTE: Duration = Duration::from_secs(60);
/// Zones that change their clocks at all sorts of hours, by half an hour, an hour and two, and some that do not.
const ZONES: [&str; 26] = [
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
    "America/Anchorage",
    "America/St_Johns",
    "America/Halifax",
    "America/Havana",
    "America/Santiago",
    "America/Nuuk",
    "America/Phoenix",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Lisbon",
    "Atlantic/Azores",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Jerusalem",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Antarctica/Troll",
    "Pacific/Kiritimati",
];

fn hours(from: &str, until: &str) -> QuietHours {
    let time = |text: &str| serde_json::from_value(Value::from(text)).expect("a time of day");
    QuietHours {
        from: time(from),
        until: time(until),
    }
}

fn rules() -> GateRules {
    GateRules {
        quiet_hours: Some(hours("21:00", "08:00")),
        zone: zone("America/New_York").expect("known"),
        require_consent: false,
        reply_within: Duration::from_secs(600),
        caps_replies: true,
        caps: Caps::default(),
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn lead() -> Lead {
    Lead {
        phone: "+12125550100".parse().ok(),
        ..Lead::nameless(LeadId::fresh(), AccountId::fresh(), Timestamp::default())
    }
}

fn facts(lead: &Lead, now: Timestamp) -> GateFacts<'_> {
    GateFacts {
        now,
        account_requires_consent: false,
        channel: Some(ContactChannel::Sms),
        lead: Some(lead),
        to: None,
        window: None,
        last_heard: None,
    }
}

fn code(verdict: &Result<Pass, Objection>) -> &str {
    match verdict {
        Ok(_) => "go",
        Err(Objection::Hold { .. }) => "hold",
        Err(Objection::Refuse(refusal)) => refusal.code,
    }
}

/// What a clock on the wall says, without our own calendar.
fn is_day(at: Timestamp, zone: &str) -> bool {
    let millis = i64::try_from(at.as_unix_millis()).expect("in range");
    let zone = jiff::tz::TimeZoneDatabase::bundled().get(zone).expect("known");
    let shown = jiff::Timestamp::from_millisecond(millis)
        .expect("in range")
        .to_zoned(zone);
    (8..21).contains(&shown.hour())
}

/// Both changes of the clock after `at`, or `at` itself where there are none.
fn changes(at: Timestamp, name: &str) -> Vec<Timestamp> {
    let zone = zone(name).expect("known");
    let first = next_change(at, &zone);
    let second = first.and_then(|first| next_change(first, &zone));
    let found: Vec<_> = first.into_iter().chain(second).collect();
    if found.is_empty() { vec![at] } else { found }
}

/// The property the issue asks for: minute by minute, two days and more around each change of the clock.
#[test]
fn nothing_goes_outside_the_day_of_the_person_in_any_minute_around_a_change_of_the_clock() {
    let rules = rules();
    for name in ZONES {
        let lead = Lead {
            timezone: Some(name.to_owned()),
            ..lead()
        };
        for change in changes(at("2026-11-23T00:00:00Z"), name) {
            let first =
                Timestamp::from_unix_millis(change.as_unix_millis() / 60_000 * 60_000 - 26 * 3_600_000);
            let minutes: Vec<_> = (0..52 * 60).map(|minute| first.plus(MINUTE * minute)).collect();
            let days: Vec<_> = minutes.iter().map(|now| is_day(*now, name)).collect();
            // The next minute of the day, and of the night, from each minute on.
            let next_of = |wanted| {
                let mut next = None;
                let mut found: Vec<Option<Timestamp>> = Vec::new();
                for (now, is_day) in minutes.iter().zip(&days).rev() {
                    if *is_day == wanted {
                        next = Some(*now);
                    }
                    found.push(next);
                }
                found.reverse();
                found
            };
            let (mornings, evenings) = (next_of(true), next_of(false));
            for (number, now) in minutes.iter().enumerate() {
                match judge(&facts(&lead, *now), &rules) {
                    Ok(pass) => {
                        assert!(days[number], "{name} {now}: it is night");
                        if let Some(evening) = evenings[number] {
                            assert_eq!(pass.valid_until, Some(evening), "{name} {now}");
                        }
                    }
                    Err(Objection::Hold { until, .. }) => {
                        assert!(!days[number], "{name} {now}: it is day");
                        if let Some(morning) = mornings[number] {
                            assert_eq!(until, morning, "{name} {now}");
                        }
                    }
                    Err(Objection::Refuse(refusal)) => panic!("{name} {now}: {refusal:?}"),
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the workflow adds, and wherever a number may lie: what goes, goes by day in every zone; what is held comes back to a go.
    #[test]
    fn what_goes_is_by_day_everywhere_it_may_be_and_what_is_held_goes_when_it_comes_back(
        minute in 29_730_000_u64..31_500_000,
        number in prop::sample::select(vec!["+18005550100", "+12125550100", "+79161234567", "+61412345678", "+447700900123"]),
        quiet in prop::option::of((0_u16..1_440, 0_u16..1_440)),
    ) {
        let lead = Lead { phone: number.parse().ok(), ..lead() };
        let face = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let window = SendWindow {
            timezone: None,
            quiet_hours: quiet.map(|(from, until)| hours(&face(from), &face(until))),
        };
        let now = Timestamp::from_unix_millis(minute * 60_000);
        let asked = |now| judge(&GateFacts { window: Some(&window), ..facts(&lead, now) }, &rules());
        let place = whereabouts(Some(&lead), None, Some(&window), &rules().zone);
        let by_day = |now| place.zones.iter().all(|zone| is_day(now, zone.name()));
        match asked(now) {
            Ok(pass) => {
                prop_assert!(by_day(now));
                let until = pass.valid_until.expect("there are quiet hours");
                prop_assert!(until > now && until.since(now) <= Duration::from_secs(13 * 3_600));
                let last = Timestamp::from_unix_millis(until.as_unix_millis() - 1);
                prop_assert!(by_day(last), "valid to the last millisecond");
            }
            Err(Objection::Hold { until, .. }) => {
                prop_assert!(until > now);
                prop_assert!(asked(until).is_ok());
            }
            Err(Objection::Refuse(refusal)) => prop_assert_eq!(refusal.code, "never_allowed"),
        }
    }
}

#[test]
fn an_opt_out_refuses_by_channel_and_says_what_to_do() {
    let noon = at("2026-11-23T17:00:00Z");
    let mut lead = lead();
    lead.change_consent(&ConsentChange::stop());
    let refused = judge(&facts(&lead, noon), &rules());
    assert_eq!(code(&refused), "opted_out");
    let mail = GateFacts {
        channel: Some(ContactChannel::Email),
        ..facts(&lead, noon)
    };
    assert_eq!(code(&judge(&mail, &rules())), "go");
    lead.change_consent(&ConsentChange {
        opt_out: vec![OptOutChange::Everything],
        consent: Vec::new(),
    });
    let everything = GateFacts {
        channel: Some(ContactChannel::Email),
        ..facts(&lead, noon)
    };
    assert_eq!(code(&judge(&everything, &rules())), "opted_out");
}

#[test]
fn consent_denied_refuses_and_unknown_follows_the_settings_but_an_answer_is_allowed() {
    let noon = at("2026-11-23T17:00:00Z");
    let (unknown, mut denied, mut granted) = (lead(), lead(), lead());
    denied.consent.sms = Standing::Denied;
    granted.consent.sms = Standing::Granted;
    let strict = GateRules {
        require_consent: true,
        ..rules()
    };
    for (lead, lax_code, strict_code) in [
        (&unknown, "go", "no_consent"),
        (&denied, "no_consent", "no_consent"),
        (&granted, "go", "go"),
    ] {
        assert_eq!(code(&judge(&facts(lead, noon), &rules())), lax_code);
        assert_eq!(code(&judge(&facts(lead, noon), &strict)), strict_code);
    }
    let heard = |ago_s: u64| GateFacts {
        last_heard: Some(Timestamp::from_unix_millis(noon.as_unix_millis() - ago_s * 1_000)),
        ..facts(&unknown, noon)
    };
    assert_eq!(code(&judge(&heard(600), &strict)), "go");
    assert_eq!(code(&judge(&heard(601), &strict)), "no_consent");
    // What the account asks for holds as the operator's own rule does.
    let of_account = |facts| GateFacts {
        account_requires_consent: true,
        ..facts
    };
    let Err(Objection::Refuse(refusal)) = judge(&of_account(facts(&unknown, noon)), &rules()) else {
        panic!("refused");
    };
    assert_eq!(refusal.code, "no_consent");
    assert!(refusal.message.contains("the account's setting"), "{refusal:?}");
    assert_eq!(code(&judge(&of_account(heard(600)), &rules())), "go");
    assert_eq!(code(&judge(&of_account(facts(&granted, noon)), &rules())), "go");
}

#[test]
fn an_answer_waits_for_the_day_too_and_the_reason_names_hours_and_place() {
    let night = at("2026-11-23T03:00:00Z");
    let lead = lead();
    let answer = GateFacts {
        last_heard: Some(night),
        ..facts(&lead, night)
    };
    assert_eq!(
        judge(&answer, &rules()),
        Err(Objection::Hold {
            until: at("2026-11-23T13:00:00Z"),
            reason: "quiet hours 21:00–08:00 in America/New_York (the region of the number)".to_owned(),
        })
    );
}

#[test]
fn a_window_about_to_close_counts_as_closed_and_hours_that_leave_no_time_refuse() {
    let lead = lead();
    let late = judge(&facts(&lead, at("2026-11-24T01:59:31Z")), &rules());
    assert!(
        matches!(late, Err(Objection::Hold { until, .. }) if until == at("2026-11-24T13:00:00Z")),
        "{late:?}"
    );
    let window = SendWindow {
        timezone: None,
        quiet_hours: Some(hours("07:00", "22:00")),
    };
    let never = judge(
        &GateFacts {
            window: Some(&window),
            ..facts(&lead, at("2026-11-23T17:00:00Z"))
        },
        &rules(),
    );
    assert_eq!(code(&never), "never_allowed");
}
