//! What use costs in tokens, as the price list says. Exact.

use serde_json::Value;

use super::effect::Effect;
use crate::domain::{sms_segments::segments, tokens::Tokens};

/// One run of a workflow.
pub const RUN: Tokens = Tokens::from_thousandths(500);
/// One segment of a text message.
pub const SMS_SEGMENT: Tokens = Tokens::from_thousandths(1_000);
/// One e-mail.
pub const EMAIL: Tokens = Tokens::from_thousandths(100);
/// Each minute of a call that was begun.
pub const CALL_MINUTE: Tokens = Tokens::from_thousandths(10_000);

/// Returns what an effect costs once it is carried out; `output` is what its provider answered. A call whose length nobody
/// knows yet counts as one minute.
#[must_use]
pub fn of_effect(effect: &Effect, output: &Value) -> Tokens {
    let request = serde_json::to_value(&effect.request).unwrap_or_default();
    let body = request.get("body").and_then(Value::as_str).unwrap_or_default();
    match request.get("kind").and_then(Value::as_str) {
        Some("send_sms") => SMS_SEGMENT.times(segments(body)),
        Some("send_email") => EMAIL,
        Some("place_call") => {
            let seconds = output.get("duration_s").and_then(Value::as_u64).unwrap_or(1);
            CALL_MINUTE.times(seconds.div_ceil(60).max(1))
        }
        _ => Tokens::ZERO,
    }
}
