//! The way out: HTTP with time and size limits, in kinds that share nothing but their settings.
//!
//! Addresses the operator configured are called as they are; addresses a user gave pass the guard, at every redirect too. An
//! error says whether anything can have been sent, because that decides if a request may be made again.

use std::{error::Error, sync::Arc, time::Duration};

use reqwest::{
    Method, RequestBuilder, StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use url::Url;

use super::address_guard::{AddressRefused, AllowList, GuardedResolver, LookUp, system_names};
use crate::{
    domain::{address_blocks::AddressBlocksError, time::Timestamp},
    telemetry::traces::Span,
};

/// Whole request: name, connection, answer.
const REQUEST_MAX: Duration = Duration::from_secs(15);
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Kept connections are closed before servers of the common kind close them (Node: 5 s, nginx: 75 s).
const IDLE_MAX: Duration = Duration::from_secs(4);
const IDLE_PER_HOST_MAX: usize = 32;
/// Bytes of an answer that are read; the rest is not waited for.
const BODY_BYTES_MAX: usize = 256 * 1024;
const REDIRECTS_MAX: usize = 3;
/// W3C Trace Context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error(transparent)]
    Refused(#[from] AddressRefused),
    /// The request cannot be written: a header or URL that is none.
    #[error("the request is not valid")]
    Invalid(#[source] reqwest::Error),
    /// No connection: nothing was sent.
    #[error("{} cannot be reached", host_of(.0))]
    Unreached(#[source] reqwest::Error),
    /// Lost or timed out when it may have been sent.
    #[error("{} did not answer{}", host_of(.0), if .0.is_timeout() { " in time" } else { "" })]
    Lost(#[source] reqwest::Error),
}

impl SendError {
    /// What went wrong, in a word.
    const fn word(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Invalid(_) => "invalid",
            Self::Unreached(_) => "unreached",
            Self::Lost(_) => "lost",
        }
    }
}

fn host_of(error: &reqwest::Error) -> &str {
    error.url().and_then(Url::host_str).unwrap_or("the server")
}

impl From<reqwest::Error> for SendError {
    fn from(error: reqwest::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if let Some(refused) = inner.downcast_ref::<AddressRefused>() {
                return Self::Refused(refused.clone());
            }
            cause = inner.source();
        }
        if error.is_builder() {
            Self::Invalid(error)
        } else if error.is_connect() {
            Self::Unreached(error)
        } else {
            Self::Lost(error)
        }
    }
}

/// The client could not be built: no root certificates on this machine, or a wrong allow list.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the HTTP client cannot be built")]
    Build(#[source] reqwest::Error),
    #[error("security.allow_private_targets")]
    AllowList(#[from] AddressBlocksError),
}

/// An answer, its body cut at 256 KiB.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub is_cut: bool,
}

impl Reply {
    /// How long the server asks to be left alone, in the form of seconds.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self
            .headers
            .get(reqwest::header::RETRY_AFTER)?
            .to_str()
            .ok()?
            .trim()
            .parse()
            .ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// The moment of the server's clock, to the second.
    #[must_use]
    pub fn date(&self) -> Option<Timestamp> {
        let text = self.headers.get(reqwest::header::DATE)?.to_str().ok()?;
        let moment = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        u64::try_from(moment.as_millisecond())
            .ok()
            .map(Timestamp::from_unix_millis)
    }
}

/// The clients. Cheap to clone; connections are kept and shared.
#[derive(Clone)]
pub struct HttpClient {
    configured: reqwest::Client,
    /// For requests that ask only.
    given: reqwest::Client,
    /// For requests that bring something: [`Moved::Stops`].
    given_to_bring: reqwest::Client,
    allowed: Arc<AllowList>,
}

/// What becomes of a request whose address has moved for good (301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    Follows,
    /// HTTP has it go on as a `GET` without its body: it would look delivered, and what it brought would be lost.
    Stops,
}

impl HttpClient {
    /// Builds both clients; `allowed` are the private addresses that users may give.
    ///
    /// # Errors
    /// When the machine has no root certificates.
    pub fn new(allowed: AllowList) -> Result<Self, ClientError> {
        Self::with_names(allowed, system_names())
    }

    /// The same, with names that mean what `look_up` says.
    pub(super) fn with_names(allowed: AllowList, look_up: LookUp) -> Result<Self, ClientError> {
        install_tls();
        let allowed = Arc::new(allowed);
        let configured = base()
            .redirect(redirect::Policy::none())
            .build()
            .map_err(ClientError::Build)?;
        Ok(Self {
            configured,
            given: guarded(&allowed, &look_up, Moved::Follows)?,
            given_to_bring: guarded(&allowed, &look_up, Moved::Stops)?,
            allowed,
        })
    }

    /// Starts a request to an address the operator configured.
    pub fn configured(&self, method: Method, url: Url) -> RequestBuilder {
        self.configured.request(method, url)
    }

    /// Starts a request to an address a user gave.
    ///
    /// # Errors
    /// [`AddressRefused`] when the address itself may not be called; a name is refused later, by [`send`].
    pub fn given(&self, method: Method, url: Url) -> Result<RequestBuilder, AddressRefused> {
        self.allowed.check(&url)?;
        let client = if method.is_safe() {
            &self.given
        } else {
            &self.given_to_bring
        };
        Ok(client.request(method, url))
    }
}

/// A client for addresses that users give.
fn guarded(allowed: &Arc<AllowList>, look_up: &LookUp, moved: Moved) -> Result<reqwest::Client, ClientError> {
    let checked = Arc::clone(allowed);
    let policy = redirect::Policy::custom(move |attempt| {
        if attempt.previous().len() > REDIRECTS_MAX {
            return attempt.error(AddressRefused::Redirects(REDIRECTS_MAX));
        }
        if attempt.status() == StatusCode::MOVED_PERMANENTLY && moved == Moved::Stops {
            return attempt.stop();
        }
        match checked.check(attempt.url()) {
            Ok(()) => attempt.follow(),
            Err(refused) => attempt.error(refused),
        }
    });
    // A proxy would resolve names itself, past the guard.
    base()
        .no_proxy()
        .dns_resolver(Arc::new(GuardedResolver {
            allowed: Arc::clone(allowed),
            look_up: Arc::clone(look_up),
        }))
        .redirect(policy)
        .build()
        .map_err(ClientError::Build)
}

/// Sends a request and reads its answer. A request that finds its kept connection closed before it could be written is sent
/// once more on a fresh one; that is hyper's rule and safe for every method.
///
/// # Errors
/// [`SendError`], which says whether the request may have arrived.
pub async fn send(request: RequestBuilder) -> Result<Reply, SendError> {
    match Span::below_current("request") {
        None => exchange(request).await,
        Some(span) => send_below(span, request, Tells::Nothing).await,
    }
}

/// The same; the receiver hears which trace it is part of.
///
/// # Errors
/// As for [`send`].
pub async fn send_traced(request: RequestBuilder) -> Result<Reply, SendError> {
    match Span::below_current("request") {
        None => exchange(request).await,
        Some(span) => send_below(span, request, Tells::Trace).await,
    }
}

/// What a receiver is told of a trace.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tells {
    Nothing,
    Trace,
}

