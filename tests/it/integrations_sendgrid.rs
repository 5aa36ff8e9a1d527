//! What we send to SendGrid, judged by SendGrid's own OpenAPI, which Prism serves.
//!
//! Skipped, with the reason printed, where Prism or the description (`PATCHCORD_SHARED`) is not there.

use std::path::PathBuf;

use patchcord::{
    domain::{
        ids::{AccountId, RunId, WorkflowId},
        secret::Secret,
    },
    integrations::{
        EmailSettings, SendgridSettings,
        address_guard::AllowList,
        client::HttpClient,
        email::{Email, EmailProvider},
        port::{EffectOutcome, EffectPort},
    },
    store::sqlite,
    workflows::{
        Effect, Request,
        definition::Audience,
        effect::{EmailMessage, InDoubt},
    },
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{api::http, prism::Prism};

fn description() -> PathBuf {
    let shared = std::env::var_os("PATCHCORD_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")),
        PathBuf::from,
    );
    shared.join("data/specs/sendgrid_mail_v3.json")
}

fn mail(node: &str, message: EmailMessage) -> Effect {
    let run_id = RunId::fresh();
    Effect {
        key: Effect::key_of(run_id, node, 0, 0),
        attempt: 1,
        holds: 0,
        run_id,
        account_id: AccountId::fresh(),
        workflow_id: WorkflowId::fresh(),
        lead_id: None,
        call_id: None,
        node: node.to_owned(),
        visit: 0,
        planned_at: patchcord::clock::now(),
        audience: Audience::Lead,
        window: None,
        valid_until: None,
        in_doubt: InDoubt::Resend,
        trace: None,
        request: Request::SendEmail(message),
    }
}

fn to_one() -> EmailMessage {
    EmailMessage {
        to: vec!["ann@example.com".to_owned()],
        cc: Vec::new(),
        reply_to: None,
        subject: "Grüße".to_owned(),
        text: "Hello Ann".to_owned(),
        html: None,
    }
}

fn with_everything() -> EmailMessage {
    EmailMessage {
        to: vec!["ann@example.com".to_owned(), "ben@example.com".to_owned()],
        cc: vec!["desk@acme.example".to_owned()],
        reply_to: Some("desk@acme.example".to_owned()),
        html: Some("<p>Hello Ann</p>".to_owned()),
        ..to_one()
    }
}

async fn posted(prism: &Prism, body: &Value) -> StatusCode {
    let request = http().post(format!("{}/v3/mail/send", prism.base()));
    let answer = request.bearer_auth("SG.1").json(body).send().await;
    answer.expect("Prism answers").status()
}

#[tokio::test]
async fn sendgrids_own_description_accepts_what_we_send() {
    let Some(prism) = Prism::start(Some(&description())).await else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (store, _guard) = sqlite::open(&folder.path().join("store.db")).expect("it opens");
    let email = EmailSettings {
        provider: EmailProvider::Sendgrid,
        smtp_url: Secret::new(String::new()),
        smtp_ca_file: String::new(),
        from: "Acme <hello@acme.example>".to_owned(),
    };
    let sendgrid = SendgridSettings {
        api_key: Secret::new("SG.1".to_owned()),
        api_base: prism.base().to_owned(),
    };
    let client = HttpClient::new(AllowList::default()).expect("the machine has root certificates");
    let port = Email::new(client, store, &email, &sendgrid).expect("it is set up");
    for (node, message) in [("one", to_one()), ("all", with_everything())] {
        let outcome = port.execute(&mail(node, message)).await;
        assert!(
            matches!(outcome, EffectOutcome::Confirmed { .. }),
            "{node}: {outcome:?}"
        );
    }
    let unreadable = EmailMessage {
        to: vec!["not an address".to_owned()],
        ..to_one()
    };
    let refused = port.execute(&mail("wrong", unreadable)).await;
    assert!(
        matches!(&refused, EffectOutcome::Rejected(failure) if failure.code == "http_400"),
        "{refused:?}"
    );

    // The judge is awake: it refuses a misspelt field wherever it stands, and one that is missing.
    let good = json!({"personalizations": [{"to": [{"email": "ann@example.com"}], "custom_args": {"a": "b"}}],
        "from": {"email": "hello@acme.example"}, "subject": "Hi", "content": [{"type": "text/plain", "value": "Hello"}]});
    assert_eq!(posted(&prism, &good).await, StatusCode::ACCEPTED);
    for (place, field) in [
        ("", "replyto"),
        ("/personalizations/0", "customargs"),
        ("/from", "nmae"),
    ] {
        let mut wrong = good.clone();
        wrong.pointer_mut(place).expect("it is there")[field] = json!({});
        assert_eq!(
            posted(&prism, &wrong).await,
            StatusCode::BAD_REQUEST,
            "{place}/{field}"
        );
    }
    let mut lacking = good;
    lacking["personalizations"][0]["to"][0] = json!({"name": "Ann"});
    assert_eq!(posted(&prism, &lacking).await, StatusCode::BAD_REQUEST);
}
