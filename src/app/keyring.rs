//! The store's keys in a running server: opened at its start, and read again every few seconds.
//!
//! In: the store and its master keys. Out: the sealing key, and the signing keys as they stand: a key that `patchcord key rotate --signing`
//! adds is known to every node minutes before one signs with it. Keys that cannot be read or opened leave the node with those
//! that it has, and it says so at each look.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use ractor::ActorCell;
use tokio::sync::watch;

use super::master_key::{MasterKeys, data_keys, opened};
use crate::{
    actors::rounds::{self, Round},
    clock,
    domain::{
        sealing::{SealingKey, WrappedKeys},
        signing::SigningKeys,
    },
    integrations::SecuritySettings,
    store::{Store, StoreResult},
};

/// Between two looks. A fraction of [`crate::domain::signing::SIGNS_AFTER`].
pub const EVERY: Duration = Duration::from_secs(10);

/// The keys that a server works with.
pub(super) struct ServerKeys {
    pub(super) sealing: SealingKey,
    pub(super) signing: watch::Receiver<SigningKeys>,
}

impl ServerKeys {
    /// Opens the keys, makes them on first use, and goes on looking at them for as long as `supervisor` lives.
    ///
    /// # Errors
    /// When the master key or the store's keys cannot be read, or the former does not open the latter.
    pub(super) async fn open(
        store: &Store,
        security: &SecuritySettings,
        key_file: &Path,
        supervisor: ActorCell,
    ) -> anyhow::Result<Self> {
        let (wrapped, keys) = data_keys(store, &MasterKeys::load(security, key_file)?).await?;
        let (known, signing) = watch::channel(keys.signing);
        let reader = std::sync::Arc::new(Reader {
            store: store.clone(),
            security: security.clone(),
            key_file: key_file.to_owned(),
            known,
            read: Mutex::new(wrapped),
        });
        let round = Round::new("signing keys", EVERY, move || {
            let reader = reader.clone();
            async move { reader.look().await }
        });
        rounds::start(round.not_at_once(), supervisor).await?;
        Ok(Self {
            sealing: keys.sealing,
            signing,
        })
    }
}

struct Reader {
    store: Store,
    security: SecuritySettings,
    key_file: PathBuf,
    known: watch::Sender<SigningKeys>,
    /// What the known keys were read from.
    read: Mutex<WrappedKeys>,
}

impl Reader {
    async fn look(&self) -> StoreResult<()> {
        let wrapped = self.store.keyring.wrapped_keys().await?;
        if wrapped.as_ref() == Some(&*self.read.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        match self.opened(wrapped).await {
            Ok((wrapped, keys)) => {
                let signs = keys.current(clock::now()).name();
                tracing::info!(keys = ?keys.names(), signs, "the store's keys were read again");
                self.known.send_replace(keys);
                *self.read.lock().unwrap_or_else(PoisonError::into_inner) = wrapped;
            }
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the store's keys have changed and do not open: this node goes on with the signing keys that it has"
                );
            }
        }
        Ok(())
    }

    /// The master key may have been changed in its file meanwhile.
    async fn opened(&self, wrapped: Option<WrappedKeys>) -> anyhow::Result<(WrappedKeys, SigningKeys)> {
        let wrapped = wrapped.context("the store has no keys any more")?;
        let (security, file) = (self.security.clone(), self.key_file.clone());
        let masters = tokio::task::spawn_blocking(move || MasterKeys::read(&security, &file));
        let masters = masters.await.context("reading the key file broke off")??;
        let keys = opened(&wrapped, &masters)?;
        Ok((wrapped, keys.signing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{sealing::DataKeys, secret::Secret},
        store::sqlite,
    };

    #[tokio::test]
    async fn fresh_keys_are_learned_also_under_another_master_key_and_what_does_not_open_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, _guard) = sqlite::open(&folder.path().join("patchcord.db")).expect("a store");
        let key_file = folder.path().join("patchcord.key");
        let security = SecuritySettings {
            master_key: Secret::new(String::new()),
            previous_master_keys: Secret::new(String::new()),
            allow_private_targets: String::new(),
        };
        let masters = MasterKeys::load(&security, &key_file).expect("made");
        let (wrapped, keys) = data_keys(&store, &masters).await.expect("made");
        let (known, signing) = watch::channel(keys.signing.clone());
        let reader = Reader {
            store: store.clone(),
            security,
            key_file: key_file.clone(),
            known,
            read: Mutex::new(wrapped.clone()),
        };
        let put = async |before: WrappedKeys, next: &WrappedKeys| {
            let stands = store.keyring.rewrap(Some(before), next.clone()).await;
            assert_eq!(&stands.expect("written"), next);
        };
        reader.look().await.expect("looked");
        assert!(!signing.has_changed().expect("followed"), "nothing is new");

        let more = keys
            .signing
            .with(Secret::new("5a".repeat(32)), clock::now())
            .expect("room");
        let fresh = DataKeys {
            signing: more.clone(),
            ..keys
        };
        let other = masters.renew(&key_file).expect("written");
        let rotated = fresh.wrap(other.current()).expect("wrapped");
        put(wrapped, &rotated).await;
        reader.look().await.expect("looked");
        assert_eq!(signing.borrow().names(), more.names());

        let foreign = fresh.wrap(&SealingKey::draw().expect("random")).expect("wrapped");
        put(rotated, &foreign).await;
        reader.look().await.expect("looked");
        assert_eq!(signing.borrow().names(), more.names(), "it keeps what it has");
        std::fs::remove_file(&key_file).expect("it is there");
        reader.look().await.expect("looked");
        assert!(!key_file.exists(), "a look makes no master key");
    }
}
