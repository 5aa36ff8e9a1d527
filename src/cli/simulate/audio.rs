//! Reads the two sides of a call into telephone frames.
//!
//! In: WAV files, 8 kHz mono, G.711 μ-law or 16-bit linear. Out: frames of 20 ms μ-law, the last one filled with silence.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::outcome::SimulateError;
use crate::domain::audio::TELEPHONE_RATE_HZ;

/// Samples, and so bytes, of one frame: 20 ms at 8 kHz.
pub const FRAME_BYTES: usize = 160;
/// Frames of one second of one side.
pub const FRAMES_PER_SECOND: usize = 50;
/// Milliseconds of one frame.
pub const FRAME_MS: u64 = 20;
/// The μ-law code of a zero sample.
const SILENCE: u8 = 0xff;
const FORMAT_PCM: u16 = 1;
const FORMAT_MULAW: u16 = 7;

const DEMO_CALLER: &[u8] = include_bytes!("../../../assets/demo/refund-caller.wav");
const DEMO_AGENT: &[u8] = include_bytes!("../../../assets/demo/refund-agent.wav");

/// One frame's μ-law codes.
pub type Frame = [u8; FRAME_BYTES];

/// One side of a call. Cheap to clone: a thousand calls share one recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    frames: Arc<[Frame]>,
    /// The frame that comes first; those before it come at the end.
    start: usize,
}

impl Side {
    fn new(frames: Vec<Frame>) -> Self {
        Self {
            frames: frames.into(),
            start: 0,
        }
    }

    /// Cuts μ-law codes into frames.
    #[must_use]
    pub fn from_mulaw(codes: &[u8]) -> Self {
        let frames = codes.chunks(FRAME_BYTES).map(|chunk| {
            let mut frame = [SILENCE; FRAME_BYTES];
            frame[..chunk.len()].copy_from_slice(chunk);
            frame
        });
        Self::new(frames.collect())
    }

    /// A side that says nothing for `frames` × 20 ms.
    #[must_use]
    pub fn silent(frames: usize) -> Self {
        Self::new(vec![[SILENCE; FRAME_BYTES]; frames])
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`SimulateError::Audio`] when it is missing or not telephone audio.
    pub fn read_file(file: &Path) -> Result<Self, SimulateError> {
        let bytes = std::fs::read(file).map_err(|error| broken(file, &error.to_string()))?;
        parse(&bytes).map_err(|why| broken(file, &why))
    }

    /// The customer of the demonstration call.
    ///
    /// # Errors
    /// Never for the file that is compiled in; the test below reads it.
    pub fn demo_caller() -> Result<Self, SimulateError> {
        parse(DEMO_CALLER).map_err(|why| broken(&PathBuf::from("the demonstration call"), &why))
    }

    /// The agent of the demonstration call.
    ///
    /// # Errors
    /// As [`Self::demo_caller`].
    pub fn demo_agent() -> Result<Self, SimulateError> {
        parse(DEMO_AGENT).map_err(|why| broken(&PathBuf::from("the demonstration call"), &why))
    }

    /// The frames in `range`, silence where there are none.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        Self::new(range.map(|index| self.frame(index)).collect())
    }

    /// The same frames beginning at `start`; what was before comes at the end.
    #[must_use]
    pub fn rotated(&self, start: usize) -> Self {
        Self {
            frames: Arc::clone(&self.frames),
            start: (self.start + start) % self.len().max(1),
        }
    }

    /// Number of frames.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// The frame at `index`; silence after the end.
    #[must_use]
    pub fn frame(&self, index: usize) -> Frame {
        if index < self.len() {
            self.frames[(self.start + index) % self.len()]
        } else {
            [SILENCE; FRAME_BYTES]
        }
    }
}

fn broken(file: &Path, why: &str) -> SimulateError {
    SimulateError::Audio {
        file: file.to_owned(),
        why: why.to_owned(),
    }
}

