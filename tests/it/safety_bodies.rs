//! Requests that are made to hurt: JSON that unfolds, compressed bodies, heads and bodies that come drop by drop.
//!
//! What counts: each is answered with a 4xx or taken in as what it is, soon, and the server neither grows nor stops answering others.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    api::http,
    eventually::DEADLINE,
    figures::tell,
    server::{Options, Server},
};

/// What one bomb may add to the server's memory; the largest body is 1 MiB.
const GROWTH_MIB_MAX: u64 = 256;
/// Just below the largest body.
const NEARLY_FULL: usize = 1_000_000;

/// Gzip of 64 MiB of zeros would be 64 KiB; it need not be right, for nobody may unpack it.
fn gzip_like() -> Vec<u8> {
    let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    body.extend(std::iter::repeat_n(0_u8, 64 << 10));
    body
}

/// Bombs by name, each for whoever takes JSON.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let event = |data: &str| format!("{{\"type\":\"quote.sent\",\"data\":{data}}}").into_bytes();
    let lists = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let keys: Vec<String> = (0..60_000).map(|number| format!("\"key{number}\":1")).collect();
    vec![
        ("lists 100,000 deep", event(&lists(100_000))),
        ("objects 100,000 deep", event(&objects(100_000))),
        ("lists never closed", event(&"[".repeat(NEARLY_FULL))),
        ("objects never closed", event(&"{\"a\":".repeat(NEARLY_FULL / 5))),
        ("60,000 fields", event(&format!("{{{}}}", keys.join(",")))),
        (
            "one field 90,000 times",
            event(&format!("{{{}}}", vec!["\"a\":1"; 90_000].join(","))),
        ),
        (
            "400,000 empty lists",
            event(&format!("{{\"a\":[{}]}}", vec!["[]"; 300_000].join(","))),
        ),
        (
            "a number of 900,000 digits",
            event(&format!("{{\"a\":{}}}", "9".repeat(900_000))),
        ),
        (
            "a fraction of 900,000 digits",
            event(&format!("{{\"a\":0.{}}}", "3".repeat(900_000))),
        ),
        ("an exponent beyond all numbers", event("{\"a\":1e999999999}")),
        (
            "a text of 900,000 letters",
            event(&format!("{{\"a\":\"{}\"}}", "x".repeat(900_000))),
        ),
        (
            "150,000 escapes",
            event(&format!("{{\"a\":\"{}\"}}", "\\u0000".repeat(150_000))),
        ),
        ("half a surrogate pair", event("{\"a\":\"\\ud800\"}")),
        ("bytes that are no text", b"{\"type\":\"\xff\xfe\"}".to_vec()),
        (
            "two megabytes",
            event(&format!("{{\"a\":\"{}\"}}", "x".repeat(2 << 20))),
        ),
        ("a list in place of the object", lists(1_000).into_bytes()),
        ("nothing but spaces", vec![b' '; NEARLY_FULL]),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
    ]
}

/// The server's resident memory in MiB.
fn memory_mib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id())).expect("/proc");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("VmRSS");
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("KiB");
    kib / 1024
}

