//! A workflow as its author writes it: the JSON of the public contract, section 4.
//!
//! Reading collects every problem of shape (unknown fields, wrong types) with its place; what the parts mean together is
//! `validate`'s business.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{problem::Problem, retry::RetryPolicy};
use crate::domain::{observation::EventType, time::parse_span};

/// The node an edge names when it starts at the trigger.
pub const TRIGGER: &str = "trigger";
/// The port a node leaves by when all went well.
pub const PORT_OK: &str = "ok";
/// The port a node leaves by after its last attempt failed.
pub const PORT_ERROR: &str = "error";
/// Longest definition that is read, in bytes of JSON.
pub const DEFINITION_BYTES_MAX: usize = 256 * 1024;

/// A workflow.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Definition {
    pub name: String,
    pub enabled: bool,
    pub trigger: TriggerDefinition,
    pub settings: Settings,
    pub nodes: Vec<NodeDefinition>,
    pub edges: Vec<Edge>,
    /// Where an editor draws the nodes, by id (`trigger` too). Means nothing to a run.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub layout: BTreeMap<String, (i32, i32)>,
    /// What people wrote beside the steps. Means nothing to a run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

/// Words for people on an editor's canvas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    pub id: String,
    pub text: String,
    /// Where it stands, as in `layout`.
    pub at: (i32, i32),
}

/// What starts a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerDefinition {
    #[serde(rename = "type")]
    pub kind: EventType,
    /// Condition over `trigger`, `lead` and `call`; a run starts only when it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// What this type of trigger takes besides: `name`, `cron`, `after`.
    #[serde(flatten)]
    pub params: Map<String, Value>,
}

/// How runs of the workflow behave as a whole.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub enrolment: Enrolment,
    /// IANA zone used where the lead's own is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// No message reaches a lead between these times of the lead's day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// Facts about the lead or the call that end a run wherever it waits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exit_on: Vec<EventType>,
    /// Facts about the lead or the call that a run is there for: when one comes, the run is completed.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub goal: Vec<EventType>,
}

/// Who gets a run when the trigger matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Enrolment {
    #[default]
    EveryTime,
    OncePerLead,
    OneActivePerLead(WhenActive),
}

/// What happens to a match while the lead's earlier run is still active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenActive {
    /// The match waits for the earlier run to end.
    Queue,
    /// The match is dropped.
    #[default]
    Ignore,
    /// The earlier run is cancelled.
    Replace,
}

/// The stretch of a day in which leads are left alone. It may pass midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(TimeOfDay, TimeOfDay)", into = "(TimeOfDay, TimeOfDay)")]
pub struct QuietHours {
    pub from: TimeOfDay,
    pub until: TimeOfDay,
}

/// Minutes after midnight; reads and prints `21:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

/// One step of the graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeDefinition {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub params: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    #[serde(default)]
    pub on_error: OnError,
    /// Who is reached, for nodes that reach a person; the node's own default when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
}

/// What a failed node without a wired `error` port does to its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The run fails.
    #[default]
    Fail,
    /// The run goes on by the `ok` port.
    Continue,
}

/// Whom a message is for: which rules the gate applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// A person outside: consent, opt-out, quiet hours and caps apply.
    Lead,
    /// Team members: only rate limits apply.
    Staff,
}

/// A way from a node's port to another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// A node's id, or `trigger`.
    pub from: String,
    /// `ok` when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    pub to: String,
}

impl Definition {
    /// Reads a definition from JSON text.
    ///
    /// # Errors
    /// Every problem of shape there is, each with its path.
    pub fn from_json(text: &str) -> Result<Self, Vec<Problem>> {
        if text.len() > DEFINITION_BYTES_MAX {
            let message = format!("the definition has {} bytes", text.len());
            let fix = format!("keep it below {DEFINITION_BYTES_MAX} bytes");
            return Err(vec![Problem::new("", "too_large", message, fix)]);
        }
        let value: Value = serde_json::from_str(text).map_err(|error| {
            vec![Problem::new(
                "",
                "not_json",
                error.to_string(),
                "send a JSON object",
            )]
        })?;
        Self::from_value(&value)
    }

    /// Reads a definition from JSON.
    ///
    /// # Errors
    /// Every problem of shape there is, each with its path.
    pub fn from_value(value: &Value) -> Result<Self, Vec<Problem>> {
        let Some(fields) = value.as_object() else {
            return Err(vec![Problem::new(
                "",
                "wrong_type",
                "a workflow is a JSON object",
                "send an object",
            )]);
        };
        let mut reader = Reader::default();
        reader.refuse_unknown(
            "",
            fields,
            &[
                "name", "enabled", "trigger", "settings", "nodes", "edges", "layout", "notes",
            ],
        );
        let name = reader.required(fields, "name", &[]);
        let enabled = reader.optional(fields, "enabled", &[]).unwrap_or(true);
        let trigger = reader.required(fields, "trigger", &[]);
        let settings = reader
            .optional(
                fields,
                "settings",
                &["enrolment", "timezone", "quiet_hours", "exit_on", "goal"],
            )
            .unwrap_or_default();
        let nodes = reader.list(
            fields,
            "nodes",
            &["id", "type", "params", "retry", "on_error", "audience"],
        );
        let edges = reader.list(fields, "edges", &["from", "port", "to"]);
        let layout = reader.optional(fields, "layout", &[]).unwrap_or_default();
        let notes = reader.list(fields, "notes", &["id", "text", "at"]);
        match (name, trigger) {
            (Some(name), Some(trigger)) if reader.problems.is_empty() => Ok(Self {
                name,
                enabled,
                trigger,
                settings,
                nodes,
                edges,
                layout,
                notes,
            }),
            _ => Err(reader.problems),
        }
    }

