//! Reads recordings of telephone calls.
//!
//! In: the bytes of a WAV file: mono, 16-bit linear at 8 or 16 kHz, or G.711 μ-law at 8 kHz. Out: its samples and their rate,
//! or what else it is. Pure.

use super::{mulaw, pipeline::Rate};

const LINEAR: u16 = 1;
const MULAW: u16 = 7;

/// Why a recording cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    #[error("it is no WAV file with a format and samples")]
    Unreadable,
    #[error(
        "it has {channels} channel(s) of {bits} bit at {hz} Hz, format {format}; wanted is mono, 16 bit, 8000 or 16000 Hz, or \
         μ-law at 8000 Hz (for example: sox IN -c 1 -b 16 -r 8000 OUT.wav)"
    )]
    Other {
        channels: u16,
        bits: u16,
        hz: u32,
        format: u16,
    },
}

/// Returns the rate and the samples of a WAV file.
///
/// # Errors
/// [`WavError`].
pub fn parse(bytes: &[u8]) -> Result<(Rate, Vec<i16>), WavError> {
    let is_wave = bytes.get(..4) == Some(b"RIFF") && bytes.get(8..12) == Some(b"WAVE");
    let chunks = bytes.get(12..).filter(|_| is_wave).ok_or(WavError::Unreadable)?;
    let (header, data) = find(chunks, *b"fmt ")
        .zip(find(chunks, *b"data"))
        .ok_or(WavError::Unreadable)?;
    let field = |at: usize| {
        header
            .get(at..at + 2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
            .ok_or(WavError::Unreadable)
    };
    let (format, channels, bits) = (field(0)?, field(2)?, field(14)?);
    let hz = u32::from(field(4)?) | u32::from(field(6)?) << 16;
    let linear = || {
        data.chunks_exact(2)
            .map(|b| i16::from_le_bytes([b[0], b[1]]))
            .collect()
    };
    match (format, channels, bits, hz) {
        (LINEAR, 1, 16, 8_000) => Ok((Rate::Telephone, linear())),
        (LINEAR, 1, 16, 16_000) => Ok((Rate::Speech, linear())),
        (MULAW, 1, 8, 8_000) => Ok((
            Rate::Telephone,
            data.iter().map(|&byte| mulaw::decode(byte)).collect(),
        )),
        _ => Err(WavError::Other {
            channels,
            bits,
            hz,
            format,
        }),
    }
}

/// Returns the content of the chunk of this name, as much of it as there is.
fn find(mut chunks: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    loop {
        let (head, size) = (chunks.get(..4)?, chunks.get(4..8)?);
        let size = usize::try_from(u32::from_le_bytes([size[0], size[1], size[2], size[3]])).ok()?;
        let content = &chunks[8..];
        if head == name {
            return Some(&content[..size.min(content.len())]);
        }
        // Chunks begin at even places.
        chunks = content.get(size.checked_add(size % 2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(format: u16, channels: u16, bits: u16, hz: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        bytes.extend(format.to_le_bytes());
        bytes.extend(channels.to_le_bytes());
        bytes.extend(hz.to_le_bytes());
        bytes.extend([0; 6]);
        bytes.extend(bits.to_le_bytes());
        bytes.extend(b"data");
        bytes.extend(u32::try_from(data.len()).expect("short").to_le_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn telephone_and_speech_recordings_are_read() {
        assert_eq!(
            parse(&wav(1, 1, 16, 8_000, &[1, 0, 255, 255])),
            Ok((Rate::Telephone, vec![1, -1]))
        );
        assert_eq!(
            parse(&wav(1, 1, 16, 16_000, &[2, 0])),
            Ok((Rate::Speech, vec![2]))
        );
        assert_eq!(
            parse(&wav(7, 1, 8, 8_000, &[0xFF, 0x80])),
            Ok((Rate::Telephone, vec![0, 32_124]))
        );
    }

    #[test]
    fn everything_else_is_named() {
        for (channels, bits, hz) in [(2, 16, 8_000), (1, 16, 44_100), (1, 24, 8_000)] {
            let error = parse(&wav(1, channels, bits, hz, &[0; 4]))
                .expect_err("it is refused")
                .to_string();
            assert!(
                error.contains(&hz.to_string()) && error.contains("sox"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_cut_off_does_no_harm() {
        let whole = wav(1, 1, 16, 8_000, &[1, 0, 2, 0]);
        for length in 0..whole.len() - 4 {
            assert_eq!(
                parse(&whole[..length]).unwrap_or((Rate::Speech, vec![])).1.len(),
                0,
                "{length} bytes"
            );
        }
        assert_eq!(parse(&whole[..whole.len() - 1]), Ok((Rate::Telephone, vec![1])));
    }
}
