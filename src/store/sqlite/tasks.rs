//! Tasks in SQLite.

use async_trait::async_trait;

use super::{
    columns::{body, find, missing, page_of_bodies, recorded},
    cursor::{List, Window},
    database::Sqlite,
};
use crate::{
    domain::{
        ids::{AccountId, TaskId},
        task::Task,
    },
    store::{Page, PageRequest, Recorded, StoreResult, TaskStore},
};

#[async_trait]
impl TaskStore for Sqlite {
    async fn create(&self, task: Task) -> StoreResult<Recorded> {
        self.write(move |db| {
            let inserted = db
                .prepare_cached("INSERT INTO tasks (id, account, at, body) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING")?
                .execute((task.id, task.account_id, task.created_at, body(&task)?))?;
            Ok(recorded(inserted))
        })
        .await
    }

    async fn update(&self, task: Task) -> StoreResult<()> {
        self.write(move |db| {
            let updated = db
                .prepare_cached("UPDATE tasks SET body = ?3 WHERE id = ?1 AND account = ?2")?
                .execute((task.id, task.account_id, body(&task)?))?;
            if updated == 0 {
                Err(missing("task", task.id))
            } else {
                Ok(())
            }
        })
        .await
    }

    async fn delete(&self, account_id: AccountId, id: TaskId) -> StoreResult<()> {
        self.write(move |db| {
            db.prepare_cached("DELETE FROM tasks WHERE id = ?1 AND account = ?2")?
                .execute((id, account_id))?;
            Ok(())
        })
        .await
    }

    async fn get(&self, account_id: AccountId, id: TaskId) -> StoreResult<Task> {
        self.read(move |db| {
            find(
                db,
                "SELECT body FROM tasks WHERE id = ?1 AND account = ?2",
                (id, account_id),
            )?
            .ok_or_else(|| missing("task", id))
        })
        .await
    }

    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<Task>> {
        let window = Window::of(List::Tasks, &page)?;
        self.read(move |db| {
            page_of_bodies(
                db,
                "SELECT at, id, body FROM tasks WHERE account = ?4 AND (at, id) < (?1, ?2)
                 ORDER BY at DESC, id DESC LIMIT ?3",
                &[&account_id],
                &window,
            )
        })
        .await
    }
}
