//! What the operator changes on the command line, in the audit log beside what people change through the API.

use anyhow::Context as _;
use serde_json::Value;

use crate::{
    clock,
    domain::{
        audit::{Actor, Deed, Details},
        ids::AccountId,
    },
    http::auth::token,
    store::Store,
};

/// A command that changed something, and the thing before and after; without secrets.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// As it is typed: `user add`.
    pub action: &'static str,
    pub subject: Option<String>,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// Writes down what was done in an account.
///
/// # Errors
/// When it could not be written down; what was done stays done.
pub(super) async fn note(store: &Store, account_id: AccountId, done: Done) -> anyhow::Result<()> {
    let deed = Deed {
        account_id,
        at: clock::now(),
        actor: Actor::Operator,
        action: done.action.to_owned(),
        subject: done.subject,
        about: Vec::new(),
        request_id: None,
        address: None,
    };
    let details = Details {
        salt: token::draw_password()?.expose().to_owned(),
        before: done.before,
        after: done.after,
    };
    let written = store.audit.append(deed, details).await;
    written.with_context(|| format!("`{}` is done, but not in the audit log", done.action))?;
    Ok(())
}

/// The same for what is done to the whole store: it stands in the log of its first account. A store without one has no log.
///
/// # Errors
/// As for [`note`].
pub(super) async fn note_for_all(store: &Store, done: Done) -> anyhow::Result<()> {
    match store.accounts.first_account().await? {
        Some(account) => note(store, account.id, done).await,
        None => Ok(()),
    }
}
