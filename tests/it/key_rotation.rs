//! The master key and the signing keys are changed while a server runs, and the change is killed wherever it is: nothing that was sealed
//! or signed is lost, until a signing key is retired.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use hmac::{Hmac, KeyInit, Mac};
use patchcord::{
    clock,
    domain::{
        hex::hex,
        ids::MessageId,
        sealing::WrappedKeys,
        secret::Secret,
        signing::{RETIRES_AFTER, SigningKey, SigningKeys},
    },
    integrations::twilio::{callback_token, media_pass::MediaPass},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{
    api::http,
    dice::Dice,
    eventually::eventually,
    figures::tell,
    server::{Options, PROGRAM, Server, database},
    twilio::call_sid,
};

/// Rotations that are killed.
const KILLS: u64 = 8;
/// What the service signs with.
const STRIPE_SECRET: &str = "whsec_of_the_rotation";

fn rotation(data: &Path, more: &[&str]) -> Command {
    patchcord(data, &[&["key", "rotate"], more].concat())
}

fn patchcord(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .env(
            "PATCHCORD_STORE__URL",
            format!("sqlite:{}", database(data).display()),
        )
        .current_dir(data);
    command
}

async fn rotate(data: &Path, more: &[&str]) -> Output {
    ended(rotation(data, more)).await
}

async fn ended(mut command: Command) -> Output {
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    output.expect("the thread ends").expect("the program starts")
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn key_file(server: &Server) -> PathBuf {
    database(server.data_dir()).with_extension("key")
}

fn keys_in(server: &Server) -> Vec<String> {
    let text = std::fs::read_to_string(key_file(server)).expect("the key file");
    text.lines().map(ToOwned::to_owned).collect()
}

/// What is derived from the store's keys: the same for as long as they are.
async fn signing_secret(server: &Server) -> Value {
    server.get("/api/webhooks/signing-secret").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_key_changes_under_a_running_server_and_a_killed_change_goes_on() {
    let mut server = Server::start(Options::serve()).await;
    let before = signing_secret(&server).await;
    let first = keys_in(&server);
    let rotated = rotate(server.data_dir(), &[]).await;
    assert!(rotated.status.success(), "{}", said(&rotated));
    let both = keys_in(&server);
    assert_eq!((both.len(), &both[1]), (2, &first[0]));
    assert_eq!(
        signing_secret(&server).await,
        before,
        "the running server goes on"
    );
    server.restart().await;
    assert_eq!(signing_secret(&server).await, before);

    let mut dice = Dice::new(6);
    let mut resumed = 0;
    for _ in 0..KILLS {
        let rotating = rotation(server.data_dir(), &[]);
        let mut child = tokio::process::Command::from(rotating)
            .spawn()
            .expect("the program starts");
        // Somewhere between the first instruction and past the end: a rotation takes some tens of milliseconds.
        let patience = Duration::from_millis(dice.below(120));
        if tokio::time::timeout(patience, child.wait()).await.is_err() {
            child.kill().await.expect("a process of ours can be killed");
        }
        assert_eq!(signing_secret(&server).await, before);
        server.restart().await;
        assert_eq!(
            signing_secret(&server).await,
            before,
            "{:?}",
            keys_in(&server).len()
        );
    }
    // As a rotation leaves it that was killed after the file and before the store.
    let mut keys = keys_in(&server);
    keys.insert(0, "0f".repeat(32));
    std::fs::write(key_file(&server), keys.join("\n")).expect("the folder is ours");
    server.restart().await;
    assert_eq!(signing_secret(&server).await, before);
    let gone_on = rotate(server.data_dir(), &["--drop-old"]).await;
    assert!(gone_on.status.success(), "{}", said(&gone_on));
    resumed += usize::from(said(&gone_on).contains("going on with a rotation"));
    assert_eq!(resumed, 1, "{}", said(&gone_on));
    assert_eq!(keys_in(&server), ["0f".repeat(32)]);
    server.restart().await;
    assert_eq!(signing_secret(&server).await, before);

    server.kill9().await;
    std::fs::write(key_file(&server), "0e".repeat(32)).expect("the folder is ours");
    let refused = rotate(server.data_dir(), &[]).await;
    assert!(!refused.status.success(), "another key does not open it");
    assert!(
        said(&refused).contains("put its key file beside the store"),
        "{}",
        said(&refused)
    );
    tell(&format!(
        "key rotation: 1 under a running server, {KILLS} killed at any moment, 1 gone on with; every sealed and signed thing is as before"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rotation_the_old_master_key_is_of_no_use_and_a_services_secret_still_verifies() {
    let mut server = Server::start(Options::serve()).await;
    let old = keys_in(&server).remove(0);
    let (master, keys) = server.data_keys();
    assert!(!keys.sign_with(&master), "the master key signs nothing");
    let hook = server.post("/api/webhooks", &json!({"name": "shop"})).await;
    let path = format!("/api/webhooks/{}/source", hook["id"].as_str().expect("an id"));
    let source = json!({"source": "stripe", "secret": STRIPE_SECRET});
    let set = server.request(Method::PUT, &path, Some(&source)).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.body);
    let url = |server: &Server| {
        // The port is another one after a restart.
        let path = hook["url"].as_str().expect("an address").split_once("/api/");
        server.at(&format!("/api/{}", path.expect("an address of ours").1))
    };
    assert_eq!(post_signed(&url(&server), "evt_1").await, StatusCode::ACCEPTED);

    let rotated = rotate(server.data_dir(), &["--drop-old"]).await;
    assert!(rotated.status.success(), "{}", said(&rotated));
    assert_eq!(post_signed(&url(&server), "evt_2").await, StatusCode::ACCEPTED);
    server.restart().await;
    assert_eq!(post_signed(&url(&server), "evt_3").await, StatusCode::ACCEPTED);

    let fresh = keys_in(&server);
    server.kill9().await;
    std::fs::write(key_file(&server), &old).expect("the folder is ours");
    let refused = rotate(server.data_dir(), &[]).await;
    assert!(!refused.status.success(), "the old key opens nothing");
    std::fs::write(key_file(&server), fresh.join("\n")).expect("the folder is ours");
    server.start_again().await;
    assert_eq!(post_signed(&url(&server), "evt_4").await, StatusCode::ACCEPTED);
}

/// Posts an event as Stripe signs it.
async fn post_signed(url: &str, id: &str) -> StatusCode {
    let body = json!({"id": id, "type": "charge.failed", "data": {"object": {}}}).to_string();
    let at = clock::now().as_unix_millis() / 1_000;
    let mut mac = Hmac::<Sha256>::new_from_slice(STRIPE_SECRET.as_bytes()).expect("any key");
    mac.update(format!("{at}.{body}").as_bytes());
    let signature = format!("t={at},v1={}", hex(&mac.finalize().into_bytes()));
    let request = http().post(url).header("stripe-signature", signature).body(body);
    request.send().await.expect("the server answers").status()
}

/// Makes the store one of an early version: its master key signs, and nobody knows since when. Returns what signs.
async fn become_early(server: &mut Server) -> SigningKeys {
    let (master, keys) = server.data_keys();
    server.kill9().await;
    let text = format!("{} {}", keys.sealing.to_hex().expose(), master.to_hex().expose());
    let sealed = master.seal("patchcord data keys 1", &Secret::new(text));
    server.put_wrapped_keys(&WrappedKeys {
        master: master.name(),
        sealed: sealed.expect("sealed"),
    });
    server.start_again().await;
    server.signing_keys()
}

/// Lets the signing keys have been made that much earlier.
fn age(server: &Server) {
    let (master, mut keys) = server.data_keys();
    let mut older = keys
        .signing
        .all()
        .iter()
        .map(|key| (key.secret().clone(), key.made_at().minus(RETIRES_AFTER)));
    let (secret, made_at) = older.next().expect("there is one");
    let first = SigningKeys::of(secret, made_at);
    keys.signing = older.fold(first, |keys, (secret, made_at)| {
        keys.with(secret, made_at).expect("room")
    });
    server.put_wrapped_keys(&keys.wrap(&master).expect("wrapped"));
}

/// A list of that key alone.
fn only(key: &SigningKey) -> SigningKeys {
    SigningKeys::of(key.secret().clone(), key.made_at())
}

/// What Twilio hears when it reports on a message under a token that `keys` signed.
async fn reported(server: &Server, keys: &SigningKeys, id: MessageId) -> StatusCode {
    let token = callback_token::seal(keys, id, clock::now());
    let door = format!("/twilio/sms/status?{}={token}", callback_token::PARAMETER);
    let params = [("MessageSid", "SM07"), ("MessageStatus", "sent")];
    server.webhook(&door, &params).await.status()
}

/// Whether the server lets a call's audio in by a pass that `key` signed.
async fn signs_with(server: &Server, key: &SigningKeys, number: u32) -> bool {
    let sid = call_sid(number);
    let params = [
        ("CallSid", sid.as_str()),
        ("From", "+14155550123"),
        ("To", "+15550001111"),
        ("Direction", "inbound"),
        ("CallStatus", "ringing"),
        ("ApiVersion", "2010-04-01"),
    ];
    let answer = server.webhook("/twilio/voice", &params).await;
    let twiml = answer.text().await.expect("TwiML");
    let (_, rest) = twiml.split_once("/twilio/media/").expect("a stream");
    let pass = rest.split_once('"').expect("an address").0;
    MediaPass::open(key, pass, clock::now()).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_signing_key_is_learned_by_a_running_server_and_a_retired_one_is_refused() {
    let mut server = Server::start(Options::dev()).await;
    let old = become_early(&mut server).await;
    server.report_no_answer(&call_sid(8), "+14155550188").await;
    let message = eventually("a missed caller is texted", || async {
        let messages = server.items("/api/messages").await;
        messages
            .into_iter()
            .find(|message| message["direction"] == "outbound")
    })
    .await;
    let id = message["id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .expect("a message id");
    let secret = signing_secret(&server).await;
    assert_eq!(reported(&server, &old, id).await, StatusCode::OK);

    let rotated = rotate(server.data_dir(), &["--signing"]).await;
    assert!(rotated.status.success(), "{}", said(&rotated));
    let both = server.signing_keys();
    assert_eq!(both.names()[0], old.names()[0]);
    let fresh = only(both.all().last().expect("a second"));
    eventually("the running server knows the fresh key", async || {
        (reported(&server, &fresh, id).await == StatusCode::OK).then_some(())
    })
    .await;
    assert!(signs_with(&server, &old, 10).await, "it does not sign yet");
    let too_early = ended(patchcord(server.data_dir(), &["key", "retire"])).await;
    assert!(said(&too_early).contains("is fresh"), "{}", said(&too_early));
    let master = rotate(server.data_dir(), &[]).await;
    assert!(said(&master).contains("early version"), "{}", said(&master));

    age(&server);
    server.restart().await;
    assert!(signs_with(&server, &fresh, 11).await, "every node knows it");
    assert_eq!(
        reported(&server, &old, id).await,
        StatusCode::OK,
        "an old address works"
    );
    assert_eq!(signing_secret(&server).await, secret, "receivers notice nothing");
    let bound = ended(patchcord(server.data_dir(), &["key", "retire"])).await;
    assert!(
        !bound.status.success() && said(&bound).contains("--replace-webhook-secrets"),
        "{}",
        said(&bound)
    );

    let arguments = ["key", "retire", "--replace-webhook-secrets"];
    let retired = ended(patchcord(server.data_dir(), &arguments)).await;
    assert!(retired.status.success(), "{}", said(&retired));
    eventually("what the retired key signed is refused", async || {
        (reported(&server, &old, id).await == StatusCode::FORBIDDEN).then_some(())
    })
    .await;
    assert_eq!(reported(&server, &fresh, id).await, StatusCode::OK);
    assert_ne!(signing_secret(&server).await, secret);
    let doctor = ended(patchcord(server.data_dir(), &["doctor"])).await;
    let told = format!("1: {} (0 days old, signs)\n", fresh.names()[0]);
    assert!(said(&doctor).contains(&told), "it is cured: {}", said(&doctor));
    let log = server.items("/api/audit").await;
    let of_keys: Vec<&str> = log.iter().filter_map(|entry| entry["action"].as_str()).collect();
    for action in ["key rotate --signing", "key rotate", "key retire"] {
        assert!(of_keys.contains(&action), "{action}: {of_keys:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_signing_key_that_was_killed_on_its_way_is_there_or_not() {
    let mut server = Server::start(Options::serve()).await;
    let before = signing_secret(&server).await;
    let mut dice = Dice::new(7);
    for _ in 0..KILLS / 2 {
        let mut child = tokio::process::Command::from(rotation(server.data_dir(), &["--signing"]))
            .spawn()
            .expect("the program starts");
        let patience = Duration::from_millis(dice.below(120));
        if tokio::time::timeout(patience, child.wait()).await.is_err() {
            child.kill().await.expect("a process of ours can be killed");
        }
        assert!(!server.signing_keys().names().is_empty());
    }
    let added = server.signing_keys().names().len() - 1;
    server.restart().await;
    assert_eq!(signing_secret(&server).await, before);
    tell(&format!(
        "signing key rotation: {} killed at any moment, {added} of them had added their key; the store opens",
        KILLS / 2
    ));
}
