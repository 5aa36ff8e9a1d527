//! Text messages by Twilio: every answer, every loss, and finding out afterwards.

use std::time::Duration;

use serde_json::json;

use super::fake::{Fake, account, answer, hanging_up, kept, nobody, sender, sms, taken};
use crate::{
    domain::message::MessageStatus,
    integrations::port::{EffectOutcome, EffectPort},
    workflows::{Failure, FailureKind, Finding},
};

const TEXT: &str = "We tried to call you.";
const JUST_AFTER: &str = "Fri, 20 Nov 2026 09:00:01 +0000";
const HOURS_BEFORE: &str = "Fri, 20 Nov 2026 05:00:00 +0000";

#[tokio::test]
async fn a_message_that_twilio_took_is_confirmed_with_its_sid() {
    let (kept, fake) = (
        kept(),
        Fake::with([answer(201, taken("SM1", TEXT, JUST_AFTER))]).await,
    );
    let effect = sms("tell");
    let EffectOutcome::Confirmed { provider_id, output } =
        sender(&fake.base, &kept.store).execute(&effect).await
    else {
        panic!("it was taken");
    };
    assert_eq!(provider_id.as_deref(), Some("SM1"));
    assert_eq!((&output["sid"], &output["segments"]), (&json!("SM1"), &json!(1)));
    let asked = &fake.asked()[0];
    assert_eq!(
        asked.uri.path(),
        format!("/2010-04-01/Accounts/AC{:032x}/Messages.json", 1)
    );
    assert!(asked.header("authorization").starts_with("Basic "));
    assert_eq!(asked.field("To").as_deref(), Some("+14155550199"));
    assert_eq!(asked.field("From").as_deref(), Some("+14155550100"));
    assert_eq!(asked.field("Body").as_deref(), Some(TEXT));
    assert_eq!(asked.field("ValidityPeriod").as_deref(), Some("14400"));
    let callback = asked.field("StatusCallback").expect("it carries one");
    assert!(
        callback.starts_with("https://calls.example.com/twilio/sms/status?e=msg_"),
        "{callback}"
    );
    let message = kept
        .store
        .messages
        .get(account(), effect.message_id())
        .await
        .expect("it is noted");
    assert_eq!(
        (message.provider_id.as_deref(), message.status),
        (Some("SM1"), MessageStatus::Queued)
    );
    assert_eq!(message.run_id, Some(effect.run_id));
}

#[tokio::test]
async fn a_refusal_says_why_and_whether_it_may_pass() {
    let refused = |code: u32, words: &str| json!({"code": code, "message": words, "status": 400}).to_string();
    let cases = [
        (
            answer(400, refused(21614, "not a mobile number")),
            FailureKind::Permanent,
            "21614",
            "invalid phone number",
        ),
        (
            answer(400, refused(21610, "unsubscribed recipient")),
            FailureKind::Permanent,
            "21610",
            "opted out",
        ),
        (
            answer(401, refused(20003, "Authenticate")),
            FailureKind::Permanent,
            "20003",
            "not set up",
        ),
        (
            answer(404, "no JSON"),
            FailureKind::Permanent,
            "http_404",
            "SMS failed",
        ),
        (answer(302, ""), FailureKind::Permanent, "http_302", "SMS failed"),
    ];
    for (reply, kind, code, words) in cases {
        let (kept, fake) = (kept(), Fake::with([reply]).await);
        let effect = sms("tell");
        let outcome = sender(&fake.base, &kept.store).execute(&effect).await;
        let EffectOutcome::Rejected(failure) = outcome else {
            panic!("{code}: {outcome:?}")
        };
        assert_eq!((failure.kind, failure.code.as_str()), (kind, code));
        assert!(failure.message.contains(words), "{}", failure.message);
        let message = kept
            .store
            .messages
            .get(account(), effect.message_id())
            .await
            .expect("it is noted");
        assert_eq!(message.status, MessageStatus::Failed, "{code}");
        assert!(message.error.expect("it says why").starts_with(code));
    }
}

#[tokio::test]
async fn too_many_requests_is_temporary_and_says_for_how_long() {
    let busy = (
        429,
        vec![("retry-after", "7".to_owned())],
        json!({"code": 20429, "message": "slow down"}).to_string(),
    );
    let (kept, fake) = (
        kept(),
        Fake::with([busy, answer(201, taken("SM1", TEXT, JUST_AFTER))]).await,
    );
    let (sender, effect) = (sender(&fake.base, &kept.store), sms("tell"));
    let EffectOutcome::Rejected(Failure {
        kind, retry_after, ..
    }) = sender.execute(&effect).await
    else {
        panic!("it was refused");
    };
    assert_eq!(
        (kind, retry_after),
        (FailureKind::Temporary, Some(Duration::from_secs(7)))
    );
    let again = sender.execute(&effect).await;
    assert!(matches!(again, EffectOutcome::Confirmed { .. }), "{again:?}");
    assert_eq!(fake.asked().len(), 2);
}

