//! People, what they are signed in with, and their passwords, over the wire.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    api::{Answer, ask},
    server::{Options, Server},
};

const OWNER_PASSWORD: &str = "correct horse battery staple";

/// Signs in and returns the pair of tokens.
async fn sign_in(server: &Server, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    ask(server, Method::POST, "/api/auth/login", "", Some(body)).await
}

async fn token(server: &Server, email: &str, password: &str) -> String {
    let answer = sign_in(server, email, password).await;
    text(&answer.body["access_token"])
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("expected a text, found {value}"))
        .to_owned()
}

/// Adds a person with the password `<role> password`; returns the id.
async fn add(server: &Server, role: &str) -> String {
    let person =
        json!({"email": format!("{role}@example.com"), "password": format!("{role} password"), "role": role});
    text(&server.post("/api/users", &person).await["id"])
}

async fn status(server: &Server, method: Method, path: &str, token: &str, body: Option<Value>) -> StatusCode {
    ask(server, method, path, token, body).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_ends_the_other_sessions_and_no_other_opens() {
    let server = Server::start(Options::serve()).await;
    let email = "owner@example.com";
    let (here, there) = (
        token(&server, email, OWNER_PASSWORD).await,
        sign_in(&server, email, OWNER_PASSWORD).await.body,
    );
    let change = |current: &str, new: &str| Some(json!({"current_password": current, "new_password": new}));
    for (current, new, field) in [
        ("a wrong guess", "another password", "current_password"),
        (OWNER_PASSWORD, "short", "new_password"),
        (OWNER_PASSWORD, email, "new_password"),
    ] {
        let refused = ask(
            &server,
            Method::POST,
            "/api/auth/password",
            &here,
            change(current, new),
        )
        .await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(refused.body["errors"][0]["field"], field);
    }
    let key = server.post("/api/keys", &json!({"name": "crm"})).await;
    let by_key = ask(
        &server,
        Method::POST,
        "/api/auth/password",
        &text(&key["secret"]),
        change(OWNER_PASSWORD, "another password"),
    )
    .await;
    assert_eq!(
        (by_key.status, &by_key.body["code"]),
        (StatusCode::FORBIDDEN, &json!("not_a_session"))
    );
    let changed = change(OWNER_PASSWORD, "another password");
    assert_eq!(
        status(&server, Method::POST, "/api/auth/password", &here, changed).await,
        StatusCode::NO_CONTENT
    );
    let ok = status(&server, Method::GET, "/api/me", &here, None).await;
    assert_eq!(ok, StatusCode::OK, "who changed it stays signed in");
    let over = status(
        &server,
        Method::GET,
        "/api/me",
        &text(&there["access_token"]),
        None,
    )
    .await;
    assert_eq!(over, StatusCode::UNAUTHORIZED);
    let refresh = Some(json!({"refresh_token": there["refresh_token"]}));
    let over = status(&server, Method::POST, "/api/auth/refresh", "", refresh).await;
    assert_eq!(over, StatusCode::UNAUTHORIZED);
    assert_eq!(
        sign_in(&server, email, OWNER_PASSWORD).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        sign_in(&server, email, "another password").await.status,
        StatusCode::OK
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_seen_and_ended_by_their_person_and_by_those_above() {
    let server = Server::start(Options::serve()).await;
    let agent_id = add(&server, "agent").await;
    add(&server, "admin").await;
    let (agent, admin) = (
        token(&server, "agent@example.com", "agent password").await,
        token(&server, "admin@example.com", "admin password").await,
    );
    let second = token(&server, "agent@example.com", "agent password").await;
    let own = ask(&server, Method::GET, "/api/sessions", &agent, None)
        .await
        .body;
    let own = own["items"].as_array().expect("a list").clone();
    assert_eq!(own.len(), 2);
    let current: Vec<_> = own.iter().map(|session| &session["is_current"]).collect();
    assert_eq!(current, [&json!(false), &json!(true)], "newest first");
    let path = |session: &Value| format!("/api/sessions/{}", text(&session["id"]));
    let owners = server.items("/api/sessions").await;
    // Nobody below sees or ends what belongs to somebody else.
    let others = "/api/sessions?user_id=".to_owned() + &text(&owners[0]["user_id"]);
    assert_eq!(
        status(&server, Method::GET, &others, &agent, None).await,
        StatusCode::FORBIDDEN
    );
    let foreign = ask(&server, Method::DELETE, &path(&owners[0]), &agent, None).await;
    let random = "/api/sessions/ses_01h455vb4pex5vsknk084sn02q";
    assert_eq!(foreign, ask(&server, Method::DELETE, random, &agent, None).await);
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert_eq!(
        status(&server, Method::DELETE, &path(&owners[0]), &admin, None).await,
        StatusCode::FORBIDDEN,
        "an admin does not reach an owner"
    );
    let seen = ask(
        &server,
        Method::GET,
        &format!("/api/sessions?user_id={agent_id}"),
        &admin,
        None,
    )
    .await;
    assert_eq!(seen.body["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        status(&server, Method::DELETE, &path(&own[0]), &admin, None).await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        status(&server, Method::GET, "/api/me", &second, None).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        status(&server, Method::DELETE, &path(&own[1]), &agent, None).await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        status(&server, Method::GET, "/api/me", &agent, None).await,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_changed_and_removed_and_an_account_keeps_an_owner() {
    let server = Server::start(Options::serve()).await;
    let agent_id = add(&server, "agent").await;
    add(&server, "admin").await;
    let agent = token(&server, "agent@example.com", "agent password").await;
    let admin = token(&server, "admin@example.com", "admin password").await;
    let agent_path = format!("/api/users/{agent_id}");
    let owner_id = text(&server.get("/api/me").await["user"]["id"]);
    let owner_path = format!("/api/users/{owner_id}");

    let lead = Some(json!({"name": "Ann"}));
    let before = status(&server, Method::POST, "/api/leads", &agent, lead.clone()).await;
    assert_eq!(before, StatusCode::FORBIDDEN);
    let to = |role: &str| Some(json!({"role": role}));
    assert_eq!(
        status(&server, Method::PATCH, &agent_path, &admin, to("owner")).await,
        StatusCode::FORBIDDEN,
        "nobody gives a role above their own"
    );
    assert_eq!(
        status(&server, Method::PATCH, &owner_path, &admin, to("agent")).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        status(&server, Method::PATCH, &agent_path, &agent, to("admin")).await,
        StatusCode::FORBIDDEN
    );
    let changed = ask(&server, Method::PATCH, &agent_path, &admin, to("supervisor")).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    assert_eq!(changed.body["role"], "supervisor");
    let after = status(&server, Method::POST, "/api/leads", &agent, lead).await;
    assert_eq!(after, StatusCode::CREATED, "the new role counts at once");

    for (method, body) in [(Method::PATCH, to("admin")), (Method::DELETE, None)] {
        let refused = server.request(method, &owner_path, body.as_ref()).await;
        assert_eq!(
            (refused.status, &refused.body["code"]),
            (StatusCode::CONFLICT, &json!("last_owner"))
        );
    }
    assert_eq!(
        status(&server, Method::DELETE, &agent_path, &admin, None).await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        status(&server, Method::GET, "/api/me", &agent, None).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        sign_in(&server, "agent@example.com", "agent password")
            .await
            .status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        status(&server, Method::DELETE, &agent_path, &admin, None).await,
        StatusCode::NOT_FOUND
    );
    assert_eq!(server.items("/api/users").await.len(), 2);
    add(&server, "agent").await;
}
