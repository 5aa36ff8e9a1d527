//! `patchcord doctor`: what a server would need, checked from here, one line each.
//!
//! In: the configuration. Out: a line for each check, with a fix beside each failure; exit status 1 when one failed. Nothing is
//! changed, and nothing is asked of the outside but two reads: Twilio's account, and our own address.

mod keys;
mod log;
mod outside;
mod parts;

use std::path::Path;

use anyhow::ensure;

use super::serve::with_runtime;
use crate::{config, http::setup::Finding};

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
        let finding = Finding::failed(error, "`config/default.toml` explains every key");
        print("config", &finding);
    })?;
    print("config", &Finding::Good(from));
    with_runtime(async move {
        let mut failed = 0;
        let mut report = |name: &str, finding: Finding| {
            print(name, &finding);
            failed += u32::from(matches!(finding, Finding::Failed { .. }));
        };
        let (store, is_ready) = parts::store(&settings.store).await;
        report("store", store);
        report("audit log", log::audit(&settings.store, is_ready).await);
        report("signing keys", keys::signing(&settings, is_ready).await);
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

fn print(name: &str, finding: &Finding) {
    match finding {
        Finding::Good(said) => println!("ok       {name:13} {said}"),
        Finding::Skipped(why) => println!("skipped  {name:13} {why}"),
        Finding::Failed { said, fix } => println!("FAILED   {name:13} {said}; fix: {fix}"),
    }
}