#[tokio::test]
async fn whatever_may_have_arrived_is_unknown_and_what_cannot_is_not() {
    let kept = kept();
    let fault = Fake::with([answer(500, ""), answer(503, "")]).await;
    let garbled = Fake::with([answer(201, "{\"sid\":")]).await;
    let cut = hanging_up("").await;
    let cut_in_the_middle = hanging_up("HTTP/1.1 201 Created\r\ncontent-length: 500\r\n\r\n{\"sid\"").await;
    for (number, base) in [&fault.base, &fault.base, &garbled.base, &cut, &cut_in_the_middle]
        .into_iter()
        .enumerate()
    {
        let outcome = sender(base, &kept.store)
            .execute(&sms(&format!("n{number}")))
            .await;
        assert!(
            matches!(outcome, EffectOutcome::Unknown { .. }),
            "{number}: {outcome:?}"
        );
    }
    let outcome = sender(&nobody().await, &kept.store)
        .execute(&sms("unreached"))
        .await;
    let EffectOutcome::Rejected(failure) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (failure.kind, failure.code.as_str()),
        (FailureKind::Temporary, "unreached")
    );
}

#[tokio::test]
async fn an_account_that_is_not_set_up_sends_nothing() {
    let (kept, fake) = (kept(), Fake::with([]).await);
    let mut settings = super::fake::twilio_settings(&fake.base);
    settings.account_sid = String::new();
    let rest =
        crate::integrations::twilio::TwilioRest::new(super::fake::http(), &settings).expect("an address");
    let keys = super::fake::signing_keys();
    let sender =
        crate::integrations::twilio::TwilioSms::new(rest, kept.store.clone(), settings, String::new(), keys);
    let outcome = sender.execute(&sms("tell")).await;
    let EffectOutcome::Rejected(failure) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(failure.code, "not_configured");
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn a_callback_proves_that_a_message_left_and_it_is_not_sent_again() {
    let (kept, fake) = (kept(), Fake::with([answer(500, "")]).await);
    let (sender, effect) = (sender(&fake.base, &kept.store), sms("tell"));
    assert!(matches!(
        sender.execute(&effect).await,
        EffectOutcome::Unknown { .. }
    ));
    let callback = kept.store.messages.progress(
        effect.message_id(),
        MessageStatus::Sent,
        Some("SM9".to_owned()),
        None,
        effect.planned_at,
    );
    callback.await.expect("the door notes it");
    let Finding::Present { provider_id, .. } = sender.settle(&effect).await else {
        panic!("it left")
    };
    assert_eq!(provider_id.as_deref(), Some("SM9"));
    let again = sender.execute(&effect).await;
    assert!(matches!(again, EffectOutcome::Confirmed { .. }), "{again:?}");
    assert_eq!(fake.asked().len(), 1, "one request, whatever came after");
}

#[tokio::test]
async fn a_message_in_doubt_is_found_in_the_list_by_text_and_time() {
    let listed = |messages: serde_json::Value| answer(200, json!({"messages": messages}));
    let others = json!([
        taken("SM1", "Another text", JUST_AFTER),
        taken("SM2", TEXT, HOURS_BEFORE),
    ]);
    let found = json!([
        taken("SM1", "Another text", JUST_AFTER),
        taken(
            "SM3",
            &format!("Sent from your Twilio trial account - {TEXT}"),
            JUST_AFTER
        ),
    ]);
    let (kept, fake) = (
        kept(),
        Fake::with([answer(500, ""), listed(others), listed(found)]).await,
    );
    let (sender, effect) = (sender(&fake.base, &kept.store), sms("tell"));
    assert!(matches!(
        sender.execute(&effect).await,
        EffectOutcome::Unknown { .. }
    ));
    let Finding::Present { provider_id, .. } = sender.settle(&effect).await else {
        panic!("the second look shows it")
    };
    assert_eq!(provider_id.as_deref(), Some("SM3"));
    let message = kept
        .store
        .messages
        .get(account(), effect.message_id())
        .await
        .expect("it is noted");
    assert_eq!(message.provider_id.as_deref(), Some("SM3"));
    let look = &fake.asked()[1];
    assert_eq!(
        (look.field("To").as_deref(), look.field("From").as_deref()),
        (Some("+14155550199"), Some("+14155550100"))
    );
}

#[tokio::test]
async fn another_effects_message_with_the_same_text_proves_nothing() {
    let list = || answer(200, json!({"messages": [taken("SM1", TEXT, JUST_AFTER)]}));
    let answers = [
        answer(201, taken("SM1", TEXT, JUST_AFTER)),
        answer(500, ""),
        list(),
        list(),
        list(),
    ];
    let (kept, fake) = (kept(), Fake::with(answers).await);
    let sender = sender(&fake.base, &kept.store);
    assert!(matches!(
        sender.execute(&sms("first")).await,
        EffectOutcome::Confirmed { .. }
    ));
    assert!(matches!(
        sender.execute(&sms("second")).await,
        EffectOutcome::Unknown { .. }
    ));
    assert_eq!(sender.settle(&sms("second")).await, Finding::Absent);
    assert_eq!(fake.asked().len(), 5, "it looked three times");
}

#[tokio::test]
async fn a_message_that_was_never_written_down_was_never_sent_and_twilio_is_not_asked() {
    let (kept, fake) = (kept(), Fake::with([]).await);
    let finding = sender(&fake.base, &kept.store).settle(&sms("tell")).await;
    assert_eq!(finding, Finding::Absent);
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn when_twilio_cannot_be_asked_nothing_is_claimed() {
    let kept = kept();
    let fake = Fake::with([answer(500, ""), answer(500, ""), answer(500, ""), answer(500, "")]).await;
    let sending = sender(&fake.base, &kept.store);
    assert!(matches!(
        sending.execute(&sms("tell")).await,
        EffectOutcome::Unknown { .. }
    ));
    let finding = sending.settle(&sms("tell")).await;
    assert!(matches!(finding, Finding::CannotTell { .. }), "{finding:?}");
    let finding = sender(&nobody().await, &kept.store).settle(&sms("tell")).await;
    assert!(matches!(finding, Finding::CannotTell { .. }), "{finding:?}");
}

#[tokio::test]
async fn a_call_is_live_ended_or_gone() {
    use crate::{
        domain::{
            audio::Speaker,
            call::CallStatus,
            ids::{AccountSid, CallSid},
        },
        integrations::{
            probe::{CallProbe, ProbeAnswer},
            twilio::{Doors, TwilioProbe, TwilioRest},
        },
    };
    let answers = [
        answer(
            200,
            json!({"sid": "CA1", "status": "in-progress", "duration": null}),
        ),
        answer(
            200,
            json!({"sid": "CA1", "status": "completed", "duration": "61"}),
        ),
        answer(404, json!({"code": 20404, "message": "not found"})),
        answer(500, ""),
        answer(201, json!({"sid": "MZ1"})),
        answer(404, json!({"code": 20404, "message": "not found"})),
    ];
    let fake = Fake::with(answers).await;
    let rest =
        TwilioRest::new(super::fake::http(), &super::fake::twilio_settings(&fake.base)).expect("an address");
    let doors = Doors {
        account: AccountSid::new("AC1"),
        public_url: "https://calls.example".to_owned(),
        signing_keys: super::fake::signing_keys(),
    };
    let probe = TwilioProbe::new(rest, doors);
    let ended = ProbeAnswer::Ended {
        status: CallStatus::Completed,
        duration_s: Some(61),
    };
    for expected in [ProbeAnswer::Live, ended, ProbeAnswer::Gone, ProbeAnswer::Live] {
        assert_eq!(probe.ask(&CallSid::new("CA1")).await, expected);
    }
    let again = probe.stream_again(&CallSid::new("CA1"), Speaker::Agent).await;
    assert!(again.is_ok(), "{again:?}");
    let asked = fake.asked().pop().expect("it was asked");
    assert!(
        asked.uri.path().ends_with("/Calls/CA1/Streams.json"),
        "{}",
        asked.uri
    );
    let field = |name: &str| asked.field(name).unwrap_or_default();
    let url = field("Url");
    assert!(url.starts_with("wss://calls.example/twilio/media/"), "{url}");
    assert!(
        url.ends_with(&field("Parameter1.Value")),
        "the pass is in both places"
    );
    assert_eq!(
        (field("Track"), field("Parameter2.Value")),
        ("both_tracks".to_owned(), "agent".to_owned())
    );
    let gone = probe.stream_again(&CallSid::new("CA1"), Speaker::Agent).await;
    assert!(gone.is_err(), "a call that is over is not streamed");
}
