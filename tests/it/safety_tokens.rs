//! What is shown at the door in place of a token: every known trick with JWTs, and those with our own tokens.
//!
//! Our tokens are opaque (docs/adr/0003), so no trick should find anything to work on: not even a JWT that is signed with the
//! server's own master key. All are refused alike, at the API and at the live stream.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use futures_util::{SinkExt, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::support::{
    api::{ask, http},
    eventually::DEADLINE,
    figures::tell,
    server::{Options, Server},
};

/// Far beyond every test.
const LATER: u64 = 4_000_000_000;

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A JWT with this header and these claims, signed with HMAC-SHA256 under `key`.
fn signed(header: &Value, claims: &Value, key: &[u8]) -> String {
    let said = format!("{}.{}", part(header), part(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(said.as_bytes());
    format!("{said}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn with(claims: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims.clone();
    claims[name] = value.into();
    claims
}

/// The tricks with JWTs, by name. `canary` is where keys are said to be found.
#[expect(clippy::too_many_lines, reason = "one table, one trick a row")]
fn jwt_tricks(claims: &Value, master_key: &str, canary: &str) -> Vec<(&'static str, String)> {
    let hs256 = json!({"alg": "HS256", "typ": "JWT"});
    let unsigned = |alg: &str| format!("{}.{}.", part(&json!({"alg": alg, "typ": "JWT"})), part(claims));
    let headed = |extra: Value, key: &[u8]| {
        let mut header = json!({"alg": "HS256", "typ": "JWT"});
        for (name, value) in extra.as_object().expect("fields") {
            header[name] = value.clone();
        }
        signed(&header, claims, key)
    };
    let ours = |claims: &Value| signed(&hs256, claims, master_key.as_bytes());
    let good = ours(claims);
    let pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n";
    let jwk = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode("mine")});
    let twice = format!(
        "{}.{}",
        part(&hs256),
        URL_SAFE_NO_PAD.encode(format!("{{\"sub\":\"nobody\",{}", &claims.to_string()[1..]))
    );
    let without_signature = good.rsplit_once('.').map_or("", |(said, _)| said).to_owned();
    vec![
        ("alg none", unsigned("none")),
        ("alg None", unsigned("None")),
        ("alg NONE", unsigned("NONE")),
        ("alg nOnE", unsigned("nOnE")),
        ("alg left empty", unsigned("")),
        ("no signature", without_signature),
        ("signed with an empty key", signed(&hs256, claims, b"")),
        ("signed with a common word", signed(&hs256, claims, b"secret")),
        ("signed with our own master key", good.clone()),
        (
            "RS256 verified as HS256 with a public key",
            signed(&hs256, claims, pem.as_bytes()),
        ),
        (
            "RS256 named over an HMAC",
            headed(json!({"alg": "RS256"}), master_key.as_bytes()),
        ),
        (
            "ES256 with r and s of zero",
            format!(
                "{}.{}.{}",
                part(&json!({"alg": "ES256"})),
                part(claims),
                URL_SAFE_NO_PAD.encode([0_u8; 64])
            ),
        ),
        (
            "kid that walks to an empty file",
            headed(json!({"kid": "../../../../dev/null"}), b""),
        ),
        (
            "kid that injects SQL",
            headed(json!({"kid": "x' UNION SELECT 'mine' --"}), b"mine"),
        ),
        (
            "kid that runs a command",
            headed(json!({"kid": "key|touch /tmp/pwned"}), b"mine"),
        ),
        ("jku elsewhere", headed(json!({"jku": canary}), b"mine")),
        ("x5u elsewhere", headed(json!({"x5u": canary}), b"mine")),
        ("jwk brought along", headed(json!({"jwk": jwk}), b"mine")),
        (
            "x5c brought along",
            headed(json!({"x5c": [STANDARD.encode("certificate")]}), b"mine"),
        ),
        (
            "crit nobody knows",
            headed(json!({"crit": ["b64"], "b64": false}), master_key.as_bytes()),
        ),
        ("expired", ours(&with(claims, "exp", 1))),
        ("not yet valid", ours(&with(claims, "nbf", LATER))),
        ("another audience", ours(&with(claims, "aud", "elsewhere"))),
        (
            "another issuer",
            ours(&with(claims, "iss", "https://elsewhere.example")),
        ),
        (
            "another account",
            ours(&with(claims, "account_id", "acc_01h455vb4pex5vsknk084sn02q")),
        ),
        ("a role above", ours(&with(claims, "role", "owner"))),
        ("cut short", good[..good.len() - 1].to_owned()),
        ("padded", format!("{good}=")),
        (
            "a claim twice",
            format!("{twice}.{}", URL_SAFE_NO_PAD.encode([0_u8; 32])),
        ),
        (
            "encrypted, five parts",
            format!(
                "{}....",
                part(&json!({"alg": "dir", "enc": "A128GCM", "zip": "DEF"}))
            ),
        ),
    ]
}

/// The tricks with our own tokens. `pair` is a live pair, `over` one whose session has ended.
fn own_tricks(pair: &Value, over: &Value, setup: &str, webhook: &str) -> Vec<(&'static str, String)> {
    let text = |value: &Value| value.as_str().expect("a token").to_owned();
    let access = text(&pair["access_token"]);
    let refresh = text(&pair["refresh_token"]);
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(access.as_bytes()));
    let mut flipped = access.clone().into_bytes();
    flipped[10] = if flipped[10] == b'A' { b'B' } else { b'A' };
    vec![
        ("nothing", String::new()),
        ("a refresh token as access", refresh.clone()),
        (
            "a refresh token that says it is access",
            refresh.replacen("pcr_", "pca_", 1),
        ),
        (
            "an access token that says it is a key",
            access.replacen("pca_", "pck_", 1),
        ),
        ("a webhook's token", webhook.to_owned()),
        ("a setup token", setup.to_owned()),
        ("an ended session's access", text(&over["access_token"])),
        ("an ended session's refresh", text(&over["refresh_token"])),
        ("what the store keeps of it", format!("pca_{hash}")),
        ("cut short", access[..access.len() - 1].to_owned()),
        ("a letter more", format!("{access}A")),
        ("padded", format!("{access}=")),
        ("a letter changed", String::from_utf8(flipped).expect("letters")),
        ("in capitals", access.to_uppercase()),
        ("twice", format!("{access}{access}")),
        ("twice with a comma", format!("{access}, {access}")),
        ("with a NUL spelled out", format!("{access}%00")),
        ("percent-encoded", access.replace("pca_", "pca%5F")),
        ("a wildcard", "pca_*".to_owned()),
        ("a long one", format!("pca_{}", "A".repeat(4_000))),
    ]
}

