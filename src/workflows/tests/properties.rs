//! What holds for every workflow and every sequence of inputs.
//!
//! Definitions and inputs are drawn at random: answers right, wrong, late and repeated, timers early, due and long gone,
//! crashes, decisions, cancels. Each check runs along the whole sequence.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{random_workflows::definitions, watched_run::Watch};
use crate::workflows::{plan::Plan, run::Run};

fn inputs() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    prop::collection::vec((0_u8..29, any::<u8>(), any::<u8>()), 0..60)
}

/// Replaces, removes or adds something somewhere in a JSON value.
fn spoil(value: &mut Value, path: &[u8], with: &Value) {
    let Some((step, rest)) = path.split_first() else {
        *value = with.clone();
        return;
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let key = fields.keys().nth(usize::from(*step) % fields.len()).cloned();
            let Some(key) = key else { return };
            if rest.is_empty() && step % 5 == 0 {
                fields.remove(&key);
            } else if let Some(field) = fields.get_mut(&key) {
                spoil(field, rest, with);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let at = usize::from(*step) % items.len();
            spoil(&mut items[at], rest, with);
        }
        other => *other = with.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_promises_hold_and_the_run_ends(definition in definitions(), inputs in inputs()) {
        let mut watch = Watch::new(&definition);
        for input in inputs {
            watch.draw(input);
        }
        watch.drain();
        prop_assert!(watch.story.run.status().is_terminal());
        prop_assert!(watch.timers.is_empty());
        let steps = watch.story.steps();
        prop_assert!(steps.iter().all(|step| step.ended_at.is_some() || step.status == crate::domain::run::StepStatus::Unknown));
    }

    #[test]
    fn the_same_inputs_give_the_same_commands_and_bytes(definition in definitions(), inputs in inputs()) {
        let (mut one, mut other) = (Watch::new(&definition), Watch::new(&definition));
        for input in inputs {
            one.draw(input);
            other.draw(input);
        }
        prop_assert_eq!(one.trace, other.trace);
        prop_assert_eq!(one.story.journal, other.story.journal);
    }

    #[test]
    fn a_spoilt_definition_is_refused_or_runs_but_never_panics(
        definition in definitions(),
        path in prop::collection::vec(any::<u8>(), 1..6),
        with in prop_oneof![Just(json!(null)), Just(json!(7)), Just(json!("{{ x }}")), Just(json!([])), Just(json!({})),
            Just(json!("n0")), Just(json!("-1d")), Just(json!(1e300)), Just(json!("\u{0}\u{fffd}"))],
    ) {
        let mut definition = definition;
        spoil(&mut definition, &path, &with);
        match Plan::from_json(&definition.to_string()) {
            Err(problems) => prop_assert!(problems.iter().all(|problem| !problem.code.is_empty() && !problem.message.is_empty())),
            Ok(_) => {
                Watch::new(&definition).drain();
            }
        }
    }

    #[test]
    fn bytes_that_are_no_snapshot_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Run::from_snapshot(&bytes).is_err());
    }
}
