//! The wrapped key in SQLite: one row.

use async_trait::async_trait;
use rusqlite::Connection;

use super::{
    columns::{body, find},
    database::Sqlite,
};
use crate::{
    domain::sealing::WrappedKeys,
    store::{KeyringStore, StoreResult},
};

#[async_trait]
impl KeyringStore for Sqlite {
    async fn wrapped_keys(&self) -> StoreResult<Option<WrappedKeys>> {
        self.read(read).await
    }

    async fn rewrap(&self, before: Option<WrappedKeys>, next: WrappedKeys) -> StoreResult<WrappedKeys> {
        self.write(move |db| {
            let stands = read(db)?;
            if stands != before
                && let Some(stands) = stands
            {
                return Ok(stands);
            }
            db.prepare_cached("INSERT OR REPLACE INTO keyring (part, body) VALUES (0, ?1)")?
                .execute([body(&next)?])?;
            Ok(next)
        })
        .await
    }
}

fn read(db: &Connection) -> StoreResult<Option<WrappedKeys>> {
    find(db, "SELECT body FROM keyring WHERE part = 0", [])
}
