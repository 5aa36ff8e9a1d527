//! Who comes in: setup, sign-in, tokens, keys, roles, tenants, over the wire.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    api::{Answer, ask},
    server::{Options, PROGRAM, Server, database},
};

async fn sign_in(server: &Server, email: &str, password: &str) -> Answer {
    ask(
        server,
        Method::POST,
        "/api/auth/login",
        "",
        Some(json!({"email": email, "password": password})),
    )
    .await
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("expected a text, found {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_works_once_and_its_reuse_ends_the_session() {
    let server = Server::start(Options::serve()).await;
    let first = sign_in(&server, &server.ready().email, &server.ready().password).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.body);
    let old = text(&first.body["refresh_token"]).to_owned();
    let body = json!({"refresh_token": old});
    let second = ask(&server, Method::POST, "/api/auth/refresh", "", Some(body.clone())).await;
    assert_eq!(second.status, StatusCode::OK, "{}", second.body);
    let access = text(&second.body["access_token"]).to_owned();
    // The first pair's access token ended with the exchange.
    let before = ask(
        &server,
        Method::GET,
        "/api/me",
        text(&first.body["access_token"]),
        None,
    )
    .await;
    assert_eq!(before.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        ask(&server, Method::GET, "/api/me", &access, None).await.status,
        StatusCode::OK
    );
    let reused = ask(&server, Method::POST, "/api/auth/refresh", "", Some(body)).await;
    assert_eq!(reused.status, StatusCode::UNAUTHORIZED);
    let after = ask(&server, Method::GET, "/api/me", &access, None).await;
    assert_eq!(
        after.status,
        StatusCode::UNAUTHORIZED,
        "the copied session is over for both holders"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_token_at_once_and_a_stranger_learns_nothing() {
    let server = Server::start(Options::serve()).await;
    let tokens = sign_in(&server, &server.ready().email, &server.ready().password)
        .await
        .body;
    let access = text(&tokens["access_token"]);
    assert_eq!(
        ask(&server, Method::GET, "/api/me", access, None).await.status,
        StatusCode::OK
    );
    let out = ask(&server, Method::POST, "/api/auth/logout", access, None).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert_eq!(
        ask(&server, Method::GET, "/api/me", access, None).await.status,
        StatusCode::UNAUTHORIZED
    );

    let wrong_password = sign_in(&server, &server.ready().email, "not the password").await;
    let nobody = sign_in(&server, "nobody@example.com", "not the password").await;
    assert_eq!(wrong_password.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        wrong_password, nobody,
        "a wrong password and an unknown person look the same"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down() {
    let server = Server::start(Options::serve()).await;
    let mut last = StatusCode::OK;
    for _ in 0..15 {
        last = sign_in(&server, "victim@example.com", "guess guess").await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

/// A server that nobody can sign in to, and the setup token that it printed.
async fn fresh() -> (Server, String) {
    let server = Server::start(
        Options::serve()
            .with("PATCHCORD_ADMIN__EMAIL", "")
            .with("PATCHCORD_ADMIN__PASSWORD", ""),
    )
    .await;
    let printed = server.log();
    let setup = printed
        .split("/setup?token=")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap_or_else(|| panic!("no setup address in: {printed}"));
    let setup = setup.to_owned();
    (server, setup)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_token_opens_nothing_once_an_account_was_made_elsewhere() {
    let (server, setup) = fresh().await;
    let store = format!("sqlite:{}", database(server.data_dir()).display());
    let added = tokio::process::Command::new(PROGRAM)
        .args(["user", "add", "ann@example.com"])
        .env("PATCHCORD_STORE__URL", store)
        .output()
        .await
        .expect("the program runs");
    assert!(added.status.success(), "{added:?}");
    let wanted = json!({"email": "evil@example.com", "password": "long enough", "setup_token": setup});
    let refused = ask(&server, Method::POST, "/api/auth/register", "", Some(wanted)).await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (StatusCode::FORBIDDEN, &json!("registration_closed"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_admin_needs_the_printed_token_and_it_works_once() {
    let (server, setup) = fresh().await;
    let setup = setup.as_str();
    let wanted =
        |token: &str, email: &str| json!({"email": email, "password": "long enough", "setup_token": token});
    let register = |body| ask(&server, Method::POST, "/api/auth/register", "", Some(body));
    let guessed = register(wanted("pcs_guess", "evil@example.com")).await;
    assert_eq!(guessed.status, StatusCode::FORBIDDEN, "{}", guessed.body);
    let too_short =
        register(json!({"email": "a@example.com", "password": "short", "setup_token": setup})).await;
    assert_eq!(too_short.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(too_short.body["errors"][0]["field"], "password");
    let owner = register(wanted(setup, "Owner@Example.com")).await;
    assert_eq!(
        owner.status,
        StatusCode::CREATED,
        "a failed try does not use the token up: {}",
        owner.body
    );
    let me = ask(
        &server,
        Method::GET,
        "/api/me",
        text(&owner.body["access_token"]),
        None,
    )
    .await
    .body;
    assert_eq!(
        (&me["role"], &me["user"]["email"]),
        (&json!("owner"), &json!("owner@example.com"))
    );
    assert_eq!(
        register(wanted(setup, "second@example.com")).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_and_keys_reach_as_far_as_the_table_says() {
    let server = Server::start(Options::serve()).await;
    let agent = json!({"email": "agent@example.com", "password": "agent password", "role": "agent"});
    server.post("/api/users", &agent).await;
    let agent = sign_in(&server, "agent@example.com", "agent password").await.body;
    let agent = text(&agent["access_token"]);
    let workflow =
        json!({"name": "x", "enabled": false, "trigger": {"type": "manual"}, "nodes": [], "edges": []});
    for (method, path, body, expected) in [
        (Method::GET, "/api/leads", None, StatusCode::OK),
        (
            Method::POST,
            "/api/tasks",
            Some(json!({"title": "Call back"})),
            StatusCode::CREATED,
        ),
        (
            Method::POST,
            "/api/leads",
            Some(json!({"name": "Ann"})),
            StatusCode::FORBIDDEN,
        ),
        (
            Method::POST,
            "/api/workflows",
            Some(workflow),
            StatusCode::FORBIDDEN,
        ),
        (Method::GET, "/api/users", None, StatusCode::FORBIDDEN),
        (Method::GET, "/api/keys", None, StatusCode::FORBIDDEN),
    ] {
        let answer = ask(&server, method, path, agent, body).await;
        assert_eq!(answer.status, expected, "{path}: {}", answer.body);
    }
    let made = server
        .post("/api/keys", &json!({"name": "crm", "role": "supervisor"}))
        .await;
    let secret = text(&made["secret"]);
    let lead = ask(
        &server,
        Method::POST,
        "/api/leads",
        secret,
        Some(json!({"name": "Ann"})),
    )
    .await;
    assert_eq!(lead.status, StatusCode::CREATED, "{}", lead.body);
    assert_eq!(
        ask(&server, Method::GET, "/api/users", secret, None).await.status,
        StatusCode::FORBIDDEN
    );
    let id = text(&made["key"]["id"]);
    let gone = server
        .request(Method::DELETE, &format!("/api/keys/{id}"), None)
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(
        ask(&server, Method::GET, "/api/leads", secret, None).await.status,
        StatusCode::UNAUTHORIZED
    );
    let listed = server.get("/api/keys").await;
    assert!(!listed.to_string().contains(secret), "a secret is shown once");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_sees_nothing_of_another() {
    let server = Server::start(Options::serve().with("PATCHCORD_SERVER__OPEN_REGISTRATION", "true")).await;
    let lead = server
        .post("/api/leads", &json!({"name": "Mine", "phone": "+14155550101"}))
        .await;
    let task = server.post("/api/tasks", &json!({"title": "Mine"})).await;
    let other = json!({"email": "other@example.com", "password": "other password", "account_name": "Other"});
    let other = ask(&server, Method::POST, "/api/auth/register", "", Some(other)).await;
    assert_eq!(other.status, StatusCode::CREATED, "{}", other.body);
    let other = text(&other.body["access_token"]);
    let lead_id = text(&lead["id"]);
    for (method, path) in [
        (Method::GET, format!("/api/leads/{lead_id}")),
        (Method::PATCH, format!("/api/leads/{lead_id}")),
        (Method::DELETE, format!("/api/leads/{lead_id}")),
        (Method::GET, format!("/api/leads/{lead_id}/timeline")),
        (Method::GET, format!("/api/tasks/{}", text(&task["id"]))),
    ] {
        let body = (method == Method::PATCH).then(|| json!({"name": "Stolen"}));
        let answer = ask(&server, method.clone(), &path, other, body).await;
        assert_eq!(
            answer.status,
            StatusCode::NOT_FOUND,
            "{method} {path}: {}",
            answer.body
        );
    }
    for path in ["/api/leads", "/api/tasks", "/api/leads?phone=%2B14155550101"] {
        let page = ask(&server, Method::GET, path, other, None).await.body;
        assert_eq!(page["items"], json!([]), "{path}");
    }
    assert_eq!(server.get(&format!("/api/leads/{lead_id}")).await["name"], "Mine");
}
