//! What the API adds to a bare handler: requests a second of `GET /api/workflows` and `POST /api/events`, as ratios.
//!
//! Three servers in processes of their own, driven in turn, round by round, so that the machine's other load falls on all: the
//! real one (a token, an account, a database, a durable commit for each event), and a bare axum handler that answers the
//! same bytes to the one and reads the JSON of the other. `cargo bench --bench api`.

use std::{
    error::Error,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    http::StatusCode,
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_patchcord");
/// What the bench is called with to be the bare server; what follows is the body of its `GET`.
const BARE: &str = "serve-bare";
/// Connections that are kept, each with one request under way.
const CONNECTIONS: usize = 32;
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;
/// Workflows in the list.
const WORKFLOWS: usize = 20;
const READY: &str = "READY ";

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if arguments.next().as_deref() == Some(BARE) {
        return runtime.block_on(serve_bare(arguments.next().unwrap_or_default()));
    }
    runtime.block_on(measure())
}

/// Answers with `body`, and reads JSON.
async fn serve_bare(body: String) -> Outcome<()> {
    let json_header = [("content-type", "application/json")];
    let router = Router::new()
        .route(
            "/api/workflows",
            get(move || std::future::ready((json_header, body.clone()))),
        )
        .route(
            "/api/events",
            post(async |Json(_event): Json<Value>| {
                (StatusCode::ACCEPTED, Json(json!({"event_id": "obs_1"})))
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!(
        "{READY}{}",
        json!({"url": format!("http://{}", listener.local_addr()?), "access_token": "-"})
    );
    axum::serve(listener, router).await?;
    Ok(())
}

async fn measure() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let ours = Server::start(
        Command::new(PROGRAM)
            .arg("serve")
            .current_dir(folder.path())
            .env("PATCHCORD_READY_LINE", "1")
            .env("PATCHCORD_SERVER__BIND", "127.0.0.1:0")
            .env(
                "PATCHCORD_STORE__URL",
                format!("sqlite:{}/bench.db", folder.path().display()),
            )
            .env("PATCHCORD_ASR__MODEL", "none")
            .env("PATCHCORD_ADMIN__EMAIL", "owner@example.com")
            .env("PATCHCORD_ADMIN__PASSWORD", "correct horse battery staple"),
    )?;
    for number in 0..WORKFLOWS {
        let body = json!({"name": format!("Workflow {number}"), "enabled": true, "trigger": {"type": "manual"},
            "nodes": [{"id": "tell", "type": "alert", "params": {"title": "Look"}}],
            "edges": [{"from": "trigger", "to": "tell"}]});
        ours.ask("POST", "/api/workflows", &body.to_string()).await?;
    }
    let list = ours.ask("GET", "/api/workflows", "").await?;
    let bare = Server::start(Command::new(std::env::current_exe()?).args([BARE, &list]))?;
    let event =
        json!({"type": "bench.happened", "data": {"amount": 12, "note": "a line of text"}}).to_string();
    println!(
        "\nAPI beside a bare axum handler, {CONNECTIONS} connections, medians of {ROUNDS} rounds of {} s; the list has {} bytes",
        ROUND.as_secs(),
        list.len()
    );
    println!("{:24} {:>12} {:>12} {:>8}", "", "ours, 1/s", "bare, 1/s", "ratio");
    for (method, path, body) in [
        ("GET", "/api/workflows", ""),
        ("POST", "/api/events", event.as_str()),
    ] {
        let (mut of_ours, mut of_bare) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            of_ours.push(ours.rate(method, path, body).await?);
            of_bare.push(bare.rate(method, path, body).await?);
        }
        let (here, there) = (median(of_ours), median(of_bare));
        println!(
            "{:24} {here:>12.0} {there:>12.0} {:>8.3}",
            format!("{method} {path}"),
            here / there
        );
    }
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// A server in a process of its own; it ends with this one.
struct Server {
    child: Child,
    address: String,
    token: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    fn start(command: &mut Command) -> Outcome<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let out = child.stdout.take().ok_or("stdout is piped")?;
        for line in BufReader::new(out).lines() {
            if let Some((_, ready)) = line?.split_once(READY) {
                let ready: Value = serde_json::from_str(ready)?;
                let text = |name: &str| ready[name].as_str().unwrap_or_default().to_owned();
                return Ok(Self {
                    child,
                    address: text("url").trim_start_matches("http://").to_owned(),
                    token: text("access_token"),
                });
            }
        }
        Err("the server did not get ready".into())
    }

    fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        )
        .into_bytes()
    }

    /// One request; its answer's body.
    async fn ask(&self, method: &str, path: &str, body: &str) -> Outcome<String> {
        let mut connection = Connection::open(&self.address).await?;
        connection.ask(&self.request(method, path, body)).await?;
        Ok(String::from_utf8(connection.body)?)
    }

    /// Requests a second that are answered well.
    async fn rate(&self, method: &str, path: &str, body: &str) -> Outcome<f64> {
        let request = self.request(method, path, body);
        let (began, mut asking) = (Instant::now(), tokio::task::JoinSet::new());
        for _ in 0..CONNECTIONS {
            let (address, request) = (self.address.clone(), request.clone());
            asking.spawn(async move {
                let (mut connection, mut answered) = (Connection::open(&address).await?, 0_u32);
                while began.elapsed() < ROUND {
                    connection.ask(&request).await?;
                    answered += 1;
                }
                Ok::<_, Box<dyn Error + Send + Sync>>(answered)
            });
        }
        let mut answered = 0.0;
        while let Some(one) = asking.join_next().await {
            answered += f64::from(one??);
        }
        Ok(answered / began.elapsed().as_secs_f64())
    }
}

/// A connection that is kept.
struct Connection {
    stream: TcpStream,
    /// What was read and belongs to no answer yet.
    read: Vec<u8>,
    body: Vec<u8>,
}

impl Connection {
    async fn open(address: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            read: Vec::new(),
            body: Vec::new(),
        })
    }

    /// Sends the request and reads its answer, which must be a 2xx.
    async fn ask(&mut self, request: &[u8]) -> Outcome<()> {
        self.stream.write_all(request).await?;
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let head = std::str::from_utf8(&self.read[..end])?.to_ascii_lowercase();
        if !head.starts_with("http/1.1 2") {
            return Err(format!("answered {head}").into());
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.ok_or("an answer without its length")?.trim().parse()?;
        while self.read.len() < end + length {
            self.more().await?;
        }
        self.body = self.read[end..end + length].to_vec();
        self.read.drain(..end + length);
        Ok(())
    }

    async fn more(&mut self) -> Outcome<()> {
        if self.stream.read_buf(&mut self.read).await? == 0 {
            return Err("the server hung up".into());
        }
        Ok(())
    }
}
