//! Workflows in CQL. A workflow and its versions are one partition; versions outlive it: runs that were started on them go on.
//!
//! Which workflows a fact may start is looked up in `live_workflows`, whose entries are hints: written before the workflow with
//! its revision as their time, and judged by the workflow itself.

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    errors::missing,
    fields::{Row, values},
    positions::{READS_AT_ONCE, place},
    revised::{Stands, TRIES_MAX},
    rows::Scylla,
    values::body,
};
use crate::{
    domain::ids::{AccountId, WorkflowId},
    store::{
        Page, PageRequest, StoreError, StoreResult, WorkflowStore,
        cursor::{List, Position, Window},
        workflows::{WorkflowRow, WorkflowVersion},
    },
};

/// Partitions of one type of trigger.
const SPREADS: u8 = 16;

const READ: &str = "SELECT revision, body FROM workflows WHERE id = ? LIMIT 1";
const WRITE: &str = "UPDATE workflows SET revision = ?, account = ?, body = ? WHERE id = ? IF revision = ?";
const ADD_VERSION: &str =
    "INSERT INTO workflows (id, version, published_at, definition) VALUES (?, ?, ?, ?) IF NOT EXISTS";
const VERSION: &str =
    "SELECT id, version, definition, published_at FROM workflows WHERE id = ? AND version = ?";
const VERSIONS: &str = "SELECT id, version, definition, published_at FROM workflows WHERE id = ?";

const ENTER: &str =
    "INSERT INTO live_workflows (trigger, spread, account, id) VALUES (?, ?, ?, ?) USING TIMESTAMP ?";
const STRIKE: &str = "DELETE FROM live_workflows USING TIMESTAMP ? WHERE trigger = ? AND spread = ? AND account = ? AND id = ?";
const OF_ACCOUNT: &str = "SELECT id FROM live_workflows WHERE trigger = ? AND spread = ? AND account = ?";
const OF_ALL: &str = "SELECT id FROM live_workflows WHERE trigger = ? AND spread = ?";

/// A workflow as it stands.
struct Stored {
    revision: u64,
    /// `None` once it was deleted.
    row: Option<WorkflowRow>,
}

#[async_trait]
impl WorkflowStore for Scylla {
    async fn create(&self, row: WorkflowRow, version: Option<WorkflowVersion>) -> StoreResult<()> {
        let position = place(row.created_at, row.id.as_bytes());
        self.put_position(row.account_id, List::Workflows, position)
            .await?;
        let written = self.write_workflow(None, &row, version.as_ref()).await;
        self.triggered_read.forget();
        if written? {
            return Ok(());
        }
        let is_known = self.workflow_at(row.id).await?.is_some();
        let field = if is_known { "id" } else { "version" };
        Err(StoreError::Taken { field })
    }

    async fn update(&self, row: WorkflowRow, version: Option<WorkflowVersion>) -> StoreResult<()> {
        let (revision, before) = self.workflow_of(row.account_id, row.id).await?;
        let moved = |revision| StoreError::Moved {
            what: "workflow",
            id: row.id.to_string(),
            revision,
        };
        if revision.checked_add(1) != Some(row.revision) {
            return Err(moved(revision));
        }
        let written = self
            .write_workflow(Some((revision, &before)), &row, version.as_ref())
            .await;
        self.triggered_read.forget();
        if written? {
            return Ok(());
        }
        let (now, _) = self.workflow_of(row.account_id, row.id).await?;
        if now == revision {
            Err(StoreError::Taken { field: "version" })
        } else {
            Err(moved(now))
        }
    }

