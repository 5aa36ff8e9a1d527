//! Requests as spans: what comes of one belongs to it, and a client's own trace goes on.

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};

use crate::telemetry::traces::{self, Span};

/// Doors whose requests are traced: those that change something or ask for data. Pages and health checks are not.
const TRACED: [&str; 3] = ["/api/", "/twilio/", "/stripe/"];

/// Answers a request as a span, below the `traceparent` that it brings.
pub async fn traced(request: Request, next: Next) -> Response {
    if !traces::is_on() {
        return next.run(request).await;
    }
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(String::new, |path| path.as_str().to_owned());
    let parent = request.headers().get("traceparent");
    let parent = parent.and_then(|value| value.to_str().ok());
    if !TRACED.iter().any(|door| route.starts_with(door)) {
        return next.run(request).await;
    }
    let Some((place, parent)) = traces::of_request(parent) else {
        return traces::unrecorded(next.run(request)).await;
    };
    let method = request.method().as_str().to_owned();
    let span = Span::begin(format!("{method} {route}"), place, parent)
        .serving()
        .with("http.request.method", method)
        .with("http.route", route);
    let response = traces::within(Some(place), next.run(request)).await;
    let status = response.status();
    let span = span.with("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.failed("server_error").end();
    } else {
        span.end();
    }
    response
}
