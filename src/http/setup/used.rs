//! Whether the account is in use: a workflow that acts, a call that was heard of.

use super::Finding;
use crate::{
    domain::ids::AccountId,
    store::{PageRequest, Store, StoreResult},
};

/// Workflows of a page, and pages that are looked through for one that acts.
const PAGE: u32 = 200;
const PAGES_MAX: u32 = 10;

/// Whether a workflow is published and on.
pub(super) async fn workflow(store: &Store, account_id: AccountId) -> StoreResult<Finding> {
    let (mut cursor, mut is_published) = (None, false);
    for _ in 0..PAGES_MAX {
        let request = PageRequest { limit: PAGE, cursor };
        let page = store.workflows.list(account_id, request).await?;
        let mut published = page.items.iter().filter(|row| row.published > 0);
        if let Some(row) = published.find(|row| row.enabled) {
            return Ok(Finding::Good(format!(
                "\u{201c}{}\u{201d} is published and on",
                row.name
            )));
        }
        is_published |= page.items.iter().any(|row| row.published > 0);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(if is_published {
        Finding::failed("no published workflow is on", "switch one on under Workflows")
    } else {
        Finding::failed(
            "no workflow is published",
            "choose a template under Templates, try it with a dry run, and publish it",
        )
    })
}

/// Whether a call was heard of.
pub(super) async fn first_call(store: &Store, account_id: AccountId) -> StoreResult<Finding> {
    let request = PageRequest {
        limit: 1,
        cursor: None,
    };
    let page = store.calls.list(account_id, request).await?;
    Ok(match page.items.first() {
        Some(call) => Finding::Good(format!("the newest call began at {}", call.started_at)),
        None => Finding::failed(
            "no call was heard of yet",
            "call the number: the call appears on the live page while it rings",
        ),
    })
}
