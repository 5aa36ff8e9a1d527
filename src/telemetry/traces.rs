//! Traces: what happened, from an utterance or a request to the effect, as spans that are recorded when they are over.
//!
//! In: contexts that travel as data with facts, runs and effects, and spans. Out: a bounded queue that `export` empties. While no
//! endpoint is set there are no contexts, so nothing is recorded, kept or sent. Attributes are ids, kinds and numbers: never
//! words that were said, addresses of people or secrets.

use std::{
    borrow::Cow,
    future::Future,
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use opentelemetry::{
    InstrumentationScope, KeyValue, Value,
    trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::{
    clock,
    domain::{time::Timestamp, trace::TraceContext},
};

/// Where spans go, once that is known.
static TRACES: OnceLock<Traces> = OnceLock::new();

tokio::task_local! {
    /// What is being worked on.
    static CURRENT: Option<TraceContext>;
}

/// What waits to be sent.
pub(super) enum Waiting {
    Span(Box<SpanData>),
    /// Everything before it was sent.
    Flush(oneshot::Sender<()>),
}

/// The way to the exporter.
pub(super) struct Traces {
    pub queue: mpsc::Sender<Waiting>,
    /// Traces below this part of all ids are recorded.
    pub sample_ratio: f64,
}

impl Traces {
    /// Makes this the way of every span. The first stays.
    pub(super) fn install(self) {
        // One that was installed before, in the same process, goes on.
        drop(TRACES.set(self));
    }
}

/// Whether traces are made at all.
#[must_use]
pub fn is_on() -> bool {
    TRACES.get().is_some()
}

/// What is being worked on here, if that is traced.
#[must_use]
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|current| *current).ok().flatten()
}

/// Does `work` as part of a span: what it brings about belongs to it.
pub async fn within<T>(context: Option<TraceContext>, work: impl Future<Output = T>) -> T {
    match context {
        None => work.await,
        context => CURRENT.scope(context, work).await,
    }
}

/// Whether it was chosen what this work belongs to: to a trace, or to none.
#[must_use]
pub fn is_chosen() -> bool {
    CURRENT.try_with(|_| ()).is_ok()
}

/// Lets `work` belong to what is being worked on here, also in a task of its own.
pub fn carried<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let chosen = CURRENT.try_with(|current| *current).ok();
    async move {
        match chosen {
            None => work.await,
            Some(context) => CURRENT.scope(context, work).await,
        }
    }
}

/// Does `work` as part of no trace: what it brings about begins none either.
pub async fn unrecorded<T>(work: impl Future<Output = T>) -> T {
    CURRENT.scope(None, work).await
}

/// A place for a new trace whose id comes from `seed`: the same seed gives the same trace, and the same choice whether it is recorded.
#[must_use]
pub fn root(seed: &[u8; 16]) -> Option<TraceContext> {
    let traces = TRACES.get()?;
    let context = TraceContext::new(*seed, [0, 0, 0, 0, 0, 0, 0, 1])?;
    // The hash spreads evenly what ids made in a row do not.
    let [a, b, c, d, ..] = context.derived(&[b"sampled"]).span_id();
    let place = f64::from(u32::from_be_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0);
    (place < traces.sample_ratio).then(|| context.derived(&[b"root"]))
}

/// The place of a request and of what it is below: the trace that it brings by its `traceparent`, else one of its own, below which
/// nothing is. Whoever sends the header has chosen: what it does not record is not recorded here.
#[must_use]
pub fn of_request(header: Option<&str>) -> Option<(TraceContext, TraceContext)> {
    let fresh = Uuid::new_v4();
    match header.and_then(TraceContext::from_header) {
        Some(incoming) => incoming
            .is_sampled
            .then(|| (incoming.context.derived(&[fresh.as_bytes()]), incoming.context)),
        None => root(fresh.as_bytes()).map(|root| (root, root)),
    }
}

