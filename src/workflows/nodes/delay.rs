//! `delay`: nothing, for a span or until a moment.
//!
//! A moment may be written in the lead's own zone (`calendar::zone_of`); the rules for days on which clocks are changed are
//! the calendar's. A wait is never cut short.

use std::time::Duration;

use jiff::civil;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read},
    source::{Source, Template},
};
use crate::{
    domain::time::{Timestamp, parse_span},
    workflows::{
        calendar::{BusinessHours, Days, Zone, moment_of, next_local, next_open, weekday, zone_of},
        definition::{PORT_OK, TimeOfDay},
        problem::Problem,
    },
};

/// Longest wait: ten years. A slip in a unit should be an error, not a run nobody sees again.
pub const DELAY_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);

pub(super) struct Delay;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    r#for: Option<Template>,
    until: Option<Template>,
    business_hours: Option<WrittenHours>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHours {
    days: Option<Vec<String>>,
    from: TimeOfDay,
    to: TimeOfDay,
}

#[derive(Debug)]
struct Pause {
    end: End,
    hours: Option<BusinessHours>,
}

#[derive(Debug)]
enum End {
    For(Template),
    Until(Template),
}

/// What an `until` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The same everywhere.
    Absolute(Timestamp),
    /// A date and time on the lead's wall.
    OnDate(civil::DateTime),
    /// The next such time on the lead's wall.
    Next(TimeOfDay, Days),
}

impl NodeKind for Delay {
    fn name(&self) -> &'static str {
        "delay"
    }

    fn title(&self) -> &'static str {
        "Delay"
    }

    fn ports(&self) -> &'static [&'static str] {
        &[PORT_OK]
    }

    fn schema(&self) -> Value {
        let time = |title: &str| json!({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "title": title});
        json!({
            "type": "object", "additionalProperties": false,
            "oneOf": [{"required": ["for"]}, {"required": ["until"]}],
            "properties": {
                "for": {"type": "string", "minLength": 1, "title": "For", "format": "template",
                    "description": "A span like 90s, 2h, 3d or 1d12h"},
                "until": {"type": "string", "minLength": 1, "title": "Until", "format": "template",
                    "description": "A time like 2026-11-22T09:00:00Z, or in the lead's time zone: 09:00, Mon 09:00, 2026-12-24 09:00. One that is past means at once"},
                "business_hours": {"type": "object", "additionalProperties": false, "required": ["from", "to"],
                    "title": "Business hours", "description": "The wait goes on to the next time within these hours, in the lead's time zone",
                    "properties": {
                        "days": {"type": "array", "minItems": 1, "maxItems": 7, "uniqueItems": true, "title": "Days",
                            "items": {"type": "string", "enum": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]},
                            "default": ["mon", "tue", "wed", "thu", "fri"]},
                        "from": time("From"), "to": time("To")
                    }}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        let Params {
            r#for,
            until,
            business_hours,
        } = read(params)?;
        let end = match (r#for, until) {
            (Some(span), None) => End::For(span),
            (None, Some(moment)) => End::Until(moment),
            _ => {
                let message = "give either `for` or `until`";
                return Err(vec![Problem::new(
                    "",
                    "bad_params",
                    message,
                    "keep one of the two",
                )]);
            }
        };
        let hours = business_hours
            .map(hours_of)
            .transpose()
            .map_err(|problem| vec![problem])?;
        let (field, error) = match &end {
            End::For(span) => ("for", span.plain().map(read_span).and_then(Result::err)),
            End::Until(moment) => ("until", moment.plain().map(read_moment).and_then(Result::err)),
        };
        match error {
            Some(error) => {
                let fix = "see the field's description";
                Err(vec![Problem::new(field, error.code, error.message, fix)])
            }
            None => Ok(Box::new(Pause { end, hours })),
        }
    }
}

fn hours_of(written: WrittenHours) -> Result<BusinessHours, Problem> {
    let WrittenHours { days, from, to } = written;
    let refuse = |field: &str, message: String, fix: &str| {
        Problem::new(
            format!("business_hours.{field}"),
            "bad_business_hours",
            message,
            fix,
        )
    };
    let days = match days {
        None => Days::WORKDAYS,
        Some(names) => {
            let mut days = Vec::new();
            for name in &names {
                let message = || format!("`{name}` is not a day");
                days.push(
                    weekday(name)
                        .ok_or_else(|| refuse("days", message(), "use mon, tue, wed, thu, fri, sat, sun"))?,
                );
            }
            Days::of(&days).ok_or_else(|| refuse("days", "no day is open".to_owned(), "name at least one"))?
        }
    };
    if from >= to {
        let message = format!("{from} to {to} is never open");
        return Err(refuse(
            "to",
            message,
            "let `to` be later than `from` on the same day",
        ));
    }
    Ok(BusinessHours { days, from, to })
}

impl Node for Pause {
    fn sources(&self) -> Vec<Source<'_>> {
        vec![match &self.end {
            End::For(span) => span.source("for"),
            End::Until(moment) => moment.source("until"),
        }]
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let (zone, _) = zone_of(scene.lead, scene.settings_zone);
        let mut input = Map::new();
        let mut uses_zone = self.hours.is_some();
        let mut until = match &self.end {
            End::For(span) => {
                let text = span.render(scene)?;
                let span = read_span(&text)?;
                input.insert("for".to_owned(), json!(text));
                scene.now.plus(span)
            }
            End::Until(moment) => {
                let text = moment.render(scene)?;
                let moment = read_moment(&text)?;
                input.insert("until".to_owned(), json!(text));
                uses_zone |= !matches!(moment, Moment::Absolute(_));
                resolve(moment, scene.now, &zone)
            }
        };
        if let Some(hours) = &self.hours {
            until = next_open(hours, until.max(scene.now), &zone);
        }
        if uses_zone {
            input.insert("timezone".to_owned(), json!(zone.name()));
        }
        if until.since(scene.now) > DELAY_MAX {
            return Err(too_long());
        }
        let action = if until <= scene.now {
            Action::Leave {
                port: PORT_OK.into(),
                output: json!({"until": until}),
            }
        } else {
            Action::Wait { until }
        };
        Ok(Entered {
            input: Value::Object(input),
            action,
        })
    }

    fn takes_time(&self) -> bool {
        match &self.end {
            End::For(span) => span
                .plain()
                .is_some_and(|text| read_span(text).is_ok_and(|span| span > Duration::ZERO)),
            // The next such time lies ahead; a date may lie in the past when the run comes by again.
            End::Until(moment) => moment
                .plain()
                .is_some_and(|text| matches!(read_moment(text), Ok(Moment::Next(..)))),
        }
    }
}

