//! Webhooks of other services: their words, their signatures, what came last, and the same once more.

use hmac::{Hmac, KeyInit, Mac};
use patchcord::domain::hex::hex;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{
    api::http,
    eventually::eventually,
    server::{Options, Server},
};

const SECRET: &str = "whsec_of_the_tests";

/// Seconds since 1970, as a sender's clock says.
fn seconds() -> u64 {
    patchcord::clock::now().as_unix_millis() / 1_000
}

/// `Stripe-Signature` as Stripe makes it.
fn signed(secret: &str, body: &str, at: u64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key");
    mac.update(format!("{at}.{body}").as_bytes());
    format!("t={at},v1={}", hex(&mac.finalize().into_bytes()))
}

async fn post(hook: &Value, headers: &[(&str, &str)], body: String) -> (StatusCode, Value) {
    let url = hook["url"].as_str().expect("an address");
    let mut request = http().post(url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.expect("the server answers");
    let status = response.status();
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).expect("JSON"))
}

async fn hook(server: &Server, source: &Value) -> (Value, String) {
    let hook = server.post("/api/webhooks", &json!({"name": "shop"})).await;
    let path = format!("/api/webhooks/{}", hook["id"].as_str().expect("an id"));
    let set = server
        .request(Method::PUT, &format!("{path}/source"), Some(source))
        .await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.body);
    (hook, path)
}

/// A published workflow that makes a task of each event.
async fn on(server: &Server, trigger: Value) {
    let workflow = json!({"name": "w", "enabled": true, "trigger": trigger,
        "nodes": [{"id": "t", "type": "create_task", "params": {"title": "{{ trigger.data.email | default('nobody') }}"}}],
        "edges": [{"from": "trigger", "to": "t"}]});
    server.post("/api/workflows", &workflow).await;
}

async fn titles(server: &Server, count: usize) -> Vec<String> {
    eventually("the tasks", async || {
        let tasks = server.items("/api/tasks").await;
        let titles = tasks
            .iter()
            .filter_map(|task| task["title"].as_str().map(str::to_owned));
        (tasks.len() == count).then(|| titles.collect())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stripe_signs_is_a_payment_once_and_what_it_does_not_is_refused() {
    let server = Server::start(Options::serve()).await;
    on(&server, json!({"type": "payment.received"})).await;
    let nothing_to_check = json!({"source": "stripe"});
    let plain = server.post("/api/webhooks", &json!({"name": "plain"})).await;
    let path = format!("/api/webhooks/{}/source", plain["id"].as_str().expect("an id"));
    let refused = server.request(Method::PUT, &path, Some(&nothing_to_check)).await;
    assert_eq!(
        refused.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        refused.body
    );

    let source = json!({"source": "stripe", "secret": SECRET, "events": {"charge.updated": "", "payout.paid": "money out"}});
    let (hook, path) = hook(&server, &source).await;
    let shown = server.get(&format!("{path}/source")).await;
    assert_eq!(
        (&shown["source"], &shown["has_secret"]),
        (&json!("stripe"), &json!(true))
    );
    assert!(!shown.to_string().contains(SECRET));
    let body = json!({"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": {
        "id": "pi_1", "amount_received": 1_900, "currency": "usd", "receipt_email": "ann@example.com"}}})
    .to_string();
    let good = signed(SECRET, &body, seconds());
    for (wrong, body) in [
        (signed("another", &body, seconds()), body.clone()),
        (signed(SECRET, &body, seconds() - 400), body.clone()),
        (good.clone(), body.replace("1900", "9900")),
        (String::new(), body.clone()),
    ] {
        let (status, answer) = post(&hook, &[("stripe-signature", &wrong)], body).await;
        assert_eq!(
            (status, &answer["code"]),
            (StatusCode::FORBIDDEN, &json!("bad_signature")),
            "{answer}"
        );
    }
    let (status, first) = post(&hook, &[("stripe-signature", &good)], body.clone()).await;
    assert_eq!(
        (status, &first["duplicate"]),
        (StatusCode::ACCEPTED, &json!(false)),
        "{first}"
    );
    let (_, again) = post(&hook, &[("stripe-signature", &good)], body).await;
    assert_eq!(
        (&again["event_id"], &again["duplicate"]),
        (&first["event_id"], &json!(true))
    );
    assert_eq!(titles(&server, 1).await, ["ann@example.com"]);
    let left_out = json!({"id": "evt_2", "type": "charge.updated", "data": {"object": {}}}).to_string();
    let good = signed(SECRET, &left_out, seconds());
    assert_eq!(
        post(&hook, &[("stripe-signature", &good)], left_out).await.0,
        StatusCode::ACCEPTED
    );

    deliveries_are_shown_and_replayed(&server, &path, &first).await;
}

/// The deliveries of the test above.
async fn deliveries_are_shown_and_replayed(server: &Server, path: &str, first: &Value) {
    let deliveries = server.items(&format!("{path}/deliveries")).await;
    let outcomes: Vec<_> = deliveries
        .iter()
        .filter_map(|delivery| delivery["outcome"].as_str())
        .collect();
    assert_eq!(
        outcomes,
        [
            "ignored",
            "duplicate",
            "accepted",
            "refused",
            "refused",
            "refused",
            "refused"
        ]
    );
    assert!(
        !json!(deliveries).to_string().contains("v1="),
        "signatures are not kept"
    );
    let paid = deliveries[2]["id"].as_str().expect("an id");
    let replayed = server
        .post(&format!("{path}/deliveries/{paid}/replay"), &json!({}))
        .await;
    assert_ne!(replayed["event_id"], first["event_id"]);
    titles(server, 2).await;
    for delivery in deliveries
        .iter()
        .filter(|delivery| delivery["outcome"] == "refused")
    {
        let forged = delivery["id"].as_str().expect("an id");
        let path = format!("{path}/deliveries/{forged}/replay");
        let refused = server.request(Method::POST, &path, None).await;
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (StatusCode::CONFLICT, &json!("not_signed")),
            "{delivery}"
        );
    }
    assert_eq!(server.items("/api/tasks").await.len(), 2);
    assert!(!server.log().contains(SECRET), "the secret is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_starts_what_waits_for_its_name_and_a_trial_starts_nothing() {
    let server = Server::start(Options::serve()).await;
    on(&server, json!({"type": "webhook", "name": "shop"})).await;
    let (hook, path) = hook(&server, &json!({"source": "form"})).await;
    let trial = json!({"body": {"Your Email": "Bob@Example.com"}});
    let tried = server.post(&format!("{path}/test"), &trial).await;
    assert_eq!(
        (&tried["event"], &tried["name"], &tried["data"]["email"]),
        (&json!("webhook"), &json!("shop"), &json!("bob@example.com"))
    );
    let form = ("content-type", "application/x-www-form-urlencoded");
    let (status, answer) = post(&hook, &[form], "email=ann%40example.com&message=Hello".to_owned()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    assert_eq!(titles(&server, 1).await, ["ann@example.com"]);
    let gone = server
        .request(Method::DELETE, &format!("{path}/source"), None)
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(
        server.get(&format!("{path}/source")).await,
        json!(null),
        "it takes JSON as it is"
    );
    let (status, _) = post(&hook, &[form], "email=ann%40example.com".to_owned()).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
