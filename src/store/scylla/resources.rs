//! Resources in CQL: a body under a revision, found by lists under the account and under keys of group and state.

use async_trait::async_trait;

use super::{
    errors::missing,
    fields::{Int, Values, values},
    positions::place,
    revised::{Made, Revised, Stored, TRIES_MAX},
    rows::Scylla,
    values::body,
};
use crate::{
    domain::{
        hex,
        ids::AccountId,
        resource::{ResourceKey, ResourceKind},
        time::Timestamp,
    },
    store::{
        Page, PageRequest, Recorded, ResourceStore, StoreError, StoreResult,
        cursor::{List, Position, Window},
        resources::{ResourceAddress, ResourceFilter, ResourceRow},
    },
};

const TABLE: Revised = Revised {
    read: "SELECT revision, body FROM resources WHERE account = ? AND kind = ? AND id = ?",
    write: "UPDATE resources SET revision = ?, body = ? WHERE account = ? AND kind = ? AND id = ? IF revision = ?",
};
/// The list of open rows is a hint, entered before the row and struck off after it. Its write time is the table's revision of the row, so
/// that whatever order they arrive in the newest revision has the last word.
const OPEN: &str =
    "INSERT INTO resources_open (kind, part, account, id) VALUES (?, ?, ?, ?) USING TIMESTAMP ?";
const CLOSE: &str =
    "DELETE FROM resources_open USING TIMESTAMP ? WHERE kind = ? AND part = ? AND account = ? AND id = ?";
const OPEN_ONES: &str = "SELECT account, id FROM resources_open WHERE kind = ? AND part = ? LIMIT ?";
/// Parts of the list of open rows of a kind.
const PARTS: u8 = 16;

#[async_trait]
impl ResourceStore for Scylla {
    async fn create(&self, row: ResourceRow) -> StoreResult<Recorded> {
        self.enter(&row, 1).await?;
        let key = key_of(&row);
        if self.make(&TABLE, &key, &row).await? == Made::Fresh {
            return Ok(Recorded::Fresh);
        }
        // A row that was deleted keeps its revision, and may be made again.
        let stored: Option<Stored<ResourceRow>> = self.stored(&TABLE, &key).await?;
        let Some(Stored {
            revision,
            value: None,
        }) = stored
        else {
            return Ok(Recorded::Duplicate);
        };
        self.enter(&row, revision + 1).await?;
        let body = body(&row)?;
        let written = self.write_revision(&TABLE, &key, Some(revision), Some(&body), Vec::new());
        Ok(if written.await? {
            Recorded::Fresh
        } else {
            Recorded::Duplicate
        })
    }

    async fn replace(&self, row: ResourceRow) -> StoreResult<()> {
        for _ in 0..TRIES_MAX {
            let (revision, stored) = self.resource_at(row.address()).await?;
            if stored.revision.saturating_add(1) != row.revision {
                return Err(StoreError::Moved {
                    what: row.kind.word(),
                    id: hex::hex(&row.id),
                    revision: stored.revision,
                });
            }
            self.enter(&row, revision + 1).await?;
            let written = self
                .write_revision(
                    &TABLE,
                    &key_of(&row),
                    Some(revision),
                    Some(&body(&row)?),
                    Vec::new(),
                )
                .await?;
            if written {
                if stored.is_open && !row.is_open {
                    self.close(&row, revision + 1).await?;
                }
                return Ok(());
            }
        }
        Err(StoreError::Busy)
    }

    async fn get(&self, address: ResourceAddress) -> StoreResult<ResourceRow> {
        Ok(self.resource_at(address).await?.1)
    }

    async fn delete(&self, address: ResourceAddress) -> StoreResult<()> {
        for _ in 0..TRIES_MAX {
            let (revision, row) = self.resource_at(address).await?;
            if self.deleted_at(revision, &row).await? {
                return Ok(());
            }
        }
        Err(StoreError::Busy)
    }

    async fn delete_done(&self, address: ResourceAddress) -> StoreResult<Option<ResourceRow>> {
        for _ in 0..TRIES_MAX {
            let (revision, row) = self.resource_at(address).await?;
            if row.is_open {
                return Ok(Some(row));
            }
            if self.deleted_at(revision, &row).await? {
                return Ok(None);
            }
        }
        Err(StoreError::Busy)
    }

