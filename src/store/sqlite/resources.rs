//! Resources in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, ToSql, params};

use super::{
    columns::{Count, bodies, body, find, missing, page_of_bodies, recorded},
    cursor::{List, Window},
    database::Sqlite,
};
use crate::{
    domain::ids::AccountId,
    store::{
        Page, PageRequest, Recorded, ResourceStore, StoreError, StoreResult,
        resources::{ResourceAddress, ResourceFilter, ResourceRow},
    },
};

const ALL: &str =
    "SELECT at, id, body FROM resources WHERE account = ?4 AND kind = ?5 AND (at, id) < (?1, ?2)
    ORDER BY at DESC, id DESC LIMIT ?3";
const OF_GROUP: &str = "SELECT at, id, body FROM resources
    WHERE account = ?4 AND kind = ?5 AND grouped = ?6 AND (at, id) < (?1, ?2) ORDER BY at DESC, id DESC LIMIT ?3";
const IN_STATE: &str = "SELECT at, id, body FROM resources
    WHERE account = ?4 AND kind = ?5 AND state = ?6 AND (at, id) < (?1, ?2) ORDER BY at DESC, id DESC LIMIT ?3";
const OF_GROUP_IN_STATE: &str = "SELECT at, id, body FROM resources
    WHERE account = ?4 AND kind = ?5 AND grouped = ?6 AND state = ?7 AND (at, id) < (?1, ?2)
    ORDER BY at DESC, id DESC LIMIT ?3";

#[async_trait]
impl ResourceStore for Sqlite {
    async fn create(&self, row: ResourceRow) -> StoreResult<Recorded> {
        self.write(move |db| {
            let inserted = db
                .prepare_cached(
                    "INSERT INTO resources (account, kind, id, at, grouped, state, open, revision, body)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (account, kind, id) DO NOTHING",
                )?
                .execute(params![
                    row.account_id,
                    row.kind.number(),
                    row.id,
                    row.at,
                    row.group,
                    row.state,
                    row.is_open,
                    Count(row.revision),
                    body(&row)?,
                ])?;
            Ok(recorded(inserted))
        })
        .await
    }

    async fn replace(&self, row: ResourceRow) -> StoreResult<()> {
        self.write(move |db| {
            let replaced = db
                .prepare_cached(
                    "UPDATE resources SET grouped = ?4, state = ?5, open = ?6, revision = ?7, body = ?8
                     WHERE account = ?1 AND kind = ?2 AND id = ?3 AND revision = ?7 - 1",
                )?
                .execute(params![
                    row.account_id,
                    row.kind.number(),
                    row.id,
                    row.group,
                    row.state,
                    row.is_open,
                    Count(row.revision),
                    body(&row)?,
                ])?;
            if replaced == 1 {
                return Ok(());
            }
            let stored = get(db, row.address())?;
            Err(StoreError::Moved {
                what: row.kind.word(),
                id: named(&row.id),
                revision: stored.revision,
            })
        })
        .await
    }

    async fn get(&self, address: ResourceAddress) -> StoreResult<ResourceRow> {
        self.read(move |db| get(db, address)).await
    }

    async fn delete(&self, address: ResourceAddress) -> StoreResult<()> {
        self.write(move |db| {
            let deleted = db
                .prepare_cached("DELETE FROM resources WHERE account = ?1 AND kind = ?2 AND id = ?3")?
                .execute((address.account_id, address.kind.number(), address.id))?;
            if deleted == 0 {
                return Err(missing(address.kind.word(), named(&address.id)));
            }
            Ok(())
        })
        .await
    }

    async fn delete_done(&self, address: ResourceAddress) -> StoreResult<Option<ResourceRow>> {
        self.write(move |db| {
            let deleted = db
                .prepare_cached(
                    "DELETE FROM resources WHERE account = ?1 AND kind = ?2 AND id = ?3 AND open = 0",
                )?
                .execute((address.account_id, address.kind.number(), address.id))?;
            if deleted == 1 {
                return Ok(None);
            }
            get(db, address).map(Some)
        })
        .await
    }

    async fn list(
        &self,
        account_id: AccountId,
        filter: ResourceFilter,
        page: PageRequest,
    ) -> StoreResult<Page<ResourceRow>> {
        let window = Window::of(List::Resources(filter.kind), &page)?;
        self.read(move |db| {
            let kind = filter.kind.number();
            let mut scope: Vec<&dyn ToSql> = vec![&account_id, &kind];
            let sql = match (&filter.group, &filter.state) {
                (None, None) => ALL,
                (Some(group), None) => {
                    scope.push(group);
                    OF_GROUP
                }
                (None, Some(state)) => {
                    scope.push(state);
                    IN_STATE
                }
                (Some(group), Some(state)) => {
                    scope.extend([group as &dyn ToSql, state]);
                    OF_GROUP_IN_STATE
                }
            };
            page_of_bodies(db, sql, &scope, &window)
        })
        .await
    }

    async fn open(
        &self,
        kind: crate::domain::resource::ResourceKind,
        limit: u32,
    ) -> StoreResult<Vec<ResourceRow>> {
        self.read(move |db| {
            bodies(
                db,
                "SELECT body FROM resources WHERE kind = ?1 AND open = 1 ORDER BY account, id LIMIT ?2",
                (kind.number(), limit),
            )
        })
        .await
    }
}

fn get(db: &Connection, address: ResourceAddress) -> StoreResult<ResourceRow> {
    find(
        db,
        "SELECT body FROM resources WHERE account = ?1 AND kind = ?2 AND id = ?3",
        (address.account_id, address.kind.number(), address.id),
    )?
    .ok_or_else(|| missing(address.kind.word(), named(&address.id)))
}

/// An id without its type, for messages.
fn named(id: &[u8; 16]) -> String {
    crate::domain::hex::hex(id)
}
