//! Triggers by the clock: when a schedule fires, when a fact has waited long enough, whose birthday it is.
//!
//! In: a trigger, moments, what happened. Out: moments and observations. Pure; `actors::schedules` asks it and keeps, for each
//! workflow, the moment up to which all was started. Ids are derived from workflow and moment, or from the fact itself, so
//! starting twice is starting once.

mod after;
mod birthdays;
mod schedule;

use serde_json::Value;

pub use self::{
    after::After,
    birthdays::{birthday, birthdays_between, next_quarter},
    schedule::{CatchUp, LATE_MAX, Schedule},
};
use self::{after::after_of, schedule::schedule_of};
use super::{
    definition::{Definition, TriggerDefinition},
    problem::Problem,
};
use crate::domain::observation::EventType;

/// Types of trigger that the clock may fire.
pub const KINDS: &[EventType] = &[
    EventType::SCHEDULE,
    EventType::QUOTE_UNPAID,
    EventType::PURCHASE_COMPLETED,
    EventType::LEAD_BIRTHDAY,
];

/// What the clock does for a workflow.
#[derive(Debug, Clone)]
pub enum Clock {
    Schedule(Box<Schedule>),
    After(After),
    Birthdays,
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

/// The wait of a trigger that has one; what cannot be read was refused before publishing.
pub(super) fn wait_of(trigger: &TriggerDefinition) -> Option<After> {
    after_of(trigger).ok().flatten()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn trigger(value: Value) -> TriggerDefinition {
        serde_json::from_value(value).expect("the shape of a trigger")
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
