//! `POST /internal/words`: another node tells this one something.
//!
//! In: a letter, signed with the cluster's secret. Out: what came of it. Nothing here is part of the API, and nothing of the API is here.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::HeaderMap,
    routing::post,
};

use crate::{
    actors::cluster::{
        Answering, Letter,
        neighbours::PATH,
        signature::{self, Signed},
        words::Said,
    },
    http::error::ApiError,
};

/// Largest letter: a fact or an effect with everything a client may send.
const LETTER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The addresses for other nodes.
pub fn router(answering: Answering) -> Router {
    Router::new()
        .route(PATH, post(take))
        .layer(DefaultBodyLimit::max(LETTER_BYTES_MAX))
        .with_state(answering)
}

async fn take(
    State(answering): State<Answering>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Said>, ApiError> {
    let header = headers
        .get(signature::HEADER)
        .and_then(|value| value.to_str().ok());
    let signed = Signed {
        method: "POST",
        path: PATH,
        body: &body,
    };
    answering.neighbours().check(signed, header).map_err(|error| {
        tracing::warn!(%error, "a request on the nodes' own address was refused");
        ApiError::Unauthenticated
    })?;
    let letter: Letter = serde_json::from_slice(&body).map_err(|error| ApiError::Malformed {
        detail: format!("a node of another version? {error}"),
    })?;
    Ok(Json(answering.answer(letter).await))
}
