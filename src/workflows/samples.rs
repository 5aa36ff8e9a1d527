//! Sample facts to try a workflow out with when there is no real one: a lead, a call, and what each kind of event carries.
//!
//! Numbers and addresses are from the ranges kept for fiction.

use serde_json::{Map, Value, json};

use crate::domain::{
    call::{Call, CallStatus},
    ids::{AccountId, CallId, CallSid, LeadId},
    lead::Lead,
    observation::EventType,
    time::Timestamp,
};

const LEAD_NUMBER: &str = "+14155550123";
const OUR_NUMBER: &str = "+14155550199";

/// A person outside.
#[must_use]
pub fn lead(account_id: AccountId, at: Timestamp) -> Lead {
    let id = LeadId::derived(at, &[b"sample lead", account_id.as_bytes()]);
    Lead {
        name: "Sam Sample".to_owned(),
        phone: LEAD_NUMBER.parse().ok(),
        email: Some("sam@customer.example".to_owned()),
        score: 60,
        timezone: Some("America/New_York".to_owned()),
        ..Lead::nameless(id, account_id, at)
    }
}

/// The call that led to a fact of this kind; none when it is not about a call.
#[must_use]
pub fn call(account_id: AccountId, kind: &EventType, lead_id: Option<LeadId>, at: Timestamp) -> Option<Call> {
    let status = match kind.as_str() {
        "call.no_answer" => CallStatus::NoAnswer,
        "call.busy" => CallStatus::Busy,
        "call.failed" => CallStatus::Failed,
        "call.completed" | "call.voicemail" => CallStatus::Completed,
        other if other.starts_with("call.") => CallStatus::InProgress,
        _ => return None,
    };
    let id = CallId::derived(at, &[b"sample call", account_id.as_bytes()]);
    let mut call = Call::new(
        id,
        account_id,
        CallSid::new("CA00000000000000000000000000000000"),
        at,
    );
    call.lead_id = lead_id;
    LEAD_NUMBER.clone_into(&mut call.from);
    OUR_NUMBER.clone_into(&mut call.to);
    call.status = status;
    call.voicemail = *kind == EventType::CALL_VOICEMAIL;
    if status == CallStatus::Completed {
        call.duration_s = Some(185);
        call.answered_at = Some(at);
        call.ended_at = Some(at);
    }
    Some(call)
}

/// What `call.summary` says of a sample call.
#[must_use]
pub fn summary(call: &Call) -> String {
    format!(
        "Inbound call from {} to {}, {} seconds, completed.\nIn their own words:\n0:20 customer: “I would like to know when my order comes.”\nPromised:\n0:41 agent: “I will send you the tracking number today.”",
        call.from,
        call.to,
        call.duration_s.unwrap_or_default()
    )
}

/// What a fact of this kind carries as `data`.
#[must_use]
pub fn data(kind: &EventType, at: Timestamp) -> Map<String, Value> {
    let (id, day) = ("sample-1", std::time::Duration::from_secs(86_400));
    let value = match kind.as_str() {
        "call.sentiment_negative" => with_call(
            &json!({"excerpt": "I have been waiting for two weeks, this is unacceptable",
            "score": -0.91, "rule": "two_of_three", "start_ms": 61_000, "end_ms": 66_500}),
        ),
        "call.sentiment_positive" => {
            with_call(&json!({"excerpt": "Thank you so much, you have been wonderful",
            "score": 0.94, "rule": "two_of_three", "start_ms": 61_000, "end_ms": 64_000}))
        }
        "call.keyword" => with_call(&json!({"excerpt": "I would like to cancel", "keyword": "cancel"})),
        "call.silence" => with_call(&json!({"seconds": 20})),
        other if other.starts_with("call.") => {
            with_call(&json!({"status": other.trim_start_matches("call.")}))
        }
        "sms.received" => json!({"from": LEAD_NUMBER, "to": OUR_NUMBER, "body": "Yes, please call me"}),
        other if other.starts_with("appointment.") => json!({"id": id, "title": "First consultation",
            "starts_at": at.plus(day), "ends_at": at.plus(day + std::time::Duration::from_secs(3_600)), "location": "Main office"}),
        other if other.starts_with("quote.") => {
            json!({"id": id, "amount": 120_000, "currency": "usd", "url": "https://shop.example/quotes/1"})
        }
        other if other.starts_with("payment.") => json!({"id": id, "amount": 5_000, "currency": "usd",
            "customer_email": "sam@customer.example"}),
        "purchase.completed" => {
            json!({"id": id, "amount": 5_000, "currency": "usd", "product": "Starter kit"})
        }
        "survey.answered" => json!({"rating": 5, "comment": "Very good"}),
        "task.completed" => json!({"task_id": id, "title": "Call back"}),
        "usage.threshold" => json!({"percent": 80}),
        other if other.starts_with("lead.") => json!({"source": "sample"}),
        _ => json!({}),
    };
    value.as_object().cloned().unwrap_or_default()
}

/// What every fact about a call carries, and `more`.
fn with_call(more: &Value) -> Value {
    let mut data =
        json!({"direction": "inbound", "from": LEAD_NUMBER, "to": OUR_NUMBER, "status": "in_progress"});
    for (name, value) in more.as_object().into_iter().flatten() {
        data[name] = value.clone();
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_call_has_a_call_and_nothing_else_does() {
        let at = Timestamp::from_unix_millis(1_795_338_000_000);
        let account = AccountId::derived(at, &[b"account"]);
        for kind in EventType::ALL {
            let is_call = kind.as_str().starts_with("call.");
            assert_eq!(call(account, kind, None, at).is_some(), is_call, "{kind}");
        }
        assert!(lead(account, at).phone.is_some());
        assert_eq!(data(&EventType::CALL_SENTIMENT_NEGATIVE, at)["score"], -0.91);
    }
}
