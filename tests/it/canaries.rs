//! Secrets that are let through everything and looked for afterwards: in the log at its most talkative, in answers and errors, in traces, in the
//! history of runs, in exports, in the audit log, in the metrics, in the plain bytes of the store and of a copy of it.
//!
//! Each is shown where it belongs (the one answer that makes it) and nowhere else.

use std::{collections::BTreeMap, process::Command};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    api::{ask, http},
    collector::Collector,
    eventually::eventually,
    figures::tell,
    server::{Options, PROGRAM, Server, database},
    sink::Sink,
    twilio,
};

const MASTER_KEY: &str = "ca4a11e5ca4a11e5ca4a11e5ca4a11e5ca4a11e5ca4a11e5ca4a11e5ca4a11e5";
const OWNER: &str = "canary-owner-password-1f0c";
const PERSON: &str = "canary-person-password-2e1d";
const SLACK: &str = "xoxb-canary-slack-3d2e";
const SENDGRID: &str = "SG.canary-sendgrid-4c3f";
const SMTP: &str = "canary-smtp-password-5b40";
const CLUSTER: &str = "canary-cluster-secret-6a51";
const COLLECTOR: &str = "canary-collector-token-7962";

/// The secrets by what they are.
type Canaries = BTreeMap<&'static str, String>;

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("expected a text, found {value}"))
        .to_owned()
}

/// A server at its most talkative, with a provider of each kind that fails.
async fn start(sink: &Sink, collector: &Collector) -> Server {
    let options = Options::serve()
        .with("PATCHCORD_LOG", "trace")
        .with("PATCHCORD_LOG_FORMAT", "json")
        .with("PATCHCORD_TELEMETRY__OTLP_ENDPOINT", collector.url())
        .with(
            "PATCHCORD_TELEMETRY__OTLP_HEADERS",
            &format!("authorization=Bearer {COLLECTOR}"),
        )
        .with("PATCHCORD_SECURITY__MASTER_KEY", MASTER_KEY)
        .with("PATCHCORD_SECURITY__ALLOW_PRIVATE_TARGETS", "127.0.0.1")
        .with("PATCHCORD_ADMIN__PASSWORD", OWNER)
        .with("PATCHCORD_SLACK__API_BASE", &sink.at("/slack"))
        .with("PATCHCORD_SLACK__BOT_TOKEN", SLACK)
        .with("PATCHCORD_SENDGRID__API_BASE", &sink.at("/sendgrid"))
        .with("PATCHCORD_SENDGRID__API_KEY", SENDGRID)
        .with("PATCHCORD_EMAIL__PROVIDER", "smtp")
        .with(
            "PATCHCORD_EMAIL__SMTP_URL",
            &format!("smtp://ann:{SMTP}@127.0.0.1:1?tls=never"),
        )
        .with("PATCHCORD_EMAIL__FROM", "Acme <hello@acme.example>")
        .with("PATCHCORD_CLUSTER__SECRET", CLUSTER)
        .with("PATCHCORD_TWILIO__API_BASE", &sink.at("/twilio"))
        .with("PATCHCORD_TWILIO__FROM_NUMBER", "+15550001111");
    Server::start(options).await
}

