//! The store that `store.url` names, opened by a command beside a server that may be running on it.

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

/// A store that a command uses for a moment.
pub(super) struct Beside {
    pub(super) store: Store,
    guard: Option<SqliteGuard>,
}

impl Beside {
    /// Opens the store, making a file that is missing.
    ///
    /// # Errors
    /// When the file cannot be opened, or no server of the address answers.
    pub(super) async fn open(settings: &StoreSettings) -> anyhow::Result<Self> {
        if Address::is_meant_by(&settings.url) {
            let address: Address = settings.url.parse().context("store.url")?;
            let store = scylla::open(&address)
                .await
                .with_context(|| format!("store.url: {address} cannot be opened"))?;
            return Ok(Self { store, guard: None });
        }
        let path = file_of(settings)?;
        let opening = tokio::task::spawn_blocking(move || {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("store.url: the folder {} cannot be made", folder.display()))?;
            }
            sqlite::open_beside(&path)
                .with_context(|| format!("store.url: {} cannot be opened", path.display()))
        });
        let (store, guard) = opening.await.context("opening the store broke off")??;
        Ok(Self {
            store,
            guard: Some(guard),
        })
    }

    /// Writes out what is queued and closes.
    ///
    /// # Errors
    /// When the closing broke off.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        let Self { store, guard } = self;
        drop(store);
        tokio::task::spawn_blocking(move || drop(guard))
            .await
            .context("the store could not be closed")
    }
}

/// The file of an embedded store.
///
/// # Errors
/// When the store is a database of its own.
pub(super) fn file_of(settings: &StoreSettings) -> anyhow::Result<PathBuf> {
    let path = settings.url.strip_prefix("sqlite:").map(Path::new);
    let path = path.with_context(|| {
        format!(
            "store.url is {}: this is for `sqlite:<path>`; a database of its own has its own tools",
            without_password(&settings.url)
        )
    })?;
    Ok(path.to_owned())
}

/// An address as it may be printed.
fn without_password(url: &str) -> String {
    url.parse::<Address>()
        .map_or_else(|_| "no file".to_owned(), |address| address.to_string())
}
