//! Tasks in CQL.

use async_trait::async_trait;

use super::{
    errors::missing,
    fields::values,
    positions::place,
    revised::{Change, Revised},
    rows::Scylla,
};
use crate::{
    domain::{
        ids::{AccountId, TaskId},
        task::Task,
    },
    store::{
        Page, PageRequest, Recorded, StoreResult, TaskStore,
        cursor::{List, Position, Window},
    },
};

const TABLE: Revised = Revised {
    read: "SELECT revision, body FROM tasks WHERE account = ? AND id = ?",
    write: "UPDATE tasks SET revision = ?, body = ? WHERE account = ? AND id = ? IF revision = ?",
};

#[async_trait]
impl TaskStore for Scylla {
    async fn create(&self, task: Task) -> StoreResult<Recorded> {
        self.put_position(task.account_id, List::Tasks, position_of(&task))
            .await?;
        let key = values![task.account_id, task.id];
        Ok(self.make(&TABLE, &key, &task).await?.into())
    }

    async fn update(&self, task: Task) -> StoreResult<()> {
        self.revise(&TABLE, &values![task.account_id, task.id], |stored: Task| {
            // The place in the list is the one that it was created with.
            let next = Task {
                created_at: stored.created_at,
                ..task.clone()
            };
            Ok(Change::Write(next, ()))
        })
        .await?
        .ok_or_else(|| missing("task", task.id))
    }

    async fn delete(&self, account_id: AccountId, id: TaskId) -> StoreResult<()> {
        let removed: Option<Task> = self.remove(&TABLE, &values![account_id, id]).await?;
        match removed {
            Some(task) => {
                self.take_position(account_id, List::Tasks, position_of(&task))
                    .await
            }
            None => Ok(()),
        }
    }

    async fn get(&self, account_id: AccountId, id: TaskId) -> StoreResult<Task> {
        self.find(&TABLE, &values![account_id, id])
            .await?
            .ok_or_else(|| missing("task", id))
    }

    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<Task>> {
        let window = Window::of(List::Tasks, &page)?;
        self.page_of_revised(&TABLE, account_id, List::Tasks, &window, position_of)
            .await
    }
}

fn position_of(task: &Task) -> Position {
    place(task.created_at, task.id.as_bytes())
}