/// Sends a request as a span. Of the address, only the host is in it: paths and queries hold tokens.
async fn send_below(span: Span, request: RequestBuilder, tells: Tells) -> Result<Reply, SendError> {
    let (client, request) = request.build_split();
    let mut request = request?;
    let method = request.method().as_str().to_owned();
    let host = request.url().host_str().unwrap_or_default().to_owned();
    let mut span = span
        .asking()
        .with("http.request.method", method)
        .with("server.address", host);
    if let Some(port) = request.url().port_or_known_default() {
        span = span.with("server.port", i64::from(port));
    }
    if tells == Tells::Trace
        && let Ok(parent) = HeaderValue::from_str(&span.context().to_string())
    {
        // One that the workflow sets itself stays.
        request.headers_mut().entry(TRACEPARENT).or_insert(parent);
    }
    let reply = exchange(RequestBuilder::from_parts(client, request)).await;
    match &reply {
        Ok(reply) if reply.status < 400 => {
            span.with("http.response.status_code", i64::from(reply.status))
                .end();
        }
        Ok(reply) => {
            let status = i64::from(reply.status);
            span.with("http.response.status_code", status)
                .failed("status")
                .end();
        }
        Err(error) => span.failed(error.word()).end(),
    }
    reply
}

async fn exchange(request: RequestBuilder) -> Result<Reply, SendError> {
    let mut response = request.send().await?;
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let mut body = Vec::new();
    let mut is_cut = false;
    while let Some(chunk) = response.chunk().await? {
        let room = BODY_BYTES_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            is_cut = true;
            break;
        }
    }
    Ok(Reply {
        status,
        headers,
        body,
        is_cut,
    })
}

/// A client for a collector of traces, whose address the operator configured.
///
/// # Errors
/// When the machine has no root certificates.
pub fn for_collector(timeout: Duration) -> Result<reqwest::Client, ClientError> {
    install_tls();
    let client = base().redirect(redirect::Policy::none()).timeout(timeout);
    client.build().map_err(ClientError::Build)
}

/// Starts a request that must not become HTTP/2, as the opening of a WebSocket; to an address the operator configured.
///
/// # Errors
/// When the machine has no root certificates.
pub fn http_1(url: Url) -> Result<RequestBuilder, ClientError> {
    install_tls();
    let client = base().redirect(redirect::Policy::none()).http1_only();
    Ok(client.build().map_err(ClientError::Build)?.get(url))
}

/// Sends a request and lets its connection go: what is asked for is the status alone.
///
/// # Errors
/// As for [`send`].
pub async fn status(request: RequestBuilder) -> Result<u16, SendError> {
    Ok(request.send().await?.status().as_u16())
}

/// Chooses the TLS implementation of this process. The first choice stays; it is the same everywhere.
pub fn install_tls() {
    // An error says that it was chosen before, in this process by this same call.
    drop(rustls::crypto::ring::default_provider().install_default());
}

fn base() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("patchcord/", env!("CARGO_PKG_VERSION")))
        .timeout(REQUEST_MAX)
        .connect_timeout(CONNECT_MAX)
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
}
