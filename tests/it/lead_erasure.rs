//! A lead is erased for good: a word that went through everything of theirs is found nowhere afterwards, not even in the rows of the file.

use reqwest::{Method, StatusCode};
use rusqlite::{Connection, types::ValueRef};
use serde_json::{Value, json};

use crate::support::{
    api::{ask, http},
    eventually::eventually,
    server::{Options, Server, database},
    twilio,
};

/// Stands in everything about the person, and nowhere else.
pub const CANARY: &str = "zzcanary";
pub const PHONE: &str = "+14155550177";
const EMAIL: &str = "zzcanary.mail@example.com";
/// What is looked for: the word, and the number in whatever form.
const NEEDLES: [&str; 2] = [CANARY, "4155550177"];

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("expected a text, found {value}"))
        .to_owned()
}

/// Everything that can be read through the API, answers as they are.
async fn read_everything(server: &Server, more: &[String]) -> Vec<(String, String)> {
    let lists = [
        "leads",
        "calls",
        "messages",
        "tasks",
        "alerts",
        "appointments",
        "quotes",
        "payments",
        "runs",
        "audit",
        "workflows",
        "webhooks",
        "leads/imports",
    ];
    let mut paths: Vec<String> = lists.map(|list| format!("/api/{list}?limit=200")).to_vec();
    paths.retain(|path| !path.contains("webhooks"));
    paths.extend(more.iter().cloned());
    for (list, parts) in [
        ("runs", vec![""]),
        ("calls", vec!["", "/transcript"]),
        ("messages", vec![""]),
    ] {
        for item in server.items(&format!("/api/{list}?limit=200")).await {
            paths.extend(
                parts
                    .iter()
                    .map(|part| format!("/api/{list}/{}{part}", text(&item["id"]))),
            );
        }
    }
    server.answers(paths).await
}

/// Every cell of every table of the file that holds a needle.
pub fn hits_in_rows(file: &std::path::Path) -> (Vec<String>, usize) {
    let db = Connection::open(file).expect("the file");
    let mut tables = db
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
        .expect("a schema");
    let tables: Vec<String> = tables
        .query_map([], |row| row.get(0))
        .expect("a schema")
        .collect::<Result<_, _>>()
        .expect("names");
    let (mut hits, mut cells) = (Vec::new(), 0);
    for table in tables {
        let mut statement = db.prepare(&format!("SELECT * FROM {table}")).expect("a table");
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            for (place, name) in names.iter().enumerate() {
                cells += 1;
                let bytes = match row.get_ref(place).expect("a cell") {
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_ascii_lowercase(),
                    ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => continue,
                };
                let is_hit =
                    |needle: &&str| bytes.windows(needle.len()).any(|part| part == needle.as_bytes());
                if NEEDLES.iter().any(is_hit) {
                    hits.push(format!("{table}.{name}: {}", String::from_utf8_lossy(&bytes)));
                }
            }
        }
    }
    (hits, cells)
}

/// Publishes a workflow and returns its path.
async fn publish(server: &Server, workflow: &Value) -> String {
    let made = server.post("/api/workflows", workflow).await;
    let path = format!("/api/workflows/{}", text(&made["id"]));
    server.post(&format!("{path}/publish"), &json!({})).await;
    path
}

/// Sends the canary through everything that a lead can have. Returns its id and the run that waits.
async fn sing(server: &Server) -> (String, String) {
    let lead = json!({"name": "Zzcanary Ann", "phone": PHONE, "email": EMAIL, "fields": {"note": CANARY}});
    let keyed = http()
        .post(server.at("/api/leads"))
        .bearer_auth(&server.ready().access_token)
        .header("Idempotency-Key", "lead-1")
        .json(&lead);
    let made: Value = keyed.send().await.expect("an answer").json().await.expect("JSON");
    let id = text(&made["id"]);
    let path = format!("/api/leads/{id}");
    server
        .request(Method::PATCH, &path, Some(&json!({"fields": {"more": CANARY}})))
        .await;
    for (list, mut body) in [
        ("tasks", json!({"title": CANARY, "notes": CANARY})),
        (
            "appointments",
            json!({"title": CANARY, "starts_at": "2027-01-01T10:00:00Z", "notes": CANARY}),
        ),
        ("quotes", json!({"title": CANARY, "amount": 1, "currency": "usd"})),
        (
            "payments",
            json!({"reference": CANARY, "amount": 1, "currency": "usd"}),
        ),
    ] {
        body["lead_id"] = id.clone().into();
        server.post(&format!("/api/{list}"), &body).await;
    }
    let event = json!({"type": "survey.answered", "subject": {"phone": PHONE}, "data": {"answer": CANARY}});
    server.post("/api/events", &event).await;
    let webhook = server.post("/api/webhooks", &json!({"name": "shop"})).await;
    let url = text(&webhook["url"]);
    let door = url.split_once("/api/").map_or("", |(_, path)| path).to_owned();
    server
        .post(
            &format!("/api/{door}"),
            &json!({"trigger": "payment_received", "data": {"email": EMAIL, "note": CANARY}}),
        )
        .await;
    let waiting = run_workflows(server, &id).await;
    write_and_call(server).await;
    import(server).await;
    (id, waiting)
}

