//! The gate and the order per lead, through the running server: opt-out, caps under concurrency, quiet hours, loops.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    eventually::eventually,
    server::{Options, Server},
};

const NUMBER: &str = "+12125550142";

/// Publishes a workflow and returns its id.
async fn publish(server: &Server, definition: &Value) -> String {
    let made = server.post("/api/workflows", definition).await;
    let id = made["id"].as_str().expect("an id").to_owned();
    server
        .post(&format!("/api/workflows/{id}/publish"), &json!({}))
        .await;
    id
}

async fn lead(server: &Server) -> String {
    let made = server
        .post("/api/leads", &json!({"name": "Ann Lee", "phone": NUMBER}))
        .await;
    made["id"].as_str().expect("an id").to_owned()
}

async fn execute(server: &Server, workflow: &str, lead: &str) -> String {
    let started = server
        .post(
            &format!("/api/workflows/{workflow}/execute"),
            &json!({"lead_id": lead}),
        )
        .await;
    started["run_id"].as_str().expect("an id").to_owned()
}

async fn write(server: &Server, sid: &str, body: &str) {
    let sms = [
        ("MessageSid", sid),
        ("From", NUMBER),
        ("To", "+15550001111"),
        ("Body", body),
        ("NumMedia", "0"),
    ];
    let answer = server.webhook("/twilio/sms", &sms).await;
    assert_eq!(answer.status(), StatusCode::OK);
}

/// Waits until the run stands like that.
async fn run_with(server: &Server, run: &str, status: &str) -> Value {
    let path = format!("/api/runs/{run}");
    eventually(&format!("run {status}"), || async {
        let run = server.get(&path).await;
        (run["status"] == status).then_some(run)
    })
    .await
}

async fn texts_sent(server: &Server) -> usize {
    let messages = server.items("/api/messages?limit=200").await;
    let is_out = |message: &&Value| message["direction"] == "outbound" && message["channel"] == "sms";
    messages.iter().filter(is_out).count()
}

fn text_workflow(name: &str) -> Value {
    json!({"name": name, "trigger": {"type": "manual"},
        "nodes": [{"id": "tell", "type": "send_sms", "params": {"body": "hello"}}],
        "edges": [{"from": "trigger", "to": "tell"}]})
}

fn attempt(run: &Value) -> &Value {
    &run["steps"][0]["effect"]["attempts"][0]
}

#[tokio::test]
async fn stop_during_a_wait_ends_the_run_and_nothing_is_sent() {
    let server = Server::start(Options::dev()).await;
    let waiting = publish(
        &server,
        &json!({"name": "Nurture", "trigger": {"type": "manual"}, "settings": {"exit_on": ["lead.opted_out"]},
            "nodes": [{"id": "pause", "type": "delay", "params": {"for": "2s"}},
                      {"id": "tell", "type": "send_sms", "params": {"body": "hello"}}],
            "edges": [{"from": "trigger", "to": "pause"}, {"from": "pause", "to": "tell"}]}),
    )
    .await;
    let lead = lead(&server).await;
    let run = execute(&server, &waiting, &lead).await;
    run_with(&server, &run, "waiting").await;
    write(&server, "SM00000000000000000000000000000001", " stop! ").await;
    let run = run_with(&server, &run, "cancelled").await;
    assert_eq!(run["error"], "ended by lead.opted_out");
    let stopped = server.get(&format!("/api/leads/{lead}")).await;
    assert_eq!(
        (&stopped["opted_out"], &stopped["opted_out_of"]),
        (&json!(true), &json!(["sms", "call"]))
    );

    // Whatever starts later is refused, and says why and what to do.
    let later = publish(&server, &text_workflow("Later")).await;
    let run = execute(&server, &later, &lead).await;
    let run = run_with(&server, &run, "failed").await;
    let error = &run["steps"][0]["error"];
    assert_eq!(error["code"], "opted_out");
    assert!(
        error["message"].as_str().expect("words").contains("START"),
        "{error}"
    );
    assert_eq!(texts_sent(&server).await, 0);

    write(&server, "SM00000000000000000000000000000002", "Start").await;
    let run = execute(&server, &later, &lead).await;
    let run = run_with(&server, &run, "completed").await;
    assert_eq!(attempt(&run)["gate"]["consent"], "granted", "{run}");
    assert_eq!(texts_sent(&server).await, 1);
}

