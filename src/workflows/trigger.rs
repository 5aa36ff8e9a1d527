//! Triggers: which facts start a workflow, and what the run knows of them.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    clockwork,
    definition::TriggerDefinition,
    expression::{ExpressionError, evaluate},
    problem::Problem,
    scope::{Scope, World},
};
use crate::domain::{
    ids::{LeadId, RunId},
    observation::{EventType, Observation},
    time::Timestamp,
};

/// Evidence in an observation's data that is reached without `data.` too.
const EVIDENCE: &[&str] = &["excerpt", "score"];

/// Where a run's trigger keeps the run that led to it.
const CAUSED_BY: &str = "caused_by";

/// Where a `webhook` fact's data says which webhook it came by: an object with `id` and `name`.
pub const WEBHOOK_FIELD: &str = "webhook";

/// What a type of trigger takes besides `type` and `filter`.
struct Takes {
    kind: EventType,
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

/// Most words a trigger watches for.
const KEYWORDS_MAX: usize = 100;
/// Longest of them.
const KEYWORD_CHARS_MAX: usize = 100;
/// Who may be watched; the first when it is not said.
const SPEAKERS: &[&str] = &["customer", "agent", ANYBODY];
const ANYBODY: &str = "any";

const TAKES: &[Takes] = &[
    Takes {
        kind: EventType::WEBHOOK,
        required: &["name"],
        optional: &[],
    },
    Takes {
        kind: EventType::CALL_KEYWORD,
        required: &[],
        optional: &["keywords", "speaker"],
    },
    Takes {
        kind: EventType::SCHEDULE,
        required: &["cron"],
        optional: &["timezone", "catch_up"],
    },
    Takes {
        kind: EventType::QUOTE_UNPAID,
        required: &[],
        optional: &["after"],
    },
    Takes {
        kind: EventType::PURCHASE_COMPLETED,
        required: &[],
        optional: &["after"],
    },
];

/// What a form needs to know of a type of trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TriggerInfo {
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "quote.unpaid")]
    pub kind: EventType,
    /// What it must be given besides `filter`.
    pub required: &'static [&'static str],
    /// What it may be given.
    pub optional: &'static [&'static str],
}

/// Every type of trigger the product knows, with what it takes.
#[must_use]
pub fn catalogue() -> Vec<TriggerInfo> {
    EventType::ALL
        .iter()
        .map(|kind| {
            let takes = TAKES.iter().find(|takes| takes.kind == *kind);
            TriggerInfo {
                kind: kind.clone(),
                required: takes.map_or(&[], |takes| takes.required),
                optional: takes.map_or(&[], |takes| takes.optional),
            }
        })
        .collect()
}

/// Returns what `trigger` is in the run's expressions, for a run that a fact starts.
#[must_use]
pub fn value_of(observation: &Observation) -> Value {
    let mut value = Map::new();
    value.insert("type".to_owned(), json!(observation.kind));
    value.insert("at".to_owned(), json!(observation.at));
    if let Some(call_id) = observation.call_id {
        value.insert("call_id".to_owned(), json!(call_id));
    }
    if let Some(lead_id) = observation.lead_id {
        value.insert("lead_id".to_owned(), json!(lead_id));
    }
    if let Some(run_id) = observation.caused_by {
        value.insert(CAUSED_BY.to_owned(), json!(run_id));
    }
    for name in EVIDENCE {
        if let Some(evidence) = observation.data.get(*name).filter(|evidence| !evidence.is_null()) {
            value.insert((*name).to_owned(), evidence.clone());
        }
    }
    value.insert("data".to_owned(), observation.data.clone());
    Value::Object(value)
}

/// Returns the run that led to the fact behind `trigger`, when one did.
#[must_use]
pub fn cause_of(trigger: &Value) -> Option<RunId> {
    trigger.get(CAUSED_BY)?.as_str()?.parse().ok()
}

/// Returns what `trigger` is for a run that a person or the API starts with `data`.
#[must_use]
pub fn manual_value(lead_id: Option<LeadId>, data: Value, at: Timestamp) -> Value {
    let mut value = Map::from_iter([
        ("type".to_owned(), json!(EventType::MANUAL)),
        ("at".to_owned(), json!(at)),
        ("data".to_owned(), data),
    ]);
    if let Some(lead_id) = lead_id {
        value.insert("lead_id".to_owned(), json!(lead_id));
    }
    Value::Object(value)
}

/// The words a `call.keyword` trigger watches for, and who must say them.
pub struct Watch<'a> {
    pub keywords: Vec<&'a str>,
    speaker: &'a str,
}

