//! `kill -9` in the middle of a sweep: an erasure goes on where the store says that something is left, and comes to its end.
//!
//! The sweep is held still at the moment of the kill by a lock on the file, so that every kill hits it half way. What is known only by way
//! of something else (a task that names a call, the log's entry about that task) must not be lost with what the process knew.

use std::time::Duration;

use patchcord::domain::ids::MessageId;
use reqwest::{Method, StatusCode};
use rusqlite::{Connection, TransactionBehavior};
use serde_json::{Value, json};

use crate::{
    lead_erasure::{CANARY, PHONE, hits_in_rows},
    support::{
        eventually::{a_moment, eventually, eventually_within},
        server::{Options, Server, database},
        twilio,
    },
};

/// Messages that are to be emptied, one by one.
const MESSAGES: i64 = 4_000;
/// Times the server is killed during the sweep; each time at least so many messages more are empty.
const KILLS: usize = 3;
const STEP: i64 = 300;
/// Rows that are counted together: of the page that a kill hits, what was erased is not counted.
const PAGE: i64 = 200;
/// Between two looks at the sweep, and how many there are: each holds it for a moment.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS_MAX: u32 = 6_000;
const ERASED_WITHIN: Duration = Duration::from_secs(180);

/// A lead with a message and a call, and a task that names nobody but the call. Returns the lead's id.
async fn person(server: &Server) -> String {
    let lead = json!({"name": CANARY, "phone": PHONE});
    let lead = server.post("/api/leads", &lead).await["id"].clone();
    let message = [
        ("MessageSid", "SM01"),
        ("From", PHONE),
        ("To", "+15550001111"),
        ("Body", CANARY),
    ];
    let taken = server.webhook("/twilio/sms", &message).await;
    assert!(taken.status().is_success(), "{}", taken.status());
    server.report_no_answer(&twilio::call_sid(1), PHONE).await;
    let call = eventually("the call is the lead's", async || {
        let calls = server.items("/api/calls").await;
        let call = calls.into_iter().find(|call| call["lead_id"] == lead)?;
        Some(call["id"].clone())
    })
    .await;
    let task = json!({"title": CANARY, "call_id": call});
    let task = server.post("/api/tasks", &task).await;
    assert_eq!(task["lead_id"], Value::Null, "only the call leads to it");
    lead.as_str().expect("an id").to_owned()
}

/// Makes the one message into many.
fn multiply(file: &std::path::Path) {
    let mut db = Connection::open(file).expect("the file");
    let all = db.transaction().expect("a transaction");
    let (account, at, body): (Vec<u8>, i64, String) = all
        .query_row("SELECT account, at, body FROM messages", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .expect("one message");
    let mut body: Value = serde_json::from_str(&body).expect("JSON");
    body["provider_id"] = Value::Null;
    for _ in 1..MESSAGES {
        let id = MessageId::fresh();
        body["id"] = json!(id);
        all.prepare_cached("INSERT INTO messages (id, account, at, body) VALUES (?1, ?2, ?3, ?4)")
            .and_then(|mut insert| insert.execute((id.as_bytes().as_slice(), &account, at, body.to_string())))
            .expect("the file can be written");
    }
    all.commit().expect("the file can be written");
}

/// Messages that still say something.
fn left(db: &Connection) -> i64 {
    let sql = "SELECT count(*) FROM messages WHERE body LIKE '%' || ?1 || '%'";
    db.query_row(sql, [CANARY], |row| row.get(0)).expect("a count")
}

/// Messages that were erased so far, as the erasure tells.
fn counted(erasure: &Value) -> i64 {
    erasure["counts"]["messages"].as_i64().expect("a number")
}

/// Kills the server as soon as no more than `most` messages are left, while nothing can be written. Returns how many are left.
async fn kill_at(server: &mut Server, db: &mut Connection, most: i64) -> i64 {
    // Looked at under the lock: a machine that is busy elsewhere cannot let the sweep run past the kill.
    for _ in 0..LOOKS_MAX {
        let held = db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .expect("the file can be locked");
        let left = left(&held);
        if left <= most {
            server.kill9().await;
            return left;
        }
        drop(held);
        a_moment(LOOK_EVERY).await;
    }
    panic!("the sweep does not go on: {} messages are left", left(db));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_is_killed_half_way_goes_on_and_ends() {
    let mut server = Server::start(Options::dev()).await;
    let lead = person(&server).await;
    server.kill9().await;
    let file = database(server.data_dir());
    multiply(&file);
    server.start_again().await;

    let asked = server
        .request(Method::POST, &format!("/api/leads/{lead}/erase"), None)
        .await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
    let mut db = Connection::open(&file).expect("the file");
    let mut killed_at = vec![MESSAGES];
    let progress = format!("/api/leads/{lead}/erasure");
    for kills in (1..).take(KILLS) {
        let before = *killed_at.last().expect("it is begun with one");
        let left = kill_at(&mut server, &mut db, before - STEP).await;
        assert!(left > 0, "the sweep was over before it was killed: {killed_at:?}");
        killed_at.push(left);
        server.start_again().await;
        let counted = counted(&server.get(&progress).await);
        assert!(
            counted >= MESSAGES - left - PAGE * kills,
            "{counted} with {left} left"
        );
    }
    drop(db);
    let counted = eventually_within(ERASED_WITHIN, "the erasure is done", async || {
        let erasure = server.get(&progress).await;
        (erasure["status"] == "done").then(|| counted(&erasure))
    })
    .await;
    let kills = i64::try_from(KILLS).expect("a few");
    assert!(
        (MESSAGES - PAGE * kills..=MESSAGES).contains(&counted),
        "{counted} of {MESSAGES} were counted"
    );
    let check = server.get("/api/audit/verify").await;
    assert_eq!(check["whole"], true, "{check}");
    server.kill9().await;
    let (hits, cells) = hits_in_rows(&file);
    assert!(hits.is_empty(), "{}", hits.join("\n"));
    println!(
        "killed with {killed_at:?} messages left, {counted} counted in the end; then {cells} cells of the store, 0 hits"
    );
}
