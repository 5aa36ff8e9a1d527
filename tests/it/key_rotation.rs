//! The master key is changed while a server runs, and the change is killed wherever it is: nothing that was sealed or signed is lost.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use hmac::{Hmac, KeyInit, Mac};
use patchcord::domain::hex::hex;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{
    api::http,
    dice::Dice,
    figures::tell,
    server::{Options, PROGRAM, Server, database},
};

/// Rotations that are killed.
const KILLS: u64 = 8;
/// What the service signs with.
const STRIPE_SECRET: &str = "whsec_of_the_rotation";

fn rotation(data: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(["key", "rotate"])
        .args(more)
        .env(
            "PATCHCORD_STORE__URL",
            format!("sqlite:{}", database(data).display()),
        )
        .current_dir(data);
    command
}

async fn rotate(data: &Path, more: &[&str]) -> Output {
    let mut command = rotation(data, more);
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
    assert_ne!(server.signing_key().expose(), old, "the master key signs nothing");
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
    let at = patchcord::clock::now().as_unix_millis() / 1_000;
    let mut mac = Hmac::<Sha256>::new_from_slice(STRIPE_SECRET.as_bytes()).expect("any key");
    mac.update(format!("{at}.{body}").as_bytes());
    let signature = format!("t={at},v1={}", hex(&mac.finalize().into_bytes()));
    let request = http().post(url).header("stripe-signature", signature).body(body);
    request.send().await.expect("the server answers").status()
}
