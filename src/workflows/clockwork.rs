//! Triggers by the clock: when a schedule fires, when a fact has waited long enough, whose birthday it is.
//!
//! In: a trigger, moments, what happened. Out: moments and observations. Pure; `actors::schedules` asks it and keeps, for each
//! workflow, the moment up to which all was started. Ids are derived from workflow and moment, or from the fact itself, so
//! starting twice is starting once.

use std::{str::FromStr as _, time::Duration};

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::civil;
use serde_json::{Value, json};

use super::{
    calendar::{self, Zone, start_of, zone_of},
    definition::{Definition, TimeOfDay, TriggerDefinition},
    problem::Problem,
};
use crate::domain::{
    ids::{AccountId, ObservationId, WorkflowId},
    lead::Lead,
    observation::{EventType, Observation},
    time::{Timestamp, parse_span},
};

/// Types of trigger that the clock may fire.
pub const KINDS: &[EventType] = &[
    EventType::SCHEDULE,
    EventType::QUOTE_UNPAID,
    EventType::PURCHASE_COMPLETED,
    EventType::LEAD_BIRTHDAY,
];
/// How late a fire may be and still count as on time, when missed ones are skipped.
pub const LATE_MAX: Duration = Duration::from_secs(60);
/// Shortest wait of an `after`: the clock is looked at no more often.
const AFTER_MIN: Duration = Duration::from_secs(60);
/// Longest wait of an `after`: two years.
const AFTER_MAX: Duration = Duration::from_secs(731 * 86_400);
/// The field of a lead that says when it was born.
const BIRTHDAY_FIELD: &str = "birthday";
/// When birthdays are, in the lead's zone: 09:00.
const BIRTHDAY_MINUTE: u16 = 9 * 60;
/// Zones differ from UTC by whole quarters of an hour: birthdays begin on one.
const QUARTER_MS: u64 = 15 * 60_000;

/// What the clock does for a workflow.
#[derive(Debug, Clone)]
pub enum Clock {
    Schedule(Box<Schedule>),
    After(After),
    Birthdays,
}

/// A cron pattern in a zone.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    zone: Zone,
    pub catch_up: CatchUp,
}

/// What becomes of fires that were missed while the server was down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUp {
    /// They are left out.
    Skip,
    /// However many were missed, one run starts, for the last of them.
    Once,
}

/// A wait after a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// The fact that is waited after.
    pub source: EventType,
    /// The fact that makes the wait pointless.
    pub unless: Option<EventType>,
    pub wait: Duration,
    written: String,
    kind: EventType,
}

/// Returns what the clock does for a workflow; `None` when facts alone start it.
#[must_use]
pub fn clock_of(definition: &Definition) -> Option<Clock> {
    let trigger = &definition.trigger;
    if trigger.kind == EventType::SCHEDULE {
        let settings_zone = definition.settings.timezone.as_deref();
        return schedule_of(trigger, settings_zone)
            .ok()
            .map(Box::new)
            .map(Clock::Schedule);
    }
    if trigger.kind == EventType::LEAD_BIRTHDAY {
        return Some(Clock::Birthdays);
    }
    after_of(trigger).ok().flatten().map(Clock::After)
}

/// Checks what the clock needs to know.
pub(super) fn check(trigger: &TriggerDefinition, problems: &mut Vec<Problem>) {
    if trigger.kind == EventType::SCHEDULE {
        problems.extend(schedule_of(trigger, None).err());
    }
    problems.extend(after_of(trigger).err());
}

fn text<'a>(trigger: &'a TriggerDefinition, name: &str) -> Result<Option<&'a str>, Problem> {
    match trigger.params.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => {
            let message = format!("`{name}` is a text");
            Err(Problem::new(
                format!("trigger.{name}"),
                "wrong_type",
                message,
                "use \"…\"",
            ))
        }
    }
}

fn schedule_of(trigger: &TriggerDefinition, settings_zone: Option<&str>) -> Result<Schedule, Problem> {
    let refuse = |name: &str, code: &str, message: String, fix: &str| {
        Err(Problem::new(format!("trigger.{name}"), code, message, fix))
    };
    let pattern = text(trigger, "cron")?.unwrap_or_default();
    let fix = "write five fields (minute, hour, day, month, weekday) like `0 9 * * mon-fri`";
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed);
    let cron = match parser.build().parse(pattern) {
        Ok(cron) => cron,
        Err(error) => return refuse("cron", "bad_cron", format!("`{pattern}`: {error}"), fix),
    };
    let zone = match text(trigger, "timezone")?.or(settings_zone) {
        None => Zone::utc(),
        Some(name) => match calendar::zone(name) {
            Some(zone) => zone,
            None => {
                let message = format!("`{name}` is not an IANA time zone");
                return refuse(
                    "timezone",
                    "bad_timezone",
                    message,
                    "write it like America/New_York",
                );
            }
        },
    };
    let catch_up = match text(trigger, "catch_up")? {
        None | Some("once") => CatchUp::Once,
        Some("skip") => CatchUp::Skip,
        Some(other) => {
            return refuse(
                "catch_up",
                "bad_catch_up",
                format!("`{other}` is no way to catch up"),
                "use once or skip",
            );
        }
    };
    let schedule = Schedule { cron, zone, catch_up };
    // A pattern like 31 February fits no day ever.
    let some_day = Timestamp::from_unix_millis(1_767_225_600_000);
    if schedule.next_after(some_day).is_none() {
        return refuse(
            "cron",
            "never_fires",
            format!("`{pattern}` fits no day"),
            "choose a day that exists",
        );
    }
    Ok(schedule)
}

