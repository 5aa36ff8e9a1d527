//! Workflows in SQLite. Versions outlive their workflow: runs that were started on them go on.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    columns::{Count, bodies, body, find, missing, page_of_bodies},
    cursor::{List, Window},
    database::Sqlite,
};
use crate::{
    domain::ids::{AccountId, WorkflowId},
    store::{
        Page, PageRequest, StoreError, StoreResult, WorkflowStore,
        workflows::{WorkflowRow, WorkflowVersion},
    },
};

#[async_trait]
impl WorkflowStore for Sqlite {
    async fn create(&self, row: WorkflowRow, version: Option<WorkflowVersion>) -> StoreResult<()> {
        let written = self
            .write(move |db| {
                let inserted = db
                    .prepare_cached(
                        "INSERT INTO workflows (id, account, created_at, trigger, live, revision, body)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
                    )?
                    .execute(params![
                        row.id,
                        row.account_id,
                        row.created_at,
                        row.trigger,
                        is_live(&row),
                        Count(row.revision),
                        body(&row)?,
                    ])?;
                if inserted == 0 {
                    return Err(StoreError::Taken { field: "id" });
                }
                add_version(db, version.as_ref())
            })
            .await;
        self.triggered_read.forget();
        written
    }

    async fn update(&self, row: WorkflowRow, version: Option<WorkflowVersion>) -> StoreResult<()> {
        let written = self
            .write(move |db| {
                let stored = db
                    .prepare_cached("SELECT revision FROM workflows WHERE id = ?1 AND account = ?2")?
                    .query_row((row.id, row.account_id), |found| found.get::<_, Count>(0))
                    .optional()?;
                let Count(revision) = stored.ok_or_else(|| missing("workflow", row.id))?;
                if revision.checked_add(1) != Some(row.revision) {
                    return Err(StoreError::Moved {
                        what: "workflow",
                        id: row.id.to_string(),
                        revision,
                    });
                }
                db.prepare_cached(
                    "UPDATE workflows SET trigger = ?2, live = ?3, revision = ?4, body = ?5 WHERE id = ?1",
                )?
                .execute((
                    row.id,
                    &row.trigger,
                    is_live(&row),
                    Count(row.revision),
                    body(&row)?,
                ))?;
                add_version(db, version.as_ref())
            })
            .await;
        self.triggered_read.forget();
        written
    }

    async fn delete(&self, account_id: AccountId, id: WorkflowId) -> StoreResult<()> {
        let written = self
            .write(move |db| {
                let deleted = db
                    .prepare_cached("DELETE FROM workflows WHERE id = ?1 AND account = ?2")?
                    .execute((id, account_id))?;
                if deleted == 0 {
                    Err(missing("workflow", id))
                } else {
                    Ok(())
                }
            })
            .await;
        self.triggered_read.forget();
        written
    }

    async fn get(&self, account_id: AccountId, id: WorkflowId) -> StoreResult<WorkflowRow> {
        self.read(move |db| {
            find(
                db,
                "SELECT body FROM workflows WHERE id = ?1 AND account = ?2",
                (id, account_id),
            )?
            .ok_or_else(|| missing("workflow", id))
        })
        .await
    }

    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<WorkflowRow>> {
        let window = Window::of(List::Workflows, &page)?;
        self.read(move |db| {
            page_of_bodies(
                db,
                "SELECT created_at, id, body FROM workflows WHERE account = ?4 AND (created_at, id) < (?1, ?2)
                 ORDER BY created_at DESC, id DESC LIMIT ?3",
                &[&account_id],
                &window,
            )
        })
        .await
    }

    async fn version(&self, id: WorkflowId, version: u32) -> StoreResult<WorkflowVersion> {
        self.read(move |db| {
            db.prepare_cached(
                "SELECT workflow, version, definition, published_at FROM workflow_versions WHERE workflow = ?1 AND version = ?2",
            )?
            .query_row((id, version), version_of)
            .optional()?
            .ok_or_else(|| missing("workflow version", format_args!("{id} {version}")))
        })
        .await
    }

    async fn versions(&self, account_id: AccountId, id: WorkflowId) -> StoreResult<Vec<WorkflowVersion>> {
        self.read(move |db| {
            let is_owned = db
                .prepare_cached("SELECT 1 FROM workflows WHERE id = ?1 AND account = ?2")?
                .exists((id, account_id))?;
            if !is_owned {
                return Err(missing("workflow", id));
            }
            let mut statement = db.prepare_cached(
                "SELECT workflow, version, definition, published_at FROM workflow_versions WHERE workflow = ?1
                 ORDER BY version DESC",
            )?;
            Ok(statement
                .query_map([id], version_of)?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn triggered_by(&self, account_id: AccountId, trigger: &str) -> StoreResult<Vec<WorkflowRow>> {
        let key = (account_id, trigger.to_owned());
        if let Some(rows) = self.triggered_read.get(&key) {
            return Ok(rows);
        }
        let (mark, asked) = (self.triggered_read.mark(), key.clone());
        let rows: Vec<WorkflowRow> = self
            .read(move |db| {
                bodies(
                    db,
                    "SELECT body FROM workflows WHERE account = ?1 AND trigger = ?2 AND live = 1 ORDER BY created_at, id",
                    asked,
                )
            })
            .await?;
        self.triggered_read.put(key, rows.clone(), mark);
        Ok(rows)
    }
}

/// Whether facts can start it.
const fn is_live(row: &WorkflowRow) -> bool {
    row.enabled && row.published > 0
}

fn add_version(db: &Connection, version: Option<&WorkflowVersion>) -> StoreResult<()> {
    let Some(version) = version else { return Ok(()) };
    let inserted = db
        .prepare_cached(
            "INSERT INTO workflow_versions (workflow, version, published_at, definition) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (workflow, version) DO NOTHING",
        )?
        .execute((version.workflow_id, version.version, version.published_at, &version.definition))?;
    if inserted == 0 {
        Err(StoreError::Taken { field: "version" })
    } else {
        Ok(())
    }
}

fn version_of(row: &Row<'_>) -> rusqlite::Result<WorkflowVersion> {
    Ok(WorkflowVersion {
        workflow_id: row.get(0)?,
        version: row.get(1)?,
        definition: row.get(2)?,
        published_at: row.get(3)?,
    })
}
