//! The ways known to make a server call into its own network, all of them tried, with a listener that must hear nothing.
//!
//! First without the guard: the spellings of this machine do reach the listener, so that its silence afterwards says something.

use std::{
    io::Write as _,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use reqwest::Method;
use tokio::net::TcpListener;
use url::Url;

use super::fake::Fake;
use crate::integrations::{
    address_guard::{AllowList, LookUp},
    client::{self, HttpClient, SendError},
};

/// Every spelling of this machine; `PORT` is the listener's.
const THIS_MACHINE: &[&str] = &[
    "http://127.0.0.1:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.0.0.1:PORT/",
    "http://0x7f.1:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://0177.1:PORT/",
    "http://017700000001:PORT/",
    "http://00000000177.0.0.1:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://①②⑦.⓪.⓪.①:PORT/",
    "http://127。0。0。1:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://127.0.0.1%2e:PORT/",
    "http://0:PORT/",
    "http://0x0:PORT/",
    "http://0.0.0.0:PORT/",
    "http://user:word@127.0.0.1:PORT/",
    "http://example.com@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT#@example.com/",
    "http://127.0.0.1:PORT\\@example.com/",
    "http:127.0.0.1:PORT/",
    "http:/127.0.0.1:PORT/",
    "http://\t127.0.0.1:PORT/",
    "http://localhost:PORT/",
    "http://LOCALHOST:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/",
];

/// What is not the public internet, elsewhere: other networks, what hides an address in another, clouds' own services.
const ELSEWHERE: &[&str] = &[
    "http://127.127.127.127:PORT/",
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[::]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[::ffff:0:127.0.0.1]:PORT/",
    "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://[64:ff9b:1::7f00:1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://[2002:c0a8:101::1]/",
    "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[ff02::1]/",
    "http://[100::1]/",
    "http://[2001:db8::1]/",
    "http://10.0.0.1/",
    "http://10.255.255.254/",
    "http://172.16.0.1/",
    "http://172.31.255.254/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://100.64.0.1/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://198.18.0.1/",
    "http://192.0.2.1/",
    "http://203.0.113.7/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/_",
    "ftp://127.0.0.1:PORT/",
    "dict://127.0.0.1:PORT/",
    "ws://127.0.0.1:PORT/",
];

/// Where a server that may be called sends us on to.
const REDIRECTS: &[(u16, &str)] = &[
    (301, "http://127.0.0.1:PORT/"),
    (302, "http://127.0.0.1:PORT/"),
    (303, "http://127.0.0.1:PORT/"),
    (307, "http://127.0.0.1:PORT/"),
    (308, "http://127.0.0.1:PORT/"),
    (307, "//127.0.0.1:PORT/"),
    (307, "http://2130706433:PORT/"),
    (307, "http://localhost:PORT/"),
    (307, "http://[::ffff:127.0.0.1]:PORT/"),
    (307, "http://169.254.169.254/latest/meta-data/"),
];

/// Listens where nobody may be sent, and counts who comes.
struct Canary {
    port: u16,
    heard: Arc<AtomicUsize>,
}

impl Canary {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let heard = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                drop(socket);
            }
        });
        Self { port, heard }
    }

    fn aimed(&self, url: &str) -> String {
        url.replace("PORT", &self.port.to_string())
    }

    fn heard(&self) -> usize {
        self.heard.load(Ordering::SeqCst)
    }
}

fn allowing(list: &str) -> AllowList {
    list.parse().expect("a list")
}

fn client(list: &str) -> HttpClient {
    HttpClient::new(allowing(list)).expect("the machine has root certificates")
}

/// Names that mean what the test says, each look-up the next of them, the last for ever.
fn names(told: &[&[&str]]) -> LookUp {
    let told: Vec<Vec<IpAddr>> = told
        .iter()
        .map(|answer| answer.iter().map(|ip| ip.parse().expect("an address")).collect())
        .collect();
    let asked = Arc::new(AtomicUsize::new(0));
    Arc::new(move |_name| {
        let turn = asked.fetch_add(1, Ordering::SeqCst).min(told.len() - 1);
        let answer = told[turn].clone();
        Box::pin(async move { Ok(answer) })
    })
}

