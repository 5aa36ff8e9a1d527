//! A provider that forgets to answer: takes a request on, then sometimes closes the connection instead of replying.
//!
//! Stands in for a webhook's receiver, which drops repeats of an `Idempotency-Key`, for Twilio's calls, and for its messages, which
//! can be listed by sender and receiver. What it has taken on is the truth that the server is judged by. HTTP/1.1 by hand, because a
//! server library would not let go of a connection without an answer.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::dice::Dice;

/// Longest head of a request.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A message as Twilio would list it.
#[derive(Debug, Clone)]
pub struct TakenMessage {
    pub sid: String,
    pub to: String,
    pub from: String,
    pub body: String,
    created: String,
}

#[derive(Default)]
struct Taken {
    /// Requests by path and `Idempotency-Key`, with their bodies.
    webhooks: BTreeMap<(String, String), Vec<String>>,
    messages: Vec<TakenMessage>,
}

struct State {
    taken: Mutex<Taken>,
    dice: Mutex<Dice>,
    /// Of a thousand replies, this many are lost.
    lost_per_mille: u64,
    lost: AtomicU64,
    arrived: AtomicU64,
}

/// A running provider. Dropping it closes the port.
pub struct Provider {
    url: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Provider {
    /// Opens a provider that loses `lost_per_mille` of a thousand replies, by the dice of `seed`.
    pub async fn start(lost_per_mille: u64, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the system has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State {
            taken: Mutex::default(),
            dice: Mutex::new(Dice::new(seed)),
            lost_per_mille,
            lost: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
        });
        let served = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&served)));
            }
        });
        Self {
            url: format!("http://{address}"),
            state,
            task,
        }
    }

    /// An address on this provider.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Effects that arrived so far, repeats included.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        self.state.arrived.load(Ordering::Relaxed)
    }

    /// Replies that were lost on purpose.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.state.lost.load(Ordering::Relaxed)
    }

    /// The bodies that arrived, by path and `Idempotency-Key`.
    #[must_use]
    pub fn webhooks(&self) -> BTreeMap<(String, String), Vec<String>> {
        self.state.taken().webhooks.clone()
    }

    /// Every message that was taken on.
    #[must_use]
    pub fn messages(&self) -> Vec<TakenMessage> {
        self.state.taken().messages.clone()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    key: String,
    body: String,
}

enum Reply {
    Json(u16, String),
    Nothing,
}

impl State {
    fn taken(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries a request out, then says what the sender is to hear of it.
    fn take(&self, request: &Request) -> Reply {
        if request.method == "GET" {
            return Reply::Json(200, self.list(request));
        }
        self.arrived.fetch_add(1, Ordering::Relaxed);
        let reply = if request.path.ends_with("/Messages.json") {
            self.message(request)
        } else {
            let (path, key) = (request.path.clone(), request.key.clone());
            let mut taken = self.taken();
            let bodies = taken.webhooks.entry((path, key)).or_default();
            bodies.push(request.body.clone());
            if request.path.ends_with("/Calls.json") {
                let sid = format!("CA{:032x}", bodies.len());
                Reply::Json(201, json!({"sid": sid, "status": "queued"}).to_string())
            } else if request.path.ends_with("/Streams.json") {
                let sid = format!("MZ{:032x}", bodies.len());
                Reply::Json(201, json!({"sid": sid}).to_string())
            } else {
                Reply::Json(200, "{\"ok\":true}".to_owned())
            }
        };
        let rolled = self
            .dice
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .below(1_000);
        if rolled < self.lost_per_mille {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Reply::Nothing;
        }
        reply
    }

    fn message(&self, request: &Request) -> Reply {
        let form = fields(&request.body);
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        let mut taken = self.taken();
        let message = TakenMessage {
            sid: format!("SM{:032x}", taken.messages.len() + 1),
            to: field("To"),
            from: field("From"),
            body: field("Body"),
            created: httpdate(),
        };
        let reply = shown(&message).to_string();
        taken.messages.push(message);
        Reply::Json(201, reply)
    }

    fn list(&self, request: &Request) -> String {
        let is_wanted = |name: &str, value: &str| request.query.get(name).is_none_or(|asked| asked == value);
        let taken = self.taken();
        let messages: Vec<_> = taken
            .messages
            .iter()
            .rev()
            .filter(|message| is_wanted("To", &message.to) && is_wanted("From", &message.from))
            .map(shown)
            .collect();
        json!({ "messages": messages }).to_string()
    }
}

fn shown(message: &TakenMessage) -> serde_json::Value {
    json!({
        "sid": message.sid, "status": "queued", "to": message.to, "from": message.from, "body": message.body,
        "num_segments": "1", "date_created": message.created, "error_code": null,
    })
}

/// The moment as Twilio writes it.
fn httpdate() -> String {
    let moment = patchcord::clock::now().as_unix_millis();
    let moment = i64::try_from(moment).expect("before the year 292 million");
    let moment = jiff::Timestamp::from_millisecond(moment).expect("a moment jiff knows");
    jiff::fmt::rfc2822::to_string(&moment.to_zoned(jiff::tz::TimeZone::UTC)).expect("a year of four digits")
}

/// Takes requests from one connection until it ends or a reply is lost.
async fn serve(stream: TcpStream, state: Arc<State>) {
    // A connection that keeps its delay is only slower.
    drop(stream.set_nodelay(true));
    let mut stream = BufStream::new(stream);
    while let Some(request) = read(&mut stream).await {
        let Reply::Json(status, body) = state.take(&request) else {
            return;
        };
        let head = format!(
            "HTTP/1.1 {status} Fine\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let written = async {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
            stream.flush().await
        };
        if written.await.is_err() {
            return;
        }
    }
}

/// Reads one request; `None` at the end of the connection, which may come in the middle of one: then nothing was asked.
async fn read(stream: &mut BufStream<TcpStream>) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD_BYTES_MAX {
            return None;
        }
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let (path, query) = target.split_once('?').unwrap_or((target.as_str(), ""));
    Some(Request {
        method,
        path: path.to_owned(),
        query: fields(query),
        key: headers.get("idempotency-key").cloned().unwrap_or_default(),
        body: String::from_utf8(body).ok()?,
    })
}

/// The fields of a form or a query.
fn fields(text: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}