fn resolve(moment: Moment, now: Timestamp, zone: &Zone) -> Timestamp {
    match moment {
        Moment::Absolute(at) => at,
        Moment::OnDate(shown) => moment_of(shown, zone),
        Moment::Next(time, days) => next_local(now, zone, time, days),
    }
}

fn read_span(text: &str) -> Result<Duration, NodeError> {
    let span = parse_span(text).map_err(|error| NodeError::new("bad_span", format!("`{text}`: {error}")))?;
    if span > DELAY_MAX {
        Err(too_long())
    } else {
        Ok(span)
    }
}

/// Reads `2026-11-22T09:00:00Z`, `2026-12-24 09:00`, `09:00` or `Mon 09:00`.
fn read_moment(text: &str) -> Result<Moment, NodeError> {
    let text = text.trim();
    if let Ok(at) = text.parse() {
        return Ok(Moment::Absolute(at));
    }
    if let Ok(time) = text.parse() {
        return Ok(Moment::Next(time, Days::ALL));
    }
    let on_weekday = text.split_once(char::is_whitespace).and_then(|(day, time)| {
        let days = Days::of(&[weekday(day)?])?;
        Some(Moment::Next(time.trim().parse().ok()?, days))
    });
    // A date alone could mean any moment of it, so it needs its time.
    let on_date = || {
        text.contains(':')
            .then(|| text.parse().ok())
            .flatten()
            .map(Moment::OnDate)
    };
    on_weekday.or_else(on_date).ok_or_else(|| {
        let expected = "expected a time like 2026-11-22T09:00:00Z, or one in the lead's zone like 09:00, Mon 09:00 or 2026-12-24 09:00";
        NodeError::new("bad_time", format!("`{text}`: {expected}"))
    })
}

fn too_long() -> NodeError {
    NodeError::new("delay_too_long", "the wait is longer than ten years")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_until_is_a_moment_a_date_or_the_next_time_of_day() {
        let monday = Days::of(&[crate::workflows::calendar::Weekday::Monday]).expect("a day");
        let time = |text: &str| text.parse::<TimeOfDay>().expect("a time");
        assert_eq!(
            read_moment("09:00").ok(),
            Some(Moment::Next(time("09:00"), Days::ALL))
        );
        assert_eq!(
            read_moment(" Mon  09:00 ").ok(),
            Some(Moment::Next(time("09:00"), monday))
        );
        assert_eq!(
            read_moment("monday 09:00").ok(),
            Some(Moment::Next(time("09:00"), monday))
        );
        assert!(matches!(
            read_moment("2026-11-22T09:00:00Z"),
            Ok(Moment::Absolute(_))
        ));
        assert!(matches!(
            read_moment("2026-11-22T09:00:00+05:30"),
            Ok(Moment::Absolute(_))
        ));
        let dinner = civil::date(2026, 12, 24).at(19, 30, 0, 0);
        assert_eq!(read_moment("2026-12-24 19:30").ok(), Some(Moment::OnDate(dinner)));
        assert_eq!(
            read_moment("2026-12-24T19:30:00").ok(),
            Some(Moment::OnDate(dinner))
        );
        for wrong in [
            "",
            "9:00",
            "24:00",
            "Mo 09:00",
            "tomorrow",
            "2026-12-24",
            "2026-02-30 09:00",
            "09:00 Mon",
        ] {
            assert!(read_moment(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn business_hours_must_be_open_at_some_time() {
        let hours = |value: Value| hours_of(serde_json::from_value(value).expect("the shape"));
        assert!(
            hours(json!({"from": "09:00", "to": "17:00"})).is_ok_and(|hours| hours.days == Days::WORKDAYS)
        );
        assert!(hours(json!({"days": ["sat"], "from": "09:00", "to": "17:00"})).is_ok());
        assert!(hours(json!({"from": "17:00", "to": "09:00"})).is_err());
        assert!(hours(json!({"days": ["xyz"], "from": "09:00", "to": "17:00"})).is_err());
    }
}
