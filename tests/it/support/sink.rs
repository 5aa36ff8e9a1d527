//! The outside world: an HTTP server that takes what workflows send and counts it by its idempotency key.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};

/// One request that arrived.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub path: String,
    /// `Idempotency-Key`, empty when the request had none.
    pub key: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub at: Instant,
}

#[derive(Clone, Default)]
struct Arrivals(Arc<Mutex<Vec<Arrival>>>);

/// A running sink. Dropping it closes the port.
pub struct Sink {
    url: String,
    arrivals: Arrivals,
    task: JoinHandle<()>,
}

impl Sink {
    /// Opens a sink that answers every request with 200.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the system has a free port");
        let url = format!(
            "http://{}",
            listener.local_addr().expect("a bound socket has an address")
        );
        let arrivals = Arrivals::default();
        let router = Router::new().fallback(take).with_state(arrivals.clone());
        let task = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("the sink serves until it is dropped");
        });
        Self { url, arrivals, task }
    }

    /// An address on this sink.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Everything that arrived, in order.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many arrived.
    #[must_use]
    pub fn count(&self) -> usize {
        self.arrivals
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// How often each idempotency key arrived at `path`.
    #[must_use]
    pub fn counts(&self, path: &str) -> BTreeMap<String, usize> {
        let arrivals = self.arrivals.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = BTreeMap::new();
        for arrival in arrivals.iter().filter(|arrival| arrival.path == path) {
            *counts.entry(arrival.key.clone()).or_insert(0) += 1;
        }
        counts
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(arrivals): State<Arrivals>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let key = headers
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let arrival = Arrival {
        path: uri.path().to_owned(),
        key: key.to_owned(),
        headers: headers
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
        at: Instant::now(),
    };
    arrivals
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(arrival);
    StatusCode::OK
}