    async fn delete(&self, account_id: AccountId, id: WorkflowId) -> StoreResult<()> {
        for _ in 0..TRIES_MAX {
            let (revision, row) = self.workflow_of(account_id, id).await?;
            let none: Option<String> = None;
            let next = revision.saturating_add(1);
            let gone = values![next, account_id, none, id, revision];
            let is_gone = self.decided(vec![(WRITE, gone)], || async {
                Ok::<_, StoreError>(match self.workflow_serially(id).await? {
                    Some(Stored { row: None, .. }) => Stands::Ours,
                    Some(stored) if stored.revision == revision => Stands::Before,
                    Some(_) => Stands::Theirs,
                    None => Stands::Beyond,
                })
            });
            let is_gone = is_gone.await;
            self.triggered_read.forget();
            if is_gone? {
                self.strike(&row, next).await?;
                let position = place(row.created_at, id.as_bytes());
                return self.take_position(account_id, List::Workflows, position).await;
            }
        }
        Err(StoreError::Busy)
    }

    async fn get(&self, account_id: AccountId, id: WorkflowId) -> StoreResult<WorkflowRow> {
        Ok(self.workflow_of(account_id, id).await?.1)
    }

    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<WorkflowRow>> {
        let window = Window::of(List::Workflows, &page)?;
        self.page_of(
            account_id,
            List::Workflows,
            &window,
            |position: Position| async move {
                let stored = self.workflow_at(WorkflowId::from_bytes(position.id)).await?;
                let row = stored.and_then(|stored| stored.row);
                Ok(row.filter(|row| {
                    row.account_id == account_id && place(row.created_at, row.id.as_bytes()) == position
                }))
            },
        )
        .await
    }

    async fn version(&self, id: WorkflowId, version: u32) -> StoreResult<WorkflowVersion> {
        let row = self.select_one(VERSION, values![id, version]).await?;
        row.map(version_of)
            .transpose()?
            .flatten()
            .ok_or_else(|| missing("workflow version", format_args!("{id} {version}")))
    }

    async fn versions(&self, account_id: AccountId, id: WorkflowId) -> StoreResult<Vec<WorkflowVersion>> {
        self.workflow_of(account_id, id).await?;
        let rows = self.select(VERSIONS, values![id]).await?;
        let versions: StoreResult<Vec<_>> = rows.into_iter().map(version_of).collect();
        Ok(versions?.into_iter().flatten().collect())
    }

    async fn triggered_by(&self, account_id: AccountId, trigger: &str) -> StoreResult<Vec<WorkflowRow>> {
        let key = (account_id, trigger.to_owned());
        if let Some(rows) = self.triggered_read.get(&key) {
            return Ok(rows);
        }
        let mark = self.triggered_read.mark();
        let entries = values![trigger, spread_of(account_id), account_id];
        let mut rows = self.live_of(OF_ACCOUNT, entries).await?;
        rows.retain(|row| row.account_id == account_id && is_live(row) && row.trigger == trigger);
        rows.sort_by_key(|row| (row.created_at, row.id));
        self.triggered_read.put(key, rows.clone(), mark);
        Ok(rows)
    }
}

impl Scylla {
    /// Every account's workflows that facts of this type may start.
    pub(super) async fn live_by(&self, trigger: &str) -> StoreResult<Vec<WorkflowRow>> {
        let mut rows = Vec::new();
        for spread in 0..SPREADS {
            rows.extend(self.live_of(OF_ALL, values![trigger, i64::from(spread)]).await?);
        }
        rows.retain(|row| is_live(row) && row.trigger == trigger);
        Ok(rows)
    }

    async fn live_of(
        &self,
        entries: &'static str,
        key: super::fields::Values,
    ) -> StoreResult<Vec<WorkflowRow>> {
        let ids: StoreResult<Vec<WorkflowId>> = self
            .select(entries, key)
            .await?
            .into_iter()
            .map(|mut row| row.take(0))
            .collect();
        let reads = ids?.into_iter().map(|id| self.workflow_at(id));
        let found: Vec<Option<Stored>> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        Ok(found
            .into_iter()
            .flatten()
            .filter_map(|stored| stored.row)
            .collect())
    }

