//! The audit log in SQLite. Triggers of the schema keep even this program from changing an entry.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{columns::Count, database::Sqlite};
use crate::{
    domain::{
        audit::{AuditRow, Deed, Details},
        ids::AccountId,
    },
    store::{AuditStore, StoreResult},
};

const COLUMNS: &str = "account, seq, at, said, hash, details";

#[async_trait]
impl AuditStore for Sqlite {
    async fn append(&self, deed: Deed, details: Details) -> StoreResult<AuditRow> {
        self.write(move |db| {
            let newest = format!("SELECT {COLUMNS} FROM audit WHERE account = ?1 ORDER BY seq DESC LIMIT 1");
            let last = db
                .prepare_cached(&newest)?
                .query_row([deed.account_id], entry)
                .optional()?;
            let row = AuditRow::after(last.as_ref(), deed, &details)?;
            insert(db, &row)?;
            Ok(row)
        })
        .await
    }

    async fn before(&self, account_id: AccountId, below: u64, limit: u32) -> StoreResult<Vec<AuditRow>> {
        let below = i64::try_from(below).unwrap_or(i64::MAX);
        self.read(move |db| {
            let sql = format!(
                "SELECT {COLUMNS} FROM audit WHERE account = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3"
            );
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map((account_id, below, limit), entry)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn after(&self, account_id: AccountId, above: u64, limit: u32) -> StoreResult<Vec<AuditRow>> {
        let above = i64::try_from(above).unwrap_or(i64::MAX);
        self.read(move |db| {
            let sql =
                format!("SELECT {COLUMNS} FROM audit WHERE account = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3");
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map((account_id, above, limit), entry)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn erase_details(&self, account_id: AccountId, entries: &[u64]) -> StoreResult<()> {
        let entries = entries.to_vec();
        self.write(move |db| {
            let mut erase =
                db.prepare_cached("UPDATE audit SET details = NULL WHERE account = ?1 AND seq = ?2")?;
            for seq in entries {
                erase.execute((account_id, Count(seq)))?;
            }
            Ok(())
        })
        .await
    }

    async fn adopt(&self, row: AuditRow) -> StoreResult<()> {
        self.write(move |db| {
            let is_there: bool = db
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM audit WHERE account = ?1 AND seq = ?2)")?
                .query_row((row.account_id, Count(row.seq)), |row| row.get(0))?;
            if is_there { Ok(()) } else { insert(db, &row) }
        })
        .await
    }
}

fn insert(db: &Connection, row: &AuditRow) -> StoreResult<()> {
    let sql = format!("INSERT INTO audit ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
    db.prepare_cached(&sql)?.execute((
        row.account_id,
        Count(row.seq),
        row.at,
        &row.said,
        row.hash,
        &row.details,
    ))?;
    Ok(())
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    let seq: Count = row.get(1)?;
    Ok(AuditRow {
        account_id: row.get(0)?,
        seq: seq.0,
        at: row.get(2)?,
        said: row.get(3)?,
        hash: row.get(4)?,
        details: row.get(5)?,
    })
}
