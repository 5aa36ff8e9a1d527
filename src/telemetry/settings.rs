//! The `[telemetry]` section of the configuration.

use serde::Deserialize;

use crate::domain::secret::Secret;

/// Where traces go, and how many of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetrySettings {
    /// Empty: no traces are made.
    pub otlp_endpoint: String,
    /// `name=value` pairs; may hold a token.
    pub otlp_headers: Secret,
    pub otlp_timeout_s: u64,
    /// Of traces that begin here; 0 to 1.
    pub sample_ratio: f64,
    /// Spans that wait to be sent.
    pub queue_max: usize,
}

impl TelemetrySettings {
    /// The headers that go with every request.
    ///
    /// # Errors
    /// The first pair that is none.
    pub fn headers(&self) -> Result<Vec<(String, String)>, String> {
        let pairs = self.otlp_headers.expose().split(',').map(str::trim);
        pairs
            .filter(|pair| !pair.is_empty())
            .enumerate()
            .map(|(at, pair)| match pair.split_once('=') {
                Some((name, value)) if !name.trim().is_empty() => {
                    Ok((name.trim().to_owned(), value.trim().to_owned()))
                }
                // The pair itself may be a secret.
                _ => Err(format!(
                    "expected `name=value`, separated by commas; the {}. is none",
                    at + 1
                )),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_pairs_and_a_wrong_one_is_not_shown() {
        let settings = |headers: &str| TelemetrySettings {
            otlp_endpoint: String::new(),
            otlp_headers: Secret::new(headers.to_owned()),
            otlp_timeout_s: 10,
            sample_ratio: 1.0,
            queue_max: 10,
        };
        let read = settings("authorization=Basic YTpi, x-team = 1,").headers();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read,
            Ok(vec![pair("authorization", "Basic YTpi"), pair("x-team", "1")])
        );
        let wrong = settings("a=b,canary").headers().expect_err("refused");
        assert!(wrong.contains("2.") && !wrong.contains("canary"), "{wrong}");
        assert_eq!(settings("").headers(), Ok(Vec::new()));
    }
}
