//! Files of leads: taken over row by row, whatever happens meanwhile, with a report of the bad rows.

use std::{fmt::Write as _, time::Duration};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    api::http,
    eventually::eventually_within,
    server::{Options, Server},
};

const PATIENCE: Duration = Duration::from_secs(300);

async fn send(server: &Server, query: &str, file: String) -> (StatusCode, Value) {
    let response = http()
        .post(server.at(&format!("/api/leads/import{query}")))
        .bearer_auth(&server.ready().access_token)
        .header("content-type", "text/csv")
        .body(file)
        .send()
        .await
        .expect("the server answers");
    (response.status(), response.json().await.expect("JSON"))
}

async fn done(server: &Server, id: &str) -> Value {
    eventually_within(PATIENCE, "the import is done", async || {
        let import = server.get(&format!("/api/leads/imports/{id}")).await;
        (import["status"] == "done").then_some(import)
    })
    .await
}

async fn import(server: &Server, query: &str, file: String) -> Value {
    let (status, body) = send(server, query, file).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    done(server, body["import_id"].as_str().expect("an id")).await
}

/// Rows with numbers and addresses of their own.
fn people(count: u32) -> String {
    let mut file = String::from("name,phone,email,plan\n");
    for number in 0..count {
        writeln!(
            file,
            "Person {number},+1415{number:07},person{number}@example.com,gold"
        )
        .expect("text");
    }
    file
}

