//! Alerts in CQL.

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
        alert::Alert,
        ids::{AccountId, AlertId, UserId},
        time::Timestamp,
    },
    store::{
        AlertStore, Page, PageRequest, Recorded, StoreResult,
        cursor::{List, Position, Window},
    },
};

const TABLE: Revised = Revised {
    read: "SELECT revision, body FROM alerts WHERE account = ? AND id = ?",
    write: "UPDATE alerts SET revision = ?, body = ? WHERE account = ? AND id = ? IF revision = ?",
};

#[async_trait]
impl AlertStore for Scylla {
    async fn raise(&self, alert: Alert) -> StoreResult<Recorded> {
        self.put_position(alert.account_id, List::Alerts, position_of(&alert))
            .await?;
        let key = values![alert.account_id, alert.id];
        Ok(self.make(&TABLE, &key, &alert).await?.into())
    }

    async fn acknowledge(
        &self,
        account_id: AccountId,
        id: AlertId,
        by: UserId,
        at: Timestamp,
    ) -> StoreResult<(Alert, Recorded)> {
        self.revise(&TABLE, &values![account_id, id], |mut alert: Alert| {
            if alert.acked_at.is_some() {
                return Ok(Change::Keep((alert, Recorded::Duplicate)));
            }
            alert.acked_at = Some(at);
            alert.acked_by = Some(by);
            Ok(Change::Write(alert.clone(), (alert, Recorded::Fresh)))
        })
        .await?
        .ok_or_else(|| missing("alert", id))
    }

    async fn annotate(&self, account_id: AccountId, id: AlertId, note: Option<String>) -> StoreResult<Alert> {
        self.revise(&TABLE, &values![account_id, id], |alert: Alert| {
            let alert = Alert {
                note: note.clone(),
                ..alert
            };
            Ok(Change::Write(alert.clone(), alert))
        })
        .await?
        .ok_or_else(|| missing("alert", id))
    }

    async fn delete(&self, account_id: AccountId, id: AlertId) -> StoreResult<()> {
        let removed: Option<Alert> = self.remove(&TABLE, &values![account_id, id]).await?;
        match removed {
            Some(alert) => {
                self.take_position(account_id, List::Alerts, position_of(&alert))
                    .await
            }
            None => Ok(()),
        }
    }

    async fn get(&self, account_id: AccountId, id: AlertId) -> StoreResult<Alert> {
        self.find(&TABLE, &values![account_id, id])
            .await?
            .ok_or_else(|| missing("alert", id))
    }

    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<Alert>> {
        let window = Window::of(List::Alerts, &page)?;
        self.page_of_revised(&TABLE, account_id, List::Alerts, &window, position_of)
            .await
    }
}

fn position_of(alert: &Alert) -> Position {
    place(alert.raised_at, alert.id.as_bytes())
}
