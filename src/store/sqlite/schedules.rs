//! Triggers by the clock in SQLite.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{columns::bodies, database::Sqlite};
use crate::{
    domain::{
        ids::{AccountId, LeadId, WorkflowId},
        lead::Lead,
        observation::{EventType, Observation},
        time::Timestamp,
    },
    store::{ScheduleStore, StoreResult, schedules::Considered, workflows::WorkflowRow},
};

#[async_trait]
impl ScheduleStore for Sqlite {
    async fn live(&self, kinds: &[EventType]) -> StoreResult<Vec<WorkflowRow>> {
        let kinds = serde_json::to_string(kinds)?;
        self.read(move |db| {
            bodies(
                db,
                "SELECT body FROM workflows WHERE live = 1 AND trigger IN (SELECT value FROM json_each(?1))
                 ORDER BY created_at, id",
                [kinds],
            )
        })
        .await
    }

    async fn considered(&self) -> StoreResult<BTreeMap<WorkflowId, Considered>> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT workflow, version, until FROM schedules")?;
            let rows = statement.query_map([], |row| {
                let considered = Considered {
                    version: row.get(1)?,
                    until: row.get(2)?,
                };
                Ok((row.get(0)?, considered))
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn consider(&self, id: WorkflowId, considered: Considered) -> StoreResult<()> {
        self.write(move |db| {
            db.prepare_cached(
                "INSERT INTO schedules (workflow, version, until) VALUES (?1, ?2, ?3)
                 ON CONFLICT (workflow) DO UPDATE SET version = excluded.version, until = excluded.until
                 WHERE excluded.version > version OR (excluded.version = version AND excluded.until > until)",
            )?
            .execute((id, considered.version, considered.until))?;
            Ok(())
        })
        .await
    }

    async fn forget(&self, id: WorkflowId) -> StoreResult<()> {
        self.write(move |db| {
            db.prepare_cached("DELETE FROM schedules WHERE workflow = ?1")?
                .execute([id])?;
            Ok(())
        })
        .await
    }

    async fn facts(
        &self,
        account_id: AccountId,
        kind: &EventType,
        from: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<Observation>> {
        let kind = kind.clone();
        self.read(move |db| {
            // The first condition is the index's own; the type is told apart by what is read.
            let facts: Vec<Observation> = bodies(
                db,
                r#"SELECT body FROM observations
                   WHERE (instr(substr(body, 1, 200), '"type":"quote.sent"') OR instr(substr(body, 1, 200), '"type":"purchase.completed"'))
                   AND account = ?1 AND at > ?2 AND at <= ?3 AND json_extract(body, '$.type') = ?4 ORDER BY at, id LIMIT ?5"#,
                (account_id, from, until, kind.as_str(), limit),
            )?;
            Ok(facts)
        })
        .await
    }

    async fn born_on(
        &self,
        account_id: AccountId,
        day: &str,
        after: Option<LeadId>,
        limit: u32,
    ) -> StoreResult<Vec<Lead>> {
        let day = day.to_owned();
        let after = after.unwrap_or(LeadId::from_bytes([0; 16]));
        self.read(move |db| {
            bodies(
                db,
                "SELECT body FROM leads WHERE account = ?1 AND substr(json_extract(body, '$.fields.birthday'), -5) = ?2
                 AND json_extract(body, '$.fields.birthday') IS NOT NULL AND id > ?3 ORDER BY id LIMIT ?4",
                (account_id, day, after, limit),
            )
        })
        .await
    }
}