    /// The definition as the JSON it is stored and served as.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a definition has only text keys and finite numbers")
    }
}

/// Reads a definition piece by piece, so that one wrong piece does not hide the others.
#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn refuse_unknown(&mut self, path: &str, fields: &Map<String, Value>, known: &[&str]) {
        for field in fields.keys().filter(|field| !known.contains(&field.as_str())) {
            self.problems.push(Problem::unknown(
                join(path, field),
                "unknown_field",
                "field",
                field,
                known,
            ));
        }
    }

    fn required<T: DeserializeOwned>(
        &mut self,
        fields: &Map<String, Value>,
        field: &str,
        known: &[&str],
    ) -> Option<T> {
        if fields.contains_key(field) {
            return self.optional(fields, field, known);
        }
        self.problems.push(Problem::new(
            field,
            "missing_field",
            format!("`{field}` is missing"),
            format!("add `{field}`"),
        ));
        None
    }

    fn optional<T: DeserializeOwned>(
        &mut self,
        fields: &Map<String, Value>,
        field: &str,
        known: &[&str],
    ) -> Option<T> {
        fields
            .get(field)
            .filter(|value| !value.is_null())
            .and_then(|value| self.piece(field, value, known))
    }

    fn list<T: DeserializeOwned>(
        &mut self,
        fields: &Map<String, Value>,
        field: &str,
        known: &[&str],
    ) -> Vec<T> {
        match fields.get(field) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items
                .iter()
                .enumerate()
                .filter_map(|(at, item)| self.piece(&format!("{field}[{at}]"), item, known))
                .collect(),
            Some(_) => {
                let message = format!("`{field}` is a list");
                self.problems
                    .push(Problem::new(field, "wrong_type", message, "use [ … ]"));
                Vec::new()
            }
        }
    }

    /// Reads one piece. Unknown fields are reported one by one and left out, so that what else is wrong shows too.
    fn piece<T: DeserializeOwned>(&mut self, path: &str, value: &Value, known: &[&str]) -> Option<T> {
        let mut value = value.clone();
        if let (Some(fields), false) = (value.as_object_mut(), known.is_empty()) {
            self.refuse_unknown(path, fields, known);
            fields.retain(|field, _| known.contains(&field.as_str()));
        }
        serde_path_to_error::deserialize(value)
            .map_err(|error| {
                let place = match error.path().to_string().as_str() {
                    "." => path.to_owned(),
                    inside if inside.starts_with('[') => format!("{path}{inside}"),
                    inside => join(path, inside),
                };
                let message = error.into_inner().to_string();
                self.problems.push(Problem::new(
                    place,
                    "wrong_type",
                    message,
                    "see docs/workflows.md",
                ));
            })
            .ok()
    }
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

/// Reads one text or a list of them.
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<EventType>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        One(EventType),
        Many(Vec<EventType>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::One(kind) => vec![kind],
        Written::Many(kinds) => kinds,
    })
}

impl From<(TimeOfDay, TimeOfDay)> for QuietHours {
    fn from((from, until): (TimeOfDay, TimeOfDay)) -> Self {
        Self { from, until }
    }
}

impl From<QuietHours> for (TimeOfDay, TimeOfDay) {
    fn from(hours: QuietHours) -> Self {
        (hours.from, hours.until)
    }
}

impl TimeOfDay {
    /// Minutes after midnight, 0 to 1,439.
    #[must_use]
    pub const fn minutes(self) -> u16 {
        self.0
    }

    /// Returns the time that many minutes after midnight; `None` from 24:00 on.
    #[must_use]
    pub const fn from_minutes(minutes: u16) -> Option<Self> {
        if minutes < 24 * 60 {
            Some(Self(minutes))
        } else {
            None
        }
    }
}

/// Why a text is not a time of day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time of day like `21:00`")]
pub struct TimeOfDayError(String);

impl std::str::FromStr for TimeOfDay {
    type Err = TimeOfDayError;

    fn from_str(text: &str) -> Result<Self, TimeOfDayError> {
        let two_digits = |part: &str| {
            let well_formed = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u16>().ok().filter(|_| well_formed)
        };
        text.split_once(':')
            .and_then(|(hours, minutes)| Some((two_digits(hours)?, two_digits(minutes)?)))
            .filter(|(_, minutes)| *minutes < 60)
            .and_then(|(hours, minutes)| Self::from_minutes(hours * 60 + minutes))
            .ok_or_else(|| TimeOfDayError(text.to_owned()))
    }
}

impl std::fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Serde for a span in its short form, `90s`.
pub mod span {
    use super::{Deserialize, Deserializer, Duration, Serializer, parse_span};
    use crate::domain::time::millis_of;

    /// Prints the span in the largest unit that divides it.
    ///
    /// # Errors
    /// Only the serializer's own.
    pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let millis = millis_of(*span);
        let units = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1_000, "s"),
            (1, "ms"),
        ];
        let (size, unit) = units
            .into_iter()
            .find(|(size, _)| millis.is_multiple_of(*size) && millis >= *size)
            .unwrap_or((1, "ms"));
        serializer.collect_str(&format_args!("{}{unit}", millis / size))
    }

    /// Reads a span like `90s`.
    ///
    /// # Errors
    /// When the text is not a span.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_span(&text).map_err(|error| serde::de::Error::custom(format!("`{text}`: {error}")))
    }
}
