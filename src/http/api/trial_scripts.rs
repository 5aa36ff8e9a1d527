//! The scripts of a dry run or a backtest: run for real, because they reach nothing outside, within a time of their own.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use crate::{
    http::context::Context,
    integrations::{
        port::{EffectOutcome, EffectPort},
        script::runners::ScriptRunners,
    },
    workflows::{Effect, Failure, FailureKind},
};

/// Time for all scripts of one trial.
const ALL_MAX: Duration = Duration::from_secs(10);

/// Runs the scripts of one trial.
pub(super) struct TrialScripts {
    runners: Arc<ScriptRunners>,
    runtime: Handle,
    until: Instant,
}

impl TrialScripts {
    /// Its time begins now. To be made on an async thread.
    pub(super) fn new(context: &Context) -> Self {
        Self {
            runners: Arc::clone(&context.scripts),
            runtime: Handle::current(),
            until: Instant::now() + ALL_MAX,
        }
    }

    /// Runs the script of an effect. It blocks: for a thread that serves nobody else.
    pub(super) fn run(&self, effect: &Effect) -> Result<Value, Failure> {
        let in_time = self
            .runtime
            .block_on(async { timeout_at(self.until, self.runners.execute(effect)).await.ok() });
        let seconds = ALL_MAX.as_secs();
        match in_time {
            Some(EffectOutcome::Confirmed { output, .. }) => Ok(output),
            Some(EffectOutcome::Rejected(failure)) => Err(failure),
            Some(EffectOutcome::Unknown { message }) => Err(failed("script_runner", message)),
            None => Err(failed(
                "trial_timeout",
                format!(
                    "the scripts of this trial took longer than {seconds} s together; a real run has its time for each"
                ),
            )),
        }
    }
}

/// Trying again does not help within this trial.
fn failed(code: &str, message: String) -> Failure {
    Failure {
        kind: FailureKind::Permanent,
        code: code.to_owned(),
        message,
        retry_after: None,
    }
}
