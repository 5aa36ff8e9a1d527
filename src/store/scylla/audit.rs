//! The audit log in CQL: each entry is inserted only if its number is free, so that of many writers each has its own.
//!
//! The head is a hint and may lag behind: from there the newest entry is looked for, a number at a time.

use async_trait::async_trait;

use super::{
    fields::{Int, Row, values},
    revised::TRIES_MAX,
    rows::{Conditional, Scylla},
};
use crate::{
    domain::{
        audit::{AuditRow, Deed, Details},
        ids::AccountId,
    },
    store::{AuditStore, StoreError, StoreResult},
};

/// Entries of one partition. On disk: never change it.
const PIECE: u64 = 10_000;

const INSERT: &str = "INSERT INTO audit (account, piece, seq, at, said, hash, details) VALUES (?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS";
const READ: &str =
    "SELECT seq, at, said, hash, details FROM audit WHERE account = ? AND piece = ? AND seq = ?";
const BEFORE: &str =
    "SELECT seq, at, said, hash, details FROM audit WHERE account = ? AND piece = ? AND seq < ?
    ORDER BY seq DESC LIMIT ?";
const AFTER: &str =
    "SELECT seq, at, said, hash, details FROM audit WHERE account = ? AND piece = ? AND seq > ?
    ORDER BY seq ASC LIMIT ?";
const ERASE: &str = "UPDATE audit SET details = null WHERE account = ? AND piece = ? AND seq = ? IF EXISTS";
const HEAD: &str = "SELECT seq FROM audit_heads WHERE account = ?";
const SET_HEAD: &str = "INSERT INTO audit_heads (account, seq) VALUES (?, ?)";

const fn piece_of(seq: u64) -> u64 {
    seq / PIECE
}

#[async_trait]
impl AuditStore for Scylla {
    async fn append(&self, deed: Deed, details: Details) -> StoreResult<AuditRow> {
        let account = deed.account_id;
        let mut last = self.newest_entry(account).await?;
        for _ in 0..TRIES_MAX {
            let row = AuditRow::after(last.as_ref(), deed.clone(), &details)?;
            if self.insert_entry(&row).await? {
                self.write(SET_HEAD, values![account, row.seq]).await?;
                return Ok(row);
            }
            // Somebody else was faster: theirs is the one before ours.
            last = self.entry(account, row.seq).await?;
        }
        Err(StoreError::Busy)
    }

    async fn before(&self, account_id: AccountId, below: u64, limit: u32) -> StoreResult<Vec<AuditRow>> {
        let newest = self.newest_entry(account_id).await?.map_or(0, |row| row.seq);
        let mut below = below.min(newest + 1);
        let mut rows: Vec<AuditRow> = Vec::new();
        while below > 1 && wanted(limit, &rows) > 0 {
            let piece = piece_of(below - 1);
            let room = Int(wanted(limit, &rows));
            for row in self
                .select(BEFORE, values![account_id, piece, below, room])
                .await?
            {
                rows.push(entry_of(account_id, row)?);
            }
            // The piece is read to its beginning, or the page is full.
            below = piece * PIECE;
        }
        Ok(rows)
    }

    async fn after(&self, account_id: AccountId, above: u64, limit: u32) -> StoreResult<Vec<AuditRow>> {
        let newest = self.newest_entry(account_id).await?.map_or(0, |row| row.seq);
        let mut above = above;
        let mut rows: Vec<AuditRow> = Vec::new();
        while above < newest && wanted(limit, &rows) > 0 {
            let piece = piece_of(above + 1);
            let room = Int(wanted(limit, &rows));
            for row in self
                .select(AFTER, values![account_id, piece, above, room])
                .await?
            {
                rows.push(entry_of(account_id, row)?);
            }
            above = (piece + 1) * PIECE - 1;
        }
        Ok(rows)
    }

    async fn erase_details(&self, account_id: AccountId, entries: &[u64]) -> StoreResult<()> {
        for seq in entries {
            let row = values![account_id, piece_of(*seq), *seq];
            match self.conditional(vec![(ERASE, row)]).await? {
                Conditional::Applied | Conditional::Refused => (),
                Conditional::Unknown(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn adopt(&self, row: AuditRow) -> StoreResult<()> {
        self.insert_entry(&row).await?;
        self.write(SET_HEAD, values![row.account_id, row.seq]).await
    }
}

impl Scylla {
    /// Writes an entry if its number is free. False when another has it.
    async fn insert_entry(&self, row: &AuditRow) -> StoreResult<bool> {
        let columns = values![
            row.account_id,
            piece_of(row.seq),
            row.seq,
            row.at,
            row.said,
            row.hash,
            row.details
        ];
        match self.conditional(vec![(INSERT, columns)]).await? {
            Conditional::Applied => Ok(true),
            Conditional::Refused => Ok(false),
            Conditional::Unknown(error) => match self.entry(row.account_id, row.seq).await? {
                Some(found) => Ok(found.hash == row.hash),
                None => Err(error),
            },
        }
    }

    /// The entry of a number, with every write that was decided.
    async fn entry(&self, account: AccountId, seq: u64) -> StoreResult<Option<AuditRow>> {
        let row = self
            .select_serial(READ, values![account, piece_of(seq), seq])
            .await?;
        row.map(|row| entry_of(account, row)).transpose()
    }

    async fn newest_entry(&self, account: AccountId) -> StoreResult<Option<AuditRow>> {
        let hint = self.select_one(HEAD, values![account]).await?;
        let mut seq: u64 = match hint {
            Some(mut row) => row.take(0)?,
            None => 0,
        };
        let mut newest = match seq {
            0 => None,
            seq => self.entry(account, seq).await?,
        };
        while let Some(next) = self.entry(account, seq + 1).await? {
            seq = next.seq;
            newest = Some(next);
        }
        Ok(newest)
    }
}

fn wanted(limit: u32, rows: &[AuditRow]) -> u32 {
    limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX))
}

fn entry_of(account_id: AccountId, mut row: Row) -> StoreResult<AuditRow> {
    Ok(AuditRow {
        account_id,
        seq: row.take(0)?,
        at: row.take(1)?,
        said: row.take(2)?,
        hash: row.take(3)?,
        details: row.take_if_any(4)?,
    })
}
