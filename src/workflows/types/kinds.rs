//! Types of values as far as they are known before a run: of our own names, and of each type a few samples to try the language on.

use minijinja::{
    Value,
    machinery::ast::{BinOpKind, CompareOpKind},
    value::ValueKind,
};

/// What is known of a value before there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Text,
    Truth,
    List,
    Map,
    Unknown,
}

impl Kind {
    pub fn of(value: &Value) -> Self {
        match value.kind() {
            ValueKind::Number => Self::Number,
            ValueKind::String => Self::Text,
            ValueKind::Bool => Self::Truth,
            ValueKind::Seq => Self::List,
            ValueKind::Map => Self::Map,
            _ => Self::Unknown,
        }
    }

    pub const fn words(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Text => "text",
            Self::Truth => "true or false",
            Self::List => "a list",
            Self::Map => "a map",
            Self::Unknown => "not known",
        }
    }

    /// Values of this kind, unlike enough that what fails on all of them fails on every other.
    pub fn samples(self) -> Vec<Value> {
        match self {
            Self::Number => vec![Value::from(1), Value::from(2.5), Value::from(-3), Value::from(20)],
            Self::Text => [
                "a",
                "5",
                "2.5",
                "",
                "a b, c",
                "2026-11-22T09:00:00Z",
                "[1]",
                "true",
            ]
            .map(Value::from)
            .to_vec(),
            Self::Truth => vec![Value::from(true), Value::from(false)],
            Self::List => vec![
                Value::from(Vec::<Value>::new()),
                Value::from(vec![Value::from(1), Value::from(2)]),
                Value::from(vec![Value::from("a"), Value::from("b")]),
                Value::from(vec![minijinja::context! { a => 1 }]),
                Value::from(vec![Value::from(vec![Value::from("a"), Value::from(1)])]),
            ],
            Self::Map => vec![minijinja::context! {}, minijinja::context! { a => 1, b => "c" }],
            Self::Unknown => Vec::new(),
        }
    }
}

/// Whether trying a filter with this argument is no work: `center(1000000000)` would be.
pub(super) fn is_small(argument: &Value) -> bool {
    match argument.kind() {
        ValueKind::Number => f64::try_from(argument.clone()).is_ok_and(|number| number.abs() <= 1_000.0),
        ValueKind::String => argument.as_str().is_some_and(|text| text.len() <= 1_000),
        _ => true,
    }
}

/// The operators between two values that may not fit each other, as they are written.
pub(super) const fn sign_of(operator: BinOpKind) -> Option<&'static str> {
    match operator {
        BinOpKind::Eq => Some("=="),
        BinOpKind::Ne => Some("!="),
        BinOpKind::Lt => Some("<"),
        BinOpKind::Lte => Some("<="),
        BinOpKind::Gt => Some(">"),
        BinOpKind::Gte => Some(">="),
        BinOpKind::Add => Some("+"),
        BinOpKind::Sub => Some("-"),
        BinOpKind::Mul => Some("*"),
        BinOpKind::Div => Some("/"),
        BinOpKind::FloorDiv => Some("//"),
        BinOpKind::Rem => Some("%"),
        BinOpKind::Pow => Some("**"),
        BinOpKind::In => Some("in"),
        BinOpKind::ScAnd | BinOpKind::ScOr | BinOpKind::Concat => None,
    }
}

/// A comparison in a chain, as the operator it is.
pub(super) trait IntoOperator {
    fn into_operator(self) -> BinOpKind;
}

impl IntoOperator for CompareOpKind {
    fn into_operator(self) -> BinOpKind {
        match self {
            Self::Eq => BinOpKind::Eq,
            Self::Ne => BinOpKind::Ne,
            Self::Lt => BinOpKind::Lt,
            Self::Lte => BinOpKind::Lte,
            Self::Gt => BinOpKind::Gt,
            Self::Gte => BinOpKind::Gte,
            Self::In | Self::NotIn => BinOpKind::In,
        }
    }
}

/// What is known of a name of ours. `trigger` and `event` hold the same; `score` and `excerpt` come from whoever reports the
/// event, so nothing is known of them.
pub(super) fn kind_of_path(path: &str) -> Kind {
    let path = path
        .strip_prefix("event")
        .map_or_else(|| path.to_owned(), |rest| format!("trigger{rest}"));
    match path.as_str() {
        "lead.score" | "call.duration_s" | "call.trend" | "index" => Kind::Number,
        "lead.id" | "lead.name" | "lead.first_name" | "lead.phone" | "lead.email" | "lead.stage"
        | "lead.timezone" | "lead.created_at" | "lead.updated_at" | "trigger.type" | "trigger.at"
        | "trigger.call_id" | "trigger.lead_id" | "call.id" | "call.sid" | "call.direction" | "call.from"
        | "call.to" | "call.status" | "call.answered_by" | "call.started_at" | "call.answered_at"
        | "call.ended_at" | "call.summary" | "account.id" | "account.name" | "now" => Kind::Text,
        "lead.opted_out" | "call.voicemail" => Kind::Truth,
        "lead" | "trigger" | "call" | "account" | "steps" | "lead.fields" => Kind::Map,
        _ => Kind::Unknown,
    }
}
