//! Tells the schedules of workflows that were changed: whatever route changed them, the clock hears of it at once.

use axum::{
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::Response,
};

use super::context::Context;

/// Where workflows are changed.
const WORKFLOWS: &str = "/api/workflows";

/// Lets a request through and says so when it changed workflows.
pub async fn noticed(State(context): State<Context>, request: Request, next: Next) -> Response {
    let may_change = request.method() != Method::GET && request.uri().path().starts_with(WORKFLOWS);
    let is_a_start = request.uri().path().ends_with("/execute");
    let response = next.run(request).await;
    if may_change && !is_a_start && response.status().is_success() {
        context.schedules.changed();
    }
    response
}
