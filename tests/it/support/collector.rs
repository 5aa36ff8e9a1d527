//! An OpenTelemetry collector: takes OTLP over HTTP in protobuf and keeps the spans.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
};
use patchcord::domain::hex::hex;
use prost::Message as _;
use tokio::{net::TcpListener, task::JoinHandle};

/// A span as it arrived; ids in hex.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    pub name: String,
    pub trace: String,
    pub id: String,
    /// Empty for one that begins its trace.
    pub parent: String,
    pub kind: i32,
    pub attributes: BTreeMap<String, String>,
    /// The word with which it failed; empty for one that did not.
    pub failed: String,
    pub took_ns: u64,
}

#[derive(Clone, Default)]
struct Kept {
    spans: Arc<Mutex<Vec<Span>>>,
    resources: Arc<Mutex<Vec<BTreeMap<String, String>>>>,
    /// Everything as it came, for secrets to be looked for.
    bytes: Arc<Mutex<Vec<u8>>>,
}

/// A running collector. Dropping it closes the port.
pub struct Collector {
    url: String,
    kept: Kept,
    task: JoinHandle<()>,
}

impl Collector {
    /// Opens a collector.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the system has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let kept = Kept::default();
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(kept.clone());
        let task = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("the collector serves until it is dropped");
        });
        Self {
            url: format!("http://{address}"),
            kept,
            task,
        }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The spans that arrived so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        locked(&self.kept.spans).clone()
    }

    /// Who sent them.
    #[must_use]
    pub fn resources(&self) -> Vec<BTreeMap<String, String>> {
        locked(&self.kept.resources).clone()
    }

    /// Everything that arrived.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        locked(&self.kept.bytes).clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(State(kept): State<Kept>, body: Bytes) -> StatusCode {
    locked(&kept.bytes).extend_from_slice(&body);
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    for from in request.resource_spans {
        let resource = from.resource.unwrap_or_default();
        locked(&kept.resources).push(attributes_of(resource.attributes));
        for span in from.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            locked(&kept.spans).push(Span {
                name: span.name,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                kind: span.kind,
                attributes: attributes_of(span.attributes),
                failed: span.status.map(|status| status.message).unwrap_or_default(),
                took_ns: span.end_time_unix_nano - span.start_time_unix_nano,
            });
        }
    }
    StatusCode::OK
}

fn attributes_of(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |attribute: KeyValue| {
        let value = match attribute.value.and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        };
        (attribute.key, value)
    };
    attributes.into_iter().map(text).collect()
}
