//! The wrapped key in CQL: one row under a revision.

use async_trait::async_trait;

use super::{
    fields::values,
    revised::{Change, Made, Revised},
    rows::Scylla,
};
use crate::{
    domain::sealing::WrappedKeys,
    store::{KeyringStore, StoreError, StoreResult},
};

const TABLE: Revised = Revised {
    read: "SELECT revision, body FROM keyring WHERE part = ?",
    write: "UPDATE keyring SET revision = ?, body = ? WHERE part = ? IF revision = ?",
};
const PART: i64 = 0;

#[async_trait]
impl KeyringStore for Scylla {
    async fn wrapped_keys(&self) -> StoreResult<Option<WrappedKeys>> {
        self.find(&TABLE, &values![PART]).await
    }

    async fn rewrap(&self, before: Option<WrappedKeys>, next: WrappedKeys) -> StoreResult<WrappedKeys> {
        if before.is_none() && self.make(&TABLE, &values![PART], &next).await? == Made::Fresh {
            return Ok(next);
        }
        self.revise(&TABLE, &values![PART], |stands: WrappedKeys| {
            Ok(if Some(&stands) == before.as_ref() {
                Change::Write(next.clone(), next.clone())
            } else {
                Change::Keep(stands)
            })
        })
        .await?
        .ok_or(StoreError::Busy)
    }
}