/// Whether the guard refused the request; panics when something else became of it.
async fn is_refused(http: &HttpClient, method: Method, url: &str) -> bool {
    let Ok(parsed) = Url::parse(url) else {
        return true;
    };
    let Ok(request) = http.given(method, parsed) else {
        return true;
    };
    matches!(client::send(request).await, Err(SendError::Refused(_)))
}

#[tokio::test]
async fn nothing_reaches_into_our_own_network() {
    let canary = Canary::start().await;
    let open = client("127.0.0.0/8, 0.0.0.0/8, ::1");
    for vector in THIS_MACHINE {
        let before = canary.heard();
        // The listener hangs up on whoever comes.
        let refused = is_refused(&open, Method::GET, &canary.aimed(vector)).await;
        assert!(!refused && canary.heard() > before, "{vector} aims at nothing");
    }
    let reached = THIS_MACHINE.len();

    let canary = Canary::start().await;
    let guarded = client("");
    for vector in THIS_MACHINE.iter().chain(ELSEWHERE) {
        let refused = is_refused(&guarded, Method::POST, &canary.aimed(vector)).await;
        assert!(refused, "{vector} was not refused");
    }
    let written = THIS_MACHINE.len() + ELSEWHERE.len();

    for (status, target) in REDIRECTS {
        let moved = (*status, vec![("location", canary.aimed(target))], String::new());
        let fake = Fake::on("127.0.0.2:0", [moved]).await;
        let refused = is_refused(&client("127.0.0.2"), Method::GET, &fake.base).await;
        assert!(refused, "{status} to {target} was followed");
        assert_eq!(fake.asked().len(), 1);
    }
    let rebound = rebinding(&canary).await;
    assert_eq!(canary.heard(), 0, "somebody came to the listener");
    let tried = written + REDIRECTS.len() + rebound;
    assert!(tried >= 60);
    writeln!(
        std::io::stderr(),
        "addresses: {tried} tried ({written} spellings, {} redirects, {rebound} names), {tried} refused, 0 connections at the \
         listener; without the guard {reached} spellings reach it",
        REDIRECTS.len()
    )
    .expect("stderr takes a line");
}

/// Names that resolve to what they should not, at once or the second time they are asked. Returns how many were tried.
async fn rebinding(canary: &Canary) -> usize {
    // On the listener's port, at the one address that may be called.
    let permitted = format!("127.0.0.2:{}", canary.port);
    let url = format!("http://rebind.example:{}/", canary.port);
    let again = || {
        let headers = vec![("location", url.clone()), ("connection", "close".to_owned())];
        (302, headers, String::new())
    };
    let fake = Fake::on(&permitted, [again(), again(), again()]).await;
    let cases: [(&[&[&str]], usize); 6] = [
        (&[&["127.0.0.1"]], 0),
        (&[&["::ffff:127.0.0.1"]], 0),
        (&[&["169.254.169.254", "10.0.0.1"]], 0),
        (&[&["64:ff9b::7f00:1", "2002:7f00:1::", "::1"]], 0),
        // The permitted one of both is called, sends us on to the same name, and then it means something else.
        (&[&["127.0.0.1", "127.0.0.2"], &["127.0.0.1"]], 1),
        (&[&["127.0.0.2"], &["127.0.0.1"]], 2),
    ];
    let tried = cases.len();
    for (told, asked) in cases {
        let http = HttpClient::with_names(allowing("127.0.0.2"), names(told)).expect("a client");
        assert!(is_refused(&http, Method::GET, &url).await, "{told:?}");
        assert_eq!(fake.asked().len(), asked, "{told:?}");
    }
    tried
}
