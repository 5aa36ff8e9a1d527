//! The ggml files whisper.cpp reads: checked before it sees one, and written by our own conversion.
//!
//! In: a file. Out: its shape, or what is wrong with it. whisper.cpp ends the whole process on some broken files, so every
//! length, type and name is checked first. Little-endian throughout; only the model file is touched.

mod writing;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

pub use writing::{Tensor, Weights, write};

/// "ggml" as a little-endian number.
const MAGIC: i32 = 0x6767_6d6c;
/// Bins of a spectrum.
const BINS: i32 = 201;
/// Longest token, in bytes, that any vocabulary has is far below this.
const TOKEN_BYTES_MAX: i32 = 1_024;
const NAME_BYTES_MAX: i32 = 256;

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("no speech model at {}", path.display())]
    Missing { path: PathBuf },
    #[error("{name} is no speech model we know and no file")]
    Unknown { name: String },
    #[error("{} is no whole ggml Whisper model: {why}", path.display())]
    Malformed { path: PathBuf, why: String },
    #[error("{} is not supported: {what}", path.display())]
    Unsupported { path: PathBuf, what: String },
    #[error("{} does not have the checksum it should: {found}", path.display())]
    Checksum { path: PathBuf, found: String },
    #[error("whisper.cpp refused {}", path.display())]
    Refused {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{} could not be read or written", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The sizes in a model's header, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub vocabulary: i32,
    pub audio_context: i32,
    pub audio_state: i32,
    pub audio_heads: i32,
    pub audio_layers: i32,
    pub text_context: i32,
    pub text_state: i32,
    pub text_heads: i32,
    pub text_layers: i32,
    pub bands: i32,
    /// How the large matrices are stored, plus 1,000 times the version of the quantisation.
    pub file_type: i32,
}

/// Returns the shape of the model in the file at `path`, when it is whole and of a kind that whisper.cpp runs.
///
/// # Errors
/// [`ModelError::Missing`], [`ModelError::Malformed`] with the place, [`ModelError::Unsupported`], [`ModelError::Io`].
pub fn validate(path: &Path) -> Result<Shape, ModelError> {
    let file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ModelError::Missing {
            path: path.to_owned(),
        },
        _ => ModelError::Io {
            path: path.to_owned(),
            source,
        },
    })?;
    let length = file
        .metadata()
        .map_err(|source| ModelError::Io {
            path: path.to_owned(),
            source,
        })?
        .len();
    let mut reader = BufReader::new(file);
    let shape = check(&mut reader, length).map_err(|fault| fault.into_error(path))?;
    if matches!(shape.file_type % 1_000, 0) {
        let what = "32-bit weights: whisper.cpp ends the process on them".to_owned();
        return Err(ModelError::Unsupported {
            path: path.to_owned(),
            what,
        });
    }
    Ok(shape)
}

impl Shape {
    const fn numbers(&self) -> [i32; 11] {
        [
            self.vocabulary,
            self.audio_context,
            self.audio_state,
            self.audio_heads,
            self.audio_layers,
            self.text_context,
            self.text_state,
            self.text_heads,
            self.text_layers,
            self.bands,
            self.file_type,
        ]
    }

    /// The tensors a model of this shape has, with their dimensions, outermost first.
    fn tensors(&self) -> BTreeMap<String, Vec<i32>> {
        let (audio, text) = (self.audio_state, self.text_state);
        let mut all = BTreeMap::new();
        let mut add = |name: String, dimensions: &[i32]| all.insert(name, dimensions.to_vec());
        add(
            "encoder.positional_embedding".into(),
            &[self.audio_context, audio],
        );
        add("encoder.conv1.weight".into(), &[audio, self.bands, 3]);
        add("encoder.conv1.bias".into(), &[audio, 1]);
        add("encoder.conv2.weight".into(), &[audio, audio, 3]);
        add("encoder.conv2.bias".into(), &[audio, 1]);
        add("decoder.positional_embedding".into(), &[self.text_context, text]);
        add("decoder.token_embedding.weight".into(), &[self.vocabulary, text]);
        for (norm, state) in [("encoder.ln_post", audio), ("decoder.ln", text)] {
            add(format!("{norm}.weight"), &[state]);
            add(format!("{norm}.bias"), &[state]);
        }
        for (side, layers, state) in [
            ("encoder", self.audio_layers, audio),
            ("decoder", self.text_layers, text),
        ] {
            let attentions: &[&str] = if side == "encoder" {
                &["attn"]
            } else {
                &["attn", "cross_attn"]
            };
            for block in (0..layers).map(|layer| format!("{side}.blocks.{layer}")) {
                for attention in attentions {
                    for part in ["query", "key", "value", "out"] {
                        add(format!("{block}.{attention}.{part}.weight"), &[state, state]);
                        if part != "key" {
                            add(format!("{block}.{attention}.{part}.bias"), &[state]);
                        }
                    }
                    add(format!("{block}.{attention}_ln.weight"), &[state]);
                    add(format!("{block}.{attention}_ln.bias"), &[state]);
                }
                add(format!("{block}.mlp_ln.weight"), &[state]);
                add(format!("{block}.mlp_ln.bias"), &[state]);
                add(format!("{block}.mlp.0.weight"), &[4 * state, state]);
                add(format!("{block}.mlp.0.bias"), &[4 * state]);
                add(format!("{block}.mlp.2.weight"), &[state, 4 * state]);
                add(format!("{block}.mlp.2.bias"), &[state]);
            }
        }
        all
    }
}

