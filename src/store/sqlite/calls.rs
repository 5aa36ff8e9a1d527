//! Calls in SQLite: the facts as they came, the record they fold to, the transcript.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    columns::{Count, bodies, body, find, last_byte, missing, page_of_bodies, recorded},
    cursor::{List, Window},
    database::Sqlite,
};
use crate::{
    domain::{
        call::{Call, CallFact},
        erasure::Redaction,
        ids::{AccountId, CallId, CallSid},
        shard::Shard,
        transcript::Utterance,
    },
    store::{
        CallStore, Page, PageRequest, Recorded, StoreResult,
        calls::{IncomingFact, StoredFact},
    },
};

#[async_trait]
impl CallStore for Sqlite {
    async fn record_fact(&self, fact: IncomingFact) -> StoreResult<Recorded> {
        self.write(move |db| record_fact(db, &fact)).await
    }

    async fn facts(&self, call_id: CallId) -> StoreResult<Vec<StoredFact>> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT ordinal, at, body FROM call_facts WHERE call = ?1 ORDER BY ordinal",
            )?;
            let mut rows = statement.query([call_id])?;
            let mut facts = Vec::new();
            while let Some(row) = rows.next()? {
                facts.push(StoredFact {
                    ordinal: row.get::<_, Count>(0)?.0,
                    at: row.get(1)?,
                    fact: serde_json::from_str(&row.get::<_, String>(2)?)?,
                });
            }
            Ok(facts)
        })
        .await
    }

    async fn save(&self, call: Call, folded: u64) -> StoreResult<()> {
        self.write(move |db| {
            db.prepare_cached(
                "INSERT INTO calls (id, account, sid, facts, folded, terminal, started_at, body)
                 VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7)
                 ON CONFLICT (id) DO UPDATE SET folded = ?4, terminal = ?5, started_at = ?6, body = ?7
                 WHERE folded <= ?4 AND account = ?2",
            )?
            .execute(params![
                call.id,
                call.account_id,
                call.sid.as_str(),
                Count(folded),
                call.status.is_terminal(),
                call.started_at,
                body(&call)?,
            ])?;
            Ok(())
        })
        .await
    }

    async fn get(&self, account_id: AccountId, id: CallId) -> StoreResult<Call> {
        self.read(move |db| {
            find(
                db,
                "SELECT body FROM calls WHERE id = ?1 AND account = ?2 AND body IS NOT NULL",
                (id, account_id),
            )?
            .ok_or_else(|| missing("call", id))
        })
        .await
    }

    async fn sid(&self, account_id: AccountId, id: CallId) -> StoreResult<Option<CallSid>> {
        self.read(move |db| {
            let mut statement = db.prepare_cached("SELECT sid FROM calls WHERE id = ?1 AND account = ?2")?;
            let found = statement
                .query_row((id, account_id), |row| row.get::<_, String>(0))
                .optional()?;
            Ok(found.map(CallSid::new))
        })
        .await
    }

    async fn by_sid(&self, account_id: AccountId, sid: &CallSid) -> StoreResult<Option<Call>> {
        let sid = sid.as_str().to_owned();
        self.read(move |db| {
            find(
                db,
                "SELECT body FROM calls WHERE account = ?1 AND sid = ?2 AND body IS NOT NULL",
                (account_id, sid),
            )
        })
        .await
    }

    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<Call>> {
        let window = Window::of(List::Calls, &page)?;
        self.read(move |db| {
            page_of_bodies(
                db,
                "SELECT started_at, id, body FROM calls WHERE account = ?4 AND body IS NOT NULL
                 AND (started_at, id) < (?1, ?2) ORDER BY started_at DESC, id DESC LIMIT ?3",
                &[&account_id],
                &window,
            )
        })
        .await
    }

    async fn unsettled(&self, shard: Option<Shard>) -> StoreResult<Vec<(AccountId, CallId, CallSid)>> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT account, id, sid FROM calls WHERE (terminal = 0 OR folded < facts)
                 AND (?1 IS NULL OR substr(id, 16, 1) = ?1) ORDER BY id",
            )?;
            let rows = statement.query_map([last_byte(shard)], |row| {
                Ok((row.get(0)?, row.get(1)?, CallSid::new(row.get::<_, String>(2)?)))
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn append_utterance(&self, call_id: CallId, utterance: Utterance) -> StoreResult<Recorded> {
        self.write(move |db| {
            let inserted = db
                .prepare_cached(
                    "INSERT INTO utterances (call, ordinal, body) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                )?
                .execute((call_id, utterance.ordinal, body(&utterance)?))?;
            Ok(recorded(inserted))
        })
        .await
    }

    async fn redact(&self, account_id: AccountId, id: CallId, redaction: Redaction) -> StoreResult<bool> {
        self.write(move |db| redact(db, (account_id, id), redaction))
            .await
    }

    async fn transcript(&self, account_id: AccountId, id: CallId) -> StoreResult<Vec<Utterance>> {
        self.read(move |db| {
            let is_owned = db
                .prepare_cached("SELECT 1 FROM calls WHERE id = ?1 AND account = ?2")?
                .exists((id, account_id))?;
            if !is_owned {
                return Err(missing("call", id));
            }
            bodies(
                db,
                "SELECT body FROM utterances WHERE call = ?1 ORDER BY ordinal",
                [id],
            )
        })
        .await
    }
}

/// Takes words, or the person, off transcript, record and facts. What was there is overwritten in the file as well.
fn redact(db: &Connection, (account, id): (AccountId, CallId), redaction: Redaction) -> StoreResult<bool> {
    let sql = "SELECT body FROM calls WHERE id = ?1 AND account = ?2 AND body IS NOT NULL";
    let before: Call = find(db, sql, (id, account))?.ok_or_else(|| missing("call", id))?;
    let said = db
        .prepare_cached("DELETE FROM utterances WHERE call = ?1")?
        .execute([id])?;
    let mut has_changed = said > 0;
    let after = before.clone().redacted(redaction);
    if after != before {
        has_changed = true;
        db.prepare_cached("UPDATE calls SET body = ?2 WHERE id = ?1")?
            .execute((id, body(&after)?))?;
    }
    let facts: Vec<(Count, String)> = db
        .prepare_cached("SELECT ordinal, body FROM call_facts WHERE call = ?1")?
        .query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (ordinal, text) in facts {
        let before: CallFact = serde_json::from_str(&text)?;
        let after = before.clone().redacted(redaction);
        if after != before {
            has_changed = true;
            db.prepare_cached("UPDATE call_facts SET body = ?3 WHERE call = ?1 AND ordinal = ?2")?
                .execute((id, ordinal, body(&after)?))?;
        }
    }
    Ok(has_changed)
}

fn record_fact(db: &Connection, incoming: &IncomingFact) -> StoreResult<Recorded> {
    db.prepare_cached(
        "INSERT INTO calls (id, account, sid, facts, folded, terminal) VALUES (?1, ?2, ?3, 0, 0, 0) ON CONFLICT (id) DO NOTHING",
    )?
    .execute((incoming.call_id, incoming.account_id, incoming.sid.as_str()))?;
    let facts = db
        .prepare_cached("SELECT facts FROM calls WHERE id = ?1 AND account = ?2")?
        .query_row((incoming.call_id, incoming.account_id), |row| {
            row.get::<_, Count>(0)
        })
        .optional()?
        .ok_or_else(|| missing("call", incoming.call_id))?;
    let inserted = db
        .prepare_cached(
            "INSERT INTO call_facts (call, ordinal, dedupe_key, at, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (call, dedupe_key) DO NOTHING",
        )?
        .execute((
            incoming.call_id,
            facts,
            &incoming.dedupe_key,
            incoming.at,
            body(&incoming.fact)?,
        ))?;
    if inserted > 0 {
        db.prepare_cached("UPDATE calls SET facts = facts + 1 WHERE id = ?1")?
            .execute([incoming.call_id])?;
    }
    Ok(recorded(inserted))
}