impl Watch<'_> {
    /// Whether what `speaker` (`customer`, `agent`) says counts.
    #[must_use]
    pub fn is_about(&self, speaker: &str) -> bool {
        self.speaker == ANYBODY || self.speaker == speaker
    }

    fn heard_in(&self, observation: &Observation) -> bool {
        let text = |name: &str| observation.data.get(name).and_then(Value::as_str);
        let said = text("keyword").unwrap_or_default().to_lowercase();
        let is_watched = self
            .keywords
            .iter()
            .any(|keyword| keyword.trim().to_lowercase() == said);
        is_watched && text("speaker").is_none_or(|speaker| self.is_about(speaker))
    }
}

/// Returns what a `call.keyword` trigger watches for; `None` for other triggers.
#[must_use]
pub fn watch_of(trigger: &TriggerDefinition) -> Option<Watch<'_>> {
    if trigger.kind != EventType::CALL_KEYWORD {
        return None;
    }
    let keywords = trigger.params.get("keywords").and_then(Value::as_array);
    Some(Watch {
        keywords: keywords.into_iter().flatten().filter_map(Value::as_str).collect(),
        speaker: trigger
            .params
            .get("speaker")
            .and_then(Value::as_str)
            .unwrap_or(SPEAKERS[0]),
    })
}

fn check_watch(trigger: &TriggerDefinition) -> Option<Problem> {
    let watch = watch_of(trigger)?;
    let is_word =
        |word: &&str| word.chars().any(char::is_alphanumeric) && word.chars().count() <= KEYWORD_CHARS_MAX;
    let written = trigger
        .params
        .get("keywords")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    let is_fine = (1..=KEYWORDS_MAX).contains(&written)
        && watch.keywords.len() == written
        && watch.keywords.iter().all(is_word);
    if !is_fine {
        let message = format!("`call.keyword` watches for 1 to {KEYWORDS_MAX} words or phrases");
        let fix = "add them like \"keywords\": [\"cancel\", \"speak to a lawyer\"]";
        return Some(Problem::new("trigger.keywords", "bad_keywords", message, fix));
    }
    let fits = |speaker: &Value| {
        speaker
            .as_str()
            .is_some_and(|speaker| SPEAKERS.contains(&speaker))
    };
    let message = "`speaker` is who must say it";
    let is_known = trigger.params.get("speaker").is_none_or(fits);
    (!is_known).then(|| {
        Problem::new(
            "trigger.speaker",
            "bad_speaker",
            message,
            "use customer, agent or any",
        )
    })
}

/// Whether a fact starts the workflow: its type fits, its params fit, and the filter holds.
///
/// # Errors
/// When the filter cannot be decided, for example because it reads a field the lead does not have. No run is started
/// then, and the author should see why.
pub fn matches(
    trigger: &TriggerDefinition,
    observation: &Observation,
    world: &World,
) -> Result<bool, ExpressionError> {
    let named = trigger.kind != EventType::WEBHOOK
        || trigger.params.get("name") == webhook_name_in(&observation.data);
    let heard = watch_of(trigger).is_none_or(|watch| watch.heard_in(observation));
    // A trigger with a wait starts when it is over, never from the fact it waits after.
    let in_time = clockwork::wait_of(trigger).is_none_or(|wait| wait.is_over_in(observation));
    if trigger.kind != observation.kind || !named || !heard || !in_time {
        return Ok(false);
    }
    match &trigger.filter {
        None => Ok(true),
        Some(filter) => {
            let scope = Scope::new(world, &value_of(observation), &std::collections::BTreeMap::new());
            evaluate(filter, &scope)
        }
    }
}

/// What a `webhook` trigger's name is compared with: what the door wrote, else what the sender of an event did.
fn webhook_name_in(data: &Value) -> Option<&Value> {
    data.get(WEBHOOK_FIELD)
        .and_then(|webhook| webhook.get("name"))
        .or_else(|| data.get("name"))
}

/// Gives a sample fact what the trigger's own params ask for: its name, its wait, one of its words.
pub fn fit(trigger: &TriggerDefinition, data: &mut Map<String, Value>) {
    if let Some(name) = trigger
        .params
        .get("name")
        .filter(|_| trigger.kind == EventType::WEBHOOK)
    {
        data.insert("name".to_owned(), name.clone());
    }
    if let Some(after) = trigger
        .params
        .get("after")
        .filter(|_| clockwork::wait_of(trigger).is_some())
    {
        data.insert("after".to_owned(), after.clone());
    }
    if let Some(keyword) = watch_of(trigger).and_then(|watch| watch.keywords.first().copied()) {
        data.insert("keyword".to_owned(), json!(keyword));
    }
}

