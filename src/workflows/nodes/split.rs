//! `split`: ways on by weight, for A/B tests. The same lead always takes the same way.
//!
//! No randomness: the way follows from a hash over workflow, node and lead (or run), so a repeated step, a retry and a
//! second run for the same lead take the same one.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, RunFacts, Scene, read},
    source::Source,
};
use crate::workflows::{definition::PORT_ERROR, problem::Problem};

/// Largest weight: parts in ten thousand are fine enough for any test.
const WEIGHT_MAX: u32 = 10_000;

pub(super) struct SplitKind;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    variants: BTreeMap<String, u32>,
    #[serde(default)]
    by: By,
}

/// Who keeps to one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    #[default]
    Lead,
    Run,
}

impl NodeKind for SplitKind {
    fn name(&self) -> &'static str {
        "split"
    }

    fn title(&self) -> &'static str {
        "Split (A/B)"
    }

    fn ports(&self) -> &'static [&'static str] {
        &[]
    }

    fn ports_from(&self) -> Option<&'static str> {
        Some("variants.*")
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false, "required": ["variants"],
            "properties": {
                "variants": {"type": "object", "title": "Variants and their weights", "minProperties": 2,
                    "maxProperties": 20, "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,31}$"},
                    "additionalProperties": {"type": "integer", "minimum": 0, "maximum": WEIGHT_MAX},
                    "description": "Each is a port. {\"a\": 50, \"b\": 50} is half and half"},
                "by": {"type": "string", "enum": ["lead", "run"], "default": "lead", "title": "Who keeps to one way",
                    "description": "lead: the same lead always takes the same way; run: each run anew"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        let params: Params = read(params)?;
        if params.variants.values().all(|weight| *weight == 0) {
            let message = "every weight is 0, so there is no way on";
            return Err(vec![Problem::new(
                "variants",
                "bad_weights",
                message,
                "give at least one a weight",
            )]);
        }
        if params.variants.contains_key(PORT_ERROR) {
            let message = "`error` is what ports after a failure are called";
            return Err(vec![Problem::new(
                "variants.error",
                "bad_port_name",
                message,
                "name the variant otherwise",
            )]);
        }
        Ok(Box::new(params))
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        Vec::new()
    }

    fn ports(&self) -> Vec<String> {
        self.variants.keys().cloned().collect()
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let total: u64 = self.variants.values().map(|weight| u64::from(*weight)).sum();
        let drawn = drawn(self.by, &scene.run) % total.max(1);
        let mut passed = 0;
        let variant = self.variants.iter().find(|(_, weight)| {
            passed += u64::from(**weight);
            drawn < passed
        });
        // The weights' sum is above what was drawn, so one is found.
        let (variant, _) = variant.ok_or_else(|| NodeError::new("bad_weights", "no variant has a weight"))?;
        Ok(Entered {
            input: json!({"variants": self.variants}),
            action: Action::Leave {
                port: variant.clone().into(),
                output: json!({"variant": variant}),
            },
        })
    }
}

/// A number that the workflow, the node and the lead (or the run) always give.
fn drawn(by: By, run: &RunFacts<'_>) -> u64 {
    let mut hash = Sha256::new();
    hash.update(run.workflow_id.as_bytes());
    hash.update(run.node.as_bytes());
    match run.lead_id.filter(|_| by == By::Lead) {
        Some(lead_id) => hash.update(lead_id.as_bytes()),
        None => hash.update(run.id.as_bytes()),
    }
    let digest = hash.finalize();
    let mut first = [0_u8; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            ids::{LeadId, RunId, WorkflowId},
            time::Timestamp,
        },
        workflows::{
            input::Input,
            tests::story::{START, Story, single},
        },
    };

    fn facts(run: u32, lead: u32) -> RunFacts<'static> {
        RunFacts {
            id: RunId::derived(START, &[&run.to_be_bytes()]),
            workflow_id: WorkflowId::derived(Timestamp::default(), &[b"w"]),
            lead_id: Some(LeadId::derived(START, &[&lead.to_be_bytes()])),
            own_lead_id: None,
            call_id: None,
            started_at: START,
            depth: 0,
            node: "ab",
        }
    }

    #[test]
    fn the_same_lead_takes_the_same_way_and_leads_spread_by_weight() {
        assert_eq!(drawn(By::Lead, &facts(1, 7)), drawn(By::Lead, &facts(2, 7)));
        assert_ne!(drawn(By::Run, &facts(1, 7)), drawn(By::Run, &facts(2, 7)));
        let low = (0..10_000)
            .filter(|lead| drawn(By::Lead, &facts(1, *lead)) % 100 < 30)
            .count();
        assert!((2_800..3_200).contains(&low), "{low} of 10,000 at 30 %");
    }

    #[test]
    fn a_weight_of_zero_is_never_taken() {
        let mut story = Story::new(&single(
            "split",
            &json!({"variants": {"a": 0, "b": 1}}),
            &json!({}),
        ));
        story.give(Input::Started);
        assert_eq!(story.steps()[0].port.as_deref(), Some("b"));
    }

    #[test]
    fn weights_that_lead_nowhere_are_refused() {
        let params = json!({"variants": {"a": 0, "b": 0}});
        let problems = SplitKind
            .parse(params.as_object().expect("an object"))
            .expect_err("no way on");
        assert_eq!(problems[0].code, "bad_weights");
    }
}
