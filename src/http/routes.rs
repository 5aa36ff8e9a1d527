//! The whole of the server's addresses, and what every request passes on its way: limits, times, headers, the last resort.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request},
    http::{HeaderName, HeaderValue, header},
    middleware,
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{
        CompressionLayer, Predicate as _,
        predicate::{DefaultPredicate, NotForContentType, SizeAbove},
    },
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    set_header::SetResponseHeaderLayer,
    trace::TraceLayer,
};

use super::{
    audit::{self, Auditing},
    changes, client_address,
    context::Context,
    error::{self, TimeLimits},
    idempotency::{self, Idempotency},
    metrics, openapi,
    rate_limit::{self, RateLimit},
    traced, twilio, ui, workflow_changes,
};

/// Carries a request's id, taken over from the client or made here, into the answer and the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Smaller answers are not worth it.
const COMPRESSED_FROM_BYTES: u64 = 1_024;

/// Every door of the server.
pub fn router(context: Context) -> Router {
    let (api, description) = openapi::described().split_for_parts();
    let auditing = Auditing::new(
        context.clone(),
        api.clone().with_state(context.clone()),
        description,
    );
    let written = middleware::from_fn_with_state(auditing, audit::audited);
    let once = middleware::from_fn_with_state(Idempotency::new(context.clone()), idempotency::idempotent);
    let in_time = middleware::from_fn_with_state(
        TimeLimits {
            request: Duration::from_secs(context.settings.request_timeout_s),
            upload: Duration::from_secs(context.settings.upload_timeout_s),
        },
        error::in_time,
    );
    let limited = middleware::from_fn_with_state(
        RateLimit::new(context.settings.requests_per_s),
        rate_limit::limited,
    );
    let carried_out = middleware::from_fn_with_state(context.changes.clone(), changes::carried_out);
    let noticed = middleware::from_fn_with_state(context.clone(), workflow_changes::noticed);
    let proxies = Arc::new(context.settings.trusted_proxies.clone());
    let only_https = only_https(&context.settings.public_url);
    let limit = DefaultBodyLimit::max(context.settings.body_bytes_max);
    let doors = api
        .layer((limited, carried_out, noticed, once, written))
        .merge(twilio::router())
        .merge(ui::router())
        .method_not_allowed_fallback(error::no_method)
        .with_state(context);
    doors
        .merge(openapi::pages())
        .fallback(error::no_route)
        // One layer of many: a router copies what each of its layers wraps for every request, so ten would cost fifty-five copies.
        // The first sees a request first.
        .layer((
            middleware::from_fn_with_state(proxies, client_address::told),
            SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid),
            PropagateRequestIdLayer::new(REQUEST_ID),
            CompressionLayer::new().compress_when(
                DefaultPredicate::new()
                    .and(SizeAbove::new(COMPRESSED_FROM_BYTES))
                    // Twilio's answers are small, and late is worse than large.
                    .and(NotForContentType::const_new("text/xml")),
            ),
            answer_header(header::REFERRER_POLICY, "no-referrer"),
            answer_header(header::X_FRAME_OPTIONS, "DENY"),
            answer_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // Pages have their own.
            answer_header(
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; frame-ancestors 'none'",
            ),
            SetResponseHeaderLayer::if_not_present(header::STRICT_TRANSPORT_SECURITY, only_https),
            TraceLayer::new_for_http().make_span_with(span),
            middleware::from_fn(metrics::measured),
            middleware::from_fn(traced::traced),
            CatchPanicLayer::custom(error::panicked),
            limit,
            in_time,
        ))
}

/// What a request's lines in the log carry, and those of what is done in it. The route, not the address: some addresses hold a token.
fn span(request: &Request) -> tracing::Span {
    let route = request.extensions().get::<MatchedPath>();
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    // A client chooses it: as much as the audit log keeps.
    let id: Option<String> = id.map(|id| id.chars().take(audit::REQUEST_ID_CHARS_MAX).collect());
    tracing::info_span!(
        "request",
        method = %request.method(),
        route = route.map(MatchedPath::as_str),
        request_id = id
    )
}

/// Keeps browsers to https for a year, where the server is reached by it.
fn only_https(public_url: &str) -> Option<HeaderValue> {
    let is_https = public_url.starts_with("https://");
    is_https.then(|| HeaderValue::from_static("max-age=31536000"))
}

/// Sets a header of every answer that does not set it itself.
fn answer_header(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}
