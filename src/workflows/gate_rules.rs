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
mod tests;
