//! The master key: from the configuration, or made once and kept beside the store. It opens the store's own keys and nothing else.
//!
//! While it is changed (`patchcord key rotate`) there are two: the first is what is sealed under from here on, the others still
//! open. In the file each stands on a line of its own.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{
    clock,
    domain::{
        sealing::{DataKeys, SealError, SealingKey, WrappedKeys},
        secret::Secret,
    },
    integrations::SecuritySettings,
    store::Store,
};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the key file {} cannot be read or made", path.display())]
    File {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("the key file {} does not hold 64 hex digits on each line", .0.display())]
    Malformed(PathBuf),
    #[error("security.{0}: expected 64 hex digits")]
    Configured(&'static str),
    #[error("the key file {} is being changed by another `key rotate`, or was left behind by one that was stopped: look at it, then remove it", .0.display())]
    InChange(PathBuf),
    #[error(transparent)]
    Sealing(#[from] SealError),
}

/// The master keys that may open what is sealed; the first seals.
#[derive(Debug, Clone)]
pub struct MasterKeys(Vec<SealingKey>);

impl MasterKeys {
    /// The configured keys, or those in `file`, where one is made on first use, readable by its owner only.
    ///
    /// # Errors
    /// [`KeyError`] naming the file or the setting.
    pub fn load(settings: &SecuritySettings, file: &Path) -> Result<Self, KeyError> {
        match Self::read(settings, file) {
            Err(KeyError::File { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
                let made = Self(vec![SealingKey::draw()?]);
                made.write(file).map_err(|cause| failed(file, cause))?;
                Ok(made)
            }
            read => read,
        }
    }

    /// The configured keys, or those in `file`, which must be there.
    ///
    /// # Errors
    /// [`KeyError`] naming the file or the setting.
    pub fn read(settings: &SecuritySettings, file: &Path) -> Result<Self, KeyError> {
        if settings.master_key.is_empty() {
            return Self::in_file(file);
        }
        let read = |name, text: &str| {
            SealingKey::from_hex(&Secret::new(text.to_owned())).map_err(|_| KeyError::Configured(name))
        };
        let mut keys = vec![read("master_key", settings.master_key.expose())?];
        let previous = settings.previous_master_keys.expose().split(',').map(str::trim);
        for text in previous.filter(|text| !text.is_empty()) {
            keys.push(read("previous_master_keys", text)?);
        }
        Ok(Self(keys))
    }

    fn in_file(file: &Path) -> Result<Self, KeyError> {
        let text = fs::read_to_string(file).map_err(|cause| failed(file, cause))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys = lines.map(|line| SealingKey::from_hex(&Secret::new(line.to_owned())));
        let keys: Vec<SealingKey> = keys
            .collect::<Result<_, _>>()
            .map_err(|_| KeyError::Malformed(file.to_owned()))?;
        if keys.is_empty() {
            return Err(KeyError::Malformed(file.to_owned()));
        }
        Ok(Self(keys))
    }

    /// What is sealed under.
    #[must_use]
    pub fn current(&self) -> &SealingKey {
        // Both ways to make one leave at least one key.
        self.0.first().expect("there is always a first key")
    }

    /// Every key that may open.
    #[must_use]
    pub fn all(&self) -> &[SealingKey] {
        &self.0
    }

    /// Puts a fresh key before the others, in the file too.
    ///
    /// # Errors
    /// [`KeyError`] naming the file.
    pub fn renew(&self, file: &Path) -> Result<Self, KeyError> {
        let mut keys = vec![SealingKey::draw()?];
        keys.extend(self.0.iter().cloned());
        Self(keys).replace(file)
    }

    /// Forgets every key but the first, in the file too.
    ///
    /// # Errors
    /// [`KeyError`] naming the file.
    pub fn drop_previous(&self, file: &Path) -> Result<Self, KeyError> {
        Self(vec![self.current().clone()]).replace(file)
    }

    /// Puts the file in the place of the one before, whole or not at all.
    fn replace(self, file: &Path) -> Result<Self, KeyError> {
        let beside = file.with_extension("key.new");
        // One that was left behind holds a key that nothing was sealed under: it had not taken its place.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&beside, error)),
            Ok(()) | Err(_) => (),
        }
        self.write(&beside).map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => KeyError::InChange(beside.clone()),
            _ => failed(&beside, cause),
        })?;
        fs::rename(&beside, file).map_err(|cause| failed(file, cause))?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|cause| failed(file, cause))?;
        Ok(self)
    }

    fn write(&self, file: &Path) -> io::Result<()> {
        let mut out = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)?;
        for key in &self.0 {
            writeln!(out, "{}", key.to_hex().expose())?;
        }
        out.sync_all()
    }
}