async fn sent(server: &Server, path: &str, body: Vec<u8>, encoding: Option<&str>) -> StatusCode {
    let mut request = http()
        .request(Method::POST, server.at(path))
        .bearer_auth(&server.ready().access_token)
        .header("content-type", "application/json")
        .body(body);
    if let Some(encoding) = encoding {
        request = request.header("content-encoding", encoding);
    }
    let answer = timeout(DEADLINE, request.send())
        .await
        .expect("an answer in time");
    // A server that has read enough may hang up before everything is sent.
    answer.map_or(StatusCode::PAYLOAD_TOO_LARGE, |answer| answer.status())
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_do_not_go_off() {
    let server = Server::start(Options::serve()).await;
    let webhook = server.post("/api/webhooks", &json!({"name": "bombs"})).await;
    let hook = webhook["url"].as_str().expect("an address").to_owned();
    let hook = hook.split_once("/api/").map_or("", |(_, path)| path);
    let doors = [
        "/api/events".to_owned(),
        "/api/workflows".to_owned(),
        format!("/api/{hook}"),
    ];
    let before = memory_mib(&server);
    let (mut tried, mut refused) = (0, 0);
    for door in &doors {
        for (name, bomb) in bombs() {
            let status = sent(&server, door, bomb, None).await;
            assert!(!status.is_server_error(), "{name} at {door}: {status}");
            tried += 1;
            refused += usize::from(status.is_client_error());
        }
        for encoding in ["gzip", "br", "deflate", "zstd"] {
            let status = sent(&server, door, gzip_like(), Some(encoding)).await;
            assert!(status.is_client_error(), "{encoding} at {door}: {status}");
            tried += 1;
            refused += 1;
        }
    }
    server.get("/api/me").await;
    let grown = memory_mib(&server).saturating_sub(before);
    assert!(grown <= GROWTH_MIB_MAX, "the server grew by {grown} MiB");
    tell(&format!(
        "bombs: {tried} bodies at {} doors, {refused} refused, {} taken in as what they are, 0 errors of the server, which grew by \
         {grown} MiB",
        doors.len(),
        tried - refused
    ));
}

/// Connections that say something slowly, at one time.
const SLOW: usize = 200;

/// What a slow connection has said before it goes silent, or on and on.
#[derive(Clone, Copy)]
enum Drip {
    Nothing,
    HalfAHead,
    HeadersWithoutEnd,
    HalfAPreface,
    HalfABody,
}

impl Drip {
    const fn of(number: usize) -> Self {
        match number % 5 {
            0 => Self::Nothing,
            1 => Self::HalfAHead,
            2 => Self::HeadersWithoutEnd,
            3 => Self::HalfAPreface,
            _ => Self::HalfABody,
        }
    }

    const fn said(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::HalfAHead | Self::HeadersWithoutEnd => "GET /livez HTTP/1.1\r\nHost: x\r\n",
            Self::HalfAPreface => "PRI * HTTP/2.0\r\n",
            Self::HalfABody => {
                "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
            }
        }
    }
}

/// Drips until the server hangs up.
async fn drip(address: String, drip: Drip) {
    let mut socket = TcpStream::connect(address).await.expect("connected");
    socket.write_all(drip.said().as_bytes()).await.expect("written");
    let (mut reading, mut writing) = socket.split();
    let dripping = async {
        if let Drip::HeadersWithoutEnd = drip {
            // The pace is the point: each drop comes before any read could count as over.
            let mut drops = tokio::time::interval(Duration::from_millis(200));
            while writing.write_all(b"X-a: b\r\n").await.is_ok() {
                drops.tick().await;
            }
        }
        std::future::pending::<()>().await;
    };
    let ended = async {
        let mut answer = Vec::new();
        // A reset says the same as an end.
        drop(reading.read_to_end(&mut answer).await);
    };
    tokio::select! {
        () = dripping => (),
        () = ended => (),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_drop_by_drop_is_hung_up_on() {
    let options = Options::serve()
        .with("PATCHCORD_SERVER__HEADER_TIMEOUT_S", "2")
        .with("PATCHCORD_SERVER__REQUEST_TIMEOUT_S", "2");
    let server = Server::start(options).await;
    let address = server.url().trim_start_matches("http://").to_owned();
    let mut slow = tokio::task::JoinSet::new();
    for number in 0..SLOW {
        slow.spawn(drip(address.clone(), Drip::of(number)));
    }
    // Others are served meanwhile.
    for _ in 0..20 {
        server.get("/api/me").await;
    }
    let mut hung_up = 0;
    while let Some(ended) = timeout(DEADLINE, slow.join_next())
        .await
        .expect("hung up on in time")
    {
        ended.expect("no drop panics");
        hung_up += 1;
    }
    assert_eq!(hung_up, SLOW);
    tell(&format!(
        "slow connections: {SLOW} of 5 kinds, {hung_up} hung up on by server.header_timeout_s and request_timeout_s, 20 of 20 \
         others answered meanwhile"
    ));
}