/// Makes and uses every secret there is. Returns them.
async fn sing(server: &Server) -> Canaries {
    let open = async |path: &str, body: Value| ask(server, Method::POST, path, "", Some(body)).await;
    let signed_in = open(
        "/api/auth/login",
        json!({"email": "owner@example.com", "password": OWNER}),
    )
    .await
    .body;
    let refreshed = open(
        "/api/auth/refresh",
        json!({"refresh_token": signed_in["refresh_token"]}),
    )
    .await
    .body;
    let person = json!({"email": "agent@example.com", "password": PERSON, "role": "agent"});
    server.post("/api/users", &person).await;
    let key = server.post("/api/keys", &json!({"name": "crm"})).await;
    let webhook = server.post("/api/webhooks", &json!({"name": "shop"})).await;
    let signing = server.get("/api/webhooks/signing-secret").await;
    let ticket = server.post("/api/ws-ticket", &json!({})).await;
    let canaries = Canaries::from([
        ("master key", MASTER_KEY.to_owned()),
        ("owner's password", OWNER.to_owned()),
        ("person's password", PERSON.to_owned()),
        ("Slack token", SLACK.to_owned()),
        ("SendGrid key", SENDGRID.to_owned()),
        ("SMTP password", SMTP.to_owned()),
        ("cluster secret", CLUSTER.to_owned()),
        ("collector's token", COLLECTOR.to_owned()),
        ("Twilio auth token", twilio::AUTH_TOKEN.to_owned()),
        ("access token", text(&refreshed["access_token"])),
        ("refresh token", text(&refreshed["refresh_token"])),
        ("API key", text(&key["secret"])),
        ("webhook token", text(&webhook["token"])),
        ("signing secret", text(&signing["secret"])),
        ("live ticket", text(&ticket["ticket"])),
    ]);
    use_them(server, &canaries, &text(&webhook["url"])).await;
    canaries
}

/// Every door with every secret, well and wrongly.
async fn use_them(server: &Server, canaries: &Canaries, hook: &str) {
    for token in ["access token", "API key", "refresh token", "webhook token"] {
        ask(server, Method::GET, "/api/me", &canaries[token], None).await;
    }
    let hook = hook.split_once("/api/").map_or("", |(_, path)| path);
    for body in ["{\"trigger\":\"shop\",\"data\":{}}", "{\"trigger\":", "[]"] {
        let request = http()
            .post(server.at(&format!("/api/{hook}")))
            .header("content-type", "application/json");
        request.body(body).send().await.expect("an answer");
    }
    for (name, secret) in canaries {
        // A secret in the wrong place is not repeated to whoever is told that it is wrong.
        for body in [
            json!({"email": "owner@example.com", "password": secret, "passwort": secret}),
            json!({"email": 1, "password": secret}),
        ] {
            let refused = ask(server, Method::POST, "/api/auth/login", "", Some(body)).await;
            assert!(refused.status.is_client_error(), "{name}");
            assert!(
                !refused.body.to_string().contains(secret),
                "{name}: {}",
                refused.body
            );
        }
    }
    server
        .webhook(
            "/twilio/sms",
            &[
                ("MessageSid", "SM01"),
                ("From", "+14155550101"),
                ("To", "+15550001111"),
                ("Body", "hello"),
            ],
        )
        .await;
}

/// A workflow that asks every provider and is refused by each.
async fn run_everything(server: &Server, sink: &Sink) -> String {
    let lead = json!({"name": "Ann", "phone": "+14155550102", "email": "ann@example.com"});
    let lead = server.post("/api/leads", &lead).await;
    let node = |id: &str, kind: &str, params: Value| {
        json!({"id": id, "type": kind, "params": params, "on_error": "continue",
        "retry": {"max_attempts": 1}})
    };
    let workflow = json!({"name": "All", "enabled": true, "trigger": {"type": "manual"},
        "nodes": [
            node("slack", "slack_message", json!({"channel": "#all", "text": "hello"})),
            node("mail", "send_email", json!({"to": "{{ lead.email }}", "subject": "Hello", "body": "Hello"})),
            node("text", "send_sms", json!({"to": "{{ lead.phone }}", "body": "Hello"})),
            node("hook", "webhook", json!({"url": sink.at("/hook"), "body": {"a": 1}}))],
        "edges": [{"from": "trigger", "to": "slack"}, {"from": "trigger", "to": "mail"}, {"from": "trigger", "to": "text"},
            {"from": "trigger", "to": "hook"}]});
    let id = text(&server.post("/api/workflows", &workflow).await["id"]);
    server
        .post(&format!("/api/workflows/{id}/publish"), &json!({}))
        .await;
    server
        .post(
            &format!("/api/workflows/{id}/execute"),
            &json!({"lead_id": lead["id"]}),
        )
        .await;
    // What is in doubt afterwards is looked into for minutes: by then every secret has been used.
    eventually("every provider is asked", async || {
        let asked: Vec<String> = sink.arrivals().into_iter().map(|arrival| arrival.path).collect();
        let is_asked = |door: &str| asked.iter().any(|path| path.starts_with(door));
        ["/slack", "/twilio", "/hook"]
            .into_iter()
            .all(is_asked)
            .then_some(())
    })
    .await;
    id
}

