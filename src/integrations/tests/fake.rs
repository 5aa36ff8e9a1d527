//! A server that gives the answers it was told, in order, and keeps what it was asked.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
};

use crate::{
    domain::{
        call::{CallPlan, OnMachine},
        ids::{AccountId, LeadId},
        lead::Lead,
        secret::Secret,
        signing::SigningKeys,
        time::Timestamp,
    },
    integrations::{
        client::HttpClient,
        email::{EmailProvider, EmailSettings, SendgridSettings},
        twilio::{Routing, TwilioRest, TwilioSettings, TwilioSms},
    },
    store::{
        Store,
        sqlite::{self, SqliteGuard},
    },
    workflows::{
        Effect, Request,
        definition::Audience,
        effect::{EmailMessage, InDoubt},
    },
};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// A field of a form body or of the query.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        let query = self.uri.query().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(self.body.as_bytes())
            .chain(url::form_urlencoded::parse(query.as_bytes()));
        pairs
            .into_iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// What the server will say.
pub(super) type Answer = (u16, Vec<(&'static str, String)>, String);

pub(super) fn answer(status: u16, body: impl ToString) -> Answer {
    (status, Vec::new(), body.to_string())
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    asked: Vec<Asked>,
}

/// The server. Ends with the test's runtime.
pub(super) struct Fake {
    pub(super) base: String,
    script: Arc<Mutex<Script>>,
}

impl Fake {
    /// Starts a server with these answers; whatever is asked beyond them gets 418.
    pub(super) async fn with(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::on("127.0.0.1:0", answers).await
    }

    /// The same on another address of this machine.
    pub(super) async fn on(bind: &str, answers: impl IntoIterator<Item = Answer>) -> Self {
        let script = Arc::new(Mutex::new(Script {
            answers: answers.into_iter().collect(),
            asked: Vec::new(),
        }));
        let listener = TcpListener::bind(bind).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let app = Router::new().fallback(serve).with_state(Arc::clone(&script));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            base: format!("http://{address}"),
            script,
        }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.script
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .asked
            .clone()
    }
}

async fn serve(
    State(script): State<Arc<Mutex<Script>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
    let body = String::from_utf8_lossy(&body).into_owned();
    script.asked.push(Asked {
        method,
        uri,
        headers,
        body,
    });
    let (status, headers, body) = script
        .answers
        .pop_front()
        .unwrap_or_else(|| answer(418, "nothing left to say"));
    let mut response = (StatusCode::from_u16(status).expect("a status"), body).into_response();
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, value.parse().expect("a header value"));
    }
    response
}

/// Starts a server that reads one request, says `reply` and hangs up. Returns its address.
pub(super) async fn hanging_up(reply: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 8_192];
            let read = socket.read(&mut request).await.expect("a request");
            // A connection that was opened ahead and is not needed says nothing.
            if read == 0 {
                continue;
            }
            socket
                .write_all(reply.as_bytes())
                .await
                .expect("the client listens");
        }
    });
    format!("http://{address}")
}

/// An address where nobody listens.
pub(super) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    format!("http://{}", listener.local_addr().expect("it is bound"))
}

/// A store of its own.
pub(super) struct Kept {
    pub(super) store: Store,
    _guard: SqliteGuard,
    _folder: tempfile::TempDir,
}

pub(super) fn kept() -> Kept {
    let folder = tempfile::tempdir().expect("the test machine has a temporary folder");
    let path: PathBuf = folder.path().join("store.db");
    let (store, guard) = sqlite::open(&path).expect("an empty folder takes a store");
    Kept {
        store,
        _guard: guard,
        _folder: folder,
    }
}

pub(super) fn account() -> AccountId {
    AccountId::from_bytes([7; 16])
}

pub(super) fn lead() -> Lead {
    Lead {
        name: "Ann".to_owned(),
        phone: "+14155550199".parse().ok(),
        ..Lead::nameless(LeadId::from_bytes([3; 16]), account(), planned_at())
    }
}

pub(super) fn planned_at() -> Timestamp {
    // Fri, 20 Nov 2026 09:00:00 +0000
    Timestamp::from_unix_millis(1_795_165_200_000)
}