/// Checks type and params; the filter is an expression and checked with the others.
pub(super) fn check(trigger: &TriggerDefinition, problems: &mut Vec<Problem>) {
    let before = problems.len();
    if let Some(problem) = check_event("trigger.type", &trigger.kind) {
        problems.push(problem);
        return;
    }
    let takes = TAKES.iter().find(|takes| takes.kind == trigger.kind);
    let (required, optional) = takes.map_or((&[][..], &[][..]), |takes| (takes.required, takes.optional));
    let known: Vec<&str> = [&["type", "filter"], required, optional].concat();
    for name in trigger
        .params
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
    {
        problems.push(Problem::unknown(
            format!("trigger.{name}"),
            "unknown_field",
            "field",
            name,
            &known,
        ));
    }
    for name in required {
        let given = trigger
            .params
            .get(*name)
            .and_then(Value::as_str)
            .is_some_and(|text| !text.trim().is_empty());
        if !given {
            let message = format!("`{}` needs `{name}`", trigger.kind);
            problems.push(Problem::new(
                format!("trigger.{name}"),
                "missing_field",
                message,
                format!("add `{name}`"),
            ));
        }
    }
    if problems.len() == before {
        clockwork::check(trigger, problems);
        problems.extend(check_watch(trigger));
    }
}

/// Checks the name of an event: one of ours, or an account's own dotted name that is not a slip of one of ours.
pub(super) fn check_event(path: &str, kind: &EventType) -> Option<Problem> {
    let known: Vec<&str> = EventType::ALL.iter().map(EventType::as_str).collect();
    let name = kind.as_str();
    if known.contains(&name) {
        return None;
    }
    let family = name.split_once('.').map(|(family, _)| family);
    let of_ours = known
        .iter()
        .any(|ours| ours.split_once('.').map(|(family, _)| family) == family);
    let a_slip = known
        .iter()
        .any(|ours| strsim::damerau_levenshtein(ours, name) <= 2);
    let well_formed = name.split('.').all(|part| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    });
    let own = family.is_some() && !of_ours && !a_slip && well_formed;
    (!own).then(|| Problem::unknown(path, "unknown_event", "event", name, &known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{AccountId, ObservationId};

    fn trigger(value: Value) -> TriggerDefinition {
        serde_json::from_value(value).expect("the shape of a trigger")
    }

    fn problems(value: Value) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        check(&trigger(value), &mut problems);
        problems
            .into_iter()
            .map(|problem| (problem.path, problem.code))
            .collect()
    }

    fn said(keyword: &str, speaker: &str) -> Observation {
        Observation {
            id: ObservationId::from_bytes([1; 16]),
            account_id: AccountId::from_bytes([1; 16]),
            kind: EventType::CALL_KEYWORD,
            at: Timestamp::default(),
            lead_id: None,
            call_id: None,
            caused_by: None,
            trace: None,
            data: json!({"keyword": keyword, "speaker": speaker}),
        }
    }

    #[test]
    fn a_watched_word_counts_from_who_is_watched() {
        let watched = trigger(json!({"type": "call.keyword", "keywords": ["Cancel", "a lawyer"]}));
        let watch = watch_of(&watched).expect("a watch");
        assert!(watch.heard_in(&said("cancel", "customer")));
        assert!(!watch.heard_in(&said("cancel", "agent")));
        assert!(!watch.heard_in(&said("refund", "customer")));
        let anybody = trigger(json!({"type": "call.keyword", "keywords": ["refund"], "speaker": "any"}));
        assert!(watch_of(&anybody).is_some_and(|watch| watch.heard_in(&said("refund", "agent"))));
    }

    #[test]
    fn a_trigger_without_words_or_with_a_strange_speaker_is_refused() {
        let found = |path: &str, code: &str| vec![(path.to_owned(), code.to_owned())];
        for keywords in [json!([]), json!(["?"]), json!([1]), json!("cancel"), Value::Null] {
            let problems = problems(json!({"type": "call.keyword", "keywords": keywords}));
            assert_eq!(problems, found("trigger.keywords", "bad_keywords"));
        }
        let strange = json!({"type": "call.keyword", "keywords": ["a"], "speaker": "caller"});
        assert_eq!(problems(strange), found("trigger.speaker", "bad_speaker"));
        assert_eq!(
            problems(json!({"type": "call.keyword", "keywords": ["cancel"]})),
            []
        );
    }

    #[test]
    fn a_sample_fits_the_trigger_it_was_made_for() {
        for written in [
            json!({"type": "call.keyword", "keywords": ["refund"]}),
            json!({"type": "quote.unpaid", "after": "24h"}),
            json!({"type": "purchase.completed", "after": "7d"}),
            json!({"type": "webhook", "name": "order"}),
        ] {
            let trigger = trigger(written);
            let mut data = Map::new();
            fit(&trigger, &mut data);
            let in_time = clockwork::wait_of(&trigger).is_none_or(|wait| {
                wait.is_over_in(&Observation {
                    data: Value::Object(data.clone()),
                    ..said("", "")
                })
            });
            let heard = watch_of(&trigger).is_none_or(|watch| {
                watch.heard_in(&Observation {
                    data: Value::Object(data.clone()),
                    ..said("", "")
                })
            });
            assert!(in_time && heard, "{data:?}");
        }
    }
}