async fn by_phone(server: &Server, phone: &str) -> Value {
    let found = server.items(&format!("/api/leads?phone=%2B{phone}")).await;
    found.into_iter().next().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_mapped_normalised_and_reported_on() {
    let server = Server::start(Options::serve()).await;
    let on_created = json!({"name": "w", "enabled": true, "trigger": {"type": "lead.created"},
        "nodes": [{"id": "t", "type": "create_task", "params": {"title": "New"}}],
        "edges": [{"from": "trigger", "to": "t"}]});
    server
        .post(
            "/api/leads",
            &json!({"name": "Old Ann", "phone": "+14155550101", "fields": {"city": "Rome"}}),
        )
        .await;
    server.post("/api/workflows", &on_created).await;
    let file = "\u{feff}First Name;Last Name;Mobile;E-Mail;Plan;Junk\r\n\
        Ann;Lee;(415) 555-0101;Ann@Example.com;gold;x\r\n\
        Bob;\"O;Neil\";0049 30 123456;;silver;x\r\n\
        Cy;;;cy@example.com;;x\r\n\
        Cy;Twice;;CY@example.com;bronze;x\r\n\
        Dee;;12;;;x\r\n\
        ;;;;gold;x\r\n\
        Eve;;;nobody;;x\r\n";
    let query = "?calling_code=1&mapping=%7B%22Junk%22%3A%22%22%7D";
    let import = import(&server, query, file.to_owned()).await;
    let counts = json!({"rows": 7, "done": 7, "created": 2, "updated": 2, "skipped": 0, "bad": 3});
    assert_eq!(import["counts"], counts, "{import}");
    let problems: Vec<_> = import["problems"]
        .as_array()
        .expect("problems")
        .iter()
        .map(|problem| {
            (
                problem["row"].as_u64(),
                problem["column"].as_str(),
                problem["value"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        problems,
        [
            (Some(6), Some("Mobile"), Some("12")),
            (Some(7), Some(""), Some("")),
            (Some(8), Some("E-Mail"), Some("nobody")),
        ]
    );
    mapped_people_are_there(&server).await;
    others_are_skipped_and_workflows_hear_when_asked_to(&server).await;
}

async fn mapped_people_are_there(server: &Server) {
    let ann = by_phone(server, "14155550101").await;
    assert_eq!(
        (&ann["name"], &ann["email"], &ann["fields"]),
        (
            &json!("Ann Lee"),
            &json!("ann@example.com"),
            &json!({"city": "Rome", "plan": "gold"})
        )
    );
    assert_eq!(by_phone(server, "4930123456").await["name"], "Bob O;Neil");
    let cy = server.items("/api/leads?email=cy@example.com").await;
    assert_eq!(
        (&cy[0]["name"], &cy[0]["fields"]["plan"]),
        (&json!("Cy Twice"), &json!("bronze"))
    );
    let id = cy[0]["id"].as_str().expect("an id");
    let timeline = server.items(&format!("/api/leads/{id}/timeline")).await;
    assert_eq!(timeline.len(), 2, "{timeline:?}");
    assert!(
        server.items("/api/runs").await.is_empty(),
        "no workflow was asked for"
    );
}

async fn others_are_skipped_and_workflows_hear_when_asked_to(server: &Server) {
    let skipped = "name,phone\nAnother,+14155550101\nNew,+14155550199\n".to_owned();
    let taken = import(server, "?on_duplicate=skip&start_workflows=true", skipped).await;
    assert_eq!(
        (&taken["counts"]["skipped"], &taken["counts"]["created"]),
        (&json!(1), &json!(1))
    );
    eventually_within(PATIENCE, "the run of the new one", async || {
        (server.items("/api/runs").await.len() == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_takes_nothing_over_and_says_why() {
    let server = Server::start(Options::serve()).await;
    for (query, file, field) in [
        ("", "", ""),
        ("", "colour,size\nred,1\n", "mapping"),
        (
            "?mapping=%7B%22Phone%22%3A%22phne%22%7D",
            "Name,Phone\nA,1\n",
            "mapping.Phone",
        ),
        ("?mapping=7", "name\nA\n", "mapping"),
        ("?calling_code=%2B1", "name\nA\n", "calling_code"),
        ("?on_duplicate=merge", "name\nA\n", "on_duplicate"),
    ] {
        let (status, body) = send(&server, query, file.to_owned()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{query} {body}");
        assert_eq!(body["errors"][0]["field"], field, "{body}");
    }
    let json = http()
        .post(server.at("/api/leads/import"))
        .bearer_auth(&server.ready().access_token)
        .json(&json!({}))
        .send()
        .await
        .expect("the server answers");
    assert_eq!(json.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let failed = server.items("/api/leads/imports").await;
    assert_eq!(failed.len(), 3, "{failed:?}");
    assert!(
        failed.iter().all(|import| import["status"] == "failed"),
        "{failed:?}"
    );
    assert!(server.items("/api/leads").await.is_empty());
}

/// Kills the server again and again while it takes a file over.
async fn survives(rows: u32, kills: u32) {
    let mut server = Server::start(Options::serve()).await;
    let began = Instant::now();
    let (status, body) = send(&server, "", people(rows)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    let arrived = began.elapsed();
    let id = body["import_id"].as_str().expect("an id").to_owned();
    for kill in 0..kills {
        let wanted = u64::from(rows / (kills + 1) * kill);
        eventually_within(PATIENCE, "some rows are done", async || {
            let import = server.get(&format!("/api/leads/imports/{id}")).await;
            (import["counts"]["done"].as_u64() >= Some(wanted)).then_some(())
        })
        .await;
        server.restart().await;
    }
    let import = done(&server, &id).await;
    let rows = u64::from(rows);
    println!(
        "{rows} rows: on disk after {:.1} s, taken over after {:.1} s with {kills} kills",
        arrived.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
    let counts = json!({"rows": rows, "done": rows, "created": rows, "updated": 0, "skipped": 0, "bad": 0});
    assert_eq!(import["counts"], counts);
    let (mut seen, mut cursor) = (0, String::new());
    loop {
        let page = server.get(&format!("/api/leads?limit=200{cursor}")).await;
        seen += page["items"].as_array().map_or(0, Vec::len);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(u64::try_from(seen), Ok(rows));
    let last = by_phone(&server, &format!("1415{:07}", rows - 1)).await;
    let timeline = format!("/api/leads/{}/timeline", last["id"].as_str().expect("an id"));
    assert_eq!(server.items(&timeline).await.len(), 1);
    assert!(server.items("/api/runs").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_goes_on_after_kill_9_and_doubles_nothing() {
    survives(4_000, 4).await;
}

/// `cargo test --test it -- --ignored a_hundred_thousand --nocapture`: takes minutes in an unoptimised build.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: run it by name"]
async fn a_hundred_thousand_rows_are_taken_over() {
    survives(100_000, 0).await;
    survives(100_000, 3).await;
}
