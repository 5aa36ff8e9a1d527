//! Triggers by the clock in CQL.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{
    buckets::{Scope, month_of},
    fields::{Int, Moment, Row, values},
    lead_index::birthday,
    revised::TRIES_MAX,
    rows::{Conditional, Scylla},
};
use crate::{
    domain::{
        ids::{AccountId, LeadId, WorkflowId},
        lead::Lead,
        observation::{EventType, Observation},
        time::Timestamp,
    },
    store::{
        ObservationStore, ScheduleStore, StoreError, StoreResult, schedules::Considered,
        workflows::WorkflowRow,
    },
};

/// Reads the whole table: one small row for each workflow with a trigger by the clock.
const ALL: &str = "SELECT version, until, workflow FROM schedules";
const READ: &str = "SELECT version, until FROM schedules WHERE workflow = ?";
const WRITE: &str =
    "UPDATE schedules SET version = ?, until = ? WHERE workflow = ? IF version = ? AND until = ?";
const OF_KIND: &str =
    "SELECT id FROM facts_by_kind WHERE account = ? AND kind = ? AND month = ? AND at > ? AND at <= ?
    ORDER BY at ASC, id ASC LIMIT ?";
const FORGET: &str = "DELETE FROM schedules WHERE workflow = ? IF EXISTS";

#[async_trait]
impl ScheduleStore for Scylla {
    async fn live(&self, kinds: &[EventType]) -> StoreResult<Vec<WorkflowRow>> {
        let mut live = Vec::new();
        for kind in kinds {
            live.extend(self.live_by(kind.as_str()).await?);
        }
        live.sort_by_key(|row| (row.created_at, row.id));
        live.dedup_by_key(|row| row.id);
        Ok(live)
    }

    async fn considered(&self) -> StoreResult<BTreeMap<WorkflowId, Considered>> {
        let mut all = BTreeMap::new();
        for mut row in self.select(ALL, Vec::new()).await? {
            let workflow = row.take(2)?;
            all.insert(workflow, considered_of(row)?);
        }
        Ok(all)
    }

    async fn consider(&self, id: WorkflowId, considered: Considered) -> StoreResult<()> {
        for _ in 0..TRIES_MAX {
            let known = self.select_one(READ, values![id]).await?;
            let known = known.map(considered_of).transpose()?;
            if known.is_some_and(|known| !is_farther(considered, known)) {
                return Ok(());
            }
            let change = values![
                considered.version,
                considered.until,
                id,
                known.map(|known| known.version),
                known.map(|known| known.until)
            ];
            match self.conditional(vec![(WRITE, change)]).await? {
                Conditional::Applied => return Ok(()),
                // Looked at again: repeating it changes nothing.
                Conditional::Refused | Conditional::Unknown(_) => (),
            }
        }
        Err(StoreError::Busy)
    }

    async fn forget(&self, id: WorkflowId) -> StoreResult<()> {
        match self.conditional(vec![(FORGET, values![id])]).await? {
            Conditional::Applied | Conditional::Refused => Ok(()),
            Conditional::Unknown(error) => match self.select_serial(READ, values![id]).await? {
                None => Ok(()),
                Some(_) => Err(error),
            },
        }
    }

    async fn facts(
        &self,
        account_id: AccountId,
        kind: &EventType,
        from: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<Observation>> {
        let mut facts = Vec::new();
        for month in self.db.buckets(Scope::FactsOfKind(account_id, kind)).await? {
            if month < month_of(from) || month > month_of(until) {
                continue;
            }
            let left = limit.saturating_sub(u32::try_from(facts.len()).unwrap_or(u32::MAX));
            let stretch = values![
                account_id,
                kind.as_str(),
                month,
                Moment(from),
                Moment(until),
                Int(left)
            ];
            for mut row in self.select(OF_KIND, stretch).await? {
                match self.observations.get(account_id, row.take(0)?).await {
                    Ok(fact) => facts.push(fact),
                    // Its place was written first, and then the writer was cut off.
                    Err(StoreError::Missing { .. }) => (),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(facts)
    }

    async fn born_on(
        &self,
        account_id: AccountId,
        day: &str,
        after: Option<LeadId>,
        limit: u32,
    ) -> StoreResult<Vec<Lead>> {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut after = after.unwrap_or(LeadId::from_bytes([0; 16]));
        let mut born = Vec::new();
        loop {
            let ids = self.leads_by_birthday(account_id, day, after, limit).await?;
            let Some(last) = ids.last().copied() else {
                return Ok(born);
            };
            after = last;
            let leads = self.leads_at(account_id, ids).await?;
            born.extend(
                leads
                    .into_iter()
                    .filter(|lead| birthday(lead).as_deref() == Some(day)),
            );
            if born.len() >= wanted {
                born.truncate(wanted);
                return Ok(born);
            }
        }
    }
}

const fn is_farther(considered: Considered, known: Considered) -> bool {
    let (next, last) = (considered.until.as_unix_millis(), known.until.as_unix_millis());
    considered.version > known.version || (considered.version == known.version && next > last)
}

fn considered_of(mut row: Row) -> StoreResult<Considered> {
    Ok(Considered {
        version: row.take(0)?,
        until: row.take(1)?,
    })
}
