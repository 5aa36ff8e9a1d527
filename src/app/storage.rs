//! The store that `store.url` names: opened here, and closed here in the end.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::{
    config::StoreSettings,
    store::{
        Store,
        scylla::{self, Address},
        sqlite::{self, SqliteGuard},
    },
};

/// Where the master key is kept when none is configured and the store is no file of this machine.
const KEY_FILE: &str = "patchcord.key";

/// An open store.
pub(super) struct Storage {
    pub(super) store: Store,
    /// Where the master key is kept when none is configured.
    pub(super) key_file: PathBuf,
    pub(super) guard: StorageGuard,
}

/// Keeps the store open. A database of its own needs nothing of the kind.
pub(super) enum StorageGuard {
    File(SqliteGuard),
    Database,
}

impl StorageGuard {
    /// Writes out what is queued and closes.
    ///
    /// # Errors
    /// When the closing broke off.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::File(guard) => tokio::task::spawn_blocking(move || guard.shutdown())
                .await
                .context("the store could not be closed"),
            Self::Database => Ok(()),
        }
    }
}

/// Where the master key is kept when none is configured.
#[must_use]
pub fn key_file(settings: &StoreSettings) -> PathBuf {
    if Address::is_meant_by(&settings.url) {
        return PathBuf::from(KEY_FILE);
    }
    let path = settings.url.strip_prefix("sqlite:").unwrap_or(&settings.url);
    Path::new(path).with_extension("key")
}

/// Opens the store; `config` has checked that the address is one.
///
/// # Errors
/// When the file cannot be opened, or no server of the address answers.
pub(super) async fn open(settings: &StoreSettings) -> anyhow::Result<Storage> {
    if !Address::is_meant_by(&settings.url) {
        return open_file(settings).await;
    }
    let address: Address = settings.url.parse().context("store.url")?;
    let store = scylla::open(&address)
        .await
        .with_context(|| format!("store.url: {address} cannot be opened"))?;
    Ok(Storage {
        store,
        key_file: key_file(settings),
        guard: StorageGuard::Database,
    })
}

async fn open_file(settings: &StoreSettings) -> anyhow::Result<Storage> {
    let path = PathBuf::from(settings.url.strip_prefix("sqlite:").unwrap_or(&settings.url));
    let readers = settings.readers;
    let (store, guard) = tokio::task::spawn_blocking(move || open_path(&path, readers))
        .await
        .context("opening the store broke off")??;
    Ok(Storage {
        store,
        key_file: key_file(settings),
        guard: StorageGuard::File(guard),
    })
}

fn open_path(path: &Path, readers: usize) -> anyhow::Result<(Store, SqliteGuard)> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("store.url: the folder {} cannot be made", folder.display()))?;
    }
    sqlite::open_with_readers(path, readers)
        .with_context(|| format!("store.url: {} cannot be opened", path.display()))
}
