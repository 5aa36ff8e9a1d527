//! Schedules: a cron pattern in a zone, and what becomes of fires that were missed.

use std::time::Duration;

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use serde_json::json;

use super::text;
use crate::{
    domain::{
        ids::{AccountId, ObservationId, WorkflowId},
        observation::{EventType, Observation},
        time::Timestamp,
    },
    workflows::{
        calendar::{self, Zone},
        definition::TriggerDefinition,
        problem::Problem,
    },
};

/// How late a fire may be and still count as on time, when missed ones are skipped.
pub const LATE_MAX: Duration = Duration::from_secs(60);

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

/// Reads the schedule of a trigger.
///
/// # Errors
/// The first problem of its params.
pub(super) fn schedule_of(
    trigger: &TriggerDefinition,
    settings_zone: Option<&str>,
) -> Result<Schedule, Problem> {
    let refuse = |name: &str, code: &str, message: String, fix: &str| {
        Err(Problem::new(format!("trigger.{name}"), code, message, fix))
    };
    let pattern = text(trigger, "cron")?.unwrap_or_default();
    let fix = "write five fields (minute, hour, day, month, weekday) like `0 9 * * mon-fri`";
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed);
    let Ok(cron) = parser.build().parse(pattern) else {
        return refuse("cron", "bad_cron", slip_of(pattern), fix);
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

/// The fields of a pattern and what each takes.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31"),
    ("month", "1 to 12, or jan to dec"),
    ("weekday", "0 to 7, or sun to sat"),
];

/// Says what is wrong with a pattern that cannot be read: which of its fields, and what that takes.
fn slip_of(pattern: &str) -> String {
    let parts: Vec<&str> = pattern.split_whitespace().collect();
    if parts.len() != FIELDS.len() {
        return format!("`{pattern}` has {} fields, a pattern has five", parts.len());
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    let is_wrong = |place: usize, part: &str| {
        let mut alone = ["*"; 5];
        alone[place] = part;
        parser.parse(&alone.join(" ")).is_err()
    };
    let wrong = parts
        .iter()
        .enumerate()
        .find(|(place, part)| is_wrong(*place, part));
    match wrong {
        Some((place, part)) => {
            let (name, takes) = FIELDS[place];
            format!("`{pattern}`: the {name} cannot be `{part}`, it takes {takes}")
        }
        None => format!("`{pattern}` is no pattern"),
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
            trace: None,
            data: json!({
                "cron": self.cron.as_str(),
                "timezone": self.zone.name(),
                "scheduled_for": fire,
                "local_time": self.zone.show(fire).datetime().to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn schedule(cron: &str, zone: &str) -> Schedule {
        let written = json!({"type": "schedule", "cron": cron, "timezone": zone});
        let written: TriggerDefinition = serde_json::from_value(written).expect("the shape of a trigger");
        schedule_of(&written, None).expect("a schedule")
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
}
