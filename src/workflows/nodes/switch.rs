//! `switch`: the first case that fits chooses the way on; `default` when none does.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read, sound},
    source::{Condition, Source, ValueExpression},
};
use crate::workflows::{definition::PORT_ERROR, problem::Problem};

const PORT_DEFAULT: &str = "default";

pub(super) struct SwitchKind;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    value: Option<ValueExpression>,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    port: String,
    r#if: Option<Condition>,
    equals: Option<Value>,
}

impl NodeKind for SwitchKind {
    fn name(&self) -> &'static str {
        "switch"
    }

    fn title(&self) -> &'static str {
        "Switch"
    }

    fn ports(&self) -> &'static [&'static str] {
        &[PORT_DEFAULT]
    }

    fn ports_from(&self) -> Option<&'static str> {
        Some("cases[].port")
    }

    fn fallback(&self) -> &'static str {
        PORT_DEFAULT
    }

    fn schema(&self) -> Value {
        let scalar = json!({"type": ["string", "number", "boolean"]});
        json!({
            "type": "object", "additionalProperties": false, "required": ["cases"],
            "properties": {
                "value": {"type": "string", "minLength": 1, "title": "Value", "format": "expression",
                    "description": "What `equals` is compared with, for example lead.stage"},
                "cases": {"type": "array", "minItems": 1, "maxItems": 50, "title": "Cases, the first that fits counts",
                    "items": {"type": "object", "additionalProperties": false, "required": ["port"],
                        "properties": {
                            "port": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,31}$", "title": "Port"},
                            "if": {"type": "string", "minLength": 1, "title": "If", "format": "expression"},
                            "equals": {"title": "Equals", "description": "A value, or a list of values",
                                "anyOf": [scalar, {"type": "array", "minItems": 1, "maxItems": 100, "items": scalar}]}
                        }}}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        let params: Params = read(params)?;
        let problems: Vec<Problem> = params
            .cases
            .iter()
            .enumerate()
            .flat_map(|(at, case)| check(at, case, params.value.is_some()))
            .collect();
        sound(params, problems)
    }
}

fn check(at: usize, case: &Case, has_value: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    if [PORT_DEFAULT, PORT_ERROR].contains(&case.port.as_str()) {
        let message = format!("`{}` cannot be a case's port", case.port);
        problems.push(Problem::new(
            format!("cases[{at}].port"),
            "bad_port_name",
            message,
            "name it otherwise",
        ));
    }
    match (&case.r#if, &case.equals) {
        (Some(_), None) => {}
        (None, Some(_)) if has_value => {}
        (None, Some(_)) => problems.push(Problem::new(
            format!("cases[{at}].equals"),
            "missing_field",
            "there is no `value` to compare with",
            "add `value`, for example lead.stage",
        )),
        _ => problems.push(Problem::new(
            format!("cases[{at}]"),
            "bad_params",
            "give either `if` or `equals`",
            "keep one of the two",
        )),
    }
    problems
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        let cases = self.cases.iter().enumerate().filter_map(|(at, case)| {
            let condition = case.r#if.as_ref()?;
            Some(condition.source(format!("cases[{at}].if")))
        });
        let value = self.value.iter().map(|value| value.source("value"));
        value.chain(cases).collect()
    }

    fn ports(&self) -> Vec<String> {
        let mut ports: Vec<String> = self.cases.iter().map(|case| case.port.clone()).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let value = self.value.as_ref().map(|value| value.value(scene)).transpose()?;
        let mut port = PORT_DEFAULT;
        for case in &self.cases {
            if case.fits(value.as_ref(), scene)? {
                port = &case.port;
                break;
            }
        }
        Ok(Entered {
            input: json!({"value": value}),
            action: Action::Leave {
                port: port.to_owned().into(),
                output: json!({"case": port, "value": value}),
            },
        })
    }
}

