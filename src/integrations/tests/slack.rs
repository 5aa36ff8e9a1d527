//! Slack: posting, its ways of saying no, and finding a message by its key.

use std::time::Duration;

use serde_json::{Value, json};

use super::fake::{Fake, answer, effect, hanging_up, http};
use crate::{
    domain::secret::Secret,
    integrations::{
        SlackSettings,
        port::{EffectOutcome, EffectPort},
        slack::Slack,
    },
    workflows::{Effect, FailureKind, Finding, Request},
};

fn slack(api_base: &str, token: &str) -> Slack {
    let settings = SlackSettings {
        api_base: format!("{api_base}/api"),
        bot_token: Secret::new(token.to_owned()),
    };
    let slack = Slack::new(http(), &settings).expect("an address");
    slack.with_look_ups([Duration::ZERO; 3])
}

fn message(channel: &str) -> Effect {
    effect(
        "tell",
        Request::SlackMessage {
            channel: channel.to_owned(),
            text: "Help!".to_owned(),
        },
    )
}

#[tokio::test]
async fn a_posted_message_is_confirmed_and_carries_its_key() {
    let fake = Fake::with([answer(
        200,
        json!({"ok": true, "channel": "C1", "ts": "1700000000.000100"}),
    )])
    .await;
    let effect = message("#managers");
    let outcome = slack(&fake.base, "xoxb-1").execute(&effect).await;
    let EffectOutcome::Confirmed { provider_id, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(provider_id.as_deref(), Some("C1/1700000000.000100"));
    let asked = &fake.asked()[0];
    assert_eq!(
        (asked.uri.path(), asked.header("authorization")),
        ("/api/chat.postMessage", "Bearer xoxb-1")
    );
    let sent: Value = serde_json::from_str(&asked.body).expect("JSON");
    assert_eq!(
        (&sent["channel"], &sent["text"]),
        (&json!("#managers"), &json!("Help!"))
    );
    assert_eq!(sent["metadata"]["event_payload"]["key"], json!(effect.key));
}

#[tokio::test]
async fn each_way_of_saying_no_has_its_meaning() {
    let no = |word: &str| answer(200, json!({"ok": false, "error": word}));
    let busy = (429, vec![("retry-after", "30".to_owned())], String::new());
    let fake = Fake::with([
        no("channel_not_found"),
        no("ratelimited"),
        busy,
        no("fatal_error"),
        answer(500, ""),
    ])
    .await;
    let slack = slack(&fake.base, "xoxb-1");
    let mut outcomes = Vec::new();
    for _ in 0..5 {
        outcomes.push(match slack.execute(&message("C1")).await {
            EffectOutcome::Rejected(failure) => {
                Some((failure.kind, failure.retry_after.map(|after| after.as_secs())))
            }
            EffectOutcome::Unknown { .. } => None,
            other @ EffectOutcome::Confirmed { .. } => panic!("{other:?}"),
        });
    }
    let temporary = FailureKind::Temporary;
    let expected = [
        Some((FailureKind::Permanent, None)),
        Some((temporary, None)),
        Some((temporary, Some(30))),
        None,
        None,
    ];
    assert_eq!(outcomes, expected);
}

#[tokio::test]
async fn without_a_token_nothing_is_posted() {
    let fake = Fake::with([]).await;
    let outcome = slack(&fake.base, "").execute(&message("C1")).await;
    assert!(
        matches!(&outcome, EffectOutcome::Rejected(failure) if failure.code == "not_configured"),
        "{outcome:?}"
    );
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn a_message_in_doubt_is_found_by_its_key() {
    let effect = message("#managers");
    let posted = |ts: &str, key: &str| {
        json!({
            "ts": ts, "text": "Help!",
            "metadata": {"event_type": "patchcord_effect", "event_payload": {"key": key}},
        })
    };
    let newest = json!({"ok": true, "messages": [posted("4", "a third")], "response_metadata": {"next_cursor": "older"}});
    let history = json!({"ok": true, "messages": [posted("2", "another"), {"ts": "3", "text": "Help!"}, posted("1", &effect.key)]});
    let first_page = json!({"ok": true, "channels": [{"id": "C1", "name": "general"}], "response_metadata": {"next_cursor": "n"}});
    let second_page = json!({"ok": true, "channels": [{"id": "C2", "name": "managers"}]});
    let fake = Fake::with([
        answer(200, first_page),
        answer(200, second_page),
        answer(200, newest),
        answer(200, history),
    ])
    .await;
    let Finding::Present { provider_id, .. } = slack(&fake.base, "xoxb-1").settle(&effect).await else {
        panic!("it is there")
    };
    assert_eq!(provider_id.as_deref(), Some("C2/1"));
    let asked = fake.asked();
    assert_eq!(asked[1].field("cursor").as_deref(), Some("n"));
    assert_eq!(asked[2].field("channel").as_deref(), Some("C2"));
    assert_eq!(
        asked[2].field("oldest").as_deref(),
        Some("1795165140.000000"),
        "a minute before the effect"
    );
    assert_eq!(asked[3].field("cursor").as_deref(), Some("older"), "page by page");
}

#[tokio::test]
async fn what_slack_does_not_show_is_absent_and_what_it_cannot_show_is_not() {
    let nothing = || answer(200, json!({"ok": true, "messages": []}));
    let secret = || answer(200, json!({"ok": false, "error": "missing_scope"}));
    let fake = Fake::with([nothing(), nothing(), nothing(), secret(), secret(), secret()]).await;
    let asking = slack(&fake.base, "xoxb-1");
    assert_eq!(asking.settle(&message("C1")).await, Finding::Absent);
    assert!(matches!(
        asking.settle(&message("C1")).await,
        Finding::CannotTell { .. }
    ));
    let gone = slack(&hanging_up("").await, "xoxb-1");
    assert!(matches!(
        gone.settle(&message("C1")).await,
        Finding::CannotTell { .. }
    ));
}

#[tokio::test]
async fn a_message_that_shows_late_is_found_and_a_channel_too_busy_to_search_is_left_to_a_person() {
    let effect = message("C1");
    let late = json!({"ok": true, "messages": [{"ts": "7",
        "metadata": {"event_type": "patchcord_effect", "event_payload": {"key": effect.key}}}]});
    let fake = Fake::with([
        answer(200, json!({"ok": true, "messages": []})),
        answer(200, late),
    ])
    .await;
    let found = slack(&fake.base, "xoxb-1").settle(&effect).await;
    assert!(matches!(found, Finding::Present { .. }), "{found:?}");

    let page = || {
        answer(
            200,
            json!({"ok": true, "messages": [], "response_metadata": {"next_cursor": "more"}}),
        )
    };
    let busy = Fake::with((0..60).map(|_| page())).await;
    let found = slack(&busy.base, "xoxb-1").settle(&effect).await;
    assert!(
        matches!(&found, Finding::CannotTell { reason } if reason.contains("read whole")),
        "{found:?}"
    );
}
