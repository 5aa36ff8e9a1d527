//! The runners: a few processes that run scripts, shared fairly.
//!
//! In: effects that run a script. Out: what it returned, or why it did not. A script has no effect outside, and its clock and
//! random numbers come from the effect: repeating it gives the same. One workflow holds at most half of the places, so a script
//! that never ends takes its time from its own workflow's; it is stopped at its time limit, and killed when it does not stop.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    runner::Runner,
    wire::{Answer, Job, ScriptFailure, Task},
};
use crate::{
    domain::ids::WorkflowId,
    integrations::port::{EffectOutcome, EffectPort},
    workflows::{Effect, Finding, Request},
};

/// Processes at once.
const PLACES: usize = 4;
/// Processes that one workflow may hold at once.
const PLACES_PER_WORKFLOW: usize = 2;
/// Longest wait for a place; beyond it the run tries again later.
const WAIT_MAX: Duration = Duration::from_secs(45);
/// Time for reading a script without running it.
const CHECK_MS_MAX: u64 = 1_000;
/// How long a runner may take beyond the script's own limit before it is killed.
const GRACE: Duration = Duration::from_millis(500);

/// Runs scripts.
pub struct ScriptRunners {
    program: PathBuf,
    places: Arc<Semaphore>,
    by_workflow: Mutex<BTreeMap<WorkflowId, Arc<Semaphore>>>,
    /// Started, and with nothing to do; at most one for each place.
    idle: Mutex<Vec<Runner>>,
}

/// Why a script has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Breakdown {
    #[error("no place for the script within {} s", WAIT_MAX.as_secs())]
    NoPlace,
    #[error("no runner can be started: {0}")]
    NotStarted(std::io::Error),
    #[error("the runner broke off: {0}")]
    BrokeOff(std::io::Error),
    #[error("the script ran longer than {0} ms and was killed")]
    Killed(u64),
}

impl From<Breakdown> for EffectOutcome {
    fn from(breakdown: Breakdown) -> Self {
        let message = breakdown.to_string();
        match breakdown {
            Breakdown::NoPlace => Self::temporary("script_queue", message),
            Breakdown::NotStarted(_) | Breakdown::BrokeOff(_) => Self::temporary("script_runner", message),
            // The script's own doing: trying again does not help.
            Breakdown::Killed(_) => Self::permanent("script_timeout", message),
        }
    }
}

/// A place, given back when it is dropped.
struct Turn {
    _of_workflow: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl ScriptRunners {
    /// Runs scripts in processes of this very program, which stays the same when its file is replaced meanwhile.
    #[must_use]
    pub fn of_this_program() -> Self {
        let link = PathBuf::from("/proc/self/exe");
        if link.exists() {
            return Self::new(link);
        }
        // Elsewhere than on Linux; a path that is not known fails at the first script, with words.
        Self::new(std::env::current_exe().unwrap_or_default())
    }

    /// Runs scripts in processes of `program`. They are started when they are needed.
    fn new(program: PathBuf) -> Self {
        Self {
            program,
            places: Arc::new(Semaphore::new(PLACES)),
            by_workflow: Mutex::default(),
            idle: Mutex::default(),
        }
    }

    /// Waits for a place: first for one of the workflow's own, so that what waits there takes nothing from others.
    async fn turn(&self, workflow_id: WorkflowId) -> Option<Turn> {
        let own = {
            let mut all = self.by_workflow.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever uses or awaits a place holds the semaphore; the others are as new.
            all.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
            let fresh = || Arc::new(Semaphore::new(PLACES_PER_WORKFLOW));
            Arc::clone(all.entry(workflow_id).or_insert_with(fresh))
        };
        let waiting = async {
            let of_workflow = own.acquire_owned().await.ok()?;
            let of_all = Arc::clone(&self.places).acquire_owned().await.ok()?;
            Some(Turn {
                _of_workflow: of_workflow,
                _of_all: of_all,
            })
        };
        tokio::time::timeout(WAIT_MAX, waiting).await.ok().flatten()
    }

    fn take(&self) -> std::io::Result<Runner> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| Runner::start(&self.program), Ok)
    }

    fn give_back(&self, runner: Runner) {
        if runner.is_fresh() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(runner);
        }
    }

    /// Whether `code` can be read: what is wrong with it when it cannot.
    ///
    /// # Errors
    /// When no runner could look at it.
    pub async fn check(
        &self,
        workflow_id: WorkflowId,
        code: &str,
    ) -> Result<Option<ScriptFailure>, Breakdown> {
        let _turn = self.turn(workflow_id).await.ok_or(Breakdown::NoPlace)?;
        let job = Job {
            task: Task::Check,
            code: code.to_owned(),
            input: Value::Null,
            timeout_ms: CHECK_MS_MAX,
            now_ms: 0,
            seed: 0,
        };
        Ok(match self.answer(&job).await? {
            Answer::Returned(_) => None,
            Answer::Failed(failure) => Some(failure),
        })
    }

    async fn answer(&self, job: &Job) -> Result<Answer, Breakdown> {
        let mut runner = self.take().map_err(Breakdown::NotStarted)?;
        let limit = Duration::from_millis(job.timeout_ms) + GRACE;
        match tokio::time::timeout(limit, runner.run(job)).await {
            Ok(Ok(answer)) => {
                self.give_back(runner);
                Ok(answer)
            }
            Ok(Err(error)) => Err(Breakdown::BrokeOff(error)),
            // It does not even hear that it is late: dropping the runner kills it.
            Err(_) => Err(Breakdown::Killed(job.timeout_ms)),
        }
    }
}

#[async_trait]
impl EffectPort for ScriptRunners {
    async fn execute(&self, effect: &Effect) -> EffectOutcome {
        let Request::RunScript {
            code,
            input,
            timeout_ms,
        } = &effect.request
        else {
            return EffectOutcome::permanent("no_script", "only scripts are run here");
        };
        let Some(_turn) = self.turn(effect.workflow_id).await else {
            return Breakdown::NoPlace.into();
        };
        let job = Job {
            task: Task::Run,
            code: code.clone(),
            input: input.clone(),
            timeout_ms: *timeout_ms,
            now_ms: effect.planned_at.as_unix_millis(),
            seed: seed_of(&effect.key),
        };
        match self.answer(&job).await {
            Ok(Answer::Returned(output)) => EffectOutcome::Confirmed {
                provider_id: None,
                output,
            },
            Ok(Answer::Failed(failure)) => EffectOutcome::permanent(failure.kind.code(), failure.message),
            Err(breakdown) => breakdown.into(),
        }
    }

    async fn settle(&self, _effect: &Effect) -> Finding {
        // Nothing outside ever comes of a script.
        Finding::Absent
    }
}

fn seed_of(key: &str) -> u32 {
    let digest = Sha256::digest(key.as_bytes());
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_runner_that_does_not_hear_its_limit_is_killed_and_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("deaf");
        std::fs::write(&program, "#!/bin/sh\nexec sleep 60\n").expect("written");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).expect("set");
        let runners = ScriptRunners::new(program);
        let job = Job {
            task: Task::Run,
            code: "return 1;".to_owned(),
            input: json!({}),
            timeout_ms: 50,
            now_ms: 0,
            seed: 1,
        };
        let breakdown = runners.answer(&job).await.expect_err("it cannot answer");
        let EffectOutcome::Rejected(failure) = breakdown.into() else {
            panic!("nothing outside came of it")
        };
        assert_eq!(failure.code, "script_timeout");
        assert!(failure.message.contains("killed"), "{}", failure.message);
        assert!(runners.idle.lock().expect("no panic holds it").is_empty());
    }
}
