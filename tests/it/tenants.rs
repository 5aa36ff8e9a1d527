//! Nobody else's: every operation of the description, asked for what belongs to another account and by those who may not.
//!
//! The list of operations is `docs/openapi.json`; each must be classified in `operations`, so a new one fails this test until it is. What is
//! looked for: an answer that is not 404 or 403, two answers that differ although the asker may see neither thing, and any
//! text of the other account in any answer.

mod operations;
mod town;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use self::{
    operations::{Reach, body_of, filled, operations, workflow},
    town::{Town, text},
};

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_reaches_another_account_or_above_a_role() {
    let town = Town::build().await;
    let (mut probes, mut covered) = (0, 0);
    for operation in operations() {
        covered += 1;
        match operation.reach {
            Reach::One(kind, least) => {
                for (role, token) in town.strangers.iter().enumerate() {
                    let expected = if role < least {
                        StatusCode::FORBIDDEN
                    } else {
                        StatusCode::NOT_FOUND
                    };
                    probes += town
                        .refused_alike(token, &operation, &town.tries(kind), expected)
                        .await;
                }
                for token in &town.housemates[..least] {
                    probes += town
                        .refused_alike(token, &operation, &town.tries(kind), StatusCode::FORBIDDEN)
                        .await;
                }
            }
            Reach::Own(least) => {
                for token in &town.housemates[..least] {
                    let path = filled(&operation.path, "");
                    let answer = town
                        .ask(token, &operation.method, &path, body_of(&operation.id))
                        .await;
                    assert_eq!(
                        answer.status,
                        StatusCode::FORBIDDEN,
                        "{}: {}",
                        operation.id,
                        answer.body
                    );
                    probes += 1;
                }
                if operation.method == Method::GET {
                    let owner = town.strangers.last().expect("an owner");
                    let answer = town.ask(owner, &Method::GET, &operation.path, None).await;
                    assert_eq!(answer.status, StatusCode::OK, "{}: {}", operation.id, answer.body);
                    town.no_leak(&operation.id, &answer, "");
                    probes += 1;
                }
            }
            Reach::Nothing | Reach::Door => {}
        }
    }
    probes += references(&town).await;
    for (kind, path) in [
        ("lead", "leads"),
        ("task", "tasks"),
        ("workflow", "workflows"),
        ("run", "runs"),
        ("alert", "alerts"),
        ("call", "calls"),
        ("message", "messages"),
        ("appointment", "appointments"),
        ("quote", "quotes"),
        ("payment", "payments"),
        ("agent", "agents"),
        ("number", "numbers"),
    ] {
        let path = format!("/api/{path}/{}", town.things[kind]);
        let kept = town.server.get(&path).await.to_string();
        assert!(!kept.contains("Taken"), "{path} was changed: {kept}");
    }
    println!("{covered} operations, {probes} probes, 0 leaks");
}

/// Ids that are named in a query or a body instead of the path: a foreign one is answered as one of nothing. Returns how many were
/// asked.
async fn references(town: &Town) -> usize {
    let owner = town.strangers.last().expect("an owner").clone();
    let own = town
        .ask(&owner, &Method::POST, "/api/workflows", Some(workflow("Own")))
        .await;
    let own = format!("/api/workflows/{}", text(&own.body["id"]));
    town.ask(&owner, &Method::POST, &format!("{own}/publish"), None)
        .await;
    let execute = format!("{own}/execute");
    let mut asked = 0;
    for (kind, method, path, body) in &named_elsewhere(&execute) {
        let mut seen: Option<(StatusCode, String)> = None;
        for id in town.tries(kind) {
            let path = path.replace("ID", &id);
            let body = body.as_ref().map(|body| {
                let filled = body.to_string().replace("\"ID\"", &format!("\"{id}\""));
                serde_json::from_str(&filled).expect("still JSON")
            });
            let answer = town.ask(&owner, method, &path, body).await;
            town.no_leak(&path, &answer, &id);
            let masked = (answer.status, answer.body.to_string().replace(&id, "ID"));
            let first = seen.get_or_insert_with(|| masked.clone());
            assert_eq!(*first, masked, "{method} {path} tells one id from another");
            asked += 1;
        }
    }
    asked
}

/// Requests that name a thing as `ID` in their query or body: its kind first.
fn named_elsewhere(execute: &str) -> Vec<(&'static str, Method, &str, Option<Value>)> {
    vec![
        ("workflow", Method::GET, "/api/runs?workflow_id=ID", None),
        ("lead", Method::GET, "/api/runs?lead_id=ID", None),
        ("user", Method::GET, "/api/sessions?user_id=ID", None),
        (
            "lead",
            Method::POST,
            "/api/tasks",
            Some(json!({"title": "x", "lead_id": "ID"})),
        ),
        (
            "call",
            Method::POST,
            "/api/tasks",
            Some(json!({"title": "x", "call_id": "ID"})),
        ),
        (
            "lead",
            Method::POST,
            "/api/events",
            Some(json!({"type": "quote.sent", "subject": {"lead_id": "ID"}})),
        ),
        ("lead", Method::POST, execute, Some(json!({"lead_id": "ID"}))),
        (
            "user",
            Method::POST,
            "/api/webhooks/user/ID/pcw_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            Some(json!({"trigger": "x"})),
        ),
        (
            "lead",
            Method::POST,
            "/api/calls",
            Some(json!({"lead_id": "ID", "say": "x"})),
        ),
        ("lead", Method::GET, "/api/leads?phone=%2B14155550101", None),
        ("lead", Method::GET, "/api/appointments?lead_id=ID", None),
        (
            "user",
            Method::POST,
            "/api/agents",
            Some(json!({"name": "x", "phone": "+14155550199", "user_id": "ID"})),
        ),
        (
            "lead",
            Method::POST,
            "/api/quotes",
            Some(json!({"title": "x", "amount": 1, "currency": "usd", "lead_id": "ID"})),
        ),
        (
            "quote",
            Method::POST,
            "/api/payments",
            Some(json!({"amount": 1, "currency": "usd", "quote_id": "ID"})),
        ),
    ]
}
