//! `calendar_event`: an entry in the connected calendar.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read, sound},
    source::{Source, Template},
};
use crate::{
    domain::{
        email,
        time::{Timestamp, parse_span},
    },
    workflows::{
        effect::{self, Request},
        problem::Problem,
    },
};

/// Longest entry.
const SPAN_MAX: Duration = Duration::from_secs(31 * 86_400);

pub(super) struct CalendarEvent;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    calendar: Option<Template>,
    title: Template,
    start: Template,
    end: Option<Template>,
    duration: Option<String>,
    description: Option<Template>,
    location: Option<Template>,
    #[serde(default)]
    attendees: Vec<Template>,
}

impl NodeKind for CalendarEvent {
    fn name(&self) -> &'static str {
        "calendar_event"
    }

    fn title(&self) -> &'static str {
        "Calendar event"
    }

    fn schema(&self) -> Value {
        let text =
            |title: &str| json!({"type": "string", "minLength": 1, "title": title, "format": "template"});
        json!({
            "type": "object", "additionalProperties": false, "required": ["title", "start"],
            "properties": {
                "title": text("Title"),
                "start": {"type": "string", "minLength": 1, "title": "Start", "format": "template",
                    "description": "A moment: 2026-11-22T09:00:00-05:00, {{ trigger.data.starts_at }}"},
                "end": {"type": "string", "minLength": 1, "title": "End", "format": "template",
                    "description": "A moment; or give a duration"},
                "duration": {"type": "string", "format": "span", "title": "Duration", "description": "30m when left out"},
                "description": text("Description"),
                "location": text("Place"),
                "attendees": {"type": "array", "maxItems": 100, "title": "Attendees",
                    "items": {"type": "string", "minLength": 1, "format": "template"},
                    "description": "E-mail addresses"},
                "calendar": {"type": "string", "minLength": 1, "title": "Calendar", "format": "template",
                    "description": "The calendar's id; the connected account's own when left out"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        let params: Params = read(params)?;
        let mut problems = Vec::new();
        if params.end.is_some() && params.duration.is_some() {
            let message = "expected `end` or `duration`, not both";
            problems.push(Problem::new("duration", "bad_params", message, "leave one out"));
        }
        if let Some(Err(error)) = params.duration.as_deref().map(parse_span) {
            let fix = "write it like 45m";
            problems.push(Problem::new("duration", "bad_span", error.to_string(), fix));
        }
        for (field, template) in [("start", Some(&params.start)), ("end", params.end.as_ref())] {
            if let Some(Err(error)) = template.and_then(Template::plain).map(str::parse::<Timestamp>) {
                let fix = "write it like 2026-11-22T09:00:00Z";
                problems.push(Problem::new(field, "bad_time", error.to_string(), fix));
            }
        }
        sound(params, problems)
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        let optional = [
            ("end", self.end.as_ref()),
            ("description", self.description.as_ref()),
            ("location", self.location.as_ref()),
            ("calendar", self.calendar.as_ref()),
        ];
        let attendees = self.attendees.iter().enumerate();
        [self.title.source("title"), self.start.source("start")]
            .into_iter()
            .chain(
                optional
                    .into_iter()
                    .filter_map(|(field, template)| Some(template?.source(field))),
            )
            .chain(attendees.map(|(at, attendee)| attendee.source(format!("attendees[{at}]"))))
            .collect()
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let starts_at = moment(&self.start, scene, "start")?;
        let ends_at = match (&self.end, self.duration.as_deref()) {
            (Some(end), _) => moment(end, scene, "end")?,
            (None, span) => {
                let span = parse_span(span.unwrap_or("30m"))
                    .map_err(|error| NodeError::new("bad_span", error.to_string()))?;
                starts_at.plus(span)
            }
        };
        if ends_at <= starts_at || ends_at.since(starts_at) > SPAN_MAX {
            return Err(NodeError::new(
                "bad_time",
                format!(
                    "an entry from {starts_at} to {ends_at}: expected an end after the start, within 31 days"
                ),
            ));
        }
        let text = |template: &Option<Template>| {
            template
                .as_ref()
                .map(|template| template.render(scene))
                .transpose()
        };
        let attendees = self.attendees.iter().map(|attendee| {
            let attendee = attendee.render(scene)?;
            email::normal(&attendee)
                .ok_or_else(|| NodeError::new("bad_email", format!("`{attendee}` is not an e-mail address")))
        });
        let event = effect::CalendarEvent {
            calendar: text(&self.calendar)?,
            title: self.title.render_filled(scene, "title")?,
            starts_at,
            ends_at,
            description: text(&self.description)?.unwrap_or_default(),
            location: text(&self.location)?.unwrap_or_default(),
            attendees: attendees.collect::<Result<_, NodeError>>()?,
        };
        Ok(Entered {
            input: json!(event),
            action: Action::Act(Request::CalendarEvent(event)),
        })
    }
}

fn moment(template: &Template, scene: &Scene<'_>, field: &str) -> Result<Timestamp, NodeError> {
    let text = template.render_filled(scene, field)?;
    text.trim()
        .parse()
        .map_err(|error| NodeError::new("bad_time", format!("`{field}` gave `{text}`: {error}")))
}
