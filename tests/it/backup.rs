//! A copy of the store taken while a server is busy, and put back.

use std::{
    path::Path,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use patchcord::store::{
    copy::{self, Digest},
    sqlite::{self, Export},
};
use serde_json::json;

use crate::support::{
    api::http,
    eventually::eventually,
    server::{Options, PROGRAM, Server, database},
};

/// The log of who changed what, as copies are compared.
const AUDIT: &str = "audit entries";

/// Runs a command on the store in `data`.
async fn run(data: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .env(
            "PATCHCORD_STORE__URL",
            format!("sqlite:{}", database(data).display()),
        )
        .current_dir(data);
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

/// What is printed after `mark`, to the end of the line.
fn after<'printed>(mark: &str, printed: &'printed str) -> &'printed str {
    let rest = printed.split(mark).nth(1).and_then(|rest| rest.lines().next());
    rest.unwrap_or_else(|| panic!("no `{mark}` in: {printed}"))
}

/// What the store in `file` holds, by kind.
async fn digests(file: &Path) -> Vec<Digest> {
    let path = file.to_owned();
    let opening = tokio::task::spawn_blocking(move || {
        let (store, guard) = sqlite::open(&path)?;
        let export = Export::read(&path)?;
        Ok::<_, patchcord::store::StoreError>((store, guard, export))
    });
    let (store, guard, export) = opening.await.expect("the thread ends").expect("it is a store");
    let digests = copy::digests(&store, &export).await.expect("it can be read");
    drop((store, export));
    tokio::task::spawn_blocking(move || drop(guard))
        .await
        .expect("it is closed");
    digests
}

/// That a copy was restored is in its log of who changed what: one entry more. Everything else is the same.
fn are_equal_but_for_the_log(copied: &[Digest], restored: &[Digest]) {
    let parts = |digests: &[Digest]| -> (Vec<Digest>, Vec<Digest>) {
        digests.iter().cloned().partition(|digest| digest.kind == AUDIT)
    };
    let ((log, rest), (log_after, rest_after)) = (parts(copied), parts(restored));
    assert_eq!(rest, rest_after);
    assert_eq!(log_after[0].rows, log[0].rows + 1);
}

