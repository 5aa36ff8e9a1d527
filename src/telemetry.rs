//! Logs, metrics and traces: installed once, at the start of the process.
//!
//! In: `PATCHCORD_LOG` (a tracing filter such as `info,patchcord::http=debug`) and `PATCHCORD_LOG_FORMAT` (`json` or
//! `pretty`). Out: log lines on standard error, so that standard output stays with what a command answers; and the handle
//! that renders the metrics.

mod export;
mod settings;
pub mod traces;

use std::{io::IsTerminal, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

pub use export::{TracesError, start as start_traces};
pub use settings::TelemetrySettings;

/// What is logged when nobody says.
const FILTER_DEFAULT: &str = "info";
/// Upper bounds of the time histograms, in seconds: from a cache hit to a request that timed out.
const SECONDS_BUCKETS: [f64; 14] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];
/// Between two clean-ups of the recorder's buffers.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Why logs or metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("PATCHCORD_LOG: expected a filter like `info,patchcord::http=debug`")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    #[error("PATCHCORD_LOG_FORMAT: expected `json` or `pretty`, found `{0}`")]
    Format(String),
    #[error("logs are already being written in this process")]
    Subscriber(#[source] tracing_subscriber::util::TryInitError),
    #[error("metrics cannot be recorded")]
    Recorder(#[source] metrics_exporter_prometheus::BuildError),
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Pretty,
}

/// Starts writing logs as the environment asks.
///
/// # Errors
/// [`TelemetryError`] naming the variable that cannot be understood.
pub fn init_logs() -> Result<(), TelemetryError> {
    let filter = filter_of(std::env::var("PATCHCORD_LOG").ok().as_deref())?;
    let format = format_of(std::env::var("PATCHCORD_LOG_FORMAT").ok().as_deref())?;
    let registry = tracing_subscriber::registry().with(filter);
    let is_terminal = std::io::stderr().is_terminal();
    match format {
        Format::Json => {
            let layer = fmt::layer()
                .json()
                .flatten_event(true)
                .with_writer(std::io::stderr);
            registry.with(layer).try_init()
        }
        Format::Pretty => {
            let layer = fmt::layer()
                .with_target(false)
                .with_ansi(is_terminal)
                .with_writer(std::io::stderr);
            registry.with(layer).try_init()
        }
    }
    .map_err(TelemetryError::Subscriber)
}

/// Starts recording metrics and returns the handle that renders them. Needs a tokio runtime for its upkeep.
///
/// # Errors
/// [`TelemetryError::Recorder`] when another recorder is installed.
pub fn init_metrics() -> Result<PrometheusHandle, TelemetryError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(TelemetryError::Recorder)?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut every = tokio::time::interval(UPKEEP_EVERY);
        loop {
            every.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

fn filter_of(text: Option<&str>) -> Result<EnvFilter, TelemetryError> {
    let text = text
        .filter(|text| !text.trim().is_empty())
        .unwrap_or(FILTER_DEFAULT);
    EnvFilter::try_new(text).map_err(TelemetryError::Filter)
}

fn format_of(text: Option<&str>) -> Result<Format, TelemetryError> {
    match text.map(str::trim) {
        None | Some("" | "pretty") => Ok(Format::Pretty),
        Some("json") => Ok(Format::Json),
        Some(other) => Err(TelemetryError::Format(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_filter_or_format_is_refused_by_name() {
        assert!(filter_of(Some("info,patchcord::http=debug")).is_ok());
        assert!(filter_of(None).is_ok());
        let wrong = filter_of(Some("patchcord=loudly")).expect_err("refused");
        assert!(wrong.to_string().contains("PATCHCORD_LOG"), "{wrong}");
        assert_eq!(format_of(Some("json")).expect("json"), Format::Json);
        assert!(
            format_of(Some("xml"))
                .expect_err("refused")
                .to_string()
                .contains("xml")
        );
    }
}
