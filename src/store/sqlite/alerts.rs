//! Alerts in SQLite.

use async_trait::async_trait;
use rusqlite::Connection;

use super::{
    columns::{body, find, missing, page_of_bodies, recorded},
    cursor::{List, Window},
    database::Sqlite,
};
use crate::{
    domain::{
        alert::Alert,
        ids::{AccountId, AlertId, UserId},
        time::Timestamp,
    },
    store::{AlertStore, Page, PageRequest, Recorded, StoreResult},
};

#[async_trait]
impl AlertStore for Sqlite {
    async fn raise(&self, alert: Alert) -> StoreResult<Recorded> {
        self.write(move |db| {
            let inserted = db
                .prepare_cached("INSERT INTO alerts (id, account, at, body) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING")?
                .execute((alert.id, alert.account_id, alert.raised_at, body(&alert)?))?;
            Ok(recorded(inserted))
        })
        .await
    }

    async fn acknowledge(
        &self,
        account_id: AccountId,
        id: AlertId,
        by: UserId,
        at: Timestamp,
    ) -> StoreResult<(Alert, Recorded)> {
        self.write(move |db| {
            let mut alert = get(db, account_id, id)?;
            if alert.acked_at.is_some() {
                return Ok((alert, Recorded::Duplicate));
            }
            alert.acked_at = Some(at);
            alert.acked_by = Some(by);
            db.prepare_cached("UPDATE alerts SET body = ?2 WHERE id = ?1")?
                .execute((id, body(&alert)?))?;
            Ok((alert, Recorded::Fresh))
        })
        .await
    }

    async fn annotate(&self, account_id: AccountId, id: AlertId, note: Option<String>) -> StoreResult<Alert> {
        self.write(move |db| {
            let alert = Alert {
                note,
                ..get(db, account_id, id)?
            };
            db.prepare_cached("UPDATE alerts SET body = ?2 WHERE id = ?1")?
                .execute((id, body(&alert)?))?;
            Ok(alert)
        })
        .await
    }

    async fn delete(&self, account_id: AccountId, id: AlertId) -> StoreResult<()> {
        self.write(move |db| {
            db.prepare_cached("DELETE FROM alerts WHERE id = ?1 AND account = ?2")?
                .execute((id, account_id))?;
            Ok(())
        })
        .await
    }

    async fn get(&self, account_id: AccountId, id: AlertId) -> StoreResult<Alert> {
        self.read(move |db| get(db, account_id, id)).await
    }

    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<Alert>> {
        let window = Window::of(List::Alerts, &page)?;
        self.read(move |db| {
            page_of_bodies(
                db,
                "SELECT at, id, body FROM alerts WHERE account = ?4 AND (at, id) < (?1, ?2)
                 ORDER BY at DESC, id DESC LIMIT ?3",
                &[&account_id],
                &window,
            )
        })
        .await
    }
}

fn get(db: &Connection, account: AccountId, id: AlertId) -> StoreResult<Alert> {
    find(
        db,
        "SELECT body FROM alerts WHERE id = ?1 AND account = ?2",
        (id, account),
    )?
    .ok_or_else(|| missing("alert", id))
}