/// Everything that can be read.
async fn read_everything(server: &Server, workflow: &str) -> Vec<(String, String)> {
    let mut read = Vec::new();
    for path in [
        "/api/me",
        "/api/account",
        "/api/users",
        "/api/keys",
        "/api/sessions",
        "/api/webhooks",
        "/api/leads",
        "/api/calls",
        "/api/messages",
        "/api/tasks",
        "/api/alerts",
        "/api/runs",
        "/api/workflows",
        "/api/audit?limit=200",
        "/healthz",
        "/metrics",
        "/openapi.json",
    ] {
        read.push(path.to_owned());
    }
    for run in server.items("/api/runs").await {
        read.push(format!("/api/runs/{}", text(&run["id"])));
    }
    for more in ["", "/history", "/export", "/versions"] {
        read.push(format!("/api/workflows/{workflow}{more}"));
    }
    server.answers(read).await
}

fn back_up(server: &Server) -> Vec<u8> {
    let copy = server.data_dir().join("copy.db");
    let done = Command::new(PROGRAM)
        .args(["backup", "copy.db"])
        .env(
            "PATCHCORD_STORE__URL",
            format!("sqlite:{}", database(server.data_dir()).display()),
        )
        .current_dir(server.data_dir())
        .output()
        .expect("the program starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    std::fs::read(copy).expect("the copy")
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes
        .windows(secret.len())
        .any(|window| window == secret.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_found_where_it_does_not_belong() {
    let sink = Sink::start().await;
    let collector = Collector::start().await;
    let mut server = start(&sink, &collector).await;
    let canaries = sing(&server).await;
    let workflow = run_everything(&server, &sink).await;
    let answers = read_everything(&server, &workflow).await;
    let copy = back_up(&server);
    // The last effects' spans are on their way for a second.
    eventually("effects are traced", async || {
        let spans = collector.spans();
        let tried = spans.iter().filter(|span| span.name.starts_with("effect "));
        (tried.count() >= 3).then_some(())
    })
    .await;
    let traces = collector.bytes();
    server.kill9().await;
    let store = std::fs::read(database(server.data_dir())).expect("the store");
    let wal = std::fs::read(database(server.data_dir()).with_extension("db-wal")).unwrap_or_default();
    // The line that tells programs how to sign in is asked for by the tests, and is no log.
    let log: String = server
        .log()
        .lines()
        .filter(|line| !line.starts_with("PATCHCORD_READY "))
        .collect::<Vec<_>>()
        .join("\n");
    assert!(log.lines().count() > 100, "the log is at its most talkative");
    let mut hits = Vec::new();
    for (name, secret) in &canaries {
        let mut found = |place: &str, is_there: bool| {
            if is_there {
                hits.push(format!("the {name} is in {place}"));
            }
        };
        if let Some(line) = log.lines().find(|line| line.contains(secret.as_str())) {
            found(&format!("the log: {line}"), true);
        }
        for (path, answer) in &answers {
            found(path, answer.contains(secret.as_str()));
        }
        found("a trace", holds(&traces, secret));
        found("the copy", holds(&copy, secret));
        found("the store", holds(&store, secret));
        found("the store's log", holds(&wal, secret));
    }
    assert!(hits.is_empty(), "{}", hits.join("\n"));
    tell(&format!(
        "canaries: {} secrets through every door and provider, looked for in {} lines of log, {} answers, a run's history, {} spans, the \
         store and a copy of it ({} bytes): 0 hits",
        canaries.len(),
        log.lines().count(),
        answers.len(),
        collector.spans().len(),
        copy.len() + store.len() + wal.len()
    ));
}
