//! A merge and an erasure that cross: the erasure was taken in for a lead that became another's before it was carried out.

use patchcord::{
    domain::{erasure::Erasure, lead::Lead},
    store::{resources::ResourceRow, sqlite},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    eventually::eventually,
    server::{Options, Server, database},
};

/// Stands in what is the duplicate's, and nowhere else.
const CANARY: &str = "zzcanary";

async fn lead(server: &Server, body: Value) -> String {
    let made = server.post("/api/leads", &body).await;
    made["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_merge_took_from_a_lead_that_is_being_erased_is_erased_too() {
    let mut server = Server::start(Options::serve()).await;
    let kept = lead(&server, json!({"phone": "+14155550141"})).await;
    let gone = lead(
        &server,
        json!({"name": CANARY, "phone": "+14155550142", "fields": {"note": CANARY}}),
    )
    .await;
    let read: Lead = serde_json::from_value(server.get(&format!("/api/leads/{gone}")).await).expect("a lead");
    let by = server.get("/api/me").await;
    let by = serde_json::from_value(by["user"]["id"].clone()).expect("a person");
    let merge = format!("/api/leads/{kept}/merge");
    let merged = server
        .request(Method::POST, &merge, Some(&json!({"duplicate": gone})))
        .await;
    assert_eq!(merged.status, StatusCode::OK, "{}", merged.body);

    // The erasure was taken in a moment before, and carried out by nobody yet.
    server.kill9().await;
    let at = read.updated_at;
    let mut row = ResourceRow::first(&Erasure::of(read, by, at)).expect("JSON");
    row.is_open = true;
    let (store, guard) = sqlite::open(&database(server.data_dir())).expect("nobody serves it");
    store.resources.create(row).await.expect("written");
    drop((store, guard));
    server.start_again().await;

    let erasure = format!("/api/leads/{gone}/erasure");
    eventually("the erasure is done", async || {
        (server.get(&erasure).await["status"] == "done").then_some(())
    })
    .await;
    for id in [&kept, &gone] {
        let answer = server
            .request(Method::GET, &format!("/api/leads/{id}"), None)
            .await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.body);
    }
    let theirs = server.get(&format!("/api/leads/{kept}/erasure")).await;
    assert_eq!(theirs["lead_id"], kept.as_str());
    let leads = server.items("/api/leads").await;
    assert!(leads.is_empty(), "{leads:?}");
}