/// Writes leads, tasks and runs without a pause until it is told to stop; returns how many leads were acknowledged.
async fn write(server: Arc<Server>, writer: usize, stop: Arc<AtomicBool>, acknowledged: Arc<AtomicUsize>) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let name = format!("Lead {writer}-{number}");
        server.post("/api/leads", &json!({"name": name})).await;
        acknowledged.fetch_add(1, Ordering::Relaxed);
        server.post("/api/tasks", &json!({"title": name})).await;
        let event = json!({"type": "webhook", "data": {"name": "load", "number": number}});
        server.post("/api/events", &event).await;
        number += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_taken_under_load_gives_equal_rows_when_it_is_restored() {
    let server = Server::start(Options::serve()).await;
    let workflow = json!({"name": "Load", "enabled": true, "trigger": {"type": "webhook", "name": "load"},
        "nodes": [{"id": "task", "type": "create_task", "params": {"title": "From a run"}}],
        "edges": [{"from": "trigger", "to": "task"}]});
    let workflow = server.post("/api/workflows", &workflow).await;
    let id = workflow["id"].as_str().expect("an id");
    server
        .post(&format!("/api/workflows/{id}/publish"), &json!({}))
        .await;

    let server = Arc::new(server);
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writers: Vec<_> = (0..4)
        .map(|writer| tokio::spawn(write(server.clone(), writer, stop.clone(), acknowledged.clone())))
        .collect();
    let count = || acknowledged.load(Ordering::Relaxed);
    eventually("the load is under way", || async {
        (count() >= 40).then_some(())
    })
    .await;
    let before = count();
    let data = server.data_dir().to_owned();
    let backed_up = run(&data, &["backup", "copy.db"]).await;
    assert!(backed_up.status.success(), "{}", said(&backed_up));
    let under_server = run(&data, &["restore", "copy.db"]).await;
    assert_eq!(under_server.status.code(), Some(1), "{}", said(&under_server));
    assert!(
        said(&under_server).contains("is being served"),
        "{}",
        said(&under_server)
    );
    let meanwhile = count();
    eventually("more is written behind the copy", || async {
        (count() > meanwhile).then_some(())
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("the writer ends by itself");
    }
    let again = run(&data, &["backup", "copy.db"]).await;
    assert_eq!(again.status.code(), Some(1), "a copy is not overwritten unasked");

    let mut server = Arc::into_inner(server).expect("the writers have ended");
    server.kill9().await;
    let restored = run(&data, &["restore", "copy.db"]).await;
    assert!(restored.status.success(), "{}", said(&restored));
    let printed = said(&restored);
    let kept = after("is kept as ", &printed);
    let (of_copy, of_restored) = (
        digests(&data.join("copy.db")).await,
        digests(&database(&data)).await,
    );
    are_equal_but_for_the_log(&of_copy, &of_restored);
    let leads = |digests: &[Digest]| {
        let found = digests.iter().find(|digest| digest.kind == "leads");
        usize::try_from(found.expect("leads are counted").rows).expect("it fits")
    };
    let (restored, kept) = (leads(&of_restored), leads(&digests(Path::new(kept)).await));
    println!("{before} leads before the copy, {restored} in it, {meanwhile} after it, {kept} in the end");
    assert!(
        before <= restored && restored < kept,
        "{before} before, {restored} restored, {kept} in the end"
    );
    assert_eq!(kept, count(), "the file that was replaced lacks nothing");

    server.start_again().await;
    let page = server.items("/api/leads?limit=200").await;
    assert_eq!(page.len(), restored.min(200), "the restored store is served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_is_refused_and_the_store_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    let added = run(data, &["user", "add", "ann@example.com"]).await;
    assert!(added.status.success(), "{}", said(&added));
    let backed_up = run(data, &["backup", "copy.db"]).await;
    assert!(backed_up.status.success(), "{}", said(&backed_up));
    let copy = data.join("copy.db");
    let mut bytes = std::fs::read(&copy).expect("it is there");
    let middle = bytes.len() / 2;
    bytes.truncate(middle);
    bytes[4_096..middle].fill(0x5a);
    std::fs::write(&copy, bytes).expect("the folder is ours");
    let refused = run(data, &["restore", "copy.db"]).await;
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let listed = run(data, &["user", "list"]).await;
    assert!(said(&listed).contains("ann@example.com"), "{}", said(&listed));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_kept_from_the_command_line_while_a_server_runs() {
    let server = Server::start(Options::serve()).await;
    let data = server.data_dir();
    let added = run(data, &["user", "add", "Ann@Example.com", "--role", "admin"]).await;
    let printed = said(&added);
    let password = |printed: &str| after("shown once: ", printed).to_owned();
    let sign_in = async |password: String| {
        let body = json!({"email": "ann@example.com", "password": password});
        let request = http().post(server.at("/api/auth/login")).json(&body);
        request.send().await.expect("the server answers")
    };
    let first = password(&printed);
    let tokens: serde_json::Value = sign_in(first.clone()).await.json().await.expect("tokens");
    let refresh = json!({"refresh_token": tokens["refresh_token"]});
    let changed = run(data, &["user", "passwd", "ann@example.com"]).await;
    let second = password(&said(&changed));
    assert_eq!(sign_in(first).await.status(), 401);
    assert_eq!(sign_in(second).await.status(), 200);
    let refreshed = http().post(server.at("/api/auth/refresh")).json(&refresh);
    assert_eq!(refreshed.send().await.expect("the server answers").status(), 401);
    let listed = said(&run(data, &["user", "list"]).await);
    assert!(
        listed.contains("owner@example.com") && listed.contains("ann@example.com                admin"),
        "{listed}"
    );
    for wrong in [
        &["user", "passwd", "nobody@example.com"][..],
        &["user", "add", "no address"],
        &["user", "add", "ann@example.com"],
    ] {
        let refused = run(data, wrong).await;
        assert_eq!(refused.status.code(), Some(1), "{wrong:?}: {}", said(&refused));
    }
}
