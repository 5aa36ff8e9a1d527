//! What stays in the house: tasks, alerts, the outbox. Doing it twice is doing it once, and nothing leaves.

use serde_json::{Value, json};

use super::fake::{Fake, Kept, account, effect, kept, planned_at, sms, twilio_settings};
use crate::{
    domain::{alert::Severity, message::MessageStatus, secret::Secret, task::Priority},
    integrations::{
        Parts, SecuritySettings, SlackSettings, effect_port,
        port::{EffectOutcome, EffectPort},
    },
    store::PageRequest,
    workflows::{Effect, Finding, Request, effect::HttpMethod},
};

/// The way out when nothing may leave; every provider's address is a server that would notice.
fn outbox(kept: &Kept, fake: &Fake) -> std::sync::Arc<dyn EffectPort> {
    let parts = Parts {
        store: kept.store.clone(),
        is_live: false,
        twilio: twilio_settings(&fake.base),
        slack: SlackSettings {
            api_base: fake.base.clone(),
            bot_token: Secret::new("xoxb-1".to_owned()),
        },
        security: SecuritySettings {
            master_key: Secret::new(String::new()),
            allow_private_targets: "127.0.0.1".to_owned(),
        },
        public_url: "https://calls.example.com".to_owned(),
        master_key: Secret::new("00".repeat(32)),
    };
    effect_port(parts).expect("nothing is wrong with it")
}

fn everything(fake: &Fake) -> [Effect; 5] {
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
    [
        sms("a"),
        effect("b", slack),
        effect("c", hook),
        effect("d", task),
        effect("e", alert),
    ]
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
    assert_eq!(messages.len(), 3);
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
        security: SecuritySettings {
            master_key: Secret::new(String::new()),
            allow_private_targets: allowed.to_owned(),
        },
        public_url: String::new(),
        master_key: Secret::new(String::new()),
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