/// An effect of the run's node `node`.
pub(super) fn effect(node: &str, request: Request) -> Effect {
    let run_id = crate::domain::ids::RunId::from_bytes([9; 16]);
    Effect {
        key: Effect::key_of(run_id, node, 0, 0),
        attempt: 1,
        holds: 0,
        run_id,
        account_id: account(),
        workflow_id: crate::domain::ids::WorkflowId::from_bytes([8; 16]),
        lead_id: None,
        call_id: None,
        node: node.to_owned(),
        visit: 0,
        planned_at: planned_at(),
        audience: Audience::Lead,
        window: None,
        valid_until: None,
        in_doubt: InDoubt::Resend,
        trace: None,
        request,
    }
}

pub(super) fn sms(node: &str) -> Effect {
    let to = "+14155550199".parse().expect("a number");
    effect(
        node,
        Request::SendSms {
            to,
            body: "We tried to call you.".to_owned(),
            from: None,
        },
    )
}

/// A client that may reach this machine.
pub(super) fn http() -> HttpClient {
    HttpClient::new("127.0.0.1".parse().expect("a list")).expect("the machine has root certificates")
}

pub(super) fn twilio_settings(api_base: &str) -> TwilioSettings {
    TwilioSettings {
        account_sid: format!("AC{:032x}", 1),
        auth_token: Secret::new("token".to_owned()),
        api_base: api_base.to_owned(),
        from_number: "+14155550100".to_owned(),
        routing: Routing::Record,
        dial_to: String::new(),
        dial_timeout_s: 20,
        supervision: false,
        consent_text: String::new(),
        say_text: String::new(),
        voicemail: true,
        messages_per_s: 1_000,
    }
}

/// What tokens and webhooks are signed with.
pub(super) fn signing_keys() -> watch::Receiver<SigningKeys> {
    let secret = Secret::new("00".repeat(32));
    watch::channel(SigningKeys::of(secret, Timestamp::default())).1
}

/// Sends to `api_base`, and looks up three times without waiting.
pub(super) fn sender(api_base: &str, store: &Store) -> TwilioSms {
    let settings = twilio_settings(api_base);
    let rest = TwilioRest::new(http(), &settings).expect("an address");
    TwilioSms::new(
        rest,
        store.clone(),
        settings,
        "https://calls.example.com".to_owned(),
        signing_keys(),
    )
    .with_look_ups([Duration::ZERO; 3])
}

/// Twilio's answer for a message it took, as its documentation shows it.
pub(super) fn taken(sid: &str, body: &str, date_created: &str) -> Value {
    json!({
        "sid": sid, "status": "queued", "body": body, "num_segments": "1", "date_created": date_created,
        "date_sent": null, "error_code": null, "from": "+14155550100", "to": "+14155550199",
    })
}

/// E-mail that is not set up.
pub(super) fn no_email() -> EmailSettings {
    EmailSettings {
        provider: EmailProvider::Auto,
        smtp_url: Secret::new(String::new()),
        smtp_ca_file: String::new(),
        from: "Acme <hello@acme.example>".to_owned(),
    }
}

pub(super) fn no_sendgrid() -> SendgridSettings {
    SendgridSettings {
        api_key: Secret::new(String::new()),
        api_base: "https://api.sendgrid.com".to_owned(),
    }
}

/// An e-mail to Ann.
pub(super) fn email(node: &str, to: &str) -> Effect {
    let message = EmailMessage {
        to: vec![to.to_owned()],
        cc: Vec::new(),
        reply_to: Some("desk@acme.example".to_owned()),
        subject: "Grüße from Acme".to_owned(),
        text: "Hello Ann\n.\nBye".to_owned(),
        html: Some("<p>Hello Ann</p>".to_owned()),
    };
    effect(node, Request::SendEmail(message))
}

/// A call to Ann.
pub(super) fn call(node: &str) -> Effect {
    let plan = CallPlan {
        say: Some("Hello Ann".to_owned()),
        connect_to: None,
        on_machine: OnMachine::LeaveMessage("Call us back".to_owned()),
        timeout_s: 25,
    };
    effect(
        node,
        Request::PlaceCall {
            to: "+14155550199".parse().expect("a number"),
            from: None,
            plan,
            wait_ms: None,
        },
    )
}
