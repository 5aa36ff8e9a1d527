//! Calls by Twilio: every answer, every loss, and finding out afterwards.

use std::time::Duration;

use serde_json::{Value, json};

use super::fake::{
    Fake, Kept, account, answer, call, hanging_up, http, kept, nobody, signing_keys, twilio_settings,
};
use crate::{
    clock,
    domain::message::{Channel, MessageStatus},
    integrations::{
        port::{EffectOutcome, EffectPort},
        twilio::{TwilioCalls, TwilioRest, callback_token},
    },
    workflows::{FailureKind, Finding},
};

const JUST_AFTER: &str = "Fri, 20 Nov 2026 09:00:01 +0000";
const HOURS_BEFORE: &str = "Fri, 20 Nov 2026 05:00:00 +0000";

fn caller(api_base: &str, kept: &Kept) -> TwilioCalls {
    let settings = twilio_settings(api_base);
    let rest = TwilioRest::new(http(), &settings).expect("an address");
    let public_url = "https://calls.example.com".to_owned();
    TwilioCalls::new(rest, kept.store.clone(), settings, public_url, signing_keys())
        .with_look_ups([Duration::ZERO; 3])
}

fn placed(sid: &str, created: &str) -> Value {
    json!({"sid": sid, "status": "queued", "date_created": created, "to": "+14155550199", "from": "+14155550100"})
}

#[tokio::test]
async fn a_call_carries_its_token_and_is_confirmed_with_its_sid() {
    let (kept, fake) = (kept(), Fake::with([answer(201, placed("CA1", JUST_AFTER))]).await);
    let (port, effect) = (caller(&fake.base, &kept), call("ring"));
    let EffectOutcome::Confirmed { provider_id, output } = port.execute(&effect).await else {
        panic!("it was placed")
    };
    assert_eq!(provider_id.as_deref(), Some("CA1"));
    assert!(
        output["call_id"]
            .as_str()
            .is_some_and(|id| id.starts_with("call_"))
    );
    let asked = &fake.asked()[0];
    let token = callback_token::seal(&signing_keys().borrow(), effect.message_id(), clock::now());
    assert_eq!(
        asked.field("Url"),
        Some(format!("https://calls.example.com/twilio/placed?e={token}"))
    );
    let callback = asked.field("StatusCallback").expect("a callback");
    assert!(callback.starts_with(&format!("https://calls.example.com/twilio/status?e={token}#")));
    assert_eq!(asked.field("Timeout").as_deref(), Some("25"));
    assert_eq!(
        asked.field("MachineDetection").as_deref(),
        Some("DetectMessageEnd")
    );
    assert_eq!(asked.body.matches("StatusCallbackEvent=").count(), 4);
    let row = kept
        .store
        .messages
        .get(account(), effect.message_id())
        .await
        .expect("kept");
    assert_eq!(
        (row.channel, row.provider_id.as_deref()),
        (Channel::Call, Some("CA1"))
    );
    assert_eq!(row.call.map(|plan| plan.timeout_s), Some(25));
    // Whatever repeats the effect, nobody is called again.
    assert!(matches!(
        port.execute(&effect).await,
        EffectOutcome::Confirmed { .. }
    ));
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_definite_and_a_lost_answer_is_not() {
    let refusal = json!({"code": 21211, "message": "Invalid 'To' Phone Number", "status": 400});
    let busy = (
        429,
        vec![("retry-after", "3".to_owned())],
        json!({"code": 20429}).to_string(),
    );
    let (kept, fake) = (
        kept(),
        Fake::with([answer(400, refusal), busy, answer(500, "")]).await,
    );
    let port = caller(&fake.base, &kept);
    let kinds = [
        (FailureKind::Permanent, "21211"),
        (FailureKind::Temporary, "20429"),
    ];
    for (node, (kind, code)) in ["a", "b"].into_iter().zip(kinds) {
        let EffectOutcome::Rejected(failure) = port.execute(&call(node)).await else {
            panic!("it was refused")
        };
        assert_eq!((failure.kind, failure.code.as_str()), (kind, code));
    }
    let row = kept
        .store
        .messages
        .get(account(), call("a").message_id())
        .await
        .expect("kept");
    assert_eq!(row.status, MessageStatus::Failed);
    let outcome = port.execute(&call("c")).await;
    assert!(matches!(outcome, EffectOutcome::Unknown { .. }), "{outcome:?}");
    let lost = caller(&hanging_up("").await, &kept).execute(&call("d")).await;
    assert!(matches!(lost, EffectOutcome::Unknown { .. }), "{lost:?}");
    let away = caller(&nobody().await, &kept).execute(&call("e")).await;
    assert!(
        matches!(&away, EffectOutcome::Rejected(failure) if failure.kind == FailureKind::Temporary),
        "{away:?}"
    );
}

#[tokio::test]
async fn a_call_in_doubt_is_found_by_a_callback_or_in_the_list_and_by_nothing_else() {
    let old_and_foreign = json!({"calls": [placed("CA7", HOURS_BEFORE), placed("CA8", JUST_AFTER)]});
    let with_ours = json!({"calls": [placed("CA8", JUST_AFTER), placed("CA9", JUST_AFTER)]});
    let answers = [
        answer(500, ""),
        answer(200, &old_and_foreign),
        answer(200, &old_and_foreign),
        answer(200, &old_and_foreign),
        answer(200, with_ours),
    ];
    let (kept, fake) = (kept(), Fake::with(answers).await);
    let port = caller(&fake.base, &kept);
    // CA8 belongs to another call of ours to the same number.
    let other = call("other");
    let row = crate::integrations::outbox::message_of(&other, MessageStatus::Queued, "+14155550100");
    kept.store
        .messages
        .record(row.expect("a call"))
        .await
        .expect("written");
    let bound = kept
        .store
        .messages
        .bind(other.message_id(), "CA8".to_owned(), other.planned_at)
        .await;
    assert_eq!(bound.expect("written"), "CA8");
    let found = port.settle(&other).await;
    assert!(
        matches!(found, Finding::Present { .. }),
        "the callback proves it: {found:?}"
    );
    let doubtful = call("ring");
    let outcome = port.execute(&doubtful).await;
    assert!(matches!(outcome, EffectOutcome::Unknown { .. }), "{outcome:?}");
    assert_eq!(port.settle(&doubtful).await, Finding::Absent);
    let Finding::Present { provider_id, .. } = port.settle(&doubtful).await else {
        panic!("the list shows it")
    };
    assert_eq!(provider_id.as_deref(), Some("CA9"));
    assert!(matches!(
        port.execute(&doubtful).await,
        EffectOutcome::Confirmed { .. }
    ));
}

#[tokio::test]
async fn a_call_that_was_never_written_down_was_never_placed_and_twilio_is_not_asked() {
    let (kept, fake) = (kept(), Fake::with([]).await);
    let finding = caller(&fake.base, &kept).settle(&call("ring")).await;
    assert_eq!(finding, Finding::Absent);
    assert!(fake.asked().is_empty());
}
