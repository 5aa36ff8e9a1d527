//! E-mail: by a real SMTP server (`scripts/smtp-sink`) and by SendGrid's API, every answer and every loss.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};

use super::fake::{
    Fake, Kept, account, answer, email, hanging_up, http, kept, no_email, no_sendgrid, nobody,
};
use crate::{
    domain::{message::MessageStatus, secret::Secret},
    integrations::{
        EmailSettings, SendgridSettings, client,
        email::{Email, EmailProvider},
        port::{EffectOutcome, EffectPort},
    },
    workflows::{Effect, FailureKind, Finding},
};

const SINK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/smtp-sink");
/// Exit status with which the script says that it cannot work on this machine.
const UNAVAILABLE: i32 = 77;

/// A real mail server. Ends when it is dropped.
struct Sink {
    child: Child,
    input: Option<ChildStdin>,
    smtp: u64,
    http: u64,
    ca: String,
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.input.take());
        self.child.wait().expect("the server ends with its input");
    }
}

impl Sink {
    /// `None`, saying why, where the server cannot be had.
    fn start() -> Option<Self> {
        let mut child = Command::new(SINK)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the script is in the repository");
        let mut line = String::new();
        let output = child.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("text");
        if line.is_empty() {
            let status = child.wait().expect("it has ended");
            assert_eq!(status.code(), Some(UNAVAILABLE), "scripts/smtp-sink failed");
            eprintln!("skipped: no SMTP server can be had on this machine");
            return None;
        }
        let ready: Value = serde_json::from_str(&line).expect("its first line is JSON");
        Some(Self {
            input: child.stdin.take(),
            child,
            smtp: ready["smtp"].as_u64().expect("a port"),
            http: ready["http"].as_u64().expect("a port"),
            ca: ready["ca"].as_str().expect("a file").to_owned(),
        })
    }

    fn sender(&self, kept: &Kept, password: &str) -> Email {
        let url = format!("smtp://test:{password}@localhost:{}?tls=required", self.smtp);
        let settings = EmailSettings {
            smtp_ca_file: self.ca.clone(),
            ..smtp(&url)
        };
        Email::new(http(), kept.store.clone(), &settings, &no_sendgrid()).expect("it is set up")
    }

    async fn messages(&self) -> Vec<Value> {
        let url = format!("http://127.0.0.1:{}/", self.http)
            .parse()
            .expect("an address");
        let reply = client::send(http().configured(reqwest::Method::GET, url)).await;
        serde_json::from_slice(&reply.expect("an answer").body).expect("a list")
    }
}

fn smtp(url: &str) -> EmailSettings {
    EmailSettings {
        provider: EmailProvider::Smtp,
        smtp_url: Secret::new(url.to_owned()),
        ..no_email()
    }
}