fn failed(path: &Path, cause: io::Error) -> KeyError {
    KeyError::File {
        path: path.to_owned(),
        cause,
    }
}

/// The store's own keys, made on first use; and as the store holds them.
///
/// # Errors
/// When the store does not answer, or its keys are sealed under a master key that is not among `masters`.
pub async fn data_keys(store: &Store, masters: &MasterKeys) -> anyhow::Result<(WrappedKeys, DataKeys)> {
    let wrapped = match store.keyring.wrapped_keys().await? {
        Some(wrapped) => wrapped,
        None => {
            let first = DataKeys::draw(clock::now())?.wrap(masters.current())?;
            store.keyring.rewrap(None, first).await?
        }
    };
    let keys = opened(&wrapped, masters)?;
    Ok((wrapped, keys))
}

/// Opens the store's keys.
///
/// # Errors
/// When they are sealed under a master key that is not among `masters`.
pub fn opened(wrapped: &WrappedKeys, masters: &MasterKeys) -> anyhow::Result<DataKeys> {
    wrapped.open(masters.all()).with_context(|| {
        format!(
            "the store's keys are sealed under the master key {}, which is not here: put its key file beside the store, or set \
             security.master_key",
            wrapped.master
        )
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn settings(master_key: &str, previous: &str) -> SecuritySettings {
        SecuritySettings {
            master_key: Secret::new(master_key.to_owned()),
            previous_master_keys: Secret::new(previous.to_owned()),
            allow_private_targets: String::new(),
        }
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("master.key");
        let first = MasterKeys::load(&settings("", ""), &file).expect("made");
        let second = MasterKeys::load(&settings("", ""), &file).expect("read");
        assert_eq!(first.current().name(), second.current().name());
        let mode = fs::metadata(&file).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_renewed_file_opens_with_both_keys_until_the_old_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("master.key");
        let old = MasterKeys::load(&settings("", ""), &file).expect("made");
        old.renew(&file).expect("written");
        let both = MasterKeys::load(&settings("", ""), &file).expect("read");
        assert_eq!(both.all().len(), 2);
        assert_ne!(both.current().name(), old.current().name());
        assert_eq!(both.all()[1].name(), old.current().name());
        assert_eq!(
            fs::metadata(&file).expect("there").permissions().mode() & 0o777,
            0o600
        );
        both.drop_previous(&file).expect("written");
        assert_eq!(
            MasterKeys::load(&settings("", ""), &file)
                .expect("read")
                .all()
                .len(),
            1
        );
    }

    #[test]
    fn what_is_no_key_is_not_taken_for_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("master.key");
        for text in ["short", ""] {
            fs::write(&file, text).expect("written");
            let read = MasterKeys::load(&settings("", ""), &file);
            assert!(matches!(read, Err(KeyError::Malformed(_))), "{read:?}");
        }
        let (good, other) = ("0a".repeat(32), "0b".repeat(32));
        let configured = MasterKeys::load(&settings(&good, &format!("{other}, ")), &file).expect("read");
        assert_eq!(configured.all().len(), 2);
        for wrong in [settings("x", ""), settings(&good, "x")] {
            let read = MasterKeys::load(&wrong, &file);
            assert!(matches!(read, Err(KeyError::Configured(_))), "{read:?}");
        }
    }
}
