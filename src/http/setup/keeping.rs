//! Whether what is kept would survive this machine: the master key, and copies of the store.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use super::{Finding, KeyPlace, StorePlace};
use crate::{
    clock,
    domain::{ids::AccountId, time::Timestamp},
    store::{PageRequest, Store, StoreResult, audit::AuditFilter},
};

/// Older copies than that are too old.
const BACKUP_AGE_MAX: Duration = Duration::from_hours(7 * 24);
/// Parts of the audit log, of up to 2,000 entries each, that are looked through for a copy.
const PARTS_MAX: u32 = 5;
/// How `patchcord backup` stands in the audit log.
pub const BACKUP: &str = "backup";
/// What nobody but the owner of a file may do with it.
const FOR_OTHERS: u32 = 0o077;

/// Where the master key is, and who can read it.
pub(super) async fn master_key(place: &KeyPlace) -> Finding {
    match place {
        KeyPlace::Settings => Finding::good("it comes from the settings, apart from the store"),
        KeyPlace::File(path) => {
            let path = path.clone();
            let looked = tokio::task::spawn_blocking(move || file(&path)).await;
            looked.unwrap_or_else(|error| Finding::failed(error, "look again"))
        }
    }
}

fn file(path: &Path) -> Finding {
    let shown = path.display();
    match fs::metadata(path) {
        Err(error) => Finding::failed(
            format!("{shown} cannot be read: {error}"),
            "bring the key file back, from the copy that you keep: without it nothing sealed opens after the next start",
        ),
        Ok(found) if found.permissions().mode() & FOR_OTHERS != 0 => Finding::failed(
            format!("others than its owner can read {shown}"),
            format!("chmod 600 {shown}"),
        ),
        Ok(_) => Finding::Good(format!(
            "in {shown}, which its owner alone can read; backups do not hold it, so keep a copy of it in another place"
        )),
    }
}

/// Whether the store was copied lately, by the audit log's word.
pub(super) async fn backups(store: &Store, account_id: AccountId, place: StorePlace) -> StoreResult<Finding> {
    if place == StorePlace::Database {
        return Ok(Finding::skipped(
            "the store is a database of its own: take its snapshots with its own tools",
        ));
    }
    let fix = "run `patchcord backup FILE` every day (cron, a systemd timer), and keep the files on another machine";
    let now = clock::now();
    Ok(match newest_backup(store, account_id).await? {
        None => Finding::failed("the store was never copied", fix),
        Some(at) if now.since(at) > BACKUP_AGE_MAX => {
            Finding::failed(format!("the last copy of the store is from {at}"), fix)
        }
        Some(at) => Finding::Good(format!("the last copy of the store is from {at}")),
    })
}

async fn newest_backup(store: &Store, account_id: AccountId) -> StoreResult<Option<Timestamp>> {
    let filter = AuditFilter {
        action: Some(BACKUP.to_owned()),
        ..AuditFilter::default()
    };
    let mut cursor = None;
    for _ in 0..PARTS_MAX {
        let request = PageRequest { limit: 1, cursor };
        let page = store.audit.page(account_id, &filter, request).await?;
        if let Some(row) = page.items.first() {
            return Ok(Some(row.at));
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_can_read_or_that_is_gone_is_not_safe() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("patchcord.key");
        assert!(matches!(file(&path), Finding::Failed { .. }));
        fs::write(&path, "key").expect("the folder is ours");
        for (mode, is_safe) in [(0o600, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("the file is ours");
            let found = file(&path);
            assert_eq!(matches!(found, Finding::Good(_)), is_safe, "{mode:o}: {found:?}");
        }
    }
}