#[tokio::test]
async fn a_stop_outlives_the_lead_it_came_from() {
    let server = Server::start(Options::dev()).await;
    let ask = publish(
        &server,
        &json!({"name": "Ask", "trigger": {"type": "shop.asked"},
            "nodes": [{"id": "tell", "type": "send_sms", "params": {"body": "hello"}}],
            "edges": [{"from": "trigger", "to": "tell"}]}),
    )
    .await;
    let first = lead(&server).await;
    write(&server, "SM00000000000000000000000000000003", "STOP").await;
    let path = format!("/api/leads/{first}");
    eventually("the lead has stopped", || async {
        (server.get(&path).await["opted_out"] == true).then_some(())
    })
    .await;
    let gone = server.request(Method::DELETE, &path, None).await;
    assert_eq!(gone.status, 204);

    // Nobody has the number: a message to it is refused all the same, and so is one to whoever has it next.
    let event = json!({"type": "shop.asked", "subject": {"phone": NUMBER}});
    let taken = server.post("/api/events", &event).await;
    assert_eq!(taken["duplicate"], false);
    let runs = format!("/api/runs?workflow_id={ask}");
    let run = eventually("the run ends", || async {
        let runs = server.items(&runs).await;
        let run = runs.first().filter(|run| run["status"] == "failed")?;
        run["id"].as_str().map(str::to_owned)
    })
    .await;
    let run = server.get(&format!("/api/runs/{run}")).await;
    assert_eq!(run["steps"][0]["error"]["code"], "opted_out", "{run}");
    let next = run["lead_id"].as_str().expect("a lead").to_owned();
    assert_eq!(server.get(&format!("/api/leads/{next}")).await["opted_out"], true);
    assert_eq!(texts_sent(&server).await, 0);
}

#[tokio::test]
async fn caps_hold_when_many_workflows_write_to_one_lead_at_once() {
    let options = Options::dev().with("PATCHCORD_GATE__SMS_PER_DAY", "3");
    let server = Server::start(options).await;
    let (one, two) = (
        publish(&server, &text_workflow("One")).await,
        publish(&server, &text_workflow("Two")).await,
    );
    let lead = lead(&server).await;
    let mut runs = Vec::new();
    for _ in 0..6 {
        let (first, second) = tokio::join!(execute(&server, &one, &lead), execute(&server, &two, &lead));
        runs.extend([first, second]);
    }
    let (mut sent, mut capped) = (0, 0);
    for run in runs {
        let path = format!("/api/runs/{run}");
        let run = eventually("the run ends", || async {
            let run = server.get(&path).await;
            run["ended_at"].is_string().then_some(run)
        })
        .await;
        if run["status"] == "completed" {
            sent += 1;
            assert!(
                attempt(&run)["gate"]["contacts"]["day"]
                    .as_u64()
                    .is_some_and(|day| day <= 3),
                "{run}"
            );
        } else {
            assert_eq!(run["steps"][0]["error"]["code"], "cap_reached", "{run}");
            capped += 1;
        }
    }
    assert_eq!((sent, capped), (3, 9));
    assert_eq!(texts_sent(&server).await, 3);
    // Another person has their own count.
    let other = server
        .post("/api/leads", &json!({"name": "Bob", "phone": "+12125550143"}))
        .await;
    let run = execute(&server, &one, other["id"].as_str().expect("an id")).await;
    run_with(&server, &run, "completed").await;
}

/// Quiet hours that hold at this moment and end in a minute or two, as `HH:MM-HH:MM` of UTC.
fn quiet_for_a_minute() -> String {
    let minutes = patchcord::clock::now().as_unix_millis() / 60_000;
    let face = |minutes: u64| format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60);
    format!("{}-{}", face(minutes - 1), face(minutes + 1))
}

