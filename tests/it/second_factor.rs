//! A person's second factor over the wire: set up, asked for, used once, lost, taken off.

use std::time::Duration;

use patchcord::{
    clock,
    domain::{secret::Secret, time::Timestamp, totp},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    api::{Answer, ask},
    server::{Options, Server},
};

const EMAIL: &str = "agent@example.com";
const PASSWORD: &str = "a long password";

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("expected a text, found {value}"))
        .to_owned()
}

async fn sign_in(server: &Server, code: Option<&str>) -> Answer {
    let mut body = json!({"email": EMAIL, "password": PASSWORD});
    if let Some(code) = code {
        body["code"] = json!(code);
    }
    ask(server, Method::POST, "/api/auth/login", "", Some(body)).await
}

async fn post(server: &Server, token: &str, path: &str, body: Value) -> Answer {
    ask(server, Method::POST, path, token, Some(body)).await
}

/// Begins a set-up.
async fn begin(server: &Server, token: &str) -> Answer {
    let shown = json!({"password": PASSWORD});
    post(server, token, "/api/auth/second-factor", shown).await
}

fn code(secret: &str, at: Timestamp) -> String {
    totp::code(&Secret::new(secret.to_owned()), at).expect("a secret")
}

/// A person whose second factor is on.
struct Guarded {
    server: Server,
    token: String,
    secret: String,
    /// When it was confirmed.
    at: Timestamp,
    recovery: Vec<String>,
}

/// Few tries: a person has ten before they are slowed down.
async fn guarded() -> Guarded {
    let server = Server::start(Options::serve()).await;
    server
        .post(
            "/api/users",
            &json!({"email": EMAIL, "password": PASSWORD, "role": "agent"}),
        )
        .await;
    let token = text(&sign_in(&server, None).await.body["access_token"]);
    let begun = begin(&server, &token).await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.body);
    let secret = text(&begun.body["secret"]);
    assert!(text(&begun.body["otpauth_url"]).contains(&secret));
    let at = clock::now();
    let shown = json!({"code": code(&secret, at)});
    let confirmed = post(&server, &token, "/api/auth/second-factor/confirm", shown).await;
    assert_eq!(confirmed.status, StatusCode::OK, "{}", confirmed.body);
    let codes = confirmed.body["recovery_codes"].as_array().expect("codes");
    let recovery: Vec<String> = codes.iter().map(text).collect();
    assert_eq!(recovery.len(), 10);
    Guarded {
        server,
        token,
        secret,
        at,
        recovery,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_asked_for_and_works_once() {
    let Guarded {
        server,
        token,
        secret,
        at,
        recovery,
    } = guarded().await;
    let without = sign_in(&server, None).await;
    assert_eq!(
        (without.status, text(&without.body["code"])),
        (StatusCode::UNAUTHORIZED, "code_needed".to_owned())
    );
    let wrong = sign_in(&server, Some("123")).await;
    assert_eq!(
        (wrong.status, text(&wrong.body["code"])),
        (StatusCode::UNAUTHORIZED, "wrong_code".to_owned())
    );
    let used = sign_in(&server, Some(&code(&secret, at))).await;
    assert_eq!(used.status, StatusCode::UNAUTHORIZED, "it was used to confirm");
    let next = code(&secret, at.plus(Duration::from_secs(30)));
    assert_eq!(sign_in(&server, Some(&next)).await.status, StatusCode::OK);
    assert_eq!(
        sign_in(&server, Some(&next)).await.status,
        StatusCode::UNAUTHORIZED,
        "a replay"
    );
    assert_eq!(sign_in(&server, Some(&recovery[3])).await.status, StatusCode::OK);
    assert_eq!(
        sign_in(&server, Some(&recovery[3])).await.status,
        StatusCode::UNAUTHORIZED,
        "a replay"
    );
    let me = ask(&server, Method::GET, "/api/me", &token, None).await;
    assert_eq!(me.body["user"]["second_factor"], true);
    let stored = std::fs::read(crate::support::server::database(server.data_dir())).expect("the store");
    let wal = std::fs::read(crate::support::server::database(server.data_dir()).with_extension("db-wal"))
        .unwrap_or_default();
    for bytes in [stored, wal] {
        for secret in [secret.as_bytes(), recovery[0].as_bytes()] {
            assert!(
                !bytes.windows(secret.len()).any(|window| window == secret),
                "kept in plain"
            );
        }
    }
    let guesses = async || {
        let mut last = StatusCode::OK;
        for _ in 0..12 {
            last = sign_in(&server, Some("000000")).await.status;
        }
        last
    };
    assert_eq!(guesses().await, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_taken_off_by_the_person_or_by_an_owner_only() {
    let Guarded { server, token, .. } = guarded().await;
    let again = begin(&server, &token).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{}", again.body);
    let me = ask(&server, Method::GET, "/api/me", &token, None).await.body;
    let path = format!("/api/users/{}/second-factor", text(&me["user"]["id"]));
    let admin = server
        .post("/api/keys", &json!({"name": "admin", "role": "admin"}))
        .await;
    let refused = ask(&server, Method::DELETE, &path, &text(&admin["secret"]), None).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let taken = server.request(Method::DELETE, &path, None).await;
    assert_eq!(taken.status, StatusCode::NO_CONTENT, "{}", taken.body);
    let ended = ask(&server, Method::GET, "/api/me", &token, None).await;
    assert_eq!(
        ended.status,
        StatusCode::UNAUTHORIZED,
        "the person's sessions end"
    );
    let fresh = sign_in(&server, None).await;
    assert_eq!(fresh.status, StatusCode::OK);

    let token = text(&fresh.body["access_token"]);
    let begun = begin(&server, &token).await;
    let secret = text(&begun.body["secret"]);
    let wrong = post(
        &server,
        &token,
        "/api/auth/second-factor/confirm",
        json!({"code": "000000x"}),
    )
    .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", wrong.body);
    let shown = json!({"code": code(&secret, clock::now())});
    post(&server, &token, "/api/auth/second-factor/confirm", shown).await;
    assert_eq!(sign_in(&server, None).await.status, StatusCode::UNAUTHORIZED);
    let off = post(
        &server,
        &token,
        "/api/auth/second-factor/disable",
        json!({"password": PASSWORD}),
    )
    .await;
    assert_eq!(off.status, StatusCode::NO_CONTENT, "{}", off.body);
    let log = server.get("/api/audit?limit=200").await.to_string();
    assert!(
        log.contains("confirmSecondFactor") && log.contains("removeSecondFactor"),
        "{log}"
    );
    assert!(!log.contains(&secret), "{log}");
}
