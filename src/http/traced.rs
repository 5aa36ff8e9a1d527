//! Requests as spans: what comes of one belongs to it, and a client's own trace goes on.

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};

use crate::{
    integrations::twilio::callback_token::TRACE_PARAMETER,
    telemetry::traces::{self, Span},
};

/// Doors whose requests are traced: those that change something or ask for data. Pages and health checks are not.
const TRACED: [&str; 3] = ["/api/", CALLED_BACK, "/stripe/"];
/// Doors whose callers tell the trace in the address that they were given: they know no header.
const CALLED_BACK: &str = "/twilio/";

/// Answers a request as a span, below the `traceparent` that it brings.
pub async fn traced(request: Request, next: Next) -> Response {
    if !traces::is_on() {
        return next.run(request).await;
    }
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(String::new, |path| path.as_str().to_owned());
    let told = request.headers().get("traceparent");
    let told = told.and_then(|value| value.to_str().ok());
    let parent = told.or_else(|| called_back(&route, request.uri().query()));
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

/// The trace that a provider's callback belongs to. It has the form of a `traceparent`, in which nothing needs an escape.
fn called_back<'query>(route: &str, query: Option<&'query str>) -> Option<&'query str> {
    let mut pairs = query.filter(|_| route.starts_with(CALLED_BACK))?.split('&');
    pairs.find_map(|pair| pair.strip_prefix(TRACE_PARAMETER)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_tells_its_trace_by_its_address_and_only_there() {
        let query = Some("e=msg_1.abc&t=00-4bf9-00f0-01&x=1");
        assert_eq!(called_back("/twilio/sms/status", query), Some("00-4bf9-00f0-01"));
        assert_eq!(called_back("/twilio/sms/status", Some("te=1&e=t")), None);
        assert_eq!(called_back("/twilio/status", None), None);
        assert_eq!(called_back("/api/events", query), None);
    }
}
