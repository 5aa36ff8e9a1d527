//! Observations in SQLite.

use async_trait::async_trait;
use rusqlite::Connection;

use super::{
    columns::{bodies, body, find, last_byte, missing, page_of_bodies, recorded},
    cursor::{List, Window},
    database::Sqlite,
};
use crate::{
    domain::{
        ids::{AccountId, LeadId, ObservationId},
        observation::{EventType, Observation},
        shard::Shard,
        time::Timestamp,
    },
    store::{ObservationStore, Page, PageRequest, Recorded, StoreResult, runs::RunAppend},
};

/// Most facts that a look back is given.
const LOOK_BACK_MAX: u32 = 1_000;
/// Most facts that a search by kind reads.
const NEWEST_SCAN_MAX: u32 = 50_000;

#[async_trait]
impl ObservationStore for Sqlite {
    async fn record(&self, observation: Observation) -> StoreResult<Recorded> {
        let body = body(&observation)?;
        self.write(move |db| insert(db, &observation, &body, Routed::No))
            .await
    }

    async fn record_routed(&self, observation: Observation, runs: Vec<RunAppend>) -> StoreResult<Recorded> {
        let body = body(&observation)?;
        self.write(move |db| {
            let recorded = insert(db, &observation, &body, Routed::Yes)?;
            if recorded == Recorded::Fresh {
                for append in &runs {
                    super::runs::create(db, append)?;
                }
            }
            Ok(recorded)
        })
        .await
    }

    async fn mark_routed(&self, id: ObservationId) -> StoreResult<()> {
        self.write(move |db| {
            db.prepare_cached("UPDATE observations SET routed = 1 WHERE id = ?1 AND routed = 0")?
                .execute([id])?;
            Ok(())
        })
        .await
    }

    async fn unrouted(&self, shard: Option<Shard>) -> StoreResult<Vec<Observation>> {
        self.read(move |db| {
            bodies(
                db,
                "SELECT body FROM observations WHERE routed = 0
                 AND (?1 IS NULL OR substr(coalesce(lead, id), 16, 1) = ?1) ORDER BY at, id",
                [last_byte(shard)],
            )
        })
        .await
    }

    async fn unrouted_of(
        &self,
        account_id: AccountId,
        lead_id: Option<LeadId>,
    ) -> StoreResult<Vec<Observation>> {
        self.read(move |db| match lead_id {
            Some(lead_id) => bodies(
                db,
                "SELECT body FROM observations WHERE routed = 0 AND lead = ?1 AND account = ?2 ORDER BY at, id LIMIT ?3",
                (lead_id, account_id, LOOK_BACK_MAX),
            ),
            None => bodies(
                db,
                "SELECT body FROM observations WHERE routed = 0 AND lead IS NULL AND account = ?1 ORDER BY at, id LIMIT ?2",
                (account_id, LOOK_BACK_MAX),
            ),
        })
        .await
    }

    async fn erase(&self, account_id: AccountId, id: ObservationId) -> StoreResult<()> {
        self.write(move |db| {
            let sql = "SELECT body FROM observations WHERE id = ?1 AND account = ?2";
            let stored: Option<Observation> = find(db, sql, (id, account_id))?;
            let stored = stored.ok_or_else(|| missing("observation", id))?;
            db.prepare_cached("UPDATE observations SET routed = 1, body = ?2 WHERE id = ?1")?
                .execute((id, body(&stored.erased())?))?;
            Ok(())
        })
        .await
    }

    async fn get(&self, account_id: AccountId, id: ObservationId) -> StoreResult<Observation> {
        self.read(move |db| {
            find(
                db,
                "SELECT body FROM observations WHERE id = ?1 AND account = ?2",
                (id, account_id),
            )?
            .ok_or_else(|| missing("observation", id))
        })
        .await
    }

    async fn of_lead_since(
        &self,
        account_id: AccountId,
        lead_id: LeadId,
        from: Timestamp,
    ) -> StoreResult<Vec<Observation>> {
        self.read(move |db| {
            bodies(
                db,
                "SELECT body FROM observations WHERE lead = ?1 AND account = ?2 AND at >= ?3 ORDER BY at, id LIMIT ?4",
                (lead_id, account_id, from, LOOK_BACK_MAX),
            )
        })
        .await
    }

    async fn newest_of(
        &self,
        account_id: AccountId,
        kind: EventType,
        limit: u32,
    ) -> StoreResult<Vec<Observation>> {
        self.read(move |db| {
            // By the order of writing: an index by kind would cost every fact that comes in.
            bodies(
                db,
                "SELECT body FROM (SELECT rowid AS place, account, body FROM observations ORDER BY rowid DESC LIMIT ?4)
                 WHERE account = ?1 AND json_extract(body, '$.type') = ?2 ORDER BY place DESC LIMIT ?3",
                (account_id, kind.as_str(), limit, NEWEST_SCAN_MAX),
            )
        })
        .await
    }

    async fn timeline(
        &self,
        account_id: AccountId,
        lead_id: LeadId,
        page: PageRequest,
    ) -> StoreResult<Page<Observation>> {
        let window = Window::of(List::Timeline, &page)?;
        self.read(move |db| {
            page_of_bodies(
                db,
                "SELECT at, id, body FROM observations WHERE lead = ?5 AND account = ?4 AND (at, id) < (?1, ?2)
                 ORDER BY at DESC, id DESC LIMIT ?3",
                &[&account_id, &lead_id],
                &window,
            )
        })
        .await
    }
}

/// Whether every run of a fact is known to exist.
#[derive(Clone, Copy)]
enum Routed {
    No,
    Yes,
}

/// Keeps a fact whose runs do not exist yet; the same id again changes nothing.
pub(super) fn keep(db: &Connection, observation: &Observation) -> StoreResult<Recorded> {
    insert(db, observation, &body(observation)?, Routed::No)
}

/// Keeps a fact that no workflow is to hear of; the same id again changes nothing.
pub(super) fn keep_untold(db: &Connection, observation: &Observation) -> StoreResult<Recorded> {
    insert(db, observation, &body(observation)?, Routed::Yes)
}

fn insert(db: &Connection, observation: &Observation, body: &str, routed: Routed) -> StoreResult<Recorded> {
    let inserted = db
        .prepare_cached(
            "INSERT INTO observations (id, account, lead, at, routed, body) VALUES (?1, ?2, ?3, ?4, ?6, ?5)
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute((
            observation.id,
            observation.account_id,
            observation.lead_id,
            observation.at,
            body,
            matches!(routed, Routed::Yes),
        ))?;
    Ok(recorded(inserted))
}