/// What is wrong inside a file.
enum Fault {
    Bad(String),
    Io(io::Error),
}

impl Fault {
    fn into_error(self, path: &Path) -> ModelError {
        match self {
            Self::Bad(why) => ModelError::Malformed {
                path: path.to_owned(),
                why,
            },
            Self::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => ModelError::Malformed {
                path: path.to_owned(),
                why: "it ends early".to_owned(),
            },
            Self::Io(source) => ModelError::Io {
                path: path.to_owned(),
                source,
            },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn check<R: Read + Seek>(reader: &mut R, length: u64) -> Result<Shape, Fault> {
    if take(reader)? != MAGIC {
        return Err(Fault::Bad("it does not begin as one".to_owned()));
    }
    let shape = read_shape(reader)?;
    let (bands, bins) = (take(reader)?, take(reader)?);
    if bands != shape.bands || bins != BINS {
        return Err(Fault::Bad(format!("its filters are {bands} by {bins}")));
    }
    skip(reader, i64::from(bands) * i64::from(bins) * 4)?;
    let tokens = take(reader)?;
    if !(50_000..=shape.vocabulary).contains(&tokens) {
        return Err(Fault::Bad(format!("it has {tokens} tokens")));
    }
    for at in 0..tokens {
        let bytes = take(reader)?;
        if !(0..=TOKEN_BYTES_MAX).contains(&bytes) {
            return Err(Fault::Bad(format!("token {at} has {bytes} bytes")));
        }
        skip(reader, i64::from(bytes))?;
    }
    let mut missing = shape.tensors();
    while reader.stream_position()? < length {
        check_tensor(reader, &mut missing, length)?;
    }
    match missing.keys().next() {
        None => Ok(shape),
        Some(name) => Err(Fault::Bad(format!(
            "{} tensors are missing, {name} for one",
            missing.len()
        ))),
    }
}

fn read_shape(reader: &mut impl Read) -> Result<Shape, Fault> {
    let mut n = [0; 11];
    for value in &mut n {
        *value = take(reader)?;
    }
    let bounds = [
        (51_000, 52_500),
        (1_500, 1_500),
        (64, 1_280),
        (1, 20),
        (4, 32),
        (448, 448),
        (64, 1_280),
        (1, 20),
        (1, 32),
        (80, 128),
        (0, 9_999),
    ];
    if let Some(at) = n
        .iter()
        .zip(bounds)
        .position(|(value, (low, high))| !(low..=high).contains(value))
    {
        return Err(Fault::Bad(format!("number {at} of its header is {}", n[at])));
    }
    let [
        vocabulary,
        audio_context,
        audio_state,
        audio_heads,
        audio_layers,
        text_context,
        text_state,
        text_heads,
        text_layers,
        bands,
        file_type,
    ] = n;
    Ok(Shape {
        vocabulary,
        audio_context,
        audio_state,
        audio_heads,
        audio_layers,
        text_context,
        text_state,
        text_heads,
        text_layers,
        bands,
        file_type,
    })
}

fn check_tensor<R: Read + Seek>(
    reader: &mut R,
    missing: &mut BTreeMap<String, Vec<i32>>,
    length: u64,
) -> Result<(), Fault> {
    let (rank, name_bytes, kind) = (take(reader)?, take(reader)?, take(reader)?);
    if !(1..=3).contains(&rank) || !(1..=NAME_BYTES_MAX).contains(&name_bytes) {
        return Err(Fault::Bad(format!(
            "a tensor has rank {rank} and a name of {name_bytes} bytes"
        )));
    }
    let mut dimensions = Vec::new();
    for _ in 0..rank {
        dimensions.insert(0, take(reader)?);
    }
    let mut name = vec![0; usize::try_from(name_bytes).unwrap_or_default()];
    reader.read_exact(&mut name)?;
    let name = String::from_utf8_lossy(&name).into_owned();
    match missing.remove(&name) {
        Some(wanted) if wanted == dimensions => (),
        Some(wanted) => {
            return Err(Fault::Bad(format!(
                "{name} is {dimensions:?} and should be {wanted:?}"
            )));
        }
        None => {
            return Err(Fault::Bad(format!(
                "{name} is no tensor of such a model, or comes twice"
            )));
        }
    }
    let convolution = rank == 3;
    let (block, bytes) = match kind {
        0 if !convolution => (1, 4),
        1 => (1, 2),
        30 if !convolution => (1, 2),
        2 if !convolution => (32, 18),
        3 if !convolution => (32, 20),
        6 if !convolution => (32, 22),
        7 if !convolution => (32, 24),
        8 if !convolution => (32, 34),
        _ => return Err(Fault::Bad(format!("{name} is stored as type {kind}"))),
    };
    let values: i64 = dimensions.iter().map(|&d| i64::from(d)).product();
    if dimensions.last().is_none_or(|inner| inner % block != 0) {
        return Err(Fault::Bad(format!(
            "the rows of {name} are no multiple of {block}"
        )));
    }
    skip(reader, values / i64::from(block) * bytes)?;
    if reader.stream_position()? > length {
        return Err(Fault::Bad(format!("it ends inside {name}")));
    }
    Ok(())
}

fn take(reader: &mut impl Read) -> Result<i32, Fault> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    Ok(i32::from_le_bytes(bytes))
}

fn skip(reader: &mut impl Seek, bytes: i64) -> Result<(), Fault> {
    reader.seek(SeekFrom::Current(bytes))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest shape that passes, with one layer a side, in zeros.
    fn model(weights: Weights) -> Vec<u8> {
        let shape = Shape {
            vocabulary: 51_000,
            audio_context: 1_500,
            audio_state: 64,
            audio_heads: 6,
            audio_layers: 4,
            text_context: 448,
            text_state: 64,
            text_heads: 6,
            text_layers: 1,
            bands: 80,
            file_type: 0,
        };
        let tensors: Vec<Tensor> = shape
            .tensors()
            .into_iter()
            .map(|(name, dimensions)| {
                let dimensions: Vec<usize> = dimensions
                    .iter()
                    .map(|&d| usize::try_from(d).expect("positive"))
                    .collect();
                Tensor {
                    values: vec![0.5; dimensions.iter().product()],
                    name,
                    dimensions,
                }
            })
            .collect();
        let mut bytes = Vec::new();
        write(
            &mut bytes,
            &shape,
            &vec![b"token".to_vec(); 50_256],
            weights,
            &tensors,
        )
        .expect("memory takes bytes");
        bytes
    }

    fn check_bytes(bytes: &[u8]) -> Result<Shape, ModelError> {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), bytes).expect("it takes bytes");
        validate(file.path())
    }

