//! Copies of the store: made while it is being used, put back while it is not.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use super::{
    database::{connect, lock, unavailable},
    schema,
};
use crate::store::{StoreError, StoreResult};

/// All pages in one step: one read transaction, so that the copy is of one moment. Writers go on meanwhile.
const ALL_PAGES: std::ffi::c_int = -1;
/// Files of earlier restores that may be kept beside the store.
const KEPT_MAX: u32 = 99;

/// A copy did not come out whole.
#[derive(Debug, thiserror::Error)]
enum BackupError {
    #[error("the store was locked by another process")]
    Locked,
    #[error("{} is not a whole store: {finding}", path.display())]
    Damaged { path: PathBuf, finding: String },
    #[error("{KEPT_MAX} replaced files are kept beside the store: remove those that nobody needs")]
    TooManyKept,
}

impl From<BackupError> for StoreError {
    fn from(error: BackupError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

/// What a copy holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    pub bytes: u64,
    /// Rows by table, in the order of the tables' names.
    pub rows: Vec<(String, u64)>,
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub copied: Copied,
    /// Where the file that was there before is kept.
    pub replaced: Option<PathBuf>,
}

/// Writes a consistent copy of the store at `source` to `target`, also while another process serves it. The copy is one file,
/// for its owner only, and is read through before it gets its name. Blocks.
///
/// # Errors
/// `Unavailable` when the copy cannot be made or is not whole; `target` is then as it was.
pub fn copy_to(source: &Path, target: &Path) -> StoreResult<Copied> {
    fs::metadata(source).map_err(unavailable)?;
    let from = connect(source, "PRAGMA query_only = ON;")?;
    let unfinished = beside(target, ".part");
    let copied = copy_pages(&from, &unfinished).and_then(|copy| {
        check_whole(&copy, source)?;
        contents(&copy, &unfinished)
    });
    copied
        .and_then(|copied| put_in_place(&unfinished, target).map(|()| copied))
        .inspect_err(|_error| {
            // The error that counts is on its way; the leftover may not even exist.
            drop(fs::remove_file(&unfinished));
        })
}

/// Puts the copy at `backup` in place of the store at `target`, which is kept aside. Nothing may be serving `target`. Blocks.
///
/// # Errors
/// `Unavailable` when `target` is being served, or `backup` is damaged or from a later version; `target` is then as it was.
pub fn restore(backup: &Path, target: &Path) -> StoreResult<Restored> {
    fs::metadata(backup).map_err(unavailable)?;
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(unavailable)?;
    }
    let _serving = lock(target)?;
    let unfinished = beside(target, ".part");
    let copied = (|| {
        let from = connect(backup, "PRAGMA query_only = ON;")?;
        let copy = copy_pages(&from, &unfinished)?;
        check_whole(&copy, backup)?;
        schema::migrate(&copy)?;
        contents(&copy, &unfinished)
    })();
    let kept = copied.and_then(|copied| Ok((copied, keep_aside(target)?)));
    let (copied, replaced) = kept.inspect_err(|_error| drop(fs::remove_file(&unfinished)))?;
    put_in_place(&unfinished, target)?;
    Ok(Restored { copied, replaced })
}

/// Copies into a fresh file without a log of its own, and leaves it open.
fn copy_pages(from: &Connection, target: &Path) -> StoreResult<Connection> {
    remove_if_there(target)?;
    // There are hashes of passwords in it.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(target)
        .map_err(unavailable)?;
    let mut to = connect(target, "")?;
    match Backup::new(from, &mut to)?.step(ALL_PAGES)? {
        StepResult::Done => (),
        // The library may grow more reasons for not being done; each means there is no copy.
        _ => return Err(BackupError::Locked.into()),
    }
    to.execute_batch("PRAGMA journal_mode = DELETE;")?;
    Ok(to)
}

fn check_whole(copy: &Connection, source: &Path) -> StoreResult<()> {
    let finding: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if finding == "ok" {
        return Ok(());
    }
    let path = source.to_owned();
    Err(BackupError::Damaged { path, finding }.into())
}

fn contents(copy: &Connection, file: &Path) -> StoreResult<Copied> {
    let mut tables = copy.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    )?;
    let names: Vec<String> = tables
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut rows = Vec::new();
    for name in names {
        let count: i64 = copy.query_row(&format!("SELECT count(*) FROM \"{name}\""), [], |row| row.get(0))?;
        rows.push((name, u64::try_from(count).unwrap_or(0)));
    }
    let bytes = fs::metadata(file).map_err(unavailable)?.len();
    Ok(Copied { bytes, rows })
}

/// Gives the file at `target` a second name under which it stays. `None` when there is no such file.
fn keep_aside(target: &Path) -> StoreResult<Option<PathBuf>> {
    if !target.exists() {
        return Ok(None);
    }
    // What is only in the log moves into the file. A file too damaged for that is kept together with its log.
    if let Err(error) = connect(target, "PRAGMA wal_checkpoint(TRUNCATE);") {
        tracing::warn!(%error, "the file that is replaced cannot be opened: it is kept with its log");
    }
    for number in 1..=KEPT_MAX {
        let kept = beside(target, &format!(".replaced-{number}"));
        match fs::hard_link(target, &kept) {
            Ok(()) => {
                // The old log belongs to the old file: with the new one it would be replayed into it.
                match fs::rename(beside(target, "-wal"), beside(&kept, "-wal")) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(unavailable(error)),
                    _ => (),
                }
                remove_if_there(&beside(target, "-shm"))?;
                return Ok(Some(kept));
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => (),
            Err(error) => return Err(unavailable(error)),
        }
    }
    Err(BackupError::TooManyKept.into())
}

fn remove_if_there(path: &Path) -> StoreResult<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unavailable(error)),
        _ => Ok(()),
    }
}

/// Makes the finished file visible under its name, on disk before this returns.
fn put_in_place(finished: &Path, target: &Path) -> StoreResult<()> {
    File::open(finished)
        .and_then(|file| file.sync_all())
        .map_err(unavailable)?;
    fs::rename(finished, target).map_err(unavailable)?;
    let folder = target
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(unavailable)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
