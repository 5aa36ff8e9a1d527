//! The key that signs tokens: from the configuration, or made once and kept beside the store.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::domain::secret::Secret;

/// Hex digits of a key of 32 bytes.
const KEY_DIGITS: usize = 64;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the key file {} cannot be read or made", path.display())]
    File {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("the key file {} does not hold {KEY_DIGITS} hex digits", .0.display())]
    Malformed(PathBuf),
}

/// Returns the configured key, or the one in `file`, made on first use and readable by its owner only.
///
/// # Errors
/// [`KeyError`] naming the file.
pub fn load(configured: &Secret, file: &Path) -> Result<Secret, KeyError> {
    if !configured.is_empty() {
        return Ok(configured.clone());
    }
    let failed = |cause| KeyError::File {
        path: file.to_owned(),
        cause,
    };
    match fs::read_to_string(file) {
        Ok(text) => {
            let key = text.trim();
            let is_key = key.len() == KEY_DIGITS && key.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_key
                .then(|| Secret::new(key.to_owned()))
                .ok_or_else(|| KeyError::Malformed(file.to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Two version 4 UUIDs: 244 random bits from the system.
            let key = format!(
                "{}{}",
                uuid::Uuid::new_v4().simple(),
                uuid::Uuid::new_v4().simple()
            );
            let mut out = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(file)
                .map_err(failed)?;
            out.write_all(key.as_bytes())
                .and_then(|()| out.sync_all())
                .map_err(failed)?;
            Ok(Secret::new(key))
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("master.key");
        let first = load(&Secret::new(String::new()), &file).expect("made");
        let second = load(&Secret::new(String::new()), &file).expect("read");
        assert_eq!(first.expose(), second.expose());
        assert_eq!(first.expose().len(), KEY_DIGITS);
        assert_eq!(
            fs::metadata(&file).expect("there").permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn a_damaged_file_is_not_taken_for_a_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("master.key");
        fs::write(&file, "short").expect("written");
        assert!(matches!(
            load(&Secret::new(String::new()), &file),
            Err(KeyError::Malformed(_))
        ));
    }
}