    fn why(bytes: &[u8]) -> String {
        check_bytes(bytes).expect_err("it is broken").to_string()
    }

    #[test]
    fn a_written_model_is_whole_for_all_weights() {
        for weights in [Weights::F16, Weights::Bf16, Weights::Q8] {
            let shape = check_bytes(&model(weights)).expect("it is whole");
            assert_eq!(shape.text_layers, 1);
        }
    }

    #[test]
    fn every_kind_of_damage_is_named() {
        let whole = model(Weights::Q8);
        assert!(why(b"").contains("ends early"));
        assert!(why(b"PK\x03\x04 a zip").contains("does not begin"));
        assert!(why(&whole[..whole.len() - 1]).contains("ends inside"));
        assert!(why(&whole[..whole.len() / 2]).contains("ends inside"));
        let mut longer = whole.clone();
        longer.extend([0; 64]);
        assert!(why(&longer).contains("rank 0"));
        let mut wide = whole.clone();
        wide[4 + 2 * 4..4 + 3 * 4].copy_from_slice(&999_999_i32.to_le_bytes());
        assert!(why(&wide).contains("number 2 of its header"));
        let mut plain = whole;
        plain[4 + 10 * 4..4 + 11 * 4].copy_from_slice(&0_i32.to_le_bytes());
        assert!(why(&plain).contains("32-bit weights"));
    }

    #[test]
    fn what_is_not_there_is_said() {
        assert!(matches!(
            validate(Path::new("/nowhere/model.bin")),
            Err(ModelError::Missing { .. })
        ));
    }
}
