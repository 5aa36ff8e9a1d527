//! Webhooks: what is sent, what answers mean, and addresses that are never called.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
    sync::Arc,
};

use serde_json::{Value, json};

use super::fake::{Fake, account, answer, effect, hanging_up, http, kept, nobody, signing_keys};
use crate::{
    clock,
    domain::{ids::UserId, time::Timestamp},
    integrations::{
        address_guard::AllowList,
        client::HttpClient,
        port::{EffectOutcome, EffectPort},
        webhook::Webhooks,
        webhook_signature::SigningSecrets,
    },
    store::accounts::{Account, Role, Signing, User},
    workflows::{Effect, FailureKind, Request, effect::HttpMethod},
};

/// The account that signs, with its first secret or a later one.
fn signer(number: u32, rotated_at: Option<Timestamp>) -> Account {
    Account {
        id: account(),
        name: "Acme".to_owned(),
        created_at: Timestamp::default(),
        signing: Signing {
            number,
            rotated_at,
            ..Signing::default()
        },
        require_consent: false,
        retention: crate::domain::retention::Retention::default(),
    }
}

async fn sent(http: HttpClient, effect: &Effect) -> EffectOutcome {
    sent_by(signer(0, None), http, effect).await
}

/// Sends as the account would.
async fn sent_by(account: Account, http: HttpClient, effect: &Effect) -> EffectOutcome {
    let kept = kept();
    let owner = User {
        id: UserId::fresh(),
        account_id: account.id,
        email: "owner@example.com".to_owned(),
        name: "Owner".to_owned(),
        role: Role::Owner,
        password_hash: String::new(),
        second_factor: None,
        created_at: account.created_at,
    };
    let accounts = Arc::clone(&kept.store.accounts);
    accounts.create_account(account, owner).await.expect("written");
    let port = Webhooks {
        http,
        accounts,
        signing_keys: signing_keys(),
    };
    port.execute(effect).await
}

fn post(url: &str, body: Value) -> Effect {
    let headers = BTreeMap::from([("X-Team".to_owned(), "blue".to_owned())]);
    effect(
        "hook",
        Request::WebhookRequest {
            method: HttpMethod::Post,
            url: url.to_owned(),
            headers,
            body,
        },
    )
}

