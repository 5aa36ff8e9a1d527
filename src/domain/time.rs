//! Moments and spans: UTC milliseconds inside, RFC 3339 and short forms (`2h`, `90s`) at the edge.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z. Reads and prints RFC 3339.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

/// Why a text is not a moment or a span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("expected an RFC 3339 time like `2026-11-22T09:00:00Z`")]
    Moment,
    #[error("expected a span like `90s`, `5m`, `2h`, `1d`, `1w` or `1d12h`")]
    Span,
}

impl Timestamp {
    /// Returns the moment `millis` after the epoch.
    #[must_use]
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds after the epoch.
    #[must_use]
    pub const fn as_unix_millis(self) -> u64 {
        self.0
    }

    /// Returns the moment `span` later; the end of time when that is beyond it.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(span)))
    }

    /// Returns the moment `span` earlier; the epoch when that is before it.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis_of(span)))
    }

    /// Returns how long `earlier` lies back; zero when it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Returns the time zone of that IANA name; `None` when there is none. The same on every machine.
#[must_use]
pub fn zone(name: &str) -> Option<jiff::tz::TimeZone> {
    jiff::tz::TimeZoneDatabase::bundled().get(name).ok()
}

/// Whole milliseconds of `span`, capped instead of wrapped.
#[must_use]
pub fn millis_of(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = i64::try_from(self.0)
            .ok()
            .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
            .unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{moment:.3}")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let moment: jiff::Timestamp = text.parse().map_err(|_| TimeError::Moment)?;
        u64::try_from(moment.as_millisecond())
            .map(Self)
            .map_err(|_| TimeError::Moment)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// Reads a span like `500ms`, `90s`, `5m`, `2h`, `1d`, `1w` or `1d12h`.
///
/// # Errors
/// [`TimeError::Span`] for anything else, including an empty text and a span beyond 10,000 years.
pub fn parse_span(text: &str) -> Result<Duration, TimeError> {
    const SPAN_MAX_MS: u64 = 10_000 * 366 * 86_400_000;
    let mut rest = text.trim();
    let mut total_ms = 0_u64;
    if rest.is_empty() {
        return Err(TimeError::Span);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(TimeError::Span)?;
        let count: u64 = rest[..digits].parse().map_err(|_| TimeError::Span)?;
        let unit_end = rest[digits..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |at| digits + at);
        let unit_ms = match rest[digits..unit_end].trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            _ => return Err(TimeError::Span),
        };
        total_ms = count
            .checked_mul(unit_ms)
            .and_then(|ms| total_ms.checked_add(ms))
            .filter(|ms| *ms <= SPAN_MAX_MS)
            .ok_or(TimeError::Span)?;
        rest = &rest[unit_end..];
    }
    Ok(Duration::from_millis(total_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_rfc_3339_with_milliseconds() {
        let moment = Timestamp::from_unix_millis(1_795_338_000_042);
        assert_eq!(moment.to_string(), "2026-11-22T09:00:00.042Z");
        assert_eq!(moment.to_string().parse(), Ok(moment));
    }

    #[test]
    fn reads_spans_and_refuses_what_is_not_one() {
        assert_eq!(parse_span("1d12h"), Ok(Duration::from_secs(129_600)));
        assert_eq!(parse_span("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "2", "h", "2 hours", "-1h", "99999999999999w"] {
            assert_eq!(parse_span(wrong), Err(TimeError::Span), "{wrong:?}");
        }
    }
}
