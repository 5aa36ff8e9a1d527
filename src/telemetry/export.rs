//! Sends spans to an OpenTelemetry collector: OTLP over HTTP, in protobuf.
//!
//! In: the queue of spans. Out: one request for up to 512 of them, once a second at most unless more wait. What is not taken is tried
//! once more and then dropped, counted and said; nothing here ever holds up what is traced.

use std::{collections::HashMap, time::Duration};

use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{
    settings::TelemetrySettings,
    traces::{Traces, Waiting},
};

/// Spans in one request.
const BATCH_MAX: usize = 512;
/// How long spans are gathered before they go.
const GATHER: Duration = Duration::from_secs(1);
/// Where a collector takes traces, below its address.
const PATH: &str = "/v1/traces";

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    #[error("telemetry.otlp_headers: {0}")]
    Headers(String),
    #[error("telemetry.otlp_endpoint: no traces can be sent there")]
    Exporter(#[from] ExporterBuildError),
}

/// Begins to send traces where the settings say; nothing when they name no endpoint. Needs a tokio runtime.
///
/// # Errors
/// [`TracesError`] naming the setting that does not hold.
pub fn start(settings: &TelemetrySettings, client: reqwest::Client) -> Result<(), TracesError> {
    if settings.otlp_endpoint.is_empty() {
        return Ok(());
    }
    let headers: HashMap<String, String> = settings
        .headers()
        .map_err(TracesError::Headers)?
        .into_iter()
        .collect();
    let endpoint = settings.otlp_endpoint.trim_end_matches('/');
    let endpoint = format!("{}{PATH}", endpoint.strip_suffix(PATH).unwrap_or(endpoint));
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .with_timeout(Duration::from_secs(settings.otlp_timeout_s))
        .with_headers(headers)
        .build()?;
    exporter.set_resource(&resource());
    let (queue, waiting) = mpsc::channel(settings.queue_max.max(1));
    Traces {
        queue,
        sample_ratio: settings.sample_ratio,
    }
    .install();
    tokio::spawn(send_all(exporter, waiting));
    Ok(())
}

/// Who sends the spans.
fn resource() -> Resource {
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", "patchcord"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
        ])
        .build()
}

async fn send_all(exporter: SpanExporter, mut waiting: mpsc::Receiver<Waiting>) {
    let mut taken = Vec::with_capacity(BATCH_MAX);
    let mut was_told = false;
    while waiting.recv_many(&mut taken, BATCH_MAX).await > 0 {
        let is_flush = taken.iter().any(|one| matches!(one, Waiting::Flush(_)));
        if !is_flush && taken.len() < BATCH_MAX {
            // Either way what has come goes now.
            let _ = tokio::time::timeout(GATHER, gather(&mut waiting, &mut taken)).await;
        }
        let mut spans: Vec<SpanData> = Vec::with_capacity(taken.len());
        let mut flushed: Vec<oneshot::Sender<()>> = Vec::new();
        for one in taken.drain(..) {
            match one {
                Waiting::Span(span) => spans.push(*span),
                Waiting::Flush(sender) => flushed.push(sender),
            }
        }
        was_told = send(&exporter, spans, was_told).await;
        for sender in flushed {
            // Nobody waits any more when it took too long.
            let _ = sender.send(());
        }
    }
}

/// Takes what comes until there is enough, or somebody waits for it.
async fn gather(waiting: &mut mpsc::Receiver<Waiting>, taken: &mut Vec<Waiting>) {
    while taken.len() < BATCH_MAX {
        match waiting.recv().await {
            Some(one) => {
                let is_flush = matches!(one, Waiting::Flush(_));
                taken.push(one);
                if is_flush {
                    return;
                }
            }
            None => return,
        }
    }
}

/// Sends a batch, at most twice. Says once that the collector does not take them, and once that it does again.
async fn send(exporter: &SpanExporter, spans: Vec<SpanData>, was_told: bool) -> bool {
    if spans.is_empty() {
        return was_told;
    }
    let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
    let mut sent = exporter.export(spans.clone()).await;
    if sent.is_err() {
        tokio::time::sleep(GATHER).await;
        sent = exporter.export(spans).await;
    }
    match sent {
        Ok(()) => {
            metrics::counter!("patchcord_trace_spans_sent_total").increment(count);
            if was_told {
                tracing::info!("traces are taken again");
            }
            false
        }
        Err(error) => {
            metrics::counter!("patchcord_trace_spans_dropped_total").increment(count);
            if !was_told {
                tracing::warn!(%error, "traces are not taken by telemetry.otlp_endpoint: spans are dropped meanwhile");
            }
            true
        }
    }
}