#[tokio::test]
async fn what_is_held_for_quiet_hours_says_why_and_is_judged_again_when_they_end() {
    let options = Options::dev().with("PATCHCORD_GATE__QUIET_HOURS", &quiet_for_a_minute());
    let server = Server::start(options).await;
    let workflow = publish(&server, &text_workflow("Soon")).await;
    let person = json!({"name": "Ann Lee", "phone": NUMBER, "timezone": "Etc/UTC"});
    let made = server.post("/api/leads", &person).await;
    let lead = made["id"].as_str().expect("an id");
    let held = execute(&server, &workflow, lead).await;
    let stopped = execute(&server, &workflow, lead).await;
    let run = run_with(&server, &held, "waiting").await;
    assert_eq!(attempt(&run)["outcome"], "held", "{run}");
    let reason = attempt(&run)["error"]["message"]
        .as_str()
        .expect("a reason")
        .to_owned();
    assert!(
        reason.starts_with("quiet hours") && reason.contains("UTC"),
        "{reason}"
    );
    run_with(&server, &stopped, "waiting").await;
    assert_eq!(texts_sent(&server).await, 0);
    let ends = crate::support::eventually::eventually_within(
        Duration::from_secs(180),
        "the quiet hours end",
        || async {
            let run = server.get(&format!("/api/runs/{held}")).await;
            (run["status"] == "completed").then_some(run)
        },
    )
    .await;
    let attempts = ends["steps"][0]["effect"]["attempts"]
        .as_array()
        .expect("attempts")
        .clone();
    assert_eq!(attempts.len(), 2, "{ends}");
    assert_eq!(attempts[1]["outcome"], "confirmed");
    assert_eq!(attempts[1]["gate"]["zone_from"], "lead");
    run_with(&server, &stopped, "completed").await;
    assert_eq!(texts_sent(&server).await, 2);
}

#[tokio::test]
async fn a_denied_consent_refuses_and_the_api_shows_and_changes_it() {
    let server = Server::start(Options::dev()).await;
    let workflow = publish(&server, &text_workflow("Ask")).await;
    let lead = lead(&server).await;
    let path = format!("/api/leads/{lead}");
    let denied = json!({"consent": {"sms": "denied"}});
    let answer = server.request(Method::PATCH, &path, Some(&denied)).await;
    assert_eq!(
        answer.body["consent"],
        json!({"sms": "denied", "call": "unknown", "email": "unknown"})
    );
    let run = execute(&server, &workflow, &lead).await;
    let run = run_with(&server, &run, "failed").await;
    assert_eq!(run["steps"][0]["error"]["code"], "no_consent");
    let both = json!({"opted_out": true, "opted_out_of": ["sms"]});
    let answer = server.request(Method::PATCH, &path, Some(&both)).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.body);
    let some = json!({"opted_out_of": ["email"]});
    let answer = server.request(Method::PATCH, &path, Some(&some)).await;
    assert_eq!(
        (&answer.body["opted_out"], &answer.body["opted_out_of"]),
        (&json!(true), &json!(["email"]))
    );
    let none = json!({"opted_out": false, "consent": {"sms": "granted"}});
    server.request(Method::PATCH, &path, Some(&none)).await;
    let run = execute(&server, &workflow, &lead).await;
    run_with(&server, &run, "completed").await;
}

#[tokio::test]
async fn an_account_that_asks_for_consent_answers_only_until_consent_is_written_down() {
    let server = Server::start(Options::dev()).await;
    let workflow = publish(&server, &text_workflow("Ask")).await;
    let lead = lead(&server).await;
    assert_eq!(server.get("/api/account").await["require_consent"], false);
    let strict = json!({"require_consent": true});
    let answer = server.request(Method::PATCH, "/api/account", Some(&strict)).await;
    assert_eq!(
        (answer.status, &answer.body["require_consent"]),
        (StatusCode::OK, &json!(true))
    );
    let dry_run = format!("/api/workflows/{workflow}/dry-run");
    let dry = server
        .post(&dry_run, &json!({"lead_id": lead, "at": "2026-11-23T17:00:00Z"}))
        .await;
    assert_eq!(dry["effects"][0]["outcome"], "refused", "{dry}");
    let run = execute(&server, &workflow, &lead).await;
    let run = run_with(&server, &run, "failed").await;
    let error = &run["steps"][0]["error"];
    assert_eq!(error["code"], "no_consent", "{error}");
    assert!(
        error["message"]
            .as_str()
            .expect("words")
            .contains("require_consent"),
        "{error}"
    );
    // An answer may go.
    write(&server, "SM00000000000000000000000000000003", "Are you open?").await;
    let run = execute(&server, &workflow, &lead).await;
    let run = run_with(&server, &run, "completed").await;
    assert_eq!(attempt(&run)["gate"]["is_reply"], true, "{run}");
    let bad = json!({"require_consent": "yes"});
    let answer = server.request(Method::PATCH, "/api/account", Some(&bad)).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.body);
}

