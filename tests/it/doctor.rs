//! `patchcord doctor`: one line each, a fix beside each failure, and an exit status to go by.

use std::{path::Path, process::Command};

use crate::support::{
    prism::Prism,
    server::{Options, PROGRAM, Server, database, models_dir},
    twilio,
};

/// A port at which nobody answers: nothing can listen on it.
const NOBODY: &str = "http://127.0.0.1:1";

/// Runs the doctor on the store in `data` with these settings; returns its exit status and lines by name.
async fn examine(data: &Path, settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(PROGRAM);
    command
        .arg("doctor")
        .env(
            "PATCHCORD_STORE__URL",
            format!("sqlite:{}", database(data).display()),
        )
        .env("PATCHCORD_ASR__MODELS_DIR", models_dir())
        .envs(settings.iter().copied())
        .current_dir(data);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("the thread ends").expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), said)
}

/// The line of a check.
fn line<'said>(said: &'said str, name: &str) -> &'said str {
    let of_name = |line: &&str| {
        let rest = ["ok ", "FAILED ", "skipped "]
            .iter()
            .find_map(|state| line.strip_prefix(state));
        rest.is_some_and(|rest| rest.trim_start().starts_with(name))
    };
    said.lines()
        .find(of_name)
        .unwrap_or_else(|| panic!("no line for {name} in:\n{said}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_well_is_found_well() {
    let Some(prism) = Prism::start(None).await else {
        return;
    };
    let server = Server::start(Options::serve()).await;
    let bind = server.url().trim_start_matches("http://");
    let (status, said) = examine(
        server.data_dir(),
        &[
            ("PATCHCORD_SERVER__BIND", bind),
            ("PATCHCORD_SERVER__PUBLIC_URL", server.url()),
            ("PATCHCORD_TWILIO__ACCOUNT_SID", twilio::ACCOUNT_SID),
            ("PATCHCORD_TWILIO__AUTH_TOKEN", twilio::AUTH_TOKEN),
            ("PATCHCORD_TWILIO__API_BASE", prism.base()),
        ],
    )
    .await;
    for name in ["config", "store", "twilio", "public url", "clock"] {
        assert!(line(&said, name).starts_with("ok"), "{said}");
    }
    assert!(line(&said, "redis").starts_with("skipped"), "{said}");
    // Where the model is not fetched, that alone is what fails.
    let hears = line(&said, "speech model").starts_with("ok");
    assert_eq!(status, Some(i32::from(!hears)), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_named_with_its_fix() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(database(folder.path()), vec![7_u8; 8_192]).expect("the folder is ours");
    let (status, said) = examine(
        folder.path(),
        &[
            ("PATCHCORD_REDIS__URL", "redis://127.0.0.1:1"),
            ("PATCHCORD_ASR__MODELS_DIR", "nowhere"),
            ("PATCHCORD_SERVER__PUBLIC_URL", NOBODY),
            ("PATCHCORD_TWILIO__ACCOUNT_SID", twilio::ACCOUNT_SID),
            ("PATCHCORD_TWILIO__AUTH_TOKEN", twilio::AUTH_TOKEN),
            ("PATCHCORD_TWILIO__API_BASE", NOBODY),
        ],
    )
    .await;
    assert_eq!(status, Some(1), "{said}");
    for name in ["store", "redis", "speech model", "twilio", "public url"] {
        let line = line(&said, name);
        assert!(line.starts_with("FAILED") && line.contains("; fix: "), "{line}");
    }
    assert!(line(&said, "clock").starts_with("skipped"), "{said}");
    assert!(!said.contains(twilio::AUTH_TOKEN), "no secret is printed");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_behind_the_public_address_is_noticed() {
    let server = Server::start(Options::serve()).await;
    let other = Server::start(Options::serve()).await;
    let bind = server.url().trim_start_matches("http://");
    let settings = [
        ("PATCHCORD_SERVER__BIND", bind),
        ("PATCHCORD_SERVER__PUBLIC_URL", other.url()),
    ];
    let (status, said) = examine(server.data_dir(), &settings).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(line(&said, "public url").contains("another server"), "{said}");
    assert!(line(&said, "twilio").starts_with("skipped"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_be_read_is_bad_usage() {
    let folder = tempfile::tempdir().expect("a folder");
    let (status, said) = examine(folder.path(), &[("PATCHCORD_SERVER__BNID", "x")]).await;
    assert_eq!(status, Some(2), "{said}");
    assert!(
        line(&said, "config").contains("did you mean `server.bind`?"),
        "{said}"
    );
}