impl Case {
    fn fits(&self, value: Option<&Value>, scene: &Scene<'_>) -> Result<bool, NodeError> {
        match (&self.r#if, &self.equals, value) {
            (Some(condition), _, _) => Ok(condition.holds(scene)?),
            (None, Some(Value::Array(wanted)), Some(value)) => {
                Ok(wanted.iter().any(|wanted| is_same(wanted, value)))
            }
            (None, Some(wanted), Some(value)) => Ok(is_same(wanted, value)),
            (None, _, _) => Ok(false),
        }
    }
}

/// Whether two values say the same. A number and the text that writes it do: forms send texts.
fn is_same(wanted: &Value, value: &Value) -> bool {
    match (wanted, value) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Number(number), Value::String(text)) | (Value::String(text), Value::Number(number)) => {
            text.trim().parse() == Ok(number.as_f64().unwrap_or(f64::NAN))
        }
        (Value::Bool(truth), Value::String(text)) | (Value::String(text), Value::Bool(truth)) => {
            text.trim() == if *truth { "true" } else { "false" }
        }
        (Value::String(one), Value::String(other)) => one.trim() == other.trim(),
        _ => wanted == value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflows::{
        input::Input,
        plan::Plan,
        tests::story::{Story, single},
    };

    fn way(params: &Value) -> Option<String> {
        let mut story = Story::new(&single("switch", params, &json!({"on_error": "continue"})));
        story.give(Input::Started);
        story.steps()[0].port.clone()
    }

    #[test]
    fn the_first_case_that_fits_counts_and_default_when_none_does() {
        let by_score = |low: u32| json!({"cases": [{"port": "hot", "if": format!("lead.score > {low}")}, {"port": "any", "if": "true"}]});
        assert_eq!(way(&by_score(80)).as_deref(), Some("hot"));
        assert_eq!(way(&by_score(95)).as_deref(), Some("any"));
        let by_stage =
            |stage: Value| json!({"value": "lead.stage", "cases": [{"port": "it", "equals": stage}]});
        assert_eq!(way(&by_stage(json!("new"))).as_deref(), Some("it"));
        assert_eq!(way(&by_stage(json!(["old", "new"]))).as_deref(), Some("it"));
        assert_eq!(way(&by_stage(json!("customer"))).as_deref(), Some("default"));
    }

    #[test]
    fn a_number_fits_the_text_that_writes_it() {
        let params = json!({"value": "lead.score", "cases": [{"port": "it", "equals": "90"}]});
        assert_eq!(way(&params).as_deref(), Some("it"));
        assert!(is_same(&json!(3), &json!(3.0)) && !is_same(&json!(3), &json!("x")));
    }

    #[test]
    fn a_value_that_is_missing_goes_on_by_default_when_asked_to_continue() {
        let params = json!({"value": "lead.email", "cases": [{"port": "it", "equals": "x"}]});
        assert_eq!(way(&params).as_deref(), Some("default"));
    }

    #[test]
    fn edges_may_leave_by_the_cases_ports_only() {
        let mut definition = single(
            "switch",
            &json!({"cases": [{"port": "hot", "if": "lead.score > 80"}]}),
            &json!({}),
        );
        definition["nodes"]
            .as_array_mut()
            .expect("a list")
            .push(json!({"id": "end", "type": "stop"}));
        let edges = definition["edges"].as_array_mut().expect("a list");
        edges.push(json!({"from": "one", "port": "hot", "to": "end"}));
        assert!(Plan::from_json(&definition.to_string()).is_ok());
        definition["edges"][1]["port"] = json!("hut");
        let problems = Plan::from_json(&definition.to_string())
            .err()
            .expect("a bad port");
        assert_eq!(
            (problems[0].code.as_str(), problems[0].fix.as_str()),
            ("bad_port", "known: default, hot")
        );
    }

    #[test]
    fn a_case_says_one_thing() {
        for case in [
            json!({"port": "a"}),
            json!({"port": "a", "if": "true", "equals": 1}),
            json!({"port": "a", "equals": 1}),
            json!({"port": "default", "if": "true"}),
        ] {
            let params = json!({"cases": [case]});
            assert!(
                SwitchKind.parse(params.as_object().expect("an object")).is_err(),
                "{params}"
            );
        }
    }
}
