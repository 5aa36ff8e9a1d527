//! The gate's rules: may this effect reach its person at this moment?
//!
//! In: facts read just before. Out: go, hold until a moment, or refuse, each with its grounds in words. Pure: the shell
//! (`actors::gate`) reads the facts and books what is counted, a dry run asks the same rules. Caps are in `gate_caps`.
//!
//! In this order: an opt-out refuses; a denied consent refuses, and one that is not known too where the settings ask for it,
//! unless we answer something the person just did; quiet hours in the person's own zone hold; caps refuse or hold. Where the zone is only
//! known to be one of several, the quiet hours of all of them hold.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    calendar::{Days, Zone, is_within, next_change, next_end_of, next_local},
    definition::{QuietHours, TimeOfDay},
    effect::SendWindow,
    gate_caps::Caps,
    gate_zones::{Whereabouts, whereabouts},
};
use crate::domain::{
    consent::{ContactChannel, Standing},
    lead::Lead,
    phone::PhoneNumber,
    time::Timestamp,
};

/// A window that closes sooner than this counts as closed: a call takes time to ring and a message to be handed on.
const WINDOW_LEFT_MIN: Duration = Duration::from_secs(30);
/// Ends of quiet hours that are looked at before it is said that they leave no time at all.
const STEPS_MAX: usize = 200;

/// The operator's rules.
#[derive(Debug, Clone, PartialEq)]
pub struct GateRules {
    /// Always quiet, whatever a workflow says; `None` where the operator took that on themselves.
    pub quiet_hours: Option<QuietHours>,
    /// The zone of people of whom nothing is known.
    pub zone: Zone,
    /// Whether a person whose consent is not known may only be answered, whatever their account asks for.
    pub require_consent: bool,
    /// How long after the person did something a message counts as an answer to it.
    pub reply_within: Duration,
    /// Whether answers are held to the caps too.
    pub caps_replies: bool,
    pub caps: Caps,
}

/// What is known at the moment of the question.
#[derive(Debug, Clone, Copy)]
pub struct GateFacts<'a> {
    pub now: Timestamp,
    /// Whether the account asks for a consent that is written down.
    pub account_requires_consent: bool,
    /// How the person would be reached; `None` for what is no message or call of its own.
    pub channel: Option<ContactChannel>,
    /// Who would be reached.
    pub lead: Option<&'a Lead>,
    /// The number that would be reached: the called party's place, where the lead's own is not known.
    pub to: Option<&'a PhoneNumber>,
    /// What the workflow says.
    pub window: Option<&'a SendWindow>,
    /// When the person last wrote or called.
    pub last_heard: Option<Timestamp>,
}

/// Why an effect does not go out at this moment.
#[derive(Debug, Clone, PartialEq)]
pub enum Objection {
    /// Not before `until`.
    Hold {
        until: Timestamp,
        reason: String,
    },
    Refuse(Refusal),
}

/// On what grounds an effect goes out.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    pub channel: Option<ContactChannel>,
    pub whereabouts: Whereabouts,
    /// When the next quiet hours begin; `None` without quiet hours.
    pub valid_until: Option<Timestamp>,
    /// `None` where there is no lead or no channel to consent to.
    pub consent: Option<Standing>,
    /// It answers something the person just did.
    pub is_reply: bool,
    /// Whether caps apply to it.
    pub is_capped: bool,
}

/// Why an effect does not go out at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stable word for programs.
    pub code: &'static str,
    /// What happened and what to do.
    pub message: String,
}

/// Judges what is meant for a lead: gives the grounds on which it goes. What is meant for staff does not come here.
///
/// # Errors
/// [`Objection`] when it does not go now, or not at all.
pub fn judge(facts: &GateFacts<'_>, rules: &GateRules) -> Result<Pass, Objection> {
    if let Some(refusal) = opted_out(facts) {
        return Err(Objection::Refuse(refusal));
    }
    let is_reply = facts
        .last_heard
        .is_some_and(|heard| heard <= facts.now && facts.now.since(heard) <= rules.reply_within);
    let consent = facts
        .lead
        .zip(facts.channel)
        .map(|(lead, channel)| lead.consent.of(channel));
    if let Some(refusal) = not_consented(facts, rules, consent, is_reply) {
        return Err(Objection::Refuse(refusal));
    }
    let place = whereabouts(facts.lead, facts.to, facts.window, &rules.zone);
    let quiet = quiet_hours(facts, rules);
    let Some(open_at) = next_open(facts.now, &quiet, &place.zones) else {
        return Err(Objection::Refuse(no_time_left(&quiet, &place)));
    };
    if open_at > facts.now {
        return Err(Objection::Hold {
            until: open_at,
            reason: format!("{} {}", words(&quiet), place.words()),
        });
    }
    Ok(Pass {
        channel: facts.channel,
        valid_until: next_quiet(facts.now, &quiet, &place.zones),
        whereabouts: place,
        consent,
        is_reply,
        is_capped: rules.caps_replies || !is_reply,
    })
}

/// Whether a fact of this kind is something the person did: wrote, answered, or called.
#[must_use]
pub fn is_heard(kind: &str, data: &Value) -> bool {
    let is_inbound = data.get("direction").and_then(Value::as_str) == Some("inbound");
    matches!(kind, "sms.received" | "survey.answered") || (kind.starts_with("call.") && is_inbound)
}

