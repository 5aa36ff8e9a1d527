//! Where something stands in a trace, as data: it goes along with facts, runs and effects, so that a trace goes on after a timer, a
//! restart and on another node.
//!
//! The text form is that of W3C Trace Context's `traceparent`. Nothing in it says anything about anybody.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use super::hex::hex;

/// A span of a trace that is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
}

/// What a `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming {
    pub context: TraceContext,
    /// Whether whoever sent it records the trace.
    pub is_sampled: bool,
}

impl TraceContext {
    /// `None` for ids of zeros, which stand for nothing.
    #[must_use]
    pub fn new(trace: [u8; 16], span: [u8; 8]) -> Option<Self> {
        (trace != [0; 16] && span != [0; 8]).then_some(Self { trace, span })
    }

    #[must_use]
    pub const fn trace_id(&self) -> [u8; 16] {
        self.trace
    }

    #[must_use]
    pub const fn span_id(&self) -> [u8; 8] {
        self.span
    }

    /// The span of this trace that `parts` always name: whoever comes by again, here or elsewhere, means the same one.
    #[must_use]
    pub fn derived(&self, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new().chain_update(self.trace);
        for part in parts {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        let mut span = [0; 8];
        span.copy_from_slice(&hash.finalize()[..8]);
        // All zeros would stand for nothing.
        span[7] |= 1;
        Self {
            trace: self.trace,
            span,
        }
    }

    /// Reads the header `traceparent`. A version after ours may say more behind what we know.
    #[must_use]
    pub fn from_header(text: &str) -> Option<Incoming> {
        let mut parts = text.trim().splitn(5, '-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [version] = bytes(version)?;
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let [flags] = bytes(flags)?;
        Some(Incoming {
            context: Self::new(bytes(trace)?, bytes(span)?)?,
            is_sampled: flags & 1 == 1,
        })
    }
}

/// Reads lower-case hex digits.
fn bytes<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let digits = text.as_bytes();
    let is_hex = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != 2 * BYTES || !digits.iter().all(is_hex) {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, digits) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-01", hex(&self.trace), hex(&self.span))
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TraceContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceContext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = Self::from_header(&text).map(|incoming| incoming.context);
        read.ok_or_else(|| de::Error::custom("expected a traceparent"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written_as_the_standard_says() {
        let read = TraceContext::from_header(PARENT).expect("the standard's own example");
        assert!(read.is_sampled);
        assert_eq!(read.context.to_string(), PARENT);
        let later = PARENT.replacen("00-", "cc-", 1) + "-what-comes-later";
        assert_eq!(TraceContext::from_header(&later), Some(read));
        let unsampled = TraceContext::from_header(&PARENT.replace("-01", "-00")).expect("read");
        assert!(!unsampled.is_sampled);
        for wrong in [
            "",
            "00",
            &PARENT.to_uppercase(),
            &PARENT.replacen("00-", "ff-", 1),
            &format!("{PARENT}-more"),
            &PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &PARENT.replace("00f067aa0ba902b7", "00f067aa0ba902b"),
        ] {
            assert_eq!(TraceContext::from_header(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_derived_span_is_of_the_same_trace_and_always_the_same() {
        let parent = TraceContext::from_header(PARENT).expect("read").context;
        let one = parent.derived(&[b"run", b"1"]);
        assert_eq!(one.trace_id(), parent.trace_id());
        assert_eq!(one, one.derived(&[b"run", b"1"]), "whoever asks");
        assert_ne!(one, parent.derived(&[b"run1"]));
        let kept = serde_json::to_string(&one).expect("JSON");
        assert_eq!(serde_json::from_str::<TraceContext>(&kept).expect("read"), one);
    }
}