fn rejected(outcome: &EffectOutcome) -> (FailureKind, &str) {
    match outcome {
        EffectOutcome::Rejected(failure) => (failure.kind, &failure.code),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_mail_server_takes_a_message_once_encrypted_and_authenticated() {
    let (Some(sink), kept) = (Sink::start(), kept()) else {
        return;
    };
    let port = sink.sender(&kept, "secret");
    let effect = email("mail", "ann@example.com");
    let first = port.execute(&effect).await;
    let EffectOutcome::Confirmed { provider_id, .. } = &first else {
        panic!("{first:?}")
    };
    // The answer was lost on our side: the same effect again sends nothing.
    assert!(matches!(
        port.execute(&effect).await,
        EffectOutcome::Confirmed { .. }
    ));
    assert!(matches!(port.settle(&effect).await, Finding::Present { .. }));
    let messages = sink.messages().await;
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert_eq!((&message["tls"], &message["auth"]), (&json!(true), &json!(true)));
    assert_eq!(message["headers"]["message-id"], json!(provider_id));
    assert_eq!(
        provider_id.as_deref(),
        Some(format!("<{}@acme.example>", effect.message_id()).as_str())
    );
    assert_eq!(message["headers"]["subject"], json!("Grüße from Acme"));
    assert_eq!(message["headers"]["reply-to"], json!("desk@acme.example"));
    assert_eq!(message["to"], json!(["ann@example.com"]));
    assert_eq!(
        message["text"]
            .as_str()
            .map(|text| text.trim_end().replace("\r\n", "\n")),
        Some("Hello Ann\n.\nBye".to_owned())
    );
    assert!(message["html"].as_str().is_some_and(|html| html.contains("<p>")));
    let row = kept.store.messages.get(account(), effect.message_id()).await;
    assert_eq!(row.expect("kept").status, MessageStatus::Sent);
    // The connection is kept and used again.
    let second = port.execute(&email("next", "bob@example.com")).await;
    assert!(matches!(second, EffectOutcome::Confirmed { .. }), "{second:?}");
}

#[tokio::test]
async fn what_a_mail_server_refuses_is_definite_and_what_it_leaves_open_is_not() {
    let (Some(sink), kept) = (Sink::start(), kept()) else {
        return;
    };
    let port = sink.sender(&kept, "secret");
    let outcome = port.execute(&email("a", "tempfail@example.com")).await;
    assert_eq!(rejected(&outcome), (FailureKind::Temporary, "smtp_451"));
    let outcome = port.execute(&email("b", "reject@example.com")).await;
    assert_eq!(rejected(&outcome), (FailureKind::Permanent, "smtp_550"));
    let outcome = port.execute(&email("c", "full@example.com")).await;
    assert_eq!(rejected(&outcome), (FailureKind::Permanent, "smtp_552"));
    let dropped = email("d", "drop@example.com");
    for _ in 0..2 {
        let outcome = port.execute(&dropped).await;
        assert!(matches!(outcome, EffectOutcome::Unknown { .. }), "{outcome:?}");
        assert_eq!(
            port.settle(&dropped).await,
            Finding::Absent,
            "the node's choice counts"
        );
    }
    let messages = sink.messages().await;
    assert_eq!(messages.len(), 2);
    assert_eq!(
        messages[0]["headers"]["message-id"], messages[1]["headers"]["message-id"],
        "receivers can tell the repeat"
    );
    let wrong = sink.sender(&kept, "wrong");
    let outcome = wrong.execute(&email("e", "ann@example.com")).await;
    assert_eq!(rejected(&outcome), (FailureKind::Permanent, "smtp_535"));
}

/// A mail server that knows nothing but plain text.
async fn without_tls() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (reader, mut writer) = socket.into_split();
            let mut lines = tokio::io::BufReader::new(reader).lines();
            writer
                .write_all(b"220 plain\r\n")
                .await
                .expect("the client listens");
            while let Ok(Some(_)) = lines.next_line().await {
                if writer.write_all(b"250 plain\r\n").await.is_err() {
                    break;
                }
            }
        }
    });
    port
}

#[tokio::test]
async fn a_password_is_not_sent_in_the_open_and_a_missing_server_is_tried_again() {
    let kept = kept();
    let port = without_tls().await;
    let by = |url: &str| Email::new(http(), kept.store.clone(), &smtp(url), &no_sendgrid()).expect("set up");
    let open = by(&format!("smtp://test:secret@127.0.0.1:{port}?tls=required"));
    let outcome = open.execute(&email("a", "ann@example.com")).await;
    assert_eq!(rejected(&outcome), (FailureKind::Permanent, "smtp_setup"));
    let nobody = nobody().await.replace("http", "smtp");
    let outcome = by(&nobody).execute(&email("b", "ann@example.com")).await;
    assert_eq!(rejected(&outcome), (FailureKind::Temporary, "unreached"));
    let nothing =
        Email::new(http(), kept.store.clone(), &no_email(), &no_sendgrid()).expect("nothing is set");
    let outcome = nothing.execute(&email("c", "ann@example.com")).await;
    assert_eq!(rejected(&outcome), (FailureKind::Permanent, "not_configured"));
}

