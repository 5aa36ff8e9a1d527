//! Twilio's conferences, as far as a server asks for them: legs dialled into one, how they are heard, and calls ended or sent on.
//!
//! Remembers every request. A leg that was dialled can be found again by its label. It can be told to refuse, to fail, or to carry
//! out what it is asked and not answer.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};
use url::form_urlencoded;

use super::twilio::call_sid;

/// How dialling and changing is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    Fine,
    /// Nothing is carried out: a status, and Twilio's code.
    Refused(u16, u32),
    /// It is carried out, and the answer is a failure.
    Broken,
    /// It is carried out, and no answer ever comes.
    Never,
}

/// One request that changes something.
#[derive(Debug, Clone)]
pub struct Asked {
    /// After the account: `Conferences/CF…/Participants.json`.
    pub path: String,
    pub form: BTreeMap<String, String>,
}

impl Asked {
    /// A field; empty when it is not there.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Known {
    asked: Vec<Asked>,
    /// Legs by their labels.
    legs: BTreeMap<String, String>,
}

struct Truth {
    known: Mutex<Known>,
    answers: Mutex<Answers>,
}

impl Truth {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Running conferences. Dropping them closes the port.
pub struct Rooms {
    url: String,
    truth: Arc<Truth>,
    task: JoinHandle<()>,
}

impl Rooms {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the system has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let truth = Arc::new(Truth {
            known: Mutex::default(),
            answers: Mutex::new(Answers::Fine),
        });
        let router = Router::new().fallback(take).with_state(Arc::clone(&truth));
        let task = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("it serves until it is dropped");
        });
        Self {
            url: format!("http://{address}"),
            truth,
            task,
        }
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on it answers like this.
    pub fn answer(&self, answers: Answers) {
        *self.truth.answers.lock().unwrap_or_else(PoisonError::into_inner) = answers;
    }

    /// Every change that was asked for, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.truth.known().asked.clone()
    }

    /// The legs that were dialled whose labels begin like this.
    #[must_use]
    pub fn dialled(&self, label: &str) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|one| one.path.ends_with("/Participants.json") && one.field("Label").starts_with(label));
        asked
    }

    /// The provider's id of the leg with this label.
    #[must_use]
    pub fn leg(&self, label: &str) -> Option<String> {
        self.truth.known().legs.get(label).cloned()
    }

    /// Nobody knows of this leg any more.
    pub fn forget(&self, label: &str) {
        self.truth.known().legs.remove(label);
    }
}

impl Drop for Rooms {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(truth): State<Arc<Truth>>, method: Method, uri: Uri, body: Bytes) -> Response {
    let path = uri.path().splitn(5, '/').nth(4).unwrap_or_default().to_owned();
    if method == Method::GET {
        return found(&truth, &path);
    }
    let form: BTreeMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let answers = *truth.answers.lock().unwrap_or_else(PoisonError::into_inner);
    let sid = {
        let mut known = truth.known();
        let number = u32::try_from(known.asked.len()).expect("few are asked for");
        let sid = call_sid(0xA000 + number);
        if !matches!(answers, Answers::Refused(..))
            && let Some(label) = form.get("Label")
        {
            known.legs.insert(label.clone(), sid.clone());
        }
        known.asked.push(Asked { path, form });
        sid
    };
    match answers {
        Answers::Fine => {
            let made = json!({"sid": sid, "call_sid": sid, "status": "queued", "muted": true});
            (StatusCode::CREATED, made.to_string()).into_response()
        }
        Answers::Refused(status, code) => refusal(status, code),
        Answers::Broken => refusal(503, 0),
        Answers::Never => std::future::pending().await,
    }
}

/// A leg by its label, or a call.
fn found(truth: &Truth, path: &str) -> Response {
    let name = path
        .rsplit('/')
        .next()
        .and_then(|name| name.strip_suffix(".json"));
    match name.and_then(|name| truth.known().legs.get(name).cloned()) {
        Some(sid) => json!({"call_sid": sid}).to_string().into_response(),
        None if path.starts_with("Calls/") => json!({"sid": name, "status": "in-progress"})
            .to_string()
            .into_response(),
        None => refusal(404, 20_404),
    }
}

fn refusal(status: u16, code: u32) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let said = json!({"code": code, "message": "so it is", "status": status.as_u16()});
    (status, said.to_string()).into_response()
}