/// The code with which the live stream shows somebody out who says `token`.
async fn shown_out(server: &Server, token: &str) -> u16 {
    let (mut socket, _) = connect_async(server.ws_at("/ws/supervisor"))
        .await
        .expect("the live stream accepts a connection");
    let hello = json!({"type": "auth", "token": token}).to_string();
    socket.send(Message::text(hello)).await.expect("sent");
    loop {
        let said = tokio::time::timeout(DEADLINE, socket.next())
            .await
            .expect("in time");
        match said.expect("an end is told").expect("frames are whole") {
            Message::Close(frame) => return frame.expect("a code").code.into(),
            Message::Text(text) => panic!("{token} was let in: {text}"),
            _ => {}
        }
    }
}

async fn sign_in(server: &Server) -> Value {
    let body = json!({"email": server.ready().email, "password": server.ready().password});
    ask(server, Method::POST, "/api/auth/login", "", Some(body))
        .await
        .body
}

#[tokio::test(flavor = "multi_thread")]
async fn no_trick_opens_a_door() {
    let server = Server::start(Options::serve()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let canary = format!("http://{}/keys", listener.local_addr().expect("it is bound"));
    let heard = tokio::spawn(async move { listener.accept().await.map(|_| ()) });
    let key_file = std::fs::read_dir(server.data_dir())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.to_string_lossy().ends_with(".key"))
        .expect("the key's file");
    let master_key = std::fs::read_to_string(key_file).expect("readable by its owner");
    let me = server.get("/api/me").await;
    let claims = json!({"sub": me["user"]["id"], "user_id": me["user"]["id"], "account_id": me["account"]["id"],
        "role": "owner", "iss": server.url(), "aud": "patchcord", "iat": 1, "exp": LATER});
    let (pair, over) = (sign_in(&server).await, sign_in(&server).await);
    let ended = over["access_token"].as_str().expect("a token");
    ask(&server, Method::POST, "/api/auth/logout", ended, None).await;
    let webhook = server.post("/api/webhooks", &json!({"name": "door"})).await;
    let webhook = webhook["token"].as_str().expect("a token");
    let setup = format!("pcs_{}", "A".repeat(43));

    let jwt = jwt_tricks(&claims, master_key.trim(), &canary);
    let own = own_tricks(&pair, &over, &setup, webhook);
    assert!(jwt.len() >= 24);
    let mut refusals = 0;
    for (name, token) in jwt.iter().chain(&own) {
        let answer = ask(&server, Method::GET, "/api/me", token, None).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}: {}", answer.body);
        assert_eq!(answer.body["code"], "unauthenticated", "{name}");
        assert_eq!(shown_out(&server, token).await, 4401, "{name}");
        refusals += 2;
    }
    let elsewhere = access_elsewhere(&server, pair["access_token"].as_str().expect("a token")).await;
    let good = pair["access_token"].as_str().expect("a token");
    let still = ask(&server, Method::GET, "/api/me", good, None).await;
    assert_eq!(
        still.status,
        StatusCode::OK,
        "the token itself opens: {}",
        still.body
    );
    assert!(!heard.is_finished(), "a key was fetched from where a token said");
    tell(&format!(
        "tokens: {} tricks with JWTs and {} with our own tokens, {refusals} refusals at two doors, {elsewhere} places that are \
         not the header; 0 let in, 0 keys fetched from elsewhere",
        jwt.len(),
        own.len()
    ));
}