    async fn list(
        &self,
        account_id: AccountId,
        filter: ResourceFilter,
        page: PageRequest,
    ) -> StoreResult<Page<ResourceRow>> {
        let list = List::Resources(filter.kind);
        let window = Window::of(list, &page)?;
        let lists = list_key(account_id, filter.group.as_ref(), filter.state.as_deref());
        let filter = &filter;
        self.page_of(lists, list, &window, |position| async move {
            let key = values![account_id, u16::from(filter.kind.number()), position.id];
            let row: Option<ResourceRow> = self.find(&TABLE, &key).await?;
            // A place under an earlier group or state is out of date.
            Ok(row.filter(|row| position_of(row) == position && filter.takes(row)))
        })
        .await
    }

    async fn open(&self, kind: ResourceKind, limit: u32) -> StoreResult<Vec<ResourceRow>> {
        let mut found = Vec::new();
        for part in 0..PARTS {
            let rows = self
                .select(
                    OPEN_ONES,
                    values![u16::from(kind.number()), u16::from(part), Int(limit)],
                )
                .await?;
            for mut row in rows {
                let (account, id): (AccountId, ResourceKey) = (row.take(0)?, row.take(1)?);
                let stored: Option<ResourceRow> = self
                    .find(&TABLE, &values![account, u16::from(kind.number()), id])
                    .await?;
                found.extend(stored.filter(|row| row.is_open));
            }
        }
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found)
    }
}

impl Scylla {
    async fn resource_at(&self, address: ResourceAddress) -> StoreResult<(u64, ResourceRow)> {
        let key = values![address.account_id, u16::from(address.kind.number()), address.id];
        let stored: Option<Stored<ResourceRow>> = self.stored(&TABLE, &key).await?;
        match stored {
            Some(Stored {
                revision,
                value: Some(row),
            }) => Ok((revision, row)),
            Some(_) | None => Err(missing(address.kind.word(), hex::hex(&address.id))),
        }
    }

    /// Deletes a row if it is still at this revision.
    async fn deleted_at(&self, revision: u64, row: &ResourceRow) -> StoreResult<bool> {
        let is_gone = self
            .write_revision(&TABLE, &key_of(row), Some(revision), None, Vec::new())
            .await?;
        if is_gone {
            for list in lists_of(row) {
                self.take_position(list, List::Resources(row.kind), place(row.at, &row.id))
                    .await?;
            }
            self.close(row, revision + 1).await?;
        }
        Ok(is_gone)
    }

    /// Puts a row where it is found. Before it is written as `revision`.
    async fn enter(&self, row: &ResourceRow, revision: u64) -> StoreResult<()> {
        for list in lists_of(row) {
            self.put_position(list, List::Resources(row.kind), position_of(row))
                .await?;
        }
        if row.is_open {
            let mut entry = open_key(row);
            entry.extend(values![revision]);
            self.write(OPEN, entry).await?;
        }
        Ok(())
    }

    /// Strikes a row off the list of open ones. After it was written as `revision`.
    pub(super) async fn close(&self, row: &ResourceRow, revision: u64) -> StoreResult<()> {
        let mut entry = values![revision];
        entry.extend(open_key(row));
        self.write(CLOSE, entry).await
    }
}

fn key_of(row: &ResourceRow) -> Values {
    values![row.account_id, u16::from(row.kind.number()), row.id]
}

fn open_key(row: &ResourceRow) -> Values {
    values![
        u16::from(row.kind.number()),
        u16::from(row.id[15] % PARTS),
        row.account_id,
        row.id
    ]
}

fn position_of(row: &ResourceRow) -> Position {
    place(row.at, &row.id)
}

/// The lists that a row is in.
fn lists_of(row: &ResourceRow) -> Vec<AccountId> {
    let state = Some(row.state.as_str());
    let mut lists = vec![row.account_id, list_key(row.account_id, None, state)];
    if let Some(group) = &row.group {
        lists.push(list_key(row.account_id, Some(group), None));
        lists.push(list_key(row.account_id, Some(group), state));
    }
    lists
}

/// What stands for the account in the place of a list: the account itself for all its rows, else a name made of what they share.
fn list_key(account: AccountId, group: Option<&ResourceKey>, state: Option<&str>) -> AccountId {
    match (group, state) {
        (None, None) => account,
        (group, state) => AccountId::derived(
            Timestamp::default(),
            &[
                b"resources",
                account.as_bytes(),
                group.map_or(&[][..], |group| &group[..]),
                state.unwrap_or_default().as_bytes(),
            ],
        ),
    }
}
