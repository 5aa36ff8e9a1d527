//! What use costs in tokens, as the price list says. Exact.

use serde_json::Value;

use super::history::Step;
use crate::domain::{run::StepStatus, sms_segments::segments, tokens::Tokens};

/// One run of a workflow.
pub const RUN: Tokens = Tokens::from_thousandths(500);
/// One segment of a text message.
pub const SMS_SEGMENT: Tokens = Tokens::from_thousandths(1_000);
/// One e-mail.
pub const EMAIL: Tokens = Tokens::from_thousandths(100);
/// Each minute of a call that was begun.
pub const CALL_MINUTE: Tokens = Tokens::from_thousandths(10_000);

/// Returns what a step has cost: only what was carried out costs anything.
#[must_use]
pub fn of_step(step: &Step) -> Tokens {
    let is_sent = step.status == StepStatus::Done
        && step
            .effect
            .as_ref()
            .is_some_and(|effect| effect.decision.is_none());
    if !is_sent {
        return Tokens::ZERO;
    }
    let null = Value::Null;
    of_effect(
        &step.kind,
        step.input.as_ref().unwrap_or(&null),
        step.output.as_ref().unwrap_or(&null),
    )
}

/// Returns what an effect of a node of that kind costs. `request` holds its `body`, `output` is what its provider answered. A call
/// whose length nobody knows yet counts as one minute.
#[must_use]
pub fn of_effect(kind: &str, request: &Value, output: &Value) -> Tokens {
    match kind {
        "send_sms" => {
            let body = request.get("body").and_then(Value::as_str).unwrap_or_default();
            SMS_SEGMENT.times(segments(body))
        }
        "send_email" => EMAIL,
        "place_call" => {
            let seconds = output.get("duration_s").and_then(Value::as_u64).unwrap_or(1);
            CALL_MINUTE.times(seconds.div_ceil(60).max(1))
        }
        _ => Tokens::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prices_are_those_of_the_list() {
        let cost = |kind: &str, request: Value, output: Value| of_effect(kind, &request, &output).to_string();
        assert_eq!(cost("send_sms", json!({"body": "Hi"}), json!({})), "1");
        assert_eq!(cost("send_sms", json!({"body": "a".repeat(161)}), json!({})), "2");
        assert_eq!(cost("send_email", json!({}), json!({})), "0.1");
        assert_eq!(cost("place_call", json!({}), json!({})), "10");
        assert_eq!(cost("place_call", json!({}), json!({"duration_s": 61})), "20");
        assert_eq!(cost("create_task", json!({}), json!({})), "0");
    }
}