/// A good token where none is looked for. Returns how many places were tried.
async fn access_elsewhere(server: &Server, access: &str) -> usize {
    let at = |path: &str| http().get(server.at(path));
    let places = [
        at(&format!("/api/me?access_token={access}")),
        at(&format!("/api/me?token={access}")),
        at("/api/me").header("cookie", format!("access_token={access}; token={access}")),
        at("/api/me").header("x-api-key", access),
        at("/api/me").header("authorization", access),
        at("/api/me").header(
            "authorization",
            format!("Basic {}", STANDARD.encode(format!("{access}:"))),
        ),
        at("/api/me").header("authorization", format!("Token {access}")),
        at("/api/me").header("proxy-authorization", format!("Bearer {access}")),
        at("/api/me")
            .bearer_auth("x")
            .header("authorization", format!("Bearer {access}")),
    ];
    let tried = places.len();
    for place in places {
        let status = place.send().await.expect("an answer").status();
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    tried
}

/// Guesses at one account's password over the wire.
const GUESSES: usize = 10_000;
/// Of them, at one time.
const AT_ONCE: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_guesses_are_as_good_as_ten() {
    let server = Server::start(Options::serve()).await;
    // Connections are kept: it is the server that is tried, not the system's ports.
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let (url, email) = (server.at("/api/auth/login"), server.ready().email.clone());
    let began = std::time::Instant::now();
    let guesses = futures_util::stream::iter(0..GUESSES).map(|number| {
        let body = json!({"email": email, "password": format!("guess {number}")});
        let request = client.post(&url).json(&body);
        async move { request.send().await.expect("an answer").status() }
    });
    let statuses: Vec<StatusCode> = guesses.buffer_unordered(AT_ONCE).collect().await;
    let seconds = began.elapsed().as_secs();
    let count = |status| statuses.iter().filter(|one| **one == status).count();
    let (looked_at, put_off) = (
        count(StatusCode::UNAUTHORIZED),
        count(StatusCode::TOO_MANY_REQUESTS),
    );
    assert_eq!(looked_at + put_off, GUESSES, "nothing else is answered");
    // Ten at once and one every six seconds.
    let allowed = 10 + usize::try_from(seconds / 6 + 1).expect("a small number");
    assert!(
        looked_at <= allowed,
        "{looked_at} passwords were compared in {seconds} s"
    );
    assert!(looked_at >= 10);
    tell(&format!(
        "guesses: {GUESSES} at one account in {seconds} s: {looked_at} compared, {put_off} put off with 429, 0 let in"
    ));
}
