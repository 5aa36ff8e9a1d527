//! `script`: the account's own JavaScript, which computes and does nothing else.
//!
//! The node hands over what the script names of the scope; the script's return value is its output. It is an effect, because it
//! runs outside of the core, and settled by repeating, because it has none outside.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read},
    source::{Source, SourceKind},
};
use crate::{
    domain::time::{millis_of, parse_span},
    workflows::{
        definition::Definition,
        effect::Request,
        problem::Problem,
        scope::{LOOP_ROOTS, ROOTS},
    },
};

/// Time a script gets when it is not said.
const TIMEOUT_DEFAULT_MS: u64 = 1_000;
/// Most time a script gets.
const TIMEOUT_MAX_MS: u64 = 10_000;
/// Longest script, in characters.
const CODE_CHARS_MAX: usize = 32_768;
/// Most that is handed to a script, in bytes of JSON.
const INPUT_BYTES_MAX: usize = 256 * 1024;

pub(super) struct Script;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    code: String,
    timeout: Option<String>,
}

#[derive(Debug)]
struct Params {
    code: String,
    timeout_ms: u64,
    /// `steps.<id>.output` for each step the script names.
    steps: Vec<String>,
}

impl NodeKind for Script {
    fn name(&self) -> &'static str {
        "script"
    }

    fn title(&self) -> &'static str {
        "Script"
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false, "required": ["code"],
            "properties": {
                "code": {"type": "string", "minLength": 1, "maxLength": CODE_CHARS_MAX, "title": "JavaScript", "format": "javascript",
                    "description": "The body of a function: it sees trigger, lead, call, steps.<id>.output, account, now, and in a loop item and index; what it returns is the output"},
                "timeout": {"type": "string", "title": "Time limit", "default": "1s", "description": "At most 10s"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        let Written { code, timeout } = read(params)?;
        let timeout_ms = match timeout.as_deref().map(parse_span) {
            None => TIMEOUT_DEFAULT_MS,
            Some(Ok(span)) if (1..=TIMEOUT_MAX_MS).contains(&millis_of(span)) => millis_of(span),
            Some(_) => {
                let message = "a script gets 1ms to 10s";
                return Err(vec![Problem::new(
                    "timeout",
                    "bad_span",
                    message,
                    "write it like 2s",
                )]);
            }
        };
        let steps = steps_named(&code);
        Ok(Box::new(Params {
            code,
            timeout_ms,
            steps,
        }))
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        self.steps
            .iter()
            .map(|step| Source {
                path: "code".to_owned(),
                kind: SourceKind::Value,
                text: step,
            })
            .collect()
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let whole = serde_json::to_value(scene.scope.value())
            .map_err(|error| NodeError::new("script_input", error.to_string()))?;
        let mut input = Map::new();
        for root in ROOTS
            .iter()
            .chain(LOOP_ROOTS)
            .filter(|root| names(&self.code, root))
        {
            // What is not there is null in a script: `lead?.score` tells.
            let value = whole.get(*root).cloned().unwrap_or(Value::Null);
            input.insert((*root).to_owned(), value);
        }
        let input = Value::Object(input);
        let bytes = input.to_string().len();
        if bytes > INPUT_BYTES_MAX {
            let message = format!("what the script sees has {bytes} bytes, more than {INPUT_BYTES_MAX}");
            return Err(NodeError::new("script_input_too_large", message));
        }
        let seen: Vec<&String> = input
            .as_object()
            .map(|input| input.keys().collect())
            .unwrap_or_default();
        Ok(Entered {
            input: json!({"sees": seen, "timeout_ms": self.timeout_ms}),
            action: Action::Act(Request::RunScript {
                code: self.code.clone(),
                input: input.clone(),
                timeout_ms: self.timeout_ms,
            }),
        })
    }
}

/// The scripts of a definition with their paths, as far as they are not too long to be read.
#[must_use]
pub fn scripts_of(definition: &Definition) -> Vec<(String, &str)> {
    let mut scripts = Vec::new();
    for (at, node) in definition.nodes.iter().enumerate() {
        let code = node.params.get("code").and_then(Value::as_str);
        let code = code.filter(|code| node.kind == Script.name() && code.chars().count() <= CODE_CHARS_MAX);
        scripts.extend(code.map(|code| (format!("nodes[{at}].params.code"), code)));
    }
    scripts
}

/// Whether `word` stands in the script as a word of its own.
fn names(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(is_part) && !code[at + word.len()..].starts_with(is_part))
}

/// `steps.<id>.output` for every such text in the script, each once.
fn steps_named(code: &str) -> Vec<String> {
    let mut steps = std::collections::BTreeSet::new();
    for (at, found) in code.match_indices("steps.") {
        let rest = &code[at + found.len()..];
        let id_end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        let behind = rest[id_end..].trim_start_matches('?');
        let is_word = behind
            .strip_prefix(".output")
            .is_some_and(|more| !more.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$'));
        let own = !code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.'));
        if id_end > 0 && is_word && own {
            steps.insert(format!("steps.{}.output", &rest[..id_end]));
        }
    }
    steps.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_a_script_names_are_known() {
        let code = "const a = steps.first.output.x + steps.second?.output; // steps.third\nmysteps.no.output; steps.no.outputs; return steps.first.output;";
        assert_eq!(steps_named(code), ["steps.first.output", "steps.second.output"]);
    }

    #[test]
    fn a_word_counts_only_as_a_whole() {
        assert!(names("return lead.score", "lead"));
        assert!(names("lead", "lead"));
        assert!(!names("return leads + mislead + lead_", "lead"));
    }
}