#[tokio::test]
async fn a_loop_between_two_workflows_is_cut_and_shown() {
    let server = Server::start(Options::dev()).await;
    let raise = |name: &str, stage: &str, other: &str| {
        json!({"name": name, "trigger": {"type": "lead.updated", "filter": format!("lead.stage == '{other}'")},
            "nodes": [{"id": "move", "type": "update_lead", "params": {"stage": stage}}],
            "edges": [{"from": "trigger", "to": "move"}]})
    };
    let ping = publish(&server, &raise("Ping", "ping", "pong")).await;
    let pong = publish(&server, &raise("Pong", "pong", "ping")).await;
    let lead = lead(&server).await;
    let push = json!({"stage": "ping"});
    server
        .request(Method::PATCH, &format!("/api/leads/{lead}"), Some(&push))
        .await;
    let alert = eventually("the loop is cut", || async {
        let alerts = server.items("/api/alerts?limit=50").await;
        alerts.into_iter().find(|alert| alert["kind"] == "loop_cut")
    })
    .await;
    assert_eq!(alert["lead_id"], lead.as_str());
    // Pong answers the push, Ping answers Pong, and Pong is not started again by what its own run led to.
    for (workflow, count) in [(&pong, 1), (&ping, 1)] {
        let runs = server
            .items(&format!("/api/runs?workflow_id={workflow}&lead_id={lead}"))
            .await;
        assert_eq!(runs.len(), count, "{runs:?}");
    }
    let timeline = server.items(&format!("/api/leads/{lead}/timeline")).await;
    let cut = timeline
        .iter()
        .find(|entry| entry["type"] == "loop.cut")
        .expect("it is in the timeline");
    assert_eq!(cut["data"]["workflow_id"], pong.as_str());
    assert_eq!(cut["data"]["caused_by"].as_array().map(Vec::len), Some(2));
    // A person's own change starts it afresh.
    server
        .request(
            Method::PATCH,
            &format!("/api/leads/{lead}"),
            Some(&json!({"stage": "new"})),
        )
        .await;
    server
        .request(Method::PATCH, &format!("/api/leads/{lead}"), Some(&push))
        .await;
    eventually("it starts again for a person", || async {
        let runs = server
            .items(&format!("/api/runs?workflow_id={pong}&lead_id={lead}"))
            .await;
        (runs.len() >= 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_e_mail_to_several_is_judged_for_each_and_says_who_is_left_out() {
    let server = Server::start(Options::dev()).await;
    let mut ids = Vec::new();
    for (name, email, is_out) in [
        ("Ann", "ann@example.com", false),
        ("Ben", "ben@example.com", true),
    ] {
        let made = server
            .post("/api/leads", &json!({"name": name, "email": email}))
            .await;
        let id = made["id"].as_str().expect("an id").to_owned();
        let change = json!({"opted_out": is_out});
        let changed = server
            .request(Method::PATCH, &format!("/api/leads/{id}"), Some(&change))
            .await;
        assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
        ids.push(id);
    }
    let mail = |to: &str| {
        json!({"name": "Mail", "trigger": {"type": "manual"},
            "nodes": [{"id": "mail", "type": "send_email", "params": {"to": to, "subject": "Hi", "body": "hello"}}],
            "edges": [{"from": "trigger", "to": "mail"}]})
    };
    let workflow = publish(
        &server,
        &mail("BEN@example.com, ann@example.com, desk@acme.example"),
    )
    .await;
    let run = execute(&server, &workflow, &ids[0]).await;
    let run = run_with(&server, &run, "completed").await;
    let left_out = &attempt(&run)["gate"]["left_out"];
    assert_eq!(left_out[0]["code"], "opted_out", "{run}");
    assert_eq!(
        left_out[0]["receivers"].as_array().map(Vec::len),
        Some(1),
        "{run}"
    );
    let sent = server.items("/api/messages").await;
    assert_eq!(
        (sent.len(), &sent[0]["to"]),
        (1, &json!("ann@example.com, desk@acme.example"))
    );

    let order = json!({"lead_id": ids[0]});
    let dry = |workflow: &str| format!("/api/workflows/{workflow}/dry-run");
    let tried = server.post(&dry(&workflow), &order).await;
    assert_eq!(
        tried["effects"][0]["to"], "ann@example.com, desk@acme.example",
        "a dry run judges as the gate does: {tried}"
    );

    let workflow = publish(&server, &mail("ben@example.com")).await;
    let run = execute(&server, &workflow, &ids[0]).await;
    let run = run_with(&server, &run, "failed").await;
    assert_eq!(run["steps"][0]["error"]["code"], "opted_out", "{run}");
    let tried = server.post(&dry(&workflow), &order).await;
    assert_eq!(tried["effects"][0]["outcome"], "refused", "{tried}");
    assert_eq!(server.items("/api/messages").await.len(), 1);
}
