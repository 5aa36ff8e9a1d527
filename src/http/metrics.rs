//! `/metrics` for Prometheus, and the measures of the doors themselves.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::context::Context;

/// Show every measure
///
/// In the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operating", operation_id = "metrics", security(()),
    responses((status = 200, description = "Every measure.", body = String, content_type = "text/plain")))]
pub async fn show(State(context): State<Context>) -> Response {
    let text = context.metrics.render();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// Counts and times each request by route, so that ids in addresses make no new series.
pub async fn measured(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().as_str().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    let labels = [("method", method), ("route", route), ("status", status)];
    metrics::counter!("patchcord_http_requests_total", &labels).increment(1);
    metrics::histogram!("patchcord_http_request_seconds", &labels).record(begun.elapsed());
    response
}