    async fn workflow_at(&self, id: WorkflowId) -> StoreResult<Option<Stored>> {
        let row = self.select_one(READ, values![id]).await?;
        Ok(row.map(stored_of).transpose()?.flatten())
    }

    async fn workflow_serially(&self, id: WorkflowId) -> StoreResult<Option<Stored>> {
        let row = self.select_serial(READ, values![id]).await?;
        Ok(row.map(stored_of).transpose()?.flatten())
    }

    async fn workflow_of(&self, account: AccountId, id: WorkflowId) -> StoreResult<(u64, WorkflowRow)> {
        match self.workflow_at(id).await? {
            Some(Stored {
                revision,
                row: Some(row),
            }) if row.account_id == account => Ok((revision, row)),
            Some(_) | None => Err(missing("workflow", id)),
        }
    }

    /// Writes a workflow after `before`, with the version it publishes. False when it is not what it was, or the version is there.
    async fn write_workflow(
        &self,
        before: Option<(u64, &WorkflowRow)>,
        row: &WorkflowRow,
        version: Option<&WorkflowVersion>,
    ) -> StoreResult<bool> {
        let (was_live, from) = match before {
            Some((revision, before)) => (is_live(before) && before.trigger == row.trigger, Some(revision)),
            None => (false, None),
        };
        if is_live(row) && !was_live {
            let spread = spread_of(row.account_id);
            let entry = values![row.trigger, spread, row.account_id, row.id, row.revision];
            self.write(ENTER, entry).await?;
        }
        let text = body(row)?;
        let mut statements = vec![(WRITE, values![row.revision, row.account_id, text, row.id, from])];
        statements.extend(version.map(|version| {
            let added = values![
                version.workflow_id,
                version.version,
                version.published_at,
                version.definition
            ];
            (ADD_VERSION, added)
        }));
        let is_written = self
            .decided(statements, || async {
                Ok::<_, StoreError>(match self.workflow_serially(row.id).await? {
                    Some(stored) if stored.row.as_ref() == Some(row) => Stands::Ours,
                    Some(stored) if stored.revision == row.revision => Stands::Theirs,
                    stored if stored.as_ref().map(|stored| stored.revision) == from => Stands::Before,
                    _ => Stands::Beyond,
                })
            })
            .await?;
        if let Some((_, before)) = before.filter(|_| is_written)
            && is_live(before)
            && !(is_live(row) && before.trigger == row.trigger)
        {
            self.strike(before, row.revision).await?;
        }
        Ok(is_written)
    }

    /// Takes a workflow's entry back that it had before `revision`.
    async fn strike(&self, row: &WorkflowRow, revision: u64) -> StoreResult<()> {
        let spread = spread_of(row.account_id);
        let entry = values![revision, row.trigger, spread, row.account_id, row.id];
        self.write(STRIKE, entry).await
    }
}

/// Whether facts can start it.
const fn is_live(row: &WorkflowRow) -> bool {
    row.enabled && row.published > 0
}

fn spread_of(account: AccountId) -> i64 {
    i64::from(account.as_bytes()[15] % SPREADS)
}

/// A partition that holds versions only has no revision.
fn stored_of(mut row: Row) -> StoreResult<Option<Stored>> {
    let revision: Option<u64> = row.take_if_any(0)?;
    let body: Option<String> = row.take_if_any(1)?;
    let row = body.map(|body| serde_json::from_str(&body)).transpose()?;
    Ok(revision.map(|revision| Stored { revision, row }))
}

/// A workflow without versions still answers with one row, of nulls.
fn version_of(mut row: Row) -> StoreResult<Option<WorkflowVersion>> {
    let Some(version) = row.take_if_any(1)? else {
        return Ok(None);
    };
    Ok(Some(WorkflowVersion {
        workflow_id: row.take(0)?,
        version,
        definition: row.take(2)?,
        published_at: row.take(3)?,
    }))
}
