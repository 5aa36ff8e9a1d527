//! Duplicates of a lead: found, merged, and what was theirs shown on, sent to and erased with the lead that was kept.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    api::{Answer, ask, http},
    eventually::eventually,
    server::{Options, Server},
    twilio,
};

const FIRST: &str = "+14155550171";
const SECOND: &str = "+14155550172";

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("expected a text, found {value}"))
        .to_owned()
}

async fn lead(server: &Server, body: Value) -> String {
    text(&server.post("/api/leads", &body).await["id"])
}

/// The same person twice: the second with a name, fields and a zone that the first lacks.
async fn twice(server: &Server) -> (String, String) {
    let kept = json!({"phone": FIRST, "email": "Ann@Example.com", "fields": {"plan": "gold"}});
    let duplicate = json!({"name": "Ann Lee", "phone": SECOND, "email": " ann@example.COM",
        "timezone": "America/New_York", "fields": {"plan": "lead", "city": "Rome"}});
    (lead(server, kept).await, lead(server, duplicate).await)
}

async fn merge(server: &Server, kept: &str, duplicate: &str) -> Answer {
    let path = format!("/api/leads/{kept}/merge");
    let body = json!({ "duplicate": duplicate });
    server.request(Method::POST, &path, Some(&body)).await
}

async fn merged(server: &Server, kept: &str, duplicate: &str) -> Value {
    let answer = merge(server, kept, duplicate).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body
}

async fn publish(server: &Server, workflow: &Value) -> String {
    let made = server.post("/api/workflows", workflow).await;
    let path = format!("/api/workflows/{}", text(&made["id"]));
    server.post(&format!("{path}/publish"), &json!({})).await;
    path
}

async fn write_from(server: &Server, phone: &str, sid: &str, body: &str) {
    let message = [
        ("MessageSid", sid),
        ("From", phone),
        ("To", "+15550001111"),
        ("Body", body),
    ];
    let taken = server.webhook("/twilio/sms", &message).await;
    assert!(taken.status().is_success(), "{}", taken.status());
}

