//! Card and social-security numbers that come in by every door are in nothing that is kept, logged or answered.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    api::http,
    eventually::eventually,
    server::{Options, Server, database},
    twilio,
};

/// The numbers as they are written, with what remains of them when separators go.
const NUMBERS: [&str; 4] = [
    "4111 1111 1111 1111",
    "5555555555554444",
    "123-45-6789",
    "219099999",
];

/// A text with all of them.
fn confession() -> String {
    format!(
        "card {} or {}, and {}. My social security number is {}",
        NUMBERS[0], NUMBERS[1], NUMBERS[2], NUMBERS[3]
    )
}

async fn sms(server: &Server) {
    let body = confession();
    let parameters = [
        ("MessageSid", "SM01"),
        ("From", "+14155550101"),
        ("To", "+15550001111"),
        ("Body", body.as_str()),
    ];
    server.webhook("/twilio/sms", &parameters).await;
}

/// An event with its number as text and as a number of JSON.
async fn event(server: &Server) {
    let data = json!({"note": confession(), "card": 5_555_555_555_554_444_u64, "ssn": 219_099_999});
    let event = json!({"type": "survey.answered", "subject": {"phone": "+14155550102"}, "data": data});
    server.post("/api/events", &event).await;
}

/// A webhook's events: one that is taken in, one that is refused.
async fn webhook(server: &Server) -> String {
    let made = server.post("/api/webhooks", &json!({"name": "shop"})).await;
    let url = made["url"].as_str().expect("its address");
    let (_, path) = url.split_once("/api/").expect("a path");
    let whole = json!({"data": {"note": confession()}}).to_string();
    let (refused, cut) = (
        json!({"wrong": confession()}).to_string(),
        &whole[..whole.len() - 3],
    );
    for body in [whole.as_str(), refused.as_str(), cut] {
        let request = http()
            .post(server.at(&format!("/api/{path}")))
            .header("content-type", "application/json")
            .body(body.to_owned());
        request.send().await.expect("an answer");
    }
    made["id"].as_str().expect("its id").to_owned()
}

async fn import(server: &Server) {
    let file = format!(
        "name,phone,note,ssn\nAnn,+14155550103,\"{}\",{}\n",
        confession(),
        NUMBERS[3]
    );
    let response = http()
        .post(server.at("/api/leads/import"))
        .bearer_auth(&server.ready().access_token)
        .header("content-type", "text/csv")
        .body(file)
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let accepted: Value = response.json().await.expect("JSON");
    let path = format!(
        "/api/leads/imports/{}",
        accepted["import_id"].as_str().expect("an id")
    );
    eventually("the file is taken over", async || {
        (server.get(&path).await["status"] == "done").then_some(())
    })
    .await;
}

async fn notes(server: &Server) {
    let task = server
        .post(
            "/api/tasks",
            &json!({"title": "Call back", "notes": confession()}),
        )
        .await;
    let path = format!("/api/tasks/{}", task["id"].as_str().expect("an id"));
    let change = json!({"notes": confession(), "title": NUMBERS[0]});
    let changed = server.request(Method::PATCH, &path, Some(&change)).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_door_lets_a_card_or_social_security_number_through() {
    let options = Options::serve()
        .with("PATCHCORD_LOG", "trace")
        .with("PATCHCORD_TWILIO__ACCOUNT_SID", twilio::ACCOUNT_SID);
    let mut server = Server::start(options).await;
    sms(&server).await;
    event(&server).await;
    let webhook = webhook(&server).await;
    import(&server).await;
    notes(&server).await;
    let deliveries = format!("/api/webhooks/{webhook}/deliveries");
    eventually("the deliveries are kept", async || {
        (server.items(&deliveries).await.len() == 3).then_some(())
    })
    .await;
    let mut paths: Vec<String> = ["messages", "leads", "tasks", "audit?limit=200"]
        .map(|list| format!("/api/{list}"))
        .into();
    paths.push(deliveries);
    for lead in server.items("/api/leads").await {
        paths.push(format!(
            "/api/leads/{}/timeline",
            lead["id"].as_str().expect("an id")
        ));
    }
    let answers = server.answers(paths).await;
    for marker in ["[card number]", "[social security number]"] {
        for door in [
            "/api/messages",
            "/api/leads",
            "/api/tasks",
            "/deliveries",
            "/timeline",
        ] {
            let is_marked = answers
                .iter()
                .any(|(path, answer)| path.contains(door) && answer.contains(marker));
            assert!(is_marked, "{marker} is nowhere in {door}");
        }
    }
    server.kill9().await;
    let store = database(server.data_dir());
    let mut places = vec![("the log".to_owned(), server.log().into_bytes())];
    places.push(("the store".to_owned(), std::fs::read(&store).expect("the store")));
    let wal = std::fs::read(store.with_extension("db-wal")).unwrap_or_default();
    places.push(("the store's log".to_owned(), wal));
    places.extend(
        answers
            .into_iter()
            .map(|(path, answer)| (path, answer.into_bytes())),
    );
    for (place, bytes) in &places {
        for number in NUMBERS {
            let is_there = bytes
                .windows(number.len())
                .any(|window| window == number.as_bytes());
            assert!(!is_there, "{number} is in {place}");
        }
    }
}
