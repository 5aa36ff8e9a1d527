//! Changes of one lead that come at once: each counts, and one that was made from an old state is refused where that was asked for.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::support::{
    api::{ask, http},
    eventually::eventually,
    server::{Options, Server},
};

#[tokio::test]
async fn of_changes_of_different_fields_at_once_each_counts_and_is_heard_of() {
    let server = Server::start(Options::serve()).await;
    let token = &server.ready().access_token;
    let made = server.post("/api/leads", &json!({"name": "Ann"})).await;
    let path = format!("/api/leads/{}", made["id"].as_str().expect("an id"));
    let names: BTreeSet<String> = (0..24).map(|number| format!("field{number:02}")).collect();
    let changes = names.iter().map(|name| {
        let change = json!({"fields": {name: true}});
        ask(&server, Method::PATCH, &path, token, Some(change))
    });
    for answer in join_all(changes).await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    let lead = ask(&server, Method::GET, &path, token, None).await.body;
    let kept: BTreeSet<String> = lead["fields"]
        .as_object()
        .expect("fields")
        .keys()
        .cloned()
        .collect();
    assert_eq!(kept, names);
    let timeline = format!("{path}/timeline?limit=200");
    eventually("every change is on the timeline", async || {
        let facts = server.items(&timeline).await;
        let updated = facts.iter().filter(|fact| fact["type"] == "lead.updated");
        (updated.count() == names.len()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_change_from_an_old_state_is_refused_when_it_says_what_it_read() {
    let server = Server::start(Options::serve()).await;
    let token = &server.ready().access_token;
    let made = server.post("/api/leads", &json!({"name": "Ann"})).await;
    let url = server.at(&format!("/api/leads/{}", made["id"].as_str().expect("an id")));
    let read = http()
        .get(&url)
        .bearer_auth(token)
        .send()
        .await
        .expect("an answer");
    let tag = read.headers()[header::ETAG].clone();
    let change = async |tag: &header::HeaderValue, body: Value| {
        let request = http().patch(&url).bearer_auth(token);
        let request = request.header(header::IF_MATCH, tag).json(&body);
        request.send().await.expect("an answer")
    };
    let first = change(&tag, json!({"stage": "called"})).await;
    assert_eq!(first.status(), StatusCode::OK);
    let next = first.headers()[header::ETAG].clone();
    assert_ne!(next, tag);
    let late = change(&tag, json!({"score": 9})).await;
    assert_eq!(late.status(), StatusCode::CONFLICT);
    let problem: Value = late.json().await.expect("JSON");
    assert_eq!(problem["code"], "moved");
    let again = change(&next, json!({"score": 9})).await;
    assert_eq!(again.status(), StatusCode::OK);
    let lead: Value = again.json().await.expect("JSON");
    assert_eq!((&lead["stage"], &lead["score"]), (&json!("called"), &json!(9)));
}
