//! What stays in the house: tasks, alerts, the outbox. Doing it twice is doing it once, and nothing leaves.

use serde_json::{Value, json};

use super::fake::{
    Fake, Kept, account, call, effect, email, kept, no_email, no_sendgrid, planned_at, signing_keys, sms,
    twilio_settings,
};
use crate::{
    domain::{alert::Severity, message::MessageStatus, secret::Secret, task::Priority},
    integrations::{
        Parts, SecuritySettings, SlackSettings, effect_port,
        port::{EffectOutcome, EffectPort},
    },
    store::PageRequest,
    workflows::{
        Effect, FailureKind, Finding, Request,
        effect::{CalendarEvent, Cells, Coupon, CouponLife, Credit, Discount, HttpMethod, SheetRow},
    },
};

/// The way out when nothing may leave; every provider's address is a server that would notice.
fn outbox(kept: &Kept, fake: &Fake) -> std::sync::Arc<dyn EffectPort> {
    effect_port(parts(kept, fake)).expect("nothing is wrong with it")
}

fn parts(kept: &Kept, fake: &Fake) -> Parts {
    Parts {
        store: kept.store.clone(),
        is_live: false,
        twilio: twilio_settings(&fake.base),
        slack: SlackSettings {
            api_base: fake.base.clone(),
            bot_token: Secret::new("xoxb-1".to_owned()),
        },
        email: no_email(),
        sendgrid: no_sendgrid(),
        security: SecuritySettings {
            master_key: Secret::new(String::new()),
            previous_master_keys: Secret::new(String::new()),
            allow_private_targets: "127.0.0.1".to_owned(),
        },
        public_url: "https://calls.example.com".to_owned(),
        signing_keys: signing_keys(),
    }
}

fn everything(fake: &Fake) -> Vec<Effect> {
    let task = Request::CreateTask {
        title: "Call Ann".to_owned(),
        notes: String::new(),
        priority: Priority::Urgent,
        due_at: Some(planned_at()),
    };
    let alert = Request::RaiseAlert {
        alert: "negative_sentiment".to_owned(),
        severity: Severity::Critical,
        title: "Ann is angry".to_owned(),
        evidence: json!({"score": -0.9}),
    };
    let hook = Request::WebhookRequest {
        method: HttpMethod::Post,
        url: fake.base.clone(),
        headers: std::collections::BTreeMap::new(),
        body: Value::Null,
    };
    let slack = Request::SlackMessage {
        channel: "#managers".to_owned(),
        text: "Help!".to_owned(),
    };
    let mut all = connected();
    all.extend([
        sms("a"),
        email("m", "ann@example.com"),
        call("p"),
        effect(
            "z",
            Request::ZapierHook {
                url: fake.base.clone(),
                body: json!({"a": 1}),
            },
        ),
        effect("b", slack),
        effect("c", hook),
        effect("d", task),
        effect("e", alert),
    ]);
    all
}

/// What needs a service that somebody has to connect first.
fn connected() -> Vec<Effect> {
    let entry = CalendarEvent {
        calendar: None,
        title: "Visit".to_owned(),
        starts_at: planned_at(),
        ends_at: planned_at().plus(std::time::Duration::from_secs(1_800)),
        description: String::new(),
        location: String::new(),
        attendees: Vec::new(),
    };
    let row = SheetRow {
        spreadsheet: "1aB".to_owned(),
        sheet: None,
        cells: Cells::InOrder(vec![json!("Ann"), json!(5)]),
    };
    let credit = Credit {
        customer: "ann@example.com".to_owned(),
        amount: 5_000,
        currency: "usd".to_owned(),
        reason: String::new(),
    };
    let coupon = Coupon {
        discount: Discount::Percent(10.0),
        lasts: CouponLife::Once,
        name: "10 % off".to_owned(),
        redemptions_max: Some(1),
        redeem_by: None,
    };
    vec![
        effect("f", Request::CalendarEvent(entry)),
        effect("g", Request::SheetRow(row)),
        effect("h", Request::StripeCredit(credit)),
        effect("i", Request::StripeCoupon(coupon)),
    ]
}

#[tokio::test]
async fn a_service_that_nobody_connected_fails_for_good_and_says_what_to_connect() {
    let (kept, fake) = (kept(), Fake::with([]).await);
    let port = effect_port(Parts {
        is_live: true,
        ..parts(&kept, &fake)
    })
    .expect("nothing is wrong with it");
    let services = ["google_calendar", "google_sheets", "stripe", "stripe"];
    for (effect, service) in connected().iter().zip(services) {
        let EffectOutcome::Rejected(failure) = port.execute(effect).await else {
            panic!("nothing is connected")
        };
        assert_eq!(
            (failure.kind, failure.code.as_str()),
            (FailureKind::Permanent, "not_connected")
        );
        let place = format!("/api/integrations/{service}/connect");
        assert!(failure.message.contains(&place), "{}", failure.message);
        assert_eq!(port.settle(effect).await, Finding::Absent);
    }
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn the_outbox_records_everything_once_and_sends_nothing() {
    let (kept, fake) = (kept(), Fake::with([]).await);
    let port = outbox(&kept, &fake);
    for effect in everything(&fake) {
        assert_eq!(port.settle(&effect).await, Finding::Absent, "{}", effect.node);
        let first = port.execute(&effect).await;
        assert!(matches!(first, EffectOutcome::Confirmed { .. }), "{first:?}");
        assert_eq!(port.execute(&effect).await, first);
        let found = port.settle(&effect).await;
        assert!(matches!(found, Finding::Present { .. }), "{found:?}");
    }
    assert!(fake.asked().is_empty());
    let page = PageRequest::default;
    let messages = kept
        .store
        .messages
        .list(account(), page())
        .await
        .expect("read")
        .items;
    assert_eq!(messages.len(), 10);
    assert!(
        messages
            .iter()
            .all(|message| message.status == MessageStatus::Outbox && message.run_id.is_some())
    );
    let tasks = kept
        .store
        .tasks
        .list(account(), page())
        .await
        .expect("read")
        .items;
    assert_eq!(
        (tasks.len(), tasks[0].title.as_str(), tasks[0].due_at),
        (1, "Call Ann", Some(planned_at()))
    );
    let alerts = kept
        .store
        .alerts
        .list(account(), page())
        .await
        .expect("read")
        .items;
    assert_eq!((alerts.len(), alerts[0].kind.as_str()), (1, "negative_sentiment"));
}

#[test]
fn a_wrong_setting_is_named() {
    let kept = kept();
    let parts = |api_base: &str, allowed: &str| Parts {
        store: kept.store.clone(),
        is_live: true,
        twilio: twilio_settings(api_base),
        slack: SlackSettings {
            api_base: "https://slack.com/api".to_owned(),
            bot_token: Secret::new(String::new()),
        },
        email: no_email(),
        sendgrid: no_sendgrid(),
        security: SecuritySettings {
            master_key: Secret::new(String::new()),
            previous_master_keys: Secret::new(String::new()),
            allow_private_targets: allowed.to_owned(),
        },
        public_url: String::new(),
        signing_keys: signing_keys(),
    };
    let error = effect_port(parts("not an address", ""))
        .err()
        .expect("it is wrong");
    assert!(error.to_string().contains("twilio.api_base"), "{error}");
    let error = effect_port(parts("https://api.twilio.com", "localhost"))
        .err()
        .expect("it is wrong");
    assert!(
        error.to_string().contains("security.allow_private_targets"),
        "{error}"
    );
    assert!(effect_port(parts("https://api.twilio.com", "10.0.0.0/8")).is_ok());
}