/// Runs that say the person's name in a message and an alert, one of which then waits.
async fn run_workflows(server: &Server, lead: &str) -> String {
    let tell = json!({"name": "Tell", "enabled": true, "trigger": {"type": "manual"},
        "nodes": [
            {"id": "text", "type": "send_sms", "params": {"to": "{{ lead.phone }}", "body": "Dear {{ lead.name }}"}},
            {"id": "mail", "type": "send_email", "params": {"to": "{{ lead.email }}", "subject": "{{ lead.name }}", "body": "Hello"}},
            {"id": "task", "type": "create_task", "params": {"title": "Call {{ lead.name }}"}},
            {"id": "alarm", "type": "alert", "params": {"title": "{{ lead.name }} waits"}}],
        "edges": [{"from": "trigger", "to": "text"}, {"from": "text", "to": "mail"}, {"from": "mail", "to": "task"},
            {"from": "task", "to": "alarm"}]});
    let tell = publish(server, &tell).await;
    let wait = json!({"name": "Wait", "enabled": true, "trigger": {"type": "manual"},
        "nodes": [
            {"id": "pause", "type": "delay", "params": {"for": "30d"}},
            {"id": "late", "type": "send_sms", "params": {"to": "{{ lead.phone }}", "body": "Too late"}}],
        "edges": [{"from": "trigger", "to": "pause"}, {"from": "pause", "to": "late"}]});
    let wait = publish(server, &wait).await;
    let start = json!({"lead_id": lead, "data": {"note": CANARY}});
    server.post(&format!("{tell}/execute"), &start).await;
    text(&server.post(&format!("{wait}/execute"), &start).await["run_id"])
}

/// A text message, and a call that rang out with a recording.
async fn write_and_call(server: &Server) {
    let message = [
        ("MessageSid", "SM01"),
        ("From", PHONE),
        ("To", "+15550001111"),
        ("Body", "zzcanary says hello"),
    ];
    let taken = server.webhook("/twilio/sms", &message).await;
    assert!(taken.status().is_success(), "{}", taken.status());
    let sid = twilio::call_sid(1);
    server.report_no_answer(&sid, PHONE).await;
    let recording = [
        ("CallSid", sid.as_str()),
        ("RecordingSid", "RE01"),
        ("RecordingUrl", "https://api.example.com/zzcanary/RE01"),
        ("RecordingStatus", "completed"),
        ("RecordingDuration", "3"),
    ];
    let taken = server.webhook("/twilio/recording", &recording).await;
    assert!(taken.status().is_success(), "{}", taken.status());
}