/// Something that is going on.
#[derive(Debug)]
pub struct Span {
    name: Cow<'static, str>,
    kind: SpanKind,
    context: TraceContext,
    parent: Option<TraceContext>,
    began: SystemTime,
    running: Option<Instant>,
    attributes: Vec<KeyValue>,
    status: Status,
}

impl Span {
    /// Begins now, below `parent`; `context` is its own place. A span whose place is its parent's begins the trace.
    #[must_use]
    pub fn begin(name: impl Into<Cow<'static, str>>, context: TraceContext, parent: TraceContext) -> Self {
        Self {
            running: Some(Instant::now()),
            ..Self::begun_at(clock::now(), name, context, parent)
        }
    }

    /// The same, begun at an earlier moment.
    #[must_use]
    pub fn begun_at(
        at: Timestamp,
        name: impl Into<Cow<'static, str>>,
        context: TraceContext,
        parent: TraceContext,
    ) -> Self {
        Self {
            name: name.into(),
            kind: SpanKind::Internal,
            context,
            parent: (parent != context).then_some(parent),
            began: UNIX_EPOCH + Duration::from_millis(at.as_unix_millis()),
            running: None,
            attributes: Vec::new(),
            status: Status::Unset,
        }
    }

    /// A span below what is being worked on; `None` when that is not traced.
    #[must_use]
    pub fn below_current(name: impl Into<Cow<'static, str>>) -> Option<Self> {
        let parent = current()?;
        let context = parent.derived(&[Uuid::new_v4().as_bytes()]);
        Some(Self::begin(name, context, parent))
    }

    /// It answers a request that came in.
    #[must_use]
    pub fn serving(self) -> Self {
        Self {
            kind: SpanKind::Server,
            ..self
        }
    }

    /// It asks another service.
    #[must_use]
    pub fn asking(self) -> Self {
        Self {
            kind: SpanKind::Client,
            ..self
        }
    }

    /// Adds an attribute: an id, a kind, a number.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push(KeyValue::new(name, value));
        self
    }

    /// It did not do what it was meant to; `code` is a word of ours.
    #[must_use]
    pub fn failed(self, code: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: Status::error(code),
            ..self
        }
    }

    /// Its place in the trace.
    #[must_use]
    pub const fn context(&self) -> TraceContext {
        self.context
    }

    /// It is over: it waits to be sent. Full is full: it is dropped then, and counted.
    pub fn end(self) {
        let Some(traces) = TRACES.get() else { return };
        let ended = match self.running {
            Some(running) => self.began + running.elapsed(),
            None => UNIX_EPOCH + Duration::from_millis(clock::now().as_unix_millis()),
        };
        let span = Box::new(self.data(ended));
        if traces.queue.try_send(Waiting::Span(span)).is_err() {
            metrics::counter!("patchcord_trace_spans_dropped_total").increment(1);
        }
    }

    fn data(self, ended: SystemTime) -> SpanData {
        let place = |context: &TraceContext| SpanId::from_bytes(context.span_id());
        SpanData {
            span_context: SpanContext::new(
                TraceId::from_bytes(self.context.trace_id()),
                place(&self.context),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: self.parent.as_ref().map_or(SpanId::INVALID, place),
            parent_span_is_remote: false,
            span_kind: self.kind,
            name: self.name,
            start_time: self.began,
            end_time: ended.max(self.began),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: self.status,
            instrumentation_scope: InstrumentationScope::builder("patchcord")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        }
    }
}

/// Ends what is traced, if it is.
pub fn end(span: Option<Span>) {
    if let Some(span) = span {
        span.end();
    }
}

/// Waits until everything that was recorded is sent, as long as `patience` says.
pub async fn flush(patience: Duration) {
    let Some(traces) = TRACES.get() else { return };
    let (sender, sent) = oneshot::channel();
    let flushed = async {
        if traces.queue.send(Waiting::Flush(sender)).await.is_ok() {
            // An error means that the exporter is gone, and everything with it.
            let _ = sent.await;
        }
    };
    if tokio::time::timeout(patience, flushed).await.is_err() {
        tracing::warn!("some spans were not sent before the end");
    }
}