/// Which kind of trigger waits after which fact, and which fact makes the wait pointless.
fn source_of(kind: &EventType) -> Option<(EventType, Option<EventType>)> {
    if *kind == EventType::QUOTE_UNPAID {
        Some((EventType::QUOTE_SENT, Some(EventType::PAYMENT_RECEIVED)))
    } else if *kind == EventType::PURCHASE_COMPLETED {
        Some((EventType::PURCHASE_COMPLETED, None))
    } else {
        None
    }
}

fn after_of(trigger: &TriggerDefinition) -> Result<Option<After>, Problem> {
    let Some((source, unless)) = source_of(&trigger.kind) else {
        return Ok(None);
    };
    let Some(written) = text(trigger, "after")? else {
        return Ok(None);
    };
    let refuse = |message: String, fix: &str| Err(Problem::new("trigger.after", "bad_span", message, fix));
    match parse_span(written) {
        Err(error) => refuse(format!("`{written}`: {error}"), "write it like 24h or 7d"),
        Ok(wait) if wait < AFTER_MIN || wait > AFTER_MAX => refuse(
            format!("`{written}` is out of bounds"),
            "use at least 1m and at most 731d",
        ),
        Ok(wait) => Ok(Some(After {
            source,
            unless,
            wait,
            written: written.to_owned(),
            kind: trigger.kind.clone(),
        })),
    }
}

impl Schedule {
    /// The first fire after `at`.
    #[must_use]
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        let from = self.zone.show(at);
        let found = self.cron.find_next_occurrence(&from, false).ok()?;
        u64::try_from(found.timestamp().as_millisecond())
            .ok()
            .map(Timestamp::from_unix_millis)
    }

    /// The last fire after `considered` and not after `now`.
    #[must_use]
    pub fn due(&self, considered: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let found = self
            .cron
            .find_previous_occurrence(&self.zone.show(now), true)
            .ok()?;
        let found = u64::try_from(found.timestamp().as_millisecond()).ok()?;
        // What comes before a fire that is over is over too; one that lies ahead by a hair is not due.
        Some(Timestamp::from_unix_millis(found)).filter(|found| *found > considered && *found <= now)
    }

    /// Whether a fire that is `late` still starts a run.
    #[must_use]
    pub fn starts(&self, late: Duration) -> bool {
        self.catch_up == CatchUp::Once || late <= LATE_MAX
    }

    /// The fact that the clock shows `fire`: the same workflow and moment give the same one.
    #[must_use]
    pub fn observation(
        &self,
        account_id: AccountId,
        workflow_id: WorkflowId,
        fire: Timestamp,
    ) -> Observation {
        Observation {
            id: ObservationId::derived(fire, &[b"schedule", workflow_id.as_bytes()]),
            account_id,
            kind: EventType::SCHEDULE,
            at: fire,
            lead_id: None,
            call_id: None,
            caused_by: None,
            data: json!({
                "cron": self.cron.as_str(),
                "timezone": self.zone.name(),
                "scheduled_for": fire,
                "local_time": self.zone.show(fire).datetime().to_string(),
            }),
        }
    }
}

impl After {
    /// The fact a run starts from once the wait is over, unless what happened `since` makes it pointless.
    #[must_use]
    pub fn observation(&self, source: &Observation, since: &[Observation]) -> Option<Observation> {
        if let Some(unless) = &self.unless
            && since
                .iter()
                .any(|fact| fact.kind == *unless && fact.at >= source.at && is_same_quote(source, fact))
        {
            return None;
        }
        let mut data = source.data.as_object().cloned().unwrap_or_default();
        data.insert("after".to_owned(), json!(self.written));
        data.insert("since".to_owned(), json!(source.at));
        Some(Observation {
            // With the fact's own id, the run of this workflow for this fact has one id whenever it is started.
            id: source.id,
            account_id: source.account_id,
            kind: self.kind.clone(),
            at: source.at,
            lead_id: source.lead_id,
            call_id: source.call_id,
            caused_by: source.caused_by,
            data: Value::Object(data),
        })
    }

    /// Whether `observation` is the end of this wait rather than its beginning.
    #[must_use]
    pub(super) fn is_over_in(&self, observation: &Observation) -> bool {
        observation.data.get("after").and_then(Value::as_str) == Some(self.written.as_str())
    }
}