impl Pass {
    /// The grounds as the run's history shows them; `booked` are the day's and the week's contacts with this one.
    #[must_use]
    pub fn shown(&self, booked: Option<(u32, u32)>) -> Value {
        let mut shown = json!({
            "decision": "go",
            "channel": self.channel,
            "zones": self.whereabouts.zones.iter().map(Zone::name).collect::<Vec<_>>(),
            "zone_from": self.whereabouts.source.as_str(),
            "window_until": self.valid_until,
            "consent": self.consent,
            "is_reply": self.is_reply,
        });
        if let Some((day, week)) = booked {
            shown["contacts"] = json!({"day": day, "week": week});
        }
        shown
    }
}

fn opted_out(facts: &GateFacts<'_>) -> Option<Refusal> {
    let lead = facts.lead.filter(|lead| lead.opt_out().covers(facts.channel))?;
    let by = match facts.channel {
        Some(channel) if !lead.opted_out_of.is_empty() => plural(channel),
        Some(_) | None => "everything",
    };
    Some(Refusal {
        code: "opted_out",
        message: format!(
            "the person has opted out of {by}; nothing is sent until they write START or a person lifts the opt-out"
        ),
    })
}

fn not_consented(
    facts: &GateFacts<'_>,
    rules: &GateRules,
    consent: Option<Standing>,
    is_reply: bool,
) -> Option<Refusal> {
    let channel = facts.channel?;
    let what = plural(channel);
    let message = match consent.unwrap_or_default() {
        Standing::Granted => return None,
        Standing::Denied => {
            format!(
                "the person has denied consent to {what}; set `consent.{}` once they grant it",
                channel.as_str()
            )
        }
        Standing::Unknown if is_reply || !(rules.require_consent || facts.account_requires_consent) => {
            return None;
        }
        Standing::Unknown => {
            let asker = if rules.require_consent {
                "gate.require_consent"
            } else {
                "the account's setting require_consent"
            };
            format!(
                "nobody wrote down that the person consents to {what}, and {asker} asks for it; set `consent.{}` of the lead",
                channel.as_str()
            )
        }
    };
    Some(Refusal {
        code: "no_consent",
        message,
    })
}

fn quiet_hours(facts: &GateFacts<'_>, rules: &GateRules) -> Vec<QuietHours> {
    let own = facts.window.and_then(|window| window.quiet_hours);
    let mut hours: Vec<QuietHours> = rules.quiet_hours.into_iter().chain(own).collect();
    // The same time twice is no quiet hours at all.
    hours.retain(|hours| hours.from != hours.until);
    hours.dedup();
    hours
}

/// The first moment from `at` on at which no zone is quiet and the window stays open for a while; `None` when there is none.
fn next_open(at: Timestamp, quiet: &[QuietHours], zones: &[Zone]) -> Option<Timestamp> {
    let mut at = at;
    for _ in 0..STEPS_MAX {
        let holding = pairs(quiet, zones).find(|(hours, zone)| is_within(**hours, at, zone));
        if let Some((hours, zone)) = holding {
            at = next_end_of(*hours, at, zone);
            continue;
        }
        match next_quiet(at, quiet, zones) {
            Some(closing) if closing.since(at) < WINDOW_LEFT_MIN => at = closing,
            Some(_) | None => return Some(at),
        }
    }
    None
}

/// When the next quiet hours begin in any of the zones, given that none are on at `at`.
fn next_quiet(at: Timestamp, quiet: &[QuietHours], zones: &[Zone]) -> Option<Timestamp> {
    pairs(quiet, zones)
        .map(|(hours, zone)| next_start_of(*hours, at, zone))
        .min()
}

/// The first moment after `at` at which the wall shows a quiet time. A change of the clock may lead into quiet hours as well as a
/// time of day.
fn next_start_of(hours: QuietHours, at: Timestamp, zone: &Zone) -> Timestamp {
    let by_time = next_local(at, zone, hours.from, Days::ALL);
    next_change(at, zone)
        .filter(|change| *change < by_time && is_within(hours, *change, zone))
        .unwrap_or(by_time)
}

fn pairs<'a>(quiet: &'a [QuietHours], zones: &'a [Zone]) -> impl Iterator<Item = (&'a QuietHours, &'a Zone)> {
    quiet
        .iter()
        .flat_map(|hours| zones.iter().map(move |zone| (hours, zone)))
}

fn no_time_left(quiet: &[QuietHours], place: &Whereabouts) -> Refusal {
    Refusal {
        code: "never_allowed",
        message: format!(
            "{} {} leave no time of the day; shorten the workflow's quiet hours or set the lead's time zone",
            words(quiet),
            place.words()
        ),
    }
}

/// `quiet hours 21:00–08:00`.
fn words(quiet: &[QuietHours]) -> String {
    let hours: Vec<_> = quiet
        .iter()
        .map(|hours| format!("{}–{}", clock_face(hours.from), clock_face(hours.until)))
        .collect();
    format!("quiet hours {}", hours.join(" and "))
}

fn clock_face(time: TimeOfDay) -> String {
    format!("{:02}:{:02}", time.minutes() / 60, time.minutes() % 60)
}

pub(super) const fn plural(channel: ContactChannel) -> &'static str {
    match channel {
        ContactChannel::Sms => "text messages",
        ContactChannel::Call => "calls",
        ContactChannel::Email => "e-mails",
    }
}

#[cfg(test)]
mod tests {
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
}
