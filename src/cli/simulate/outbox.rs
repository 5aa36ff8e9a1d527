//! Reads which messages the runs of a simulation sent, or would have sent.

use serde::Deserialize;

use super::{doors::Doors, outcome::SimulateError};
use crate::domain::{message::Message, secret::Secret};

/// Messages that are looked at: what one session can have caused, newest first.
const MESSAGES_MAX: u32 = 200;

#[derive(Deserialize)]
struct Page {
    items: Vec<Message>,
}

/// Returns the account's newest messages, oldest of them first.
///
/// # Errors
/// [`SimulateError::Answered`] when the server does not list them.
pub async fn newest(doors: &Doors, token: &Secret) -> Result<Vec<Message>, SimulateError> {
    let path = format!("/api/messages?limit={MESSAGES_MAX}");
    let url = doors.at(&path);
    let response = doors
        .client()
        .get(&url)
        .bearer_auth(token.expose())
        .send()
        .await
        .map_err(|source| SimulateError::Unreachable { url, source })?;
    let status = response.status().as_u16();
    let body = response.text().await.unwrap_or_default();
    let mut page: Page =
        serde_json::from_str(&body).map_err(|_| SimulateError::Answered { path, status, body })?;
    page.items.reverse();
    Ok(page.items)
}