/// Whether a payment may be for the quote: only when both name a quote and the names differ it is not.
fn is_same_quote(quote: &Observation, payment: &Observation) -> bool {
    match (quote.data.get("quote_id"), payment.data.get("quote_id")) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

/// The wait of a trigger that has one; what cannot be read was refused before publishing.
pub(super) fn wait_of(trigger: &TriggerDefinition) -> Option<After> {
    after_of(trigger).ok().flatten()
}

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
        data: json!({"birthday": written, "age": age, "timezone": zone.name()}),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trigger(value: Value) -> TriggerDefinition {
        serde_json::from_value(value).expect("the shape of a trigger")
    }

    fn schedule(cron: &str, zone: &str) -> Schedule {
        let written = trigger(json!({"type": "schedule", "cron": cron, "timezone": zone}));
        schedule_of(&written, None).expect("a schedule")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn fires(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
        let mut last = at(from);
        (0..count)
            .map(|_| {
                last = schedule.next_after(last).expect("a next fire");
                last.to_string()
            })
            .collect()
    }

    #[test]
    fn a_daily_time_that_is_skipped_fires_after_the_jump_and_one_that_comes_twice_once() {
        let daily = schedule("30 2 * * *", "America/New_York");
        assert_eq!(
            fires(&daily, "2026-03-07T12:00:00Z", 2),
            ["2026-03-08T07:00:00.000Z", "2026-03-09T06:30:00.000Z"]
        );
        let daily = schedule("30 1 * * *", "America/New_York");
        assert_eq!(
            fires(&daily, "2026-10-31T12:00:00Z", 2),
            ["2026-11-01T05:30:00.000Z", "2026-11-02T06:30:00.000Z"]
        );
    }

    #[test]
    fn an_interval_goes_on_evenly_when_the_clock_is_changed() {
        let hourly = schedule("0 * * * *", "America/New_York");
        for change in ["2026-03-08T05:30:00Z", "2026-11-01T03:30:00Z"] {
            let fires: Vec<Timestamp> = fires(&hourly, change, 5).iter().map(|fire| at(fire)).collect();
            for pair in fires.windows(2) {
                assert_eq!(pair[1].since(pair[0]), Duration::from_secs(3_600), "{pair:?}");
            }
        }
    }

    #[test]
    fn what_is_due_is_the_last_fire_that_was_not_considered() {
        let daily = schedule("0 9 * * mon-fri", "Europe/London");
        // Friday to Monday, in winter.
        assert_eq!(
            daily.due(at("2026-11-20T10:00:00Z"), at("2026-11-23T08:59:59.999Z")),
            None
        );
        let monday = at("2026-11-23T09:00:00Z");
        assert_eq!(daily.due(at("2026-11-20T09:00:00Z"), monday), Some(monday));
        assert_eq!(
            daily.due(at("2026-11-01T00:00:00Z"), at("2026-11-23T09:00:00.500Z")),
            Some(monday)
        );
        assert_eq!(daily.due(monday, at("2026-11-23T18:00:00Z")), None);
    }

    #[test]
    fn slips_in_a_trigger_by_the_clock_are_found_with_their_field() {
        let cases = [
            (
                json!({"type": "schedule", "cron": "0 9 * *"}),
                "trigger.cron",
                "bad_cron",
            ),
            (
                json!({"type": "schedule", "cron": "0 0 9 * * *"}),
                "trigger.cron",
                "bad_cron",
            ),
            (
                json!({"type": "schedule", "cron": "99 9 * * *"}),
                "trigger.cron",
                "bad_cron",
            ),
            (
                json!({"type": "schedule", "cron": "0 0 31 2 *"}),
                "trigger.cron",
                "never_fires",
            ),
            (
                json!({"type": "schedule", "cron": "0 9 * * *", "timezone": "Mars/Olympus"}),
                "trigger.timezone",
                "bad_timezone",
            ),
            (
                json!({"type": "schedule", "cron": "0 9 * * *", "catch_up": "all"}),
                "trigger.catch_up",
                "bad_catch_up",
            ),
            (
                json!({"type": "schedule", "cron": 9}),
                "trigger.cron",
                "wrong_type",
            ),
            (
                json!({"type": "quote.unpaid", "after": "1 day"}),
                "trigger.after",
                "bad_span",
            ),
            (
                json!({"type": "quote.unpaid", "after": "5s"}),
                "trigger.after",
                "bad_span",
            ),
        ];
        for (written, path, code) in cases {
            let mut problems = Vec::new();
            check(&trigger(written.clone()), &mut problems);
            let found: Vec<_> = problems
                .iter()
                .map(|problem| (problem.path.as_str(), problem.code.as_str()))
                .collect();
            assert_eq!(found, [(path, code)], "{written}");
        }
        for fine in [
            json!({"type": "schedule", "cron": "*/15 8-18 * * mon-fri"}),
            json!({"type": "schedule", "cron": "@daily"}),
            json!({"type": "quote.unpaid", "after": "24h"}),
            json!({"type": "purchase.completed"}),
        ] {
            let mut problems = Vec::new();
            check(&trigger(fine.clone()), &mut problems);
            assert_eq!(problems, [], "{fine}");
        }
    }
}