/// The kinds of facts on a lead's timeline.
async fn kinds(server: &Server, id: &str) -> Vec<String> {
    let items = server.items(&format!("/api/leads/{id}/timeline?limit=200")).await;
    items.iter().map(|fact| text(&fact["type"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_leads_become_one_that_keeps_what_either_had() {
    let server = Server::start(Options::serve()).await;
    let (kept, duplicate) = twice(&server).await;
    let groups = server.items("/api/leads/duplicates").await;
    assert_eq!(groups.len(), 1, "{groups:?}");
    assert_eq!(
        (&groups[0]["by"], &groups[0]["value"]),
        (&json!("email"), &json!("ann@example.com"))
    );
    assert_eq!(groups[0]["more"], 0);
    let ids: Vec<&Value> = groups[0]["leads"]
        .as_array()
        .expect("leads")
        .iter()
        .map(|one| &one["id"])
        .collect();
    assert_eq!(ids, [&json!(kept), &json!(duplicate)]);

    let run = things_of_the_duplicate(&server, &duplicate).await;
    let before = kinds(&server, &duplicate).await.len() + kinds(&server, &kept).await.len();

    let after = merged(&server, &kept, &duplicate).await;
    assert_eq!((&after["id"], &after["name"]), (&json!(kept), &json!("Ann Lee")));
    assert_eq!(
        (&after["phone"], &after["timezone"]),
        (&json!(FIRST), &json!("America/New_York"))
    );
    assert_eq!(after["fields"], json!({"plan": "gold", "city": "Rome"}));
    assert_eq!(
        after["merged"],
        json!({"ids": [duplicate], "phones": [SECOND], "emails": []})
    );
    assert_eq!(after["opted_out"], true, "an opt-out never disappears");
    assert_eq!(after["opted_out_of"], json!(["sms", "call"]));
    assert!(server.items("/api/leads/duplicates").await.is_empty());

    // The same again is answered the same, and the old id is the lead.
    assert_eq!(merged(&server, &kept, &duplicate).await, after);
    assert_eq!(server.get(&format!("/api/leads/{duplicate}")).await, after);
    let ended = server.get(&format!("/api/runs/{run}")).await;
    assert_eq!(ended["status"], "cancelled");
    assert!(
        ended.to_string().contains(&format!("lead merged into {kept}")),
        "{ended}"
    );
    let of_lead = server.items(&format!("/api/runs?lead_id={kept}")).await;
    assert!(of_lead.iter().any(|one| one["id"] == json!(run)));
    let meetings = server.items(&format!("/api/appointments?lead_id={kept}")).await;
    assert_eq!(meetings.len(), 1);
    let facts = eventually("both leads' facts are on one timeline", async || {
        let kinds = kinds(&server, &kept).await;
        (kinds.len() >= before + 2).then_some(kinds)
    })
    .await;
    for kind in [
        "lead.updated",
        "lead.opted_out",
        "appointment.booked",
        "call.no_answer",
        "sms.received",
    ] {
        assert!(facts.iter().any(|known| known == kind), "{kind}: {facts:?}");
    }

    found_by_every_name(&server, &kept, &duplicate, &run).await;
    heard_by_the_old_names(&server, &kept, &duplicate).await;
    written_down_and_exported(&server, &kept, &duplicate).await;
}

/// A run of the duplicate that waits, and things of its own. Returns the run.
async fn things_of_the_duplicate(server: &Server, duplicate: &str) -> String {
    let wait = json!({"name": "Wait", "enabled": true, "trigger": {"type": "manual"},
        "nodes": [{"id": "pause", "type": "delay", "params": {"for": "30d"}}],
        "edges": [{"from": "trigger", "to": "pause"}]});
    let wait = publish(server, &wait).await;
    let start = json!({ "lead_id": duplicate });
    let run = text(&server.post(&format!("{wait}/execute"), &start).await["run_id"]);
    let meeting = json!({"title": "Meeting", "starts_at": "2027-01-01T10:00:00Z", "lead_id": duplicate});
    server.post("/api/appointments", &meeting).await;
    write_from(server, SECOND, "SM01", "STOP").await;
    server.report_no_answer(&twilio::call_sid(1), SECOND).await;
    eventually("the duplicate's facts are there", async || {
        let kinds = kinds(server, duplicate).await;
        [
            "appointment.booked",
            "sms.received",
            "lead.opted_out",
            "call.no_answer",
        ]
        .iter()
        .all(|kind| kinds.iter().any(|known| known == kind))
        .then_some(())
    })
    .await;
    run
}

/// Every filter by a lead's id, number or address finds what is the lead's by any that was ever one of its own.
async fn found_by_every_name(server: &Server, kept: &str, duplicate: &str, run: &str) {
    let phones = [FIRST, SECOND].map(|phone| phone.replace('+', "%2B"));
    let mut filters: Vec<String> = [kept, duplicate].map(|id| format!("lead_id={id}")).into();
    filters.extend(phones.iter().map(|phone| format!("phone={phone}")));
    filters.extend(
        phones
            .iter()
            .map(|phone| format!("phone={phone}&lead_id={duplicate}")),
    );
    for text in ["ann%20lee", "5550171", "5550172"] {
        filters.push(format!("q={text}"));
    }
    for filter in &filters {
        let runs = server.items(&format!("/api/runs?{filter}")).await;
        let ids: Vec<&Value> = runs.iter().map(|one| &one["id"]).collect();
        assert_eq!(ids, [&json!(run)], "{filter}");
    }
    let nobody = format!(
        "/api/runs?phone={}&lead_id=lead_01h455vb4pex5vsknk084sn02q",
        phones[1]
    );
    assert!(server.items(&nobody).await.is_empty());
    let unknown = server.items("/api/runs?phone=%2B14155550179").await;
    assert!(unknown.is_empty(), "{unknown:?}");

    let mut filters: Vec<String> = phones.iter().map(|phone| format!("phone={phone}")).collect();
    filters.push(format!("phone={}&email=ANN@example.com", phones[1]));
    filters.extend(["q=0172", "q=%2B14155550172", "q=ann%200172"].map(str::to_owned));
    for filter in &filters {
        let leads = server.items(&format!("/api/leads?{filter}")).await;
        let ids: Vec<&Value> = leads.iter().map(|one| &one["id"]).collect();
        assert_eq!(ids, [&json!(kept)], "{filter}");
    }

    let about = async |id: &str| server.items(&format!("/api/audit?about={id}&limit=200")).await;
    let entries = about(kept).await;
    assert_eq!(about(duplicate).await, entries);
    for id in [kept, duplicate] {
        let made = entries.iter().filter(|entry| entry["subject"] == json!(id));
        assert!(made.count() > 0, "{id}: {entries:?}");
    }
    let meetings = server
        .items(&format!("/api/appointments?lead_id={duplicate}"))
        .await;
    assert_eq!(meetings.len(), 1, "by the old id too");
}

/// What is heard of the old id and the old number is heard of the lead.
async fn heard_by_the_old_names(server: &Server, kept: &str, duplicate: &str) {
    write_from(server, SECOND, "SM02", "hello again").await;
    for subject in [json!({ "lead_id": duplicate }), json!({ "phone": SECOND })] {
        server
            .post(
                "/api/events",
                &json!({"type": "survey.answered", "subject": subject}),
            )
            .await;
    }
    assert_eq!(server.items("/api/leads").await.len(), 1);
    let facts = kinds(server, kept).await;
    let count = |kind: &str| facts.iter().filter(|known| *known == kind).count();
    assert_eq!(
        (count("survey.answered"), count("sms.received")),
        (2, 2),
        "{facts:?}"
    );
    assert_eq!(kinds(server, duplicate).await, facts);
}

async fn written_down_and_exported(server: &Server, kept: &str, duplicate: &str) {
    let entries = server.items(&format!("/api/audit?about={duplicate}")).await;
    let entry = entries
        .iter()
        .find(|entry| entry["action"] == "mergeLead" && entry["before"].is_object())
        .expect("an entry");
    assert_eq!(entry["before"]["duplicate"]["name"], "Ann Lee");
    assert_eq!(entry["before"]["kept"]["name"], "");
    assert_eq!(entry["after"]["id"], json!(kept));
    let export = server.get(&format!("/api/leads/{kept}/export")).await;
    for (part, count) in [("runs", 1), ("appointments", 1), ("calls", 1), ("messages", 2)] {
        assert!(
            export[part].as_array().is_some_and(|items| items.len() >= count),
            "{part}: {}",
            export[part]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_survives_a_crash_and_the_duplicates_things_are_erased_with_the_lead() {
    let mut server = Server::start(Options::serve()).await;
    let (kept, duplicate) = twice(&server).await;
    server
        .post("/api/tasks", &json!({"title": "Call her", "lead_id": duplicate}))
        .await;
    write_from(&server, SECOND, "SM01", "a word of the duplicate").await;
    // The process dies while it merges: by the answer, by the store or not at all, asking again brings it to its end.
    let path = server.at(&format!("/api/leads/{kept}/merge"));
    let request = http()
        .post(path)
        .bearer_auth(&server.ready().access_token)
        .json(&json!({ "duplicate": duplicate }));
    let asking = tokio::spawn(request.send());
    tokio::task::yield_now().await;
    server.kill9().await;
    drop(asking.await);
    server.start_again().await;
    let after = merged(&server, &kept, &duplicate).await;
    assert_eq!(after["merged"]["ids"], json!([duplicate]));
    assert_eq!(server.items("/api/leads").await.len(), 1);
    let updates = kinds(&server, &kept).await;
    let updates = updates.iter().filter(|kind| *kind == "lead.updated").count();
    assert_eq!(updates, 1, "told once");

    server
        .post(&format!("/api/leads/{kept}/erase"), &json!(null))
        .await;
    eventually("the erasure is done", async || {
        let erasure = server.get(&format!("/api/leads/{kept}/erasure")).await;
        (erasure["status"] == "done").then_some(())
    })
    .await;
    for id in [&kept, &duplicate] {
        let gone = server
            .request(Method::GET, &format!("/api/leads/{id}"), None)
            .await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND);
    }
    assert!(server.items("/api/tasks").await.is_empty());
    let messages = server.items("/api/messages").await;
    assert!(
        !messages
            .iter()
            .any(|one| one.to_string().contains("a word of the duplicate")),
        "{messages:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_two_leads_of_one_account_are_merged_and_only_by_an_admin() {
    let server = Server::start(Options::serve().with("PATCHCORD_SERVER__OPEN_REGISTRATION", "true")).await;
    let (kept, duplicate) = twice(&server).await;
    let other = json!({"email": "b@example.com", "password": "b password", "account_name": "Other"});
    let other = ask(&server, Method::POST, "/api/auth/register", "", Some(other)).await;
    let other = text(&other.body["access_token"]);
    let theirs = json!({"name": "Theirs"});
    let theirs = ask(&server, Method::POST, "/api/leads", &other, Some(theirs)).await;
    let theirs = text(&theirs.body["id"]);
    let nobody = "lead_01h455vb4pex5vsknk084sn02q";
    let unknown = merge(&server, &kept, nobody).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(
        merge(&server, &kept, &theirs).await,
        unknown,
        "a foreign lead is as unknown"
    );
    assert_eq!(merge(&server, &theirs, &kept).await.status, StatusCode::NOT_FOUND);
    let path = format!("/api/leads/{theirs}/merge");
    let taken = ask(
        &server,
        Method::POST,
        &path,
        &other,
        Some(json!({ "duplicate": kept })),
    )
    .await;
    assert_eq!(taken.status, StatusCode::NOT_FOUND);
    let itself = merge(&server, &kept, &kept).await;
    assert_eq!(itself.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(itself.body["errors"][0]["field"], "duplicate", "{}", itself.body);

    for (role, status) in [
        ("agent", StatusCode::FORBIDDEN),
        ("supervisor", StatusCode::FORBIDDEN),
        ("admin", StatusCode::OK),
    ] {
        let key = server
            .post("/api/keys", &json!({"name": role, "role": role}))
            .await;
        let path = format!("/api/leads/{kept}/merge");
        let body = Some(json!({ "duplicate": duplicate }));
        let answer = ask(&server, Method::POST, &path, &text(&key["secret"]), body).await;
        assert_eq!(answer.status, status, "{role}: {}", answer.body);
    }
    let through = ask(
        &server,
        Method::GET,
        &format!("/api/leads/{duplicate}"),
        &other,
        None,
    )
    .await;
    assert_eq!(through.status, StatusCode::NOT_FOUND);
}