/// A file with a bad row that names the person.
async fn import(server: &Server) {
    let sent = http()
        .post(server.at("/api/leads/import"))
        .bearer_auth(&server.ready().access_token)
        .header("content-type", "text/csv")
        .body(format!("name,phone\nSomebody,{EMAIL}\n"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(sent.status(), StatusCode::ACCEPTED);
    eventually("the import is done", async || {
        let imports = server.items("/api/leads/imports").await;
        imports
            .iter()
            .all(|import| import["status"] == "done")
            .then_some(())
    })
    .await;
}

/// Waits until everything has come to rest, and says that the canary is where it should be.
async fn everything_is_there(server: &Server, lead: &str) {
    let path = format!("/api/leads/{lead}/export");
    eventually("the canary is everywhere", async || {
        let document = server.get(&path).await;
        let parts = [
            "lead",
            "timeline",
            "messages",
            "runs",
            "tasks",
            "alerts",
            "appointments",
            "quotes",
            "payments",
            "calls",
            "deliveries",
            "changes",
        ];
        let holds = |part: &&str| {
            let part = document[*part].to_string().to_lowercase();
            NEEDLES.iter().any(|needle| part.contains(needle))
        };
        let recorded = document["calls"].to_string().contains(CANARY);
        (recorded && parts.iter().all(holds)).then_some(())
    })
    .await;
}

/// Words on the call: no speech model hears a test.
fn say_on_the_call(file: &std::path::Path) {
    let db = Connection::open(file).expect("the file");
    let said = json!({"ordinal": 0, "speaker": "customer", "text": CANARY, "start_ms": 0, "end_ms": 900, "sentiment": null});
    let written = db.execute(
        "INSERT INTO utterances (call, ordinal, body) SELECT id, 0, ?1 FROM calls",
        [said.to_string()],
    );
    assert_eq!(written.expect("a row"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_lead_is_found_nowhere_even_when_the_process_dies_half_way() {
    let mut server = Server::start(Options::dev()).await;
    let (lead, waiting) = sing(&server).await;
    everything_is_there(&server, &lead).await;
    server.kill9().await;
    let file = database(server.data_dir());
    say_on_the_call(&file);
    assert!(hits_in_rows(&file).0.len() > 20, "the canary went everywhere");
    server.start_again().await;

    let erase = format!("/api/leads/{lead}/erase");
    let asked = server.request(Method::POST, &erase, None).await;
    assert_eq!(
        (asked.status, &asked.body["status"]),
        (StatusCode::ACCEPTED, &json!("erasing"))
    );
    // What was answered 2xx is carried out, whatever happens to the process.
    server.restart().await;
    let progress = format!("/api/leads/{lead}/erasure");
    let done = eventually("the erasure is done", async || {
        let erasure = server.get(&progress).await;
        (erasure["status"] == "done").then_some(erasure)
    })
    .await;
    let again = server.request(Method::POST, &erase, None).await;
    assert_eq!(
        (again.status, &again.body["status"]),
        (StatusCode::ACCEPTED, &json!("done"))
    );
    let gone = server
        .request(Method::GET, &format!("/api/leads/{lead}"), None)
        .await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    let run = server.get(&format!("/api/runs/{waiting}")).await;
    assert_eq!((&run["status"], &run["steps"]), (&json!("cancelled"), &json!([])));
    let retried = server
        .request(
            Method::POST,
            &format!("/api/runs/{waiting}/retry"),
            Some(&json!({})),
        )
        .await;
    assert_eq!(retried.status, StatusCode::CONFLICT, "{}", retried.body);
    let check = server.get("/api/audit/verify").await;
    assert_eq!(check["whole"], true, "{check}");
    assert!(check["erased"].as_u64() > Some(3), "{check}");

    let answers = read_everything(&server, &[progress]).await;
    let found: Vec<_> = answers
        .iter()
        .filter(|(_, answer)| {
            let answer = answer.to_lowercase();
            NEEDLES.iter().any(|needle| answer.contains(needle))
        })
        .collect();
    assert!(found.is_empty(), "{found:#?}");
    server.kill9().await;
    let (hits, cells) = hits_in_rows(&file);
    assert!(hits.is_empty(), "{}", hits.join("\n"));
    println!(
        "erasure: {} answers and {cells} cells of the store, 0 hits; {}",
        answers.len(),
        done["counts"]
    );

    server.start_again().await;
    comes_back(&server, &lead).await;
}

/// The person writes again: somebody new, whom nothing reaches before they say so.
async fn comes_back(server: &Server, erased: &str) {
    let write = async |sid: &str, words: &str| {
        let message = [
            ("MessageSid", sid),
            ("From", PHONE),
            ("To", "+15550001111"),
            ("Body", words),
        ];
        let taken = server.webhook("/twilio/sms", &message).await;
        assert!(taken.status().is_success(), "{}", taken.status());
        let found = server.items("/api/leads?phone=%2B14155550177").await;
        found.into_iter().next()
    };
    // A provider that tells the old message again brings nothing back.
    assert_eq!(write("SM01", "zzcanary says hello").await, None);
    let fresh = write("SM02", "hello again").await.expect("a fresh lead");
    assert_ne!(fresh["id"], json!(erased));
    assert_eq!((&fresh["opted_out"], &fresh["name"]), (&json!(true), &json!("")));
    let back = write("SM03", "START").await.expect("the lead");
    assert_eq!(
        (&back["id"], &back["opted_out_of"]),
        (&fresh["id"], &json!(["email"])),
        "START allows messages and calls again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_is_not_erased_while_a_call_with_it_goes_on_or_by_those_who_may_not() {
    let server = Server::start(Options::dev()).await;
    let sid = twilio::call_sid(7);
    server.begin_call(&sid, PHONE).await;
    let lead = eventually("the caller is a lead", async || {
        let leads = server.items("/api/leads?phone=%2B14155550177").await;
        let has_call = server.items("/api/calls").await;
        let lead = leads.first().map(|lead| text(&lead["id"]))?;
        has_call
            .iter()
            .any(|call| call["lead_id"] == json!(lead))
            .then_some(lead)
    })
    .await;
    let erase = format!("/api/leads/{lead}/erase");
    let refused = server.request(Method::POST, &erase, None).await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (StatusCode::CONFLICT, &json!("call_under_way"))
    );
    let key = json!({"name": "crm", "role": "supervisor"});
    let key = text(&server.post("/api/keys", &key).await["secret"]);
    let refused = ask(&server, Method::POST, &erase, &key, None).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let refused = ask(
        &server,
        Method::GET,
        &format!("/api/leads/{lead}/export"),
        &key,
        None,
    )
    .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}
