//! Copies of the store: made while it is being used, put back while it is not.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
};

use rusqlite::backup::{Backup, StepResult};

use super::{
    database::{connect, lock, unavailable},
    schema,
};
use crate::store::{StoreError, StoreResult};

/// All pages in one step: one read transaction, so that the copy is of one moment. Writers go on meanwhile.
const ALL_PAGES: std::ffi::c_int = -1;

/// A copy did not come out whole.
#[derive(Debug, thiserror::Error)]
enum BackupError {
    #[error("the store was locked by another process")]
    Locked,
    #[error("{} is not a whole store: {finding}", path.display())]
    Damaged { path: PathBuf, finding: String },
}

impl From<BackupError> for StoreError {
    fn from(error: BackupError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

/// Writes a consistent copy of the store at `source` to `target`, also while another process serves it. Blocks.
///
/// # Errors
/// `Unavailable` when the copy cannot be made; `target` is then as it was.
pub fn copy_to(source: &Path, target: &Path) -> StoreResult<()> {
    fs::metadata(source).map_err(unavailable)?;
    let from = connect(source, "PRAGMA query_only = ON;")?;
    let unfinished = beside(target, ".part");
    copy_pages(&from, &unfinished)
        .and_then(|()| put_in_place(&unfinished, target))
        .inspect_err(|_error| {
            // The error that counts is on its way; the leftover may not even exist.
            drop(fs::remove_file(&unfinished));
        })
}

/// Puts the copy at `backup` in place of the store at `target`. Nothing may be serving `target`. Blocks.
///
/// # Errors
/// `Unavailable` when `target` is being served, or `backup` is damaged or from a later version; `target` is then as it was.
pub fn restore(backup: &Path, target: &Path) -> StoreResult<()> {
    fs::metadata(backup).map_err(unavailable)?;
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(unavailable)?;
    }
    let _serving = lock(target)?;
    let unfinished = beside(target, ".part");
    let copied = (|| {
        let from = connect(backup, "PRAGMA query_only = ON;")?;
        copy_pages(&from, &unfinished)?;
        let copy = connect(&unfinished, "")?;
        let finding: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if finding != "ok" {
            return Err(BackupError::Damaged {
                path: backup.to_owned(),
                finding,
            }
            .into());
        }
        schema::migrate(&copy)
    })();
    copied.inspect_err(|_error| drop(fs::remove_file(&unfinished)))?;
    // The old log belongs to the old file: with the new one it would be replayed into it.
    for leftover in [beside(target, "-wal"), beside(target, "-shm")] {
        match fs::remove_file(leftover) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unavailable(error)),
            _ => (),
        }
    }
    put_in_place(&unfinished, target)
}

fn copy_pages(from: &rusqlite::Connection, target: &Path) -> StoreResult<()> {
    match fs::remove_file(target) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unavailable(error)),
        _ => (),
    }
    let mut to = connect(target, "")?;
    match Backup::new(from, &mut to)?.step(ALL_PAGES)? {
        StepResult::Done => Ok(()),
        // The library may grow more reasons for not being done; each means there is no copy.
        _ => Err(BackupError::Locked.into()),
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
