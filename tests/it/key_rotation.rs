//! The master key is changed while a server runs, and the change is killed wherever it is: nothing that was sealed or signed is lost.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    dice::Dice,
    figures::tell,
    server::{Options, PROGRAM, Server, database},
};

/// Rotations that are killed.
const KILLS: u64 = 8;

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