fn parse(bytes: &[u8]) -> Result<Side, String> {
    let chunks = Chunks::of(bytes)?;
    let format = chunks.find(*b"fmt ").ok_or("no format chunk")?;
    let data = chunks.find(*b"data").ok_or("no data chunk")?;
    let field = |at: usize| {
        format
            .get(at..at + 2)
            .map(|two| u16::from_le_bytes([two[0], two[1]]))
    };
    let rate = format
        .get(4..8)
        .map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]));
    if field(2) != Some(1) || rate != Some(TELEPHONE_RATE_HZ) {
        return Err("expected 8 kHz mono".to_owned());
    }
    match (field(0), field(14)) {
        (Some(FORMAT_MULAW), Some(8)) => Ok(Side::from_mulaw(data)),
        (Some(FORMAT_PCM), Some(16)) => {
            let codes: Vec<u8> = data
                .chunks_exact(2)
                .map(|two| encode_mulaw(i16::from_le_bytes([two[0], two[1]])))
                .collect();
            Ok(Side::from_mulaw(&codes))
        }
        _ => Err("expected μ-law or 16-bit samples".to_owned()),
    }
}

/// G.711 μ-law of one sample: <https://www.itu.int/rec/T-REC-G.711>.
fn encode_mulaw(sample: i16) -> u8 {
    const BIAS: u16 = 0x84;
    const CLIP: u16 = 32_635;
    let sign = if sample < 0 { 0x80_u8 } else { 0 };
    let magnitude = sample.unsigned_abs().min(CLIP) + BIAS;
    // The bias keeps bit 7 or a higher one set, so the exponent is 0 to 7.
    let exponent = 8 - u8::try_from(magnitude.leading_zeros()).unwrap_or(8);
    let mantissa = u8::try_from((magnitude >> (exponent + 3)) & 0x0f).unwrap_or(0x0f);
    !(sign | (exponent << 4) | mantissa)
}

/// The chunks of a RIFF file.
struct Chunks<'a>(&'a [u8]);

impl<'a> Chunks<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, String> {
        match (bytes.get(..4), bytes.get(8..12)) {
            (Some(b"RIFF"), Some(b"WAVE")) => Ok(Self(&bytes[12..])),
            _ => Err("not a WAV file".to_owned()),
        }
    }

    fn find(&self, name: [u8; 4]) -> Option<&'a [u8]> {
        let mut rest = self.0;
        while let (Some(head), Some(size)) = (rest.get(..4), rest.get(4..8)) {
            let size = usize::try_from(u32::from_le_bytes([size[0], size[1], size[2], size[3]])).ok()?;
            let body = &rest[8..];
            if head == name {
                return Some(&body[..size.min(body.len())]);
            }
            // Chunks are padded to an even length.
            rest = body.get(size + size % 2..)?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demonstration_call_has_two_sides_of_one_length() {
        let caller = Side::demo_caller().expect("the compiled-in caller is telephone audio");
        let agent = Side::demo_agent().expect("the compiled-in agent is telephone audio");
        assert_eq!(caller.len(), agent.len());
        let seconds = u64::try_from(caller.len()).expect("a length fits") * FRAME_MS / 1000;
        assert!((60..=80).contains(&seconds), "{seconds} s");
    }

    #[test]
    fn encodes_the_corners_of_g711() {
        assert_eq!(encode_mulaw(0), 0xff);
        assert_eq!(encode_mulaw(-1), 0x7f);
        assert_eq!(encode_mulaw(i16::MAX), 0x80);
        assert_eq!(encode_mulaw(i16::MIN), 0x00);
        assert_eq!(encode_mulaw(1000), 0xce);
    }

    #[test]
    fn fills_the_last_frame_with_silence() {
        let side = Side::from_mulaw(&[1; FRAME_BYTES + 1]);
        assert_eq!(side.len(), 2);
        assert_eq!(side.frame(1)[..2], [1, SILENCE]);
        assert_eq!(side.frame(2), [SILENCE; FRAME_BYTES]);
    }

    #[test]
    fn a_rotated_side_has_the_same_frames() {
        let side = Side::from_mulaw(&[[1; FRAME_BYTES], [2; FRAME_BYTES], [3; FRAME_BYTES]].concat());
        let rotated = side.rotated(2);
        let first = |index: usize| rotated.frame(index)[0];
        assert_eq!([first(0), first(1), first(2), first(3)], [3, 1, 2, SILENCE]);
    }

    #[test]
    fn says_what_is_wrong_with_a_file() {
        assert_eq!(parse(b"nonsense"), Err("not a WAV file".to_owned()));
        let mut stereo = DEMO_CALLER.to_vec();
        stereo[22] = 2;
        assert_eq!(parse(&stereo), Err("expected 8 kHz mono".to_owned()));
    }
}