#[test]
fn a_wrong_setting_is_named() {
    let kept = kept();
    let error = |email: EmailSettings| {
        Email::new(http(), kept.store.clone(), &email, &no_sendgrid())
            .err()
            .expect("it is wrong")
            .to_string()
    };
    assert!(error(smtp("mail.example.com")).starts_with("email.smtp_url: expected"));
    let nameless = EmailSettings {
        from: String::new(),
        ..smtp("smtp://mail.example.com")
    };
    assert!(error(nameless).starts_with("email.from: expected"));
    let keyless = EmailSettings {
        provider: EmailProvider::Sendgrid,
        ..no_email()
    };
    assert_eq!(error(keyless), "email.provider: sendgrid.api_key is not set");
}

fn sendgrid(kept: &Kept, base: &str) -> Email {
    let settings = SendgridSettings {
        api_key: Secret::new("SG.1".to_owned()),
        api_base: base.to_owned(),
    };
    Email::new(http(), kept.store.clone(), &no_email(), &settings)
        .expect("it is set up")
        .with_look_ups([Duration::ZERO; 3])
}

#[tokio::test]
async fn sendgrid_is_given_what_its_description_asks_for() {
    let taken = (202, vec![("x-message-id", "sg-1".to_owned())], String::new());
    let (kept, fake) = (kept(), Fake::with([taken]).await);
    let effect = email("mail", "ann@example.com");
    let outcome = sendgrid(&kept, &fake.base).execute(&effect).await;
    let EffectOutcome::Confirmed { provider_id, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(provider_id.as_deref(), Some("sg-1"));
    let asked = &fake.asked()[0];
    assert_eq!(asked.uri.path(), "/v3/mail/send");
    assert_eq!(asked.header("authorization"), "Bearer SG.1");
    let body: Value = serde_json::from_str(&asked.body).expect("JSON");
    assert_eq!(
        body["personalizations"][0]["custom_args"]["patchcord_effect"],
        json!(effect.key)
    );
    assert_eq!(
        body["from"],
        json!({"email": "hello@acme.example", "name": "Acme"})
    );
    assert_eq!(body["content"][1]["type"], json!("text/html"));
}

#[tokio::test]
async fn sendgrids_refusals_are_definite_and_its_faults_are_looked_up() {
    let refusal = json!({"errors": [{"message": "The from address does not match a verified Sender Identity.", "field": "from"}]});
    let busy = (429, vec![("retry-after", "7".to_owned())], String::new());
    let seen = json!({"messages": [{"msg_id": "sg-2", "status": "delivered"}]});
    let answers = [answer(403, refusal), busy, answer(500, ""), answer(200, seen)];
    let (kept, fake) = (kept(), Fake::with(answers).await);
    let port = sendgrid(&kept, &fake.base);
    let outcome = port.execute(&email("a", "ann@example.com")).await;
    assert_eq!(rejected(&outcome), (FailureKind::Permanent, "http_403"));
    assert!(format!("{outcome:?}").contains("verified Sender Identity"));
    let outcome = port.execute(&email("b", "ann@example.com")).await;
    assert_eq!(rejected(&outcome), (FailureKind::Temporary, "http_429"));
    let doubtful = email("c", "ann@example.com");
    let outcome = port.execute(&doubtful).await;
    assert!(matches!(outcome, EffectOutcome::Unknown { .. }), "{outcome:?}");
    let Finding::Present { provider_id, .. } = port.settle(&doubtful).await else {
        panic!("its activity shows it")
    };
    assert_eq!(provider_id.as_deref(), Some("sg-2"));
    let query = fake.asked()[3].field("query").expect("a query");
    assert!(query.contains(&doubtful.key), "{query}");
    let lost = sendgrid(&kept, &hanging_up("").await);
    let outcome = lost.execute(&email("d", "ann@example.com")).await;
    assert!(matches!(outcome, EffectOutcome::Unknown { .. }), "{outcome:?}");
}

#[tokio::test]
async fn without_the_right_to_read_activity_the_nodes_choice_counts() {
    let (kept, fake) = (
        kept(),
        Fake::with([403, 403, 403].map(|status| answer(status, ""))).await,
    );
    let effect: Effect = email("a", "ann@example.com");
    assert_eq!(sendgrid(&kept, &fake.base).settle(&effect).await, Finding::Absent);
    assert_eq!(fake.asked().len(), 3);
}
