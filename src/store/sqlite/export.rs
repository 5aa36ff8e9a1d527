//! What there is in a store file, for copying it elsewhere: the keys of every row, and what no trait reads back.
//!
//! In: a file that nothing serves. Out: keys; the rows themselves are read through the store's traits.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, Row};

use super::database::connect;
use crate::{
    domain::{
        ids::{
            AccountId, AlertId, CallId, LeadId, MessageId, ObservationId, RunId, TaskId, UserId, WorkflowId,
        },
        resource::ResourceKind,
    },
    store::{StoreError, StoreResult, contacts::Contact, resources::ResourceAddress},
};

/// An edit that a run made of a lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotedEdit {
    pub account_id: AccountId,
    pub lead_id: LeadId,
    pub key: String,
    /// JSON.
    pub result: String,
}

/// Who of a group was given a lead last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub account_id: AccountId,
    /// By id.
    pub pool: Vec<UserId>,
    pub last: UserId,
}

/// The keys of every row.
#[derive(Clone)]
pub struct Export {
    pub accounts: Vec<AccountId>,
    pub answers: Vec<(AccountId, String)>,
    pub workflows: Vec<(AccountId, WorkflowId)>,
    pub versions: Vec<(WorkflowId, u32)>,
    pub leads: Vec<(AccountId, LeadId)>,
    pub edits: Vec<NotedEdit>,
    pub turns: Vec<Turn>,
    pub runs: Vec<RunId>,
    /// With the number of facts that the record holds.
    pub calls: Vec<(AccountId, CallId, u64)>,
    /// With whether every run of the fact exists.
    pub observations: Vec<(AccountId, ObservationId, bool)>,
    pub alerts: Vec<(AccountId, AlertId)>,
    pub tasks: Vec<(AccountId, TaskId)>,
    pub messages: Vec<(AccountId, MessageId)>,
    pub resources: Vec<ResourceAddress>,
    pub contacts: Vec<Contact>,
    /// Keys of numbers that have opted out and that no lead has.
    pub numbers: Vec<(AccountId, String)>,
    /// Entries of the audit logs.
    pub audit: Vec<(AccountId, u64)>,
    db: Arc<Mutex<Connection>>,
}

/// The reading broke off.
#[derive(Debug, thiserror::Error)]
#[error("the store file could not be read to the end")]
struct BrokenOff;

