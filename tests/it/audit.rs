//! The audit log over the wire: what leaves an entry, what an entry says and does not say, and that the log shows when it was changed.

use patchcord::domain::ids::AccountId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    api::{ask, http},
    server::{Options, PROGRAM, Server, database},
};

async fn newest(server: &Server) -> Value {
    server.items("/api/audit?limit=1").await.remove(0)
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("expected a text, found {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_trusted_proxy_is_believed_whom_a_request_comes_from() {
    for (proxies, address) in [("", "127.0.0.1"), ("127.0.0.0/8,10.0.0.0/8", "203.0.113.7")] {
        let options = Options::serve().with("PATCHCORD_SERVER__TRUSTED_PROXIES", proxies);
        let server = Server::start(options).await;
        let made = http()
            .post(server.at("/api/leads"))
            .bearer_auth(&server.ready().access_token)
            .header("X-Forwarded-For", "198.51.100.9, 203.0.113.7, 10.0.0.2")
            .json(&json!({"name": "Ann"}))
            .send()
            .await
            .expect("an answer");
        assert_eq!(made.status(), StatusCode::CREATED);
        assert_eq!(newest(&server).await["address"], address, "{proxies}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_written_down_with_who_before_and_after() {
    let server = Server::start(Options::serve()).await;
    let me = server.get("/api/me").await;
    let lead = server
        .post("/api/leads", &json!({"name": "Ann", "phone": "+14155550101"}))
        .await;
    let id = text(&lead["id"]);
    let made = newest(&server).await;
    assert_eq!(
        (text(&made["action"]), text(&made["subject"])),
        ("createLead", id)
    );
    assert_eq!(
        made["actor"],
        json!({"kind": "user", "user_id": me["user"]["id"]})
    );
    assert_eq!(
        (&made["before"], &made["after"]["name"]),
        (&Value::Null, &json!("Ann"))
    );
    assert!(
        made["request_id"].is_string() && made["address"] == "127.0.0.1",
        "{made}"
    );

    let path = format!("/api/leads/{id}");
    let changed = server
        .request(Method::PATCH, &path, Some(&json!({"name": "Bea"})))
        .await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    let edited = newest(&server).await;
    assert_eq!(
        (&edited["before"]["name"], &edited["after"]["name"]),
        (&json!("Ann"), &json!("Bea"))
    );
    assert_eq!(edited["seq"], json!(made["seq"].as_u64().expect("a number") + 1));

    // What is refused changes nothing and is not in it; nor is what only asks.
    server
        .request(Method::PATCH, &path, Some(&json!({"nme": "Cid"})))
        .await;
    server.get(&path).await;
    assert_eq!(newest(&server).await, edited);

    let key = server
        .post("/api/keys", &json!({"name": "crm", "role": "supervisor"}))
        .await;
    let by_key = ask(
        &server,
        Method::POST,
        "/api/tasks",
        text(&key["secret"]),
        Some(json!({"title": "Call", "lead_id": id})),
    )
    .await;
    assert_eq!(by_key.status, StatusCode::CREATED, "{}", by_key.body);
    let by_key = newest(&server).await;
    assert_eq!(by_key["actor"]["kind"], "key");
    assert_eq!(by_key["actor"]["key_id"], key["key"]["id"]);
    let about = by_key["about"].as_array().expect("ids");
    assert!(about.contains(&json!(id)), "{by_key}");

    server.request(Method::DELETE, &path, None).await;
    let removed = newest(&server).await;
    assert_eq!(removed["action"], "deleteLead");
    assert_eq!(removed["after"], Value::Null);
    assert_eq!(removed["before"]["name"], "Bea");
    let about = server.items(&format!("/api/audit?about={id}")).await;
    assert_eq!(about.len(), 4, "{about:?}");
    let check = server.get("/api/audit/verify").await;
    assert_eq!(
        (&check["whole"], &check["head"]),
        (&json!(true), &removed["hash"]),
        "{check}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_written_down_and_their_secrets_are_not() {
    let server = Server::start(Options::serve()).await;
    let body = json!({"email": "agent@example.com", "password": "a long password", "role": "agent"});
    let user = server.post("/api/users", &body).await;
    let key = server.post("/api/keys", &json!({"name": "crm"})).await;
    let webhook = server.post("/api/webhooks", &json!({"name": "shop"})).await;
    let rotated = server
        .post(
            &format!("/api/webhooks/{}/rotate", text(&webhook["id"])),
            &json!({}),
        )
        .await;
    let signed_in = ask(
        &server,
        Method::POST,
        "/api/auth/login",
        "",
        Some(json!({"email": "agent@example.com", "password": "a long password"})),
    )
    .await
    .body;
    let login = newest(&server).await;
    assert_eq!(
        (text(&login["action"]), &login["actor"]["user_id"]),
        ("login", &user["id"])
    );
    let again = json!({"name": "Renamed"});
    let path = format!("/api/users/{}", text(&user["id"]));
    server.request(Method::PATCH, &path, Some(&again)).await;
    let renamed = newest(&server).await;
    assert_eq!(
        (&renamed["before"]["name"], &renamed["after"]["name"]),
        (&json!(""), &json!("Renamed"))
    );

    let log = server.get("/api/audit?limit=200").await.to_string();
    for secret in [
        "a long password",
        text(&key["secret"]),
        text(&webhook["token"]),
        text(&rotated["token"]),
        text(&signed_in["access_token"]),
        text(&signed_in["refresh_token"]),
    ] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
    assert!(log.contains("***"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_changed_behind_our_back_shows_it() {
    let mut server = Server::start(Options::serve()).await;
    for number in 0..3 {
        server
            .post("/api/leads", &json!({"name": format!("Lead {number}")}))
            .await;
    }
    assert_eq!(server.get("/api/audit/verify").await["whole"], true);
    server.kill9().await;
    let db = rusqlite::Connection::open(database(server.data_dir())).expect("the file");
    let changed = db.execute(
        "UPDATE audit SET said = replace(said, 'createLead', 'deleteLead') WHERE seq = 2",
        [],
    );
    assert!(changed.is_err(), "the file itself refuses");
    let removed = db.execute("DELETE FROM audit WHERE seq = 2", []);
    assert!(removed.is_err(), "the file itself refuses");
    db.execute_batch("DROP TRIGGER audit_is_not_changed; UPDATE audit SET said = replace(said, 'createLead', 'deleteLead') WHERE seq = 2")
        .expect("whoever has the file can do anything");
    drop(db);
    server.start_again().await;
    let check = server.get("/api/audit/verify").await;
    assert_eq!(
        (&check["whole"], &check["entries"]),
        (&json!(false), &json!(1)),
        "{check}"
    );
    assert!(text(&check["fault"]).contains("entry 2"), "{check}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_changes_on_the_command_line_is_in_it_and_the_doctor_follows_it() {
    let server = Server::start(Options::serve()).await;
    for command in [
        &["user", "add", "ann@example.com", "--role", "supervisor"][..],
        &["user", "passwd", "ann@example.com"],
        &["user", "second-factor-off", "ann@example.com"],
        &["key", "rotate"],
    ] {
        let (is_done, said) = run(&server, command).await;
        assert!(is_done, "{command:?}: {said}");
        let entry = newest(&server).await;
        let typed = command[..2].join(" ");
        assert_eq!(
            (text(&entry["action"]), &entry["actor"]["kind"]),
            (typed.as_str(), &json!("operator"))
        );
        if command[0] == "user" {
            assert!(text(&entry["subject"]).starts_with("usr_"), "{entry}");
            assert_eq!(entry["after"]["email"], "ann@example.com");
            let password = said.split("shown once: ").nth(1).unwrap_or("no password").trim();
            assert!(!entry.to_string().contains(password), "{entry}");
        }
    }
    let (_, line) = examined(&server).await;
    assert!(line.starts_with("ok") && line.contains("4 entries"), "{line}");
    let db = rusqlite::Connection::open(database(server.data_dir())).expect("the file");
    db.execute_batch("DROP TRIGGER audit_is_not_changed; UPDATE audit SET said = replace(said, 'passwd', 'list') WHERE seq = 2")
        .expect("whoever can write to the file can do this");
    let (is_well, line) = examined(&server).await;
    assert!(
        !is_well && line.starts_with("FAILED") && line.contains("entry 2 was changed"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_follows_the_log_of_every_account_and_names_the_one_that_was_changed() {
    let server = Server::start(Options::serve().with("PATCHCORD_SERVER__OPEN_REGISTRATION", "true")).await;
    let other = json!({"email": "b@example.com", "password": "b password", "account_name": "Other"});
    let other = ask(&server, Method::POST, "/api/auth/register", "", Some(other)).await;
    let other = text(&other.body["access_token"]).to_owned();
    let own = server.ready().access_token.clone();
    let mut accounts = Vec::new();
    for token in [&own, &other] {
        let me = ask(&server, Method::GET, "/api/me", token, None).await.body;
        let account = text(&me["account"]["id"]).to_owned();
        for name in ["Ann", "Bea"] {
            let lead = Some(json!({ "name": name }));
            let made = ask(&server, Method::POST, "/api/leads", token, lead).await;
            assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        }
        let log = ask(&server, Method::GET, "/api/audit?action=createLead", token, None).await;
        let first = log.body["items"][1]["seq"].as_i64().expect("a number");
        accounts.push((account, first));
    }
    let (_, line) = examined(&server).await;
    assert!(line.starts_with("ok") && line.contains("of 2 accounts"), "{line}");

    let db = rusqlite::Connection::open(database(server.data_dir())).expect("the file");
    db.execute_batch("DROP TRIGGER audit_is_not_changed")
        .expect("whoever can write to the file can do this");
    let change = |(account, seq): &(String, i64), from: &str, to: &str| {
        let account: AccountId = account.parse().expect("an id");
        let sql = "UPDATE audit SET said = replace(said, ?3, ?4) WHERE account = ?1 AND seq = ?2";
        let changed = db.execute(sql, (account.as_bytes().as_slice(), seq, from, to));
        assert_eq!(changed.expect("the file can be written"), 1);
    };
    // One after the other, and back: whichever is looked at first, the other is not forgotten.
    for place in [0, 1] {
        let (account, seq) = &accounts[place];
        change(&accounts[place], "createLead", "deleteLead");
        let (is_well, line) = examined(&server).await;
        assert!(!is_well && line.starts_with("FAILED"), "{line}");
        assert!(
            line.contains(&format!("the log of {account}: entry {seq} was changed")),
            "{line}"
        );
        assert!(!line.contains(&accounts[1 - place].0), "{line}");
        change(&accounts[place], "deleteLead", "createLead");
    }
    let (_, line) = examined(&server).await;
    assert!(line.starts_with("ok"), "{line}");
}

/// Runs a command of the program on the server's store. Returns whether it is satisfied, and what it says.
async fn run(server: &Server, arguments: &[&str]) -> (bool, String) {
    let mut command = std::process::Command::new(PROGRAM);
    command
        .args(arguments)
        .env(
            "PATCHCORD_STORE__URL",
            format!("sqlite:{}", database(server.data_dir()).display()),
        )
        .current_dir(server.data_dir());
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("the thread ends").expect("the program starts");
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

/// What the doctor says of the audit log.
async fn examined(server: &Server) -> (bool, String) {
    let (is_well, said) = run(server, &["doctor"]).await;
    let line = said.lines().find(|line| line.contains("audit log"));
    let line = line.unwrap_or_else(|| panic!("{said}")).to_owned();
    (is_well, line)
}
