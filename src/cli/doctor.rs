//! `patchcord doctor`: what a server would need, checked from here, one line each.
//!
//! In: the configuration. Out: a line for each check, with a fix beside each failure; exit status 1 when one failed. Nothing is
//! changed, and nothing is asked of the outside but two reads: Twilio's account, and our own address.

mod log;
mod outside;
mod parts;

use std::{fmt, path::Path};

use anyhow::ensure;

use super::serve::with_runtime;
use crate::config;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    Good(String),
    Failed {
        said: String,
        fix: String,
    },
    /// Nothing to check, and why.
    Skipped(String),
}

impl Finding {
    fn failed(said: impl fmt::Display, fix: impl Into<String>) -> Self {
        Self::Failed {
            said: said.to_string(),
            fix: fix.into(),
        }
    }

    fn print(&self, name: &str) {
        match self {
            Self::Good(said) => println!("ok       {name:13} {said}"),
            Self::Skipped(why) => println!("skipped  {name:13} {why}"),
            Self::Failed { said, fix } => println!("FAILED   {name:13} {said}; fix: {fix}"),
        }
    }
}

/// Checks everything and prints what was found.
///
/// # Errors
/// When a check failed, or the configuration cannot be read.
pub fn run(file: Option<&Path>) -> anyhow::Result<()> {
    let from = file.map_or_else(
        || "the defaults and the environment".to_owned(),
        |file| format!("{} and the environment", file.display()),
    );
    let settings = config::load(file).inspect_err(|error| {
        Finding::failed(error, "`config/default.toml` explains every key").print("config");
    })?;
    Finding::Good(from).print("config");
    with_runtime(async move {
        let mut failed = 0;
        let mut report = |name: &str, finding: Finding| {
            finding.print(name);
            failed += u32::from(matches!(finding, Finding::Failed { .. }));
        };
        let (store, is_ready) = parts::store(&settings.store).await;
        report("store", store);
        report("audit log", log::audit(&settings.store, is_ready).await);
        report("redis", parts::redis(&settings.redis).await);
        report("speech model", parts::speech_model(&settings.asr).await);
        let (twilio, twilio_clock) = outside::twilio(&settings).await;
        report("twilio", twilio);
        let (public_url, own_clock) = outside::public_url(&settings).await;
        report("public url", public_url);
        report("clock", outside::clock(twilio_clock.or(own_clock)));
        ensure!(failed == 0, "{failed} of the checks failed");
        Ok(())
    })
}