fn rejected(outcome: EffectOutcome) -> (FailureKind, String) {
    match outcome {
        EffectOutcome::Rejected(failure) => (failure.kind, failure.code),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_webhook_carries_its_key_and_a_signature_and_brings_the_answer_back() {
    let fake = Fake::with([answer(200, json!({"ok": true})), answer(200, "plain")]).await;
    let effect = post(&format!("{}/hook?x=1", fake.base), json!({"a": 1}));
    let EffectOutcome::Confirmed { output, .. } = sent(http(), &effect).await else {
        panic!("it was taken")
    };
    assert_eq!(output, json!({"status": 200, "body": {"ok": true}}));
    let EffectOutcome::Confirmed { output, .. } = sent(http(), &effect).await else {
        panic!("it was taken")
    };
    assert_eq!(output, json!({"status": 200, "body": "plain"}));
    let asked = fake.asked();
    assert_eq!(
        (asked[0].method.as_str(), asked[0].uri.to_string().as_str()),
        ("POST", "/hook?x=1")
    );
    assert_eq!(
        (asked[0].body.as_str(), asked[0].header("content-type")),
        ("{\"a\":1}", "application/json")
    );
    assert_eq!(asked[0].header("x-team"), "blue");
    for request in &asked {
        assert_eq!(request.header("idempotency-key"), effect.key);
        let (id, at_s) = (request.header("webhook-id"), request.header("webhook-timestamp"));
        let at = Timestamp::from_unix_millis(at_s.parse::<u64>().expect("seconds") * 1_000);
        let expected = SigningSecrets::of(&signing_keys().borrow(), &signer(0, None), at).sign(
            id,
            at,
            request.body.as_bytes(),
        );
        assert_eq!(request.header("webhook-signature"), expected);
    }
    assert_eq!(
        asked[0].header("webhook-id"),
        asked[1].header("webhook-id"),
        "the same on every attempt"
    );
}

#[tokio::test]
async fn an_answer_is_taken_or_refused_or_unknown() {
    let fake = Fake::with([400, 404, 408, 425, 429].map(|status| answer(status, ""))).await;
    for kind in [
        FailureKind::Permanent,
        FailureKind::Permanent,
        FailureKind::Temporary,
        FailureKind::Temporary,
        FailureKind::Temporary,
    ] {
        assert_eq!(
            rejected(sent(http(), &post(&fake.base, Value::Null)).await).0,
            kind
        );
    }
    let faults = Fake::with([answer(500, ""), answer(502, "")]).await;
    for base in [&faults.base, &faults.base, &hanging_up("").await] {
        let outcome = sent(http(), &post(base, Value::Null)).await;
        assert!(matches!(outcome, EffectOutcome::Unknown { .. }), "{outcome:?}");
    }
    let unreached = rejected(sent(http(), &post(&nobody().await, Value::Null)).await);
    assert_eq!(unreached, (FailureKind::Temporary, "unreached".to_owned()));
}

#[tokio::test]
async fn a_private_address_is_never_called() {
    let fake = Fake::with([]).await;
    let port = fake.base.rsplit(':').next().expect("it has a port").to_owned();
    let guarded = || HttpClient::new(AllowList::default()).expect("the machine has root certificates");
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "127.1",
    ] {
        let url = format!("http://{host}:{port}/");
        let refused = rejected(sent(guarded(), &post(&url, Value::Null)).await);
        assert_eq!(
            refused,
            (FailureKind::Permanent, "private_address".to_owned()),
            "{host}"
        );
    }
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_not_followed() {
    // Only the first server may be reached; what the name resolves to may not.
    let allowed =
        || HttpClient::new("127.0.0.2".parse().expect("a list")).expect("the machine has root certificates");
    for target in [
        "http://127.0.0.1:1/",
        "http://localhost:1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:1/",
    ] {
        let fake = Fake::on(
            "127.0.0.2:0",
            [(307, vec![("location", target.to_owned())], String::new())],
        )
        .await;
        let refused = rejected(sent(allowed(), &post(&fake.base, json!({"a": 1}))).await);
        assert_eq!(
            refused,
            (FailureKind::Permanent, "private_address".to_owned()),
            "{target}"
        );
        assert_eq!(fake.asked().len(), 1);
    }
}

#[tokio::test]
async fn redirects_are_followed_up_to_a_bound() {
    let endless =
        Fake::with((0..9).map(|_| (302, vec![("location", "/again".to_owned())], String::new()))).await;
    let refused = rejected(sent(http(), &post(&endless.base, Value::Null)).await);
    assert_eq!(refused.0, FailureKind::Permanent);
    assert_eq!(endless.asked().len(), 4, "the request and three redirects");
    let good = Fake::with([
        (303, vec![("location", "/there".to_owned())], String::new()),
        answer(200, ""),
    ])
    .await;
    let outcome = sent(http(), &post(&good.base, Value::Null)).await;
    assert!(matches!(outcome, EffectOutcome::Confirmed { .. }), "{outcome:?}");
}

#[tokio::test]
async fn what_is_brought_to_an_address_that_has_moved_is_not_dropped_on_the_way() {
    let moved = || {
        (
            301,
            vec![("location", "https://new.example.com/".to_owned())],
            String::new(),
        )
    };
    let fake = Fake::with([moved()]).await;
    let outcome = sent(http(), &post(&fake.base, json!({"a": 1}))).await;
    let EffectOutcome::Rejected(failure) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (failure.kind, failure.code.as_str()),
        (FailureKind::Permanent, "http_301")
    );
    assert!(
        failure.message.contains("moved to https://new.example.com/"),
        "{failure:?}"
    );
    assert_eq!(fake.asked().len(), 1);

    // A question is asked again where it moved to.
    let fake = Fake::with([
        (301, vec![("location", "/there".to_owned())], String::new()),
        answer(200, ""),
    ])
    .await;
    let mut question = post(&fake.base, Value::Null);
    if let Request::WebhookRequest { method, .. } = &mut question.request {
        *method = HttpMethod::Get;
    }
    let outcome = sent(http(), &question).await;
    assert!(matches!(outcome, EffectOutcome::Confirmed { .. }), "{outcome:?}");
}

#[tokio::test]
async fn headers_that_belong_to_the_connection_cannot_be_set() {
    let fake = Fake::with([]).await;
    for (name, value) in [
        ("Host", "internal"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("bad name", "x"),
        ("X-A", "a\nb"),
    ] {
        let mut hook = post(&fake.base, Value::Null);
        if let Request::WebhookRequest { headers, .. } = &mut hook.request {
            headers.insert(name.to_owned(), value.to_owned());
        }
        assert_eq!(rejected(sent(http(), &hook).await).1, "bad_header", "{name}");
    }
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn a_long_answer_is_cut() {
    let fake = Fake::with([answer(200, "x".repeat(1_000_000))]).await;
    let outcome = sent(http(), &post(&fake.base, Value::Null)).await;
    let EffectOutcome::Confirmed { output, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(output["body"].as_str().map(str::len), Some(256 * 1024));
}

/// Asks the standard's own library; `None`, saying so, where it cannot be had.
fn judged(questions: &Value) -> Option<Vec<Value>> {
    let mut child = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/webhook-oracle"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the script is in the repository");
    let mut input = child.stdin.take().expect("it is piped");
    let written = input.write_all(questions.to_string().as_bytes());
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    if output.status.code() == Some(77) {
        eprintln!("skipped: the library of Standard Webhooks cannot be had on this machine");
        return None;
    }
    assert!(
        output.status.success() && written.is_ok(),
        "scripts/webhook-oracle failed"
    );
    Some(serde_json::from_slice(&output.stdout).expect("a list"))
}

#[tokio::test]
async fn the_standards_own_library_takes_our_signatures() {
    let fake = Fake::with([answer(200, ""), answer(200, ""), answer(200, "")]).await;
    let hook = Request::ZapierHook {
        url: fake.base.clone(),
        body: json!({"name": "Zoë"}),
    };
    // Replaced a moment ago: both secrets sign.
    let signer = signer(1, Some(clock::now()));
    let effects = [
        post(&fake.base, json!({"text": "Grüße, \"Ann\""})),
        post(&fake.base, Value::Null),
        effect("zap", hook),
    ];
    for effect in &effects {
        let outcome = sent_by(signer.clone(), http(), effect).await;
        assert!(matches!(outcome, EffectOutcome::Confirmed { .. }), "{outcome:?}");
    }
    let asked = fake.asked();
    assert_eq!(asked[2].header("idempotency-key"), effects[2].key);
    let secrets = SigningSecrets::of(&signing_keys().borrow(), &signer, clock::now());
    let secret = secrets.current.to_text();
    let (previous, _) = secrets.previous.expect("it signs on");
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let mut questions: Vec<Value> = asked
        .iter()
        .map(|request| {
            let headers: BTreeMap<_, _> = names
                .into_iter()
                .map(|name| (name, request.header(name)))
                .collect();
            json!({"secret": secret.expose(), "body": request.body, "headers": headers})
        })
        .collect();
    let mut forged = questions[0].clone();
    forged["body"] = json!("{}");
    questions.push(forged);
    let mut by_the_one_before = questions[0].clone();
    by_the_one_before["secret"] = json!(previous.to_text().expose());
    questions.push(by_the_one_before);
    let Some(answers) = judged(&json!(questions)) else {
        return;
    };
    assert_eq!(answers[..3], [json!(true), json!(true), json!(true)]);
    assert_ne!(answers[3], json!(true), "a forged body is refused");
    assert_eq!(
        answers[4],
        json!(true),
        "receivers have time to take the new secret over"
    );
}
