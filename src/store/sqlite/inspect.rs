//! A look at a store file that changes nothing: for `patchcord doctor`.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{
    database::{BUSY_TIMEOUT, unavailable},
    schema,
};
use crate::store::StoreResult;

/// How a store file stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    pub bytes: u64,
    /// `ok`, or the first thing that is wrong with it.
    pub integrity: String,
    /// Steps of the schema that the file has taken.
    pub steps_taken: usize,
    /// Steps that this program knows.
    pub steps_known: usize,
}

/// Reads the file through, also while a server runs on it. Blocks.
///
/// # Errors
/// `Unavailable` when it cannot be opened or is no database.
pub fn inspect(path: &Path) -> StoreResult<Inspection> {
    let bytes = std::fs::metadata(path).map_err(unavailable)?.len();
    let db = connect(path)?;
    Ok(Inspection {
        bytes,
        integrity: db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?,
        steps_taken: schema::taken(&db)?,
        steps_known: schema::known(),
    })
}

/// Whether the store at `path` has exactly the schema of this program: opening it would change nothing. Blocks.
///
/// # Errors
/// As for [`inspect`].
pub fn is_up_to_date(path: &Path) -> StoreResult<bool> {
    Ok(schema::taken(&connect(path)?)? == schema::known())
}

fn connect(path: &Path) -> StoreResult<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.execute_batch("PRAGMA query_only = ON;")?;
    Ok(db)
}