impl Export {
    /// Reads the keys of everything in the store at `path`. Blocks.
    ///
    /// # Errors
    /// `Unavailable` when the file cannot be read.
    pub fn read(path: &Path) -> StoreResult<Self> {
        let db = connect(path, "PRAGMA query_only = ON;")?;
        let pair = "ORDER BY id";
        Ok(Self {
            accounts: all(&db, "SELECT id FROM accounts ORDER BY created_at, id", |row| {
                row.get(0)
            })?,
            answers: all(
                &db,
                "SELECT account, key FROM answers ORDER BY account, key",
                pair_of,
            )?,
            workflows: all(&db, &format!("SELECT account, id FROM workflows {pair}"), pair_of)?,
            versions: all(
                &db,
                "SELECT workflow, version FROM workflow_versions ORDER BY workflow, version",
                pair_of,
            )?,
            leads: all(&db, &format!("SELECT account, id FROM leads {pair}"), pair_of)?,
            edits: all(
                &db,
                "SELECT leads.account, leads.id, lead_edits.key, lead_edits.result FROM lead_edits
                 JOIN leads ON leads.id = lead_edits.lead ORDER BY leads.id, lead_edits.key",
                edit,
            )?,
            turns: all(
                &db,
                "SELECT account, pool, last FROM assignment_turns ORDER BY account, pool",
                turn,
            )?,
            runs: all(&db, &format!("SELECT id FROM runs {pair}"), |row| row.get(0))?,
            calls: all(
                &db,
                &format!("SELECT account, id, folded FROM calls {pair}"),
                folded_call,
            )?,
            observations: all(
                &db,
                &format!("SELECT account, id, routed FROM observations {pair}"),
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?,
            alerts: all(&db, &format!("SELECT account, id FROM alerts {pair}"), pair_of)?,
            tasks: all(&db, &format!("SELECT account, id FROM tasks {pair}"), pair_of)?,
            messages: all(&db, &format!("SELECT account, id FROM messages {pair}"), pair_of)?,
            resources: all(
                &db,
                "SELECT account, kind, id FROM resources ORDER BY account, kind, id",
                resource,
            )?,
            contacts: all(
                &db,
                "SELECT account, subject, channel, key, at FROM contacts ORDER BY account, subject, channel, at, key",
                contact,
            )?,
            numbers: all(
                &db,
                "SELECT account, phone FROM opted_out_numbers ORDER BY account, phone",
                pair_of,
            )?,
            audit: all(
                &db,
                "SELECT account, seq FROM audit ORDER BY account, seq",
                audit_entry,
            )?,
            db: Arc::new(Mutex::new(db)),
        })
    }

    /// The keys of a call's facts, in their order.
    ///
    /// # Errors
    /// `Unavailable` when the file cannot be read.
    pub async fn fact_keys(&self, call: CallId) -> StoreResult<Vec<String>> {
        let db = Arc::clone(&self.db);
        let reading = tokio::task::spawn_blocking(move || {
            let db = db.lock().unwrap_or_else(PoisonError::into_inner);
            let mut statement =
                db.prepare_cached("SELECT dedupe_key FROM call_facts WHERE call = ?1 ORDER BY ordinal")?;
            let keys = statement.query_map([call], |row| row.get(0))?;
            Ok(keys.collect::<rusqlite::Result<_>>()?)
        });
        reading
            .await
            .map_err(|_panicked| StoreError::Unavailable(Box::new(BrokenOff)))?
    }
}

fn all<T>(
    db: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> StoreResult<Vec<T>> {
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn folded_call(row: &Row<'_>) -> rusqlite::Result<(AccountId, CallId, u64)> {
    let folded: i64 = row.get(2)?;
    Ok((row.get(0)?, row.get(1)?, u64::try_from(folded).unwrap_or(0)))
}

fn audit_entry(row: &Row<'_>) -> rusqlite::Result<(AccountId, u64)> {
    let seq: i64 = row.get(1)?;
    Ok((row.get(0)?, u64::try_from(seq).unwrap_or(0)))
}

fn edit(row: &Row<'_>) -> rusqlite::Result<NotedEdit> {
    Ok(NotedEdit {
        account_id: row.get(0)?,
        lead_id: row.get(1)?,
        key: row.get(2)?,
        result: row.get(3)?,
    })
}

fn resource(row: &Row<'_>) -> rusqlite::Result<ResourceAddress> {
    let number: u8 = row.get(1)?;
    Ok(ResourceAddress {
        account_id: row.get(0)?,
        kind: ResourceKind::of_number(number)
            .ok_or(rusqlite::Error::IntegralValueOutOfRange(1, i64::from(number)))?,
        id: row.get(2)?,
    })
}

fn contact(row: &Row<'_>) -> rusqlite::Result<Contact> {
    Ok(Contact {
        account_id: row.get(0)?,
        subject: row.get(1)?,
        channel: row.get(2)?,
        key: row.get(3)?,
        at: row.get(4)?,
    })
}

fn pair_of<A, B>(row: &Row<'_>) -> rusqlite::Result<(A, B)>
where
    A: rusqlite::types::FromSql,
    B: rusqlite::types::FromSql,
{
    Ok((row.get(0)?, row.get(1)?))
}

fn turn(row: &Row<'_>) -> rusqlite::Result<Turn> {
    let pool: String = row.get(1)?;
    let users: Result<Vec<UserId>, _> = pool.split(' ').map(str::parse).collect();
    Ok(Turn {
        account_id: row.get(0)?,
        pool: users.map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error))
        })?,
        last: row.get(2)?,
    })
}
