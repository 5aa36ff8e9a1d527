//! Params against their kind's JSON Schema.

use std::{collections::BTreeMap, sync::LazyLock};

use jsonschema::{Validator, error::ValidationErrorKind};
use serde_json::Value;

use super::{
    nodes::{self, NodeKind},
    problem::Problem,
};

static VALIDATORS: LazyLock<BTreeMap<&'static str, Validator>> = LazyLock::new(|| {
    nodes::catalogue()
        .into_iter()
        .map(|kind| {
            let validator =
                jsonschema::validator_for(&kind.schema).expect("a test compiles every kind's schema");
            (kind.name, validator)
        })
        .collect()
});

/// Returns what of `params` does not fit the kind's schema; paths are relative to the params.
pub(super) fn check(kind: &dyn NodeKind, params: &Value) -> Vec<Problem> {
    let Some(validator) = VALIDATORS.get(kind.name()) else {
        return Vec::new();
    };
    let schema = kind.schema();
    let known: Vec<&str> = schema["properties"]
        .as_object()
        .map(|properties| properties.keys().map(String::as_str).collect())
        .unwrap_or_default();
    validator
        .iter_errors(params)
        .flat_map(|error| {
            let path = dotted(error.instance_path().as_str());
            match error.kind() {
                ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
                    .iter()
                    .map(|field| Problem::unknown(field, "unknown_field", "field", field, &known))
                    .collect(),
                ValidationErrorKind::Required { property } => {
                    let field = property.as_str().unwrap_or_default();
                    vec![Problem::new(
                        field,
                        "missing_field",
                        format!("`{field}` is missing"),
                        format!("add `{field}`"),
                    )]
                }
                _ => vec![Problem::new(
                    path,
                    "bad_params",
                    error.to_string(),
                    "see the node's schema",
                )],
            }
        })
        .collect()
}

/// `/headers/x` as `headers.x`, `/items/0` as `items[0]`.
fn dotted(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').filter(|part| !part.is_empty()) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{part}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&part);
        }
    }
    path
}
